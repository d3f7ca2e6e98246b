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
        self.app = app

    async def login(self, msg: Any, session: ISession) -> Any:
        await session.bind(msg["name"])
        # sessions.per_uid holds on each frontend only; this reaches the others, too.
        await self.app.sessions.kick_everywhere(msg["name"], "logged in elsewhere", but=session)
        return {"welcome": session.uid}
