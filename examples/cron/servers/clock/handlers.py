from functools import partial
from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession


class IAlarmHandler(IHandler):
    async def set(msg: Any, session: ISession) -> Any:
        """Be pushed ``onAlarm`` after some seconds; an alarm that was set before is off."""

    async def stop(msg: Any, session: ISession) -> Any:
        """No alarm after all."""

    async def crons(msg: Any, session: ISession) -> Any:
        """When this server does something."""


@implementer(IAlarmHandler)
class AlarmHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        app.on("close_session", self.left)

    async def set(self, msg: Any, session: ISession) -> Any:
        id = alarm_of(session)
        self.app.crons.remove(id)
        ring = partial(self.app.sessions.push, session.id, "onAlarm", {})
        self.app.crons.add(id=id, every=msg["seconds"], count=1, action=ring)
        return {}

    async def stop(self, msg: Any, session: ISession) -> Any:
        return {"stopped": self.app.crons.remove(alarm_of(session))}

    async def crons(self, msg: Any, session: ISession) -> Any:
        return {"crons": [cron.when for cron in self.app.crons.list()]}

    def left(self, session: ISession, reason: str) -> None:
        self.app.crons.remove(alarm_of(session))


def alarm_of(session: ISession) -> str:
    return f"alarm of client {session.id}"
