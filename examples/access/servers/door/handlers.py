from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession, access


@access("unbound")
class IEntryHandler(IHandler):
    async def login(msg: Any, session: ISession) -> Any:
        """Say who you are; who came in under that name before has to leave."""


@implementer(IEntryHandler)
class EntryHandler:
    def __init__(self, app: IApplication) -> None:
        pass

    async def login(self, msg: Any, session: ISession) -> Any:
        await session.bind(msg["name"])
        return {"welcome": session.uid}
