from zope.interface import implementer

from chatcore.interfaces import IApplication, IRemote, idempotent


class IWorkerRemote(IRemote):
    async def rest() -> None:
        """Forget what was asked."""

    async def work() -> str:
        """Who did it."""

    async def look_up() -> str:
        """Slow when it is asked first, and quick from then on."""

    idempotent(look_up)


@implementer(IWorkerRemote)
class WorkerRemote:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        self.asked = 0

    async def rest(self) -> None:
        self.asked = 0

    async def work(self) -> str:
        return self.app.server_id

    async def look_up(self) -> str:
        self.asked += 1
        await self.app.sleep(60 if self.asked == 1 else 0)
        return f"asked {self.asked} times"
