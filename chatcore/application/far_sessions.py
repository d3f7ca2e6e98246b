"""``app.sessions.at(…)``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

import msgspec
from zope.interface import implementer

from chatcore.channels.checks import encode_push
from chatcore.errors import NoSuchServer
from chatcore.interfaces import IFarSessions, ISession, SessionStatistics
from chatcore.sessions.copy import IHome, import_copy
from chatcore.sessions.session import check_keys, check_reason


class Ask(Protocol):
    """Asks a frontend something about its sessions."""

    def __call__(self, frontend: str, method: str, *args: Any) -> Awaitable[Any]: ...


@implementer(IFarSessions)
class FarSessions:
    """The sessions of one frontend, asked from any node.

    Args:
        frontend_id: which frontend.
        exists: whether the view has it, and it is one.
        ask: asks it.
        home: where the sessions of a frontend live.
    """

    def __init__(
        self, frontend_id: str, *, exists: bool, ask: Ask, home: Callable[[str], IHome]
    ) -> None:
        self.frontend_id = frontend_id
        self._exists = exists
        self._ask_frontend = ask
        self._home = home

    async def get(self, id: int) -> ISession | None:
        exported = await self._ask("get", id)
        return None if exported is None else self._copy(exported)

    async def by_uid(self, uid: str) -> Sequence[ISession]:
        return [self._copy(exported) for exported in await self._ask("by_uid", uid)]

    async def count(self) -> int:
        counted: int = await self._ask("count")
        return counted

    def __aiter__(self) -> AsyncIterator[ISession]:
        return self._all(bound=False)

    def bound(self) -> AsyncIterator[ISession]:
        return self._all(bound=True)

    async def _all(self, *, bound: bool) -> AsyncIterator[ISession]:
        last = 0
        while portion := await self._ask("portion", last, bound):
            for exported in portion:
                session = self._copy(exported)
                last = session.id
                yield session

    async def update(self, id: int, /, **settings: Any) -> None:
        check_keys(settings)
        await self._ask("update", id, settings)

    async def push(self, id: int, route: str, msg: Any, *, droppable: bool = False) -> bool:
        packed = encode_push(route, msg)
        there: bool = await self._ask("push", id, route, packed, droppable)
        return there

    async def push_to_uid(self, uid: str, route: str, msg: Any, *, droppable: bool = False) -> int:
        packed = encode_push(route, msg)
        count: int = await self._ask("push_to_uid", uid, route, packed, droppable)
        return count

    async def kick(self, uid: str, reason: str = "kick") -> int:
        return await self.kick_but(uid, reason, None)

    async def kick_but(self, uid: str, reason: str, but: ISession | None) -> int:
        """Kick all sessions of a uid there except one, which may be another frontend's."""
        check_reason(reason)
        stays = () if but is None or but.frontend_id != self.frontend_id else (but.id,)
        count: int = await self._ask("kick_uid", uid, reason, *stays)
        return count

    async def kick_id(self, id: int, reason: str = "kick") -> bool:
        check_reason(reason)
        there: bool = await self._ask("kick", id, reason)
        return there

    async def statistics(self, most: int = 1000) -> SessionStatistics:
        return msgspec.convert(await self._ask("statistics", most), SessionStatistics)

    def _copy(self, exported: bytes) -> ISession:
        return import_copy(exported, self.frontend_id, self._home(self.frontend_id))

    async def _ask(self, method: str, *args: Any) -> Any:
        if not self._exists:
            what = f"{method} of its sessions"
            raise NoSuchServer(self.frontend_id, what, "the view has no such frontend")
        return await self._ask_frontend(self.frontend_id, method, *args)
