from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession


class IStoveHandler(IHandler):
    async def cook(msg: Any, session: ISession) -> Any:
        """Cook something, which takes ``msg["seconds"]``."""

    async def burn(msg: Any, session: ISession) -> Any:
        """Fail."""


@implementer(IStoveHandler)
class StoveHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def cook(self, msg: Any, session: ISession) -> Any:
        await self.app.sleep(msg.get("seconds", 0))
        return {"dish": msg["dish"]}

    async def burn(self, msg: Any, session: ISession) -> Any:
        raise RuntimeError("the kitchen is on fire")
