"""Chatting: to the whole room, or to one of those in it."""

from typing import Any

from zope.interface import implementer

from chatcore.errors import ClientError
from chatcore.interfaces import IApplication, IHandler, ISession

from .remotes import name_of


class IChatHandler(IHandler):
    async def send(msg: Any, session: ISession) -> Any:
        """Say something to all (``target`` is ``*``) or to one."""


@implementer(IChatHandler)
class ChatHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def send(self, msg: Any, session: ISession) -> Any:
        rid, target = session.get("rid"), msg["target"]
        channel = self.app.channels.get(rid)
        if channel is None or session.uid not in channel:
            raise ClientError(500)
        push = {"msg": msg["content"], "from": name_of(session.uid), "target": target}
        if target == "*":
            channel.push("onChat", push)
        else:
            uid = f"{target}*{rid}"
            if uid not in channel:
                raise ClientError(500)
            members = [(uid, sid) for sid in channel.sids(uid)]
            self.app.channels.push_to_uids("onChat", push, members)
        return {}
