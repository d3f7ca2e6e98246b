from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession


class INewsHandler(IHandler):
    async def everybody(msg: Any, session: ISession) -> Any:
        """To every client of every lobby."""

    async def members(msg: Any, session: ISession) -> Any:
        """To those who have logged in."""

    async def fans(msg: Any, session: ISession) -> Any:
        """To those who like ``msg["of"]``."""

    async def people(msg: Any, session: ISession) -> Any:
        """To ``msg["names"]``, on whichever lobby each of them is."""


@implementer(INewsHandler)
class NewsHandler:
    def __init__(self, app: IApplication) -> None:
        self.channels = app.channels

    async def everybody(self, msg: Any, session: ISession) -> Any:
        return {"unreached": await self.channels.broadcast("lobby", "onNews", msg)}

    async def members(self, msg: Any, session: ISession) -> Any:
        return {"unreached": await self.channels.broadcast("lobby", "onNews", msg, bound=True)}

    async def fans(self, msg: Any, session: ISession) -> Any:
        liked = msg["of"]
        return {"unreached": await self.channels.broadcast("lobby", "onNews", msg, where=liked)}

    async def people(self, msg: Any, session: ISession) -> Any:
        return {"unreached": await self.channels.push_to_uids("onNews", msg, msg["names"])}
