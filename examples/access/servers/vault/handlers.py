from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession, access


@access("bound", through="door")
class IVaultHandler(IHandler):
    async def look(msg: Any, session: ISession) -> Any:
        """Anyone may look; through a door, as the interface says."""

    access("anyone")(look)

    async def take(msg: Any, session: ISession) -> Any:
        """Only who is bound may take something."""

    async def throw_out(msg: Any, session: ISession) -> Any:
        """Disconnect somebody, and say why."""


@implementer(IVaultHandler)
class VaultHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        self.gold = 10

    async def look(self, msg: Any, session: ISession) -> Any:
        return {"gold": self.gold}

    async def take(self, msg: Any, session: ISession) -> Any:
        self.gold -= 1
        return {"gold": self.gold}

    async def throw_out(self, msg: Any, session: ISession) -> Any:
        kicked, unreached = await self.app.sessions.kick_everywhere(msg["who"], msg["why"])
        return {"kicked": kicked, "unreached": list(unreached)}
