"""Stand-ins for what sessions and channels need of others."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import formatEvent
from twisted.python.failure import Failure


def result_of(waiting: Awaitable[Any] | None) -> Any:
    """What an awaitable that is done already gives, or raises."""
    if waiting is None:
        return None
    if isinstance(waiting, Coroutine):
        waiting = Deferred.fromCoroutine(waiting)
    assert isinstance(waiting, Deferred)
    results: list[Any] = []
    waiting.addBoth(results.append)
    assert results, "it still waits"
    if isinstance(results[0], Failure):
        raise results[0].value
    return results[0]


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def failures(self) -> list[BaseException]:
        """What was logged with a traceback, and taken off the list."""
        return [e["log_failure"].value for e in self.events if e.get("log_failure") is not None]

    def text(self) -> str:
        """All of it, as a person reads it."""
        return "\n".join(formatEvent(event) for event in self.events)


@dataclass(eq=False)
class FakeOutbox:
    sent: list[bytes] = field(default_factory=list)

    reads: bool = True

    def push(self, data: bytes, route: str) -> None:
        self.sent.append(data)

    def push_droppable(self, data: bytes, route: str) -> None:
        if self.reads:
            self.sent.append(data)


@dataclass(eq=False)
class FakeConnection:
    """A client's connection; its encoding is a word."""

    address: ClassVar[tuple[str, int]] = ("192.0.2.7", 5555)

    encoding: str = "plain"
    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    kicks: list[str] = field(default_factory=list)

    def kick(self, reason: str) -> None:
        self.kicks.append(reason)


class FakeFrontends:
    """Frontends whose links are up or down; notes what each is told."""

    def __init__(self, *ids: str) -> None:
        self.ids = ids
        self.down: set[str] = set()
        self.told: list[tuple[Any, ...]] = []

    def take(self) -> list[tuple[Any, ...]]:
        """What was told since this was asked last."""
        told, self.told = self.told, []
        return told

    def exists(self, frontend: str) -> bool:
        return frontend in self.ids

    def of_type(self, server_type: str) -> Sequence[str]:
        return [id for id in self.ids if id.partition("-")[0] == server_type]

    def _tell(self, what: str, frontend: str, *more: Any) -> bool:
        if frontend in self.down or frontend not in self.ids:
            return False
        self.told.append((what, frontend, *more))
        return True

    def join(self, frontend: str, channel: str, uids: Sequence[str]) -> bool:
        return self._tell("join", frontend, channel, list(uids))

    def leave(self, frontend: str, channel: str, uids: Sequence[str]) -> bool:
        return self._tell("leave", frontend, channel, list(uids))

    def renew(self, frontend: str) -> bool:
        return self._tell("renew", frontend)

    def forget(self, frontend: str, uids: Sequence[str]) -> bool:
        return self._tell("forget", frontend, list(uids))

    def push(self, frontends: Iterable[str], channel: str, route: str, body: bytes) -> list[str]:
        return [f for f in frontends if not self._tell("push", f, channel, route, body)]

    def push_to_uids(self, frontend: str, uids: Sequence[str], route: str, body: bytes) -> bool:
        return self._tell("uids", frontend, list(uids), route, body)

    def broadcast(self, frontend: str, route: str, body: bytes) -> bool:
        return self._tell("broadcast", frontend, route, body)
