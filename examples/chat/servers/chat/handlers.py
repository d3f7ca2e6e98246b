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
        rid, to = session.get("rid"), msg["target"]
        room = self.app.channels.get(rid)
        if room is None or session.frontend_id not in room.sids(session.uid):
            return {"code": 500}
        said = {"msg": msg["content"], "from": name_of(session.uid), "target": to}
        if to == "*":
            room.push("onChat", said)
        elif sids := room.sids(f"{to}*{rid}"):
            self.app.channels.push_to_uids("onChat", said, [(f"{to}*{rid}", s) for s in sids])
        else:
            return {"code": 500}
        return {}
