"""Stand-ins for what sessions and channels need of others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import formatEvent
from twisted.python.failure import Failure

from chatcore.application.sessions import Sessions
from chatcore.channels.groups import GroupTable
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.errors import NotConnected
from chatcore.node.sessions_here import SessionsHere
from chatcore.sessions.copy import FarHome
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters
from chatcore.wire.body import Body


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
    not_sent: list[tuple[str, str]] = field(default_factory=list)

    def push(self, data: bytes, route: str) -> None:
        self.sent.append(data)

    def push_droppable(self, data: bytes, route: str) -> None:
        if self.reads:
            self.sent.append(data)

    def missed(self, why: str, route: str) -> None:
        self.not_sent.append((why, route))


class FakeEncoding:
    """Writes pushes so that a person can read them."""

    def push(self, route: str, body: Body) -> bytes:
        return f"{route} ".encode() + body.json


@dataclass(eq=False)
class FakeConnection:
    """A client's connection; its encoding may be a word."""

    address: ClassVar[tuple[str, int]] = ("192.0.2.7", 5555)

    encoding: Any = "plain"
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
        self.forgetting: list[Callable[[], None]] = []
        self.found: dict[str, set[str]] = {}
        self.answers: Deferred[None] = succeed(None)

    def take(self) -> list[tuple[Any, ...]]:
        """What was told since this was asked last."""
        told, self.told = self.told, []
        return told

    def all(self) -> Sequence[str]:
        return self.ids

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

    def forget(
        self, frontend: str, uids: Sequence[str], done: Callable[[Sequence[str]], None]
    ) -> None:
        if self._tell("forget", frontend, list(uids)):
            self.forgetting.append(partial(done, uids))

    def push(
        self,
        frontends: Iterable[str],
        channel: str,
        route: str,
        body: bytes,
        droppable: bool = False,
    ) -> list[str]:
        more = ("droppable",) if droppable else ()
        return [f for f in frontends if not self._tell("push", f, channel, route, body, *more)]

    def push_to_uids(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> bool:
        more = ("droppable",) if droppable else ()
        return self._tell("uids", frontend, list(uids), route, body, *more)

    async def push_to_found(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> list[str]:
        self.told.append(("found", frontend, list(uids), route, body))
        await self.answers
        return [uid for uid in uids if uid in self.found.get(frontend, ())]

    def broadcast(
        self,
        frontends: Iterable[str],
        route: str,
        body: bytes,
        *,
        bound: bool = False,
        where: bytes | None = None,
        droppable: bool = False,
    ) -> list[str]:
        options = (bound, where, droppable) if bound or where is not None or droppable else ()
        told = {each: self._tell("broadcast", each, route, body, *options) for each in frontends}
        return [each for each, reached in told.items() if not reached]


def sessions_of(service: SessionService, view: ClusterServers | None = None) -> Sessions:
    """What an application is given of the sessions of a node that has no links."""
    groups = GroupTable(sessions=service, gone=lambda *args: None, counters=Counters())
    here = SessionsHere(sessions=service, groups=groups)
    remotes = {method.__name__: method for method in here.remotes()}

    def ask(frontend: str, method: str, *args: Any) -> Deferred[Any]:
        if frontend != service.frontend_id:
            return fail(NotConnected(frontend, method))
        return maybeDeferred(remotes[method], *args)

    def far_home(frontend: str) -> FarHome:
        raise AssertionError(f"nobody asked {frontend}")

    return Sessions(
        service,
        pushes=here,
        servers=view or ClusterServers(View.of([])),
        ask=ask,
        far_home=far_home,
    )
