from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession


class IEntryHandler(IHandler):
    async def login(msg: Any, session: ISession) -> Any:
        """Say who you are, and what you like."""

    async def look(msg: Any, session: ISession) -> Any:
        """Nothing; but all that was pushed before comes before the answer."""


@implementer(IEntryHandler)
class EntryHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def login(self, msg: Any, session: ISession) -> Any:
        await session.bind(msg["name"])
        await session.update(likes=msg["likes"])
        return {}

    async def look(self, msg: Any, session: ISession) -> Any:
        return {}
