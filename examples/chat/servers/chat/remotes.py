from zope.interface import implementer

from chatcore.interfaces import IApplication, IChannel, IRemote


class IChatRemote(IRemote):
    async def add(uid: str, sid: str, rid: str) -> list[str]:
        """Put a user into a room; who is in it comes back, nobody if the name is taken."""


@implementer(IChatRemote)
class ChatRemote:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        app.channels.on_left(self.left)

    async def add(self, uid: str, sid: str, rid: str) -> list[str]:
        room = self.app.channels.get(rid, create=True)
        if uid in room:
            return []
        room.push("onAdd", {"route": "onAdd", "user": name_of(uid)})
        room.add(uid, sid)
        return [name_of(each) for each in room.uids()]

    def left(self, room: IChannel, uid: str, sid: str, reason: str) -> None:
        room.push("onLeave", {"route": "onLeave", "user": name_of(uid)})


def name_of(uid: str | None) -> str:
    return str(uid).partition("*")[0]
