from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession

PIECES = [{"name": "rook", "x": 4, "y": -2}, {"name": "queen", "x": -7, "y": 0}]


class IBoardHandler(IHandler):
    async def look(msg: Any, session: ISession) -> None:
        """Be pushed ``onMove``."""


@implementer(IBoardHandler)
class BoardHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def look(self, msg: Any, session: ISession) -> None:
        self.app.sessions.push(session.id, "onMove", {"turn": 300, "pieces": PIECES})
