from zope.interface import implementer

from chatcore.interfaces import IApplication, IRemote


class IRoomRemote(IRemote):
    async def add(room: str, members: list[list[str]]) -> int:
        """Put members, pairs of uid and frontend, into a room; how many it has comes back."""

    async def size(room: str) -> int:
        """How many members a room has."""


@implementer(IRoomRemote)
class RoomRemote:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def add(self, room: str, members: list[list[str]]) -> int:
        channel = self.app.channels.get(room, create=True)
        for uid, sid in members:
            channel.add(uid, sid)
        return len(channel)

    async def size(self, room: str) -> int:
        return len(self.app.channels.get(room) or ())
