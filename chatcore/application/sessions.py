"""``app.sessions``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredList
from zope.interface import implementer

from chatcore.application.far_sessions import Ask, FarSessions
from chatcore.channels.checks import encode_push
from chatcore.cluster.servers import ClusterServers
from chatcore.errors import RpcError
from chatcore.interfaces import Found, ISession, ISessions, Kicks, SessionStatistics
from chatcore.sessions.copy import IHome, copy_of
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import check_reason, check_uid

T = TypeVar("T")


class IPushes(Protocol):
    """Sends messages, packed, to sessions of this node."""

    def push(self, id: int, route: str, packed: bytes, droppable: bool) -> bool: ...

    def push_to_uid(self, uid: str, route: str, packed: bytes, droppable: bool) -> int: ...


@implementer(ISessions)
class Sessions:
    """The sessions of this node, as the application sees them, and the way to those elsewhere.

    Args:
        service: those of this node.
        pushes: sends messages to them.
        servers: the view.
        ask: asks a frontend, which may be this node.
        far_home: where the sessions of another frontend live.
        where: finds the frontend of a uid, if that is known anywhere.
    """

    def __init__(
        self,
        service: SessionService,
        *,
        pushes: IPushes,
        servers: ClusterServers,
        ask: Ask,
        far_home: Callable[[str], IHome],
        where: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        self._service = service
        self._where = where
        self._pushes = pushes
        self._servers = servers
        self._ask = ask
        self._far_home = far_home

    def __len__(self) -> int:
        return len(self._service)

    def __iter__(self) -> Iterator[ISession]:
        return (copy_of(session, self._service) for session in self._service)

    def bound(self) -> Iterator[ISession]:
        return (copy_of(session, self._service) for session in self._service.bound())

    def get(self, id: int) -> ISession | None:
        session = self._service.get(id)
        return None if session is None else copy_of(session, self._service)

    def by_uid(self, uid: str) -> Sequence[ISession]:
        return [copy_of(session, self._service) for session in self._service.by_uid(uid)]

    def update(self, id: int, /, **settings: Any) -> None:
        self._service.update(id, settings)

    def push(self, id: int, route: str, msg: Any, *, droppable: bool = False) -> bool:
        return self._pushes.push(id, route, encode_push(route, msg), droppable)

    def push_to_uid(self, uid: str, route: str, msg: Any, *, droppable: bool = False) -> int:
        return self._pushes.push_to_uid(uid, route, encode_push(route, msg), droppable)

    def kick(self, uid: str, reason: str = "kick") -> int:
        return self._service.kick_uid(uid, reason)

    def kick_id(self, id: int, reason: str = "kick") -> bool:
        return self._service.kick(id, reason)

    def statistics(self, most: int = 1000) -> SessionStatistics:
        return self._service.statistics(most)

    def at(self, frontend_id: str) -> FarSessions:
        server = self._servers.get(frontend_id)
        exists = server is not None and server.frontend
        return FarSessions(frontend_id, exists=exists, ask=self._ask, home=self._home)

    async def find(self, uid: str) -> Found:
        check_uid(uid)
        answers, unreached = await self._everywhere(lambda far: far.by_uid(uid))
        return Found([session for sessions in answers for session in sessions], unreached)

    async def where(self, uid: str) -> str | None:
        check_uid(uid)
        if self._where is not None:
            return await self._where(uid)
        sessions, unreached = await self.find(uid)
        if sessions:
            return max(sessions, key=lambda session: session.logged_in or 0).frontend_id
        for problem in unreached.values():
            raise problem
        return None

    async def kick_everywhere(
        self, uid: str, reason: str = "kick", *, but: ISession | None = None
    ) -> Kicks:
        check_uid(uid)
        check_reason(reason)
        if but is not None and not ISession.providedBy(but):
            raise TypeError(f"but is {but!r}, not a session")
        answers, unreached = await self._everywhere(lambda far: far.kick_but(uid, reason, but))
        return Kicks(sum(answers), unreached)

    def _home(self, frontend_id: str) -> IHome:
        here = frontend_id == self._service.frontend_id
        return self._service if here else self._far_home(frontend_id)

    async def _everywhere(
        self, ask: Callable[[FarSessions], Coroutine[Any, Any, T]]
    ) -> tuple[list[T], Mapping[str, Exception]]:
        """Ask all frontends: what those answered that did, and why the others did not."""
        frontends = [server.id for server in self._servers.frontends()]
        asked = [Deferred.fromCoroutine(ask(self.at(frontend))) for frontend in frontends]
        ended: list[tuple[bool, Any]] = await DeferredList(asked, consumeErrors=True)
        answers: list[T] = []
        unreached: dict[str, Exception] = {}
        for frontend, (answered, result) in zip(frontends, ended, strict=True):
            if answered:
                answers.append(result)
            elif result.check(RpcError):
                unreached[frontend] = result.value
            else:  # who asked is over the time, or a mistake: no answer of a frontend's
                result.raiseException()
        return answers, unreached
