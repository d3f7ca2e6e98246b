"""Who is in which room."""

from zope.interface import implementer

from chatcore.interfaces import IApplication, IChannel, IRemote


class IChatRemote(IRemote):
    async def add(uid: str, sid: str, name: str) -> list[str]:
        """Put a user into a room; the names of all in it come back, none if the name is taken."""


@implementer(IChatRemote)
class ChatRemote:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        app.channels.on_left(self.left)

    async def add(self, uid: str, sid: str, name: str) -> list[str]:
        channel = self.app.channels.get(name, create=True)
        if uid in channel and sid not in channel.sids(uid):
            return []
        if uid not in channel:
            channel.push("onAdd", {"route": "onAdd", "user": name_of(uid)})
            channel.add(uid, sid)
        return [name_of(each) for each in channel.uids()]

    def left(self, channel: IChannel, uid: str, sid: str, reason: str) -> None:
        channel.push("onLeave", {"route": "onLeave", "user": name_of(uid)})


def name_of(uid: str) -> str:
    return uid.partition("*")[0]
