"""Calls that go nowhere: they are written down, and answered as a test says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from chatcore.dispatch.calling import Caller
from chatcore.links.calls import Calls, ErrorHandler
from chatcore.links.filters import RpcFilters
from chatcore.links.settings import LinkSettings
from chatcore.telemetry import Counters

Sent = tuple[str, str, str, list[Any]]


class FakeSender:
    """What `Calls` sends with."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.sent: list[Sent] = []
        self.timeouts: list[float | None] = []
        self.notified: list[bool] = []
        self.outcome: Callable[[str], Deferred[Any]] = lambda server_id: succeed(f"by {server_id}")

    def calls(
        self, *filters: object, on_error: ErrorHandler | None = None, **settings: Any
    ) -> Calls:
        """What makes calls with it."""
        caller = Caller(seconds=30, clock=self.clock)
        return Calls(
            sender=self,
            filters=RpcFilters(filters, caller=caller, clock=self.clock) if filters else None,
            on_error=on_error,
            caller=caller,
            settings=LinkSettings(**settings),
            clock=self.clock,
            counters=self.counters,
        )

    @property
    def servers(self) -> list[str]:
        """Those that were called."""
        return [server_id for server_id, *_ in self.sent]

    def pack(self, what: str, args: Sequence[Any]) -> bytes:
        return msgspec.msgpack.encode(args)

    def send_packed(
        self,
        server_id: str,
        service: str,
        method: str,
        packed: bytes,
        *,
        notify: bool = False,
        timeout: float | None = None,
        key: str | None = None,
    ) -> Deferred[Any]:
        self.sent.append((server_id, service, method, msgspec.msgpack.decode(packed)))
        self.timeouts.append(timeout)
        self.notified.append(notify)
        return self.outcome(server_id)
