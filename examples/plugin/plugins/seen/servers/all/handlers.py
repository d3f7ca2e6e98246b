from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession

from .remotes import ISeenRemote


class ISeenHandler(IHandler):
    async def last(msg: Any, session: ISession) -> Any:
        """Who was seen on which server of this type."""


@implementer(ISeenHandler)
class SeenHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def last(self, msg: Any, session: ISession) -> Any:
        return await self.app.rpc.to_all(self.app.server_type)[ISeenRemote].names()
