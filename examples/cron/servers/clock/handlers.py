from functools import partial
from itertools import count
from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession


class IAlarmHandler(IHandler):
    async def set(msg: Any, session: ISession) -> Any:
        """Be pushed ``onAlarm`` after some seconds."""

    async def stop(msg: Any, session: ISession) -> Any:
        """Not after all."""

    async def crons(msg: Any, session: ISession) -> Any:
        """What this server does at which times."""


@implementer(IAlarmHandler)
class AlarmHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app
        self.numbers = count(1)

    async def set(self, msg: Any, session: ISession) -> Any:
        id = f"alarm {next(self.numbers)}"
        ring = partial(self.app.sessions.push, session.id, "onAlarm", {"id": id})
        self.app.crons.add(id=id, every=msg["seconds"], count=1, action=ring)
        return {"id": id}

    async def stop(self, msg: Any, session: ISession) -> Any:
        return {"stopped": self.app.crons.remove(msg["id"])}

    async def crons(self, msg: Any, session: ISession) -> Any:
        return {cron.id: cron.when for cron in self.app.crons.list()}
