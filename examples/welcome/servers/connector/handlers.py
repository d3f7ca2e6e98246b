import json
from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession


class IEntryHandler(IHandler):
    async def entry(msg: Any, session: ISession) -> Any:
        """Say that the server runs."""

    async def publish(msg: Any, session: ISession) -> Any:
        """Answer as an MQTT client expects it, with a topic and a text."""

    async def subscribe(msg: Any, session: ISession) -> Any:
        """The same."""

    async def wave(msg: Any, session: ISession) -> None:
        """Wave to everybody who is connected. A notify: nobody waits for an answer."""


@implementer(IEntryHandler)
class EntryHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def entry(self, msg: Any, session: ISession) -> Any:
        return {"code": 200, "msg": "game server is ok."}

    async def publish(self, msg: Any, session: ISession) -> Any:
        return topic("publish", "publish message is ok.")

    async def subscribe(self, msg: Any, session: ISession) -> Any:
        return topic("subscribe", "subscribe message is ok.")

    async def wave(self, msg: Any, session: ISession) -> None:
        await self.app.channels.broadcast("connector", "onWave", {"from": session.id})


def topic(name: str, text: str) -> dict[str, str]:
    payload = json.dumps({"code": 200, "msg": text}, separators=(",", ":"))
    return {"topic": name, "payload": payload}
