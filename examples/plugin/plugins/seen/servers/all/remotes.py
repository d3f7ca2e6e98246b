from zope.interface import implementer

from chatcore.interfaces import IApplication, IRemote

from ... import Seen


class ISeenRemote(IRemote):
    async def names() -> list[str]:
        """Who was seen on this server, the last one first."""


@implementer(ISeenRemote)
class SeenRemote:
    def __init__(self, app: IApplication) -> None:
        self.seen = app.component(Seen)

    async def names(self) -> list[str]:
        return self.seen.names
