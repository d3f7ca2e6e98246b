import re
from typing import Any

from zope.interface import implementer

from chatcore.errors import ClientError
from chatcore.interfaces import IApplication, IHandler, ISession

from ..chat.remotes import IChatRemote

NAME = re.compile("[0-9A-Za-z_\u4e00-\u9fa5]{1,20}")


class IEntryHandler(IHandler):
    async def enter(msg: Any, session: ISession) -> Any:
        """Enter a room; the names of all who are in it come back."""


@implementer(IEntryHandler)
class EntryHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def enter(self, msg: Any, session: ISession) -> Any:
        name, rid = msg["username"], msg["rid"]
        if not (NAME.fullmatch(name) and NAME.fullmatch(rid)):
            raise ClientError(500)
        uid = f"{name}*{rid}"
        if session.uid or self.app.sessions.by_uid(uid):
            raise ClientError(500, error=True)
        await session.bind(uid)
        await session.update(rid=rid)
        users: list[str] = []
        try:
            users = await self.app.rpc.by(session)[IChatRemote].add(uid, session.frontend_id, rid)
        finally:
            if not users:
                await session.unbind()
        if not users:
            raise ClientError(500, error=True)
        return {"users": users}
