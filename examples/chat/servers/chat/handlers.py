from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession, access

from .remotes import name_of


@access("bound", through="connector")
class IChatHandler(IHandler):
    async def send(msg: Any, session: ISession) -> Any:
        """Say something to everybody in the room ("*"), or to one of them."""


@implementer(IChatHandler)
class ChatHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def send(self, msg: Any, session: ISession) -> Any:
        rid, to, text = session.get("rid"), str(msg["target"]), msg["content"]
        room = self.app.channels.get(rid)
        if not (room and session.frontend_id in room.sids(session.uid) and isinstance(text, str)):
            return {"code": 500}
        said = {"msg": text, "from": name_of(session.uid), "target": to}
        if to == "*":
            room.push("onChat", said)
            return {}
        sids = room.sids(f"{to}*{rid}")
        self.app.channels.push_to_uids("onChat", said, [(f"{to}*{rid}", sid) for sid in sids])
        return {} if sids else {"code": 500}
