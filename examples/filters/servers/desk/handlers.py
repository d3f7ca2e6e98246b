from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession


class IEntryHandler(IHandler):
    async def login(msg: Any, session: ISession) -> Any:
        """Say who you are."""

    async def asked(msg: Any, session: ISession) -> Any:
        """How often each method was asked for."""


@implementer(IEntryHandler)
class EntryHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def login(self, msg: Any, session: ISession) -> Any:
        await session.bind(msg["name"])
        return {}

    async def asked(self, msg: Any, session: ISession) -> Any:
        return dict(self.app.data["asked"])
