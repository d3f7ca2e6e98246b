from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession

from ..room.remotes import IRoomRemote


class IDoorHandler(IHandler):
    async def enter(msg: Any, session: ISession) -> Any:
        """Be ``msg["uid"]``; which frontend this is comes back."""

    async def fill(msg: Any, session: ISession) -> Any:
        """Put ``msg["members"]`` into ``msg["rooms"]``."""

    async def sizes(msg: Any, session: ISession) -> Any:
        """How many members each of ``msg["rooms"]`` has; -1 for one that does not answer."""


@implementer(IDoorHandler)
class DoorHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def enter(self, msg: Any, session: ISession) -> Any:
        await session.bind(msg["uid"])
        return {"sid": session.frontend_id}

    async def fill(self, msg: Any, session: ISession) -> Any:
        return {
            "sizes": await self._all(
                msg["rooms"], lambda room: room[1].add(room[0], msg["members"])
            )
        }

    async def sizes(self, msg: Any, session: ISession) -> Any:
        return {"sizes": await self._all(msg["rooms"], lambda room: room[1].size(room[0]))}

    async def _all(self, rooms: list[str], ask: Any) -> list[int]:
        asked = [
            Deferred.fromCoroutine(_one(ask, room, self.app.rpc.by_key(room)[IRoomRemote]))
            for room in rooms
        ]
        return [size for _, size in await DeferredList(asked)]


async def _one(ask: Any, room: str, remote: Any) -> int:
    try:
        return int(await ask((room, remote)))
    except Exception:
        return -1
