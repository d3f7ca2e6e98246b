from zope.interface import implementer

from chatcore.interfaces import IApplication, ICron


class IClockCron(ICron):
    async def tick() -> None:
        """Every second: tell all clients how often it has ticked."""

    async def sweep() -> None:
        """At half past four: begin a new day, with nobody from yesterday."""


@implementer(IClockCron)
class ClockCron:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        self.ticks = 0

    async def tick(self) -> None:
        self.ticks += 1
        await self.app.channels.broadcast("clock", "onTick", {"ticks": self.ticks})

    async def sweep(self) -> None:
        self.ticks = 0
        for session in self.app.sessions:
            await session.kick("good night")
