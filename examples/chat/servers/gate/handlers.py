from typing import Any

from zope.interface import implementer

from chatcore.interfaces import IApplication, IHandler, ISession


class IGateHandler(IHandler):
    async def queryEntry(msg: Any, session: ISession) -> Any:
        """Which connector a user has to go to."""


@implementer(IGateHandler)
class GateHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def queryEntry(self, msg: Any, session: ISession) -> Any:
        if not isinstance(msg["uid"], str | int) or msg["uid"] == "":
            return {"code": 500}
        server = self.app.servers.pick("connector", str(msg["uid"]))
        return {"code": 200, "host": server.client_host or server.host, "port": server.client_port}
