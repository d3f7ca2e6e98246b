"""Where clients come first: the gate tells them which connector to use."""

from typing import Any

from zope.interface import implementer

from chatcore.errors import ClientError
from chatcore.interfaces import IApplication, IHandler, ISession


class IGateHandler(IHandler):
    async def queryEntry(msg: Any, session: ISession) -> Any:
        """The host and port of the connector for a user."""


@implementer(IGateHandler)
class GateHandler:
    def __init__(self, app: IApplication) -> None:
        self.app = app

    async def queryEntry(self, msg: Any, session: ISession) -> Any:
        uid = msg.get("uid")
        if not isinstance(uid, str | int) or uid == "":
            raise ClientError(500)
        connector = self.app.servers.pick("connector", str(uid))
        host = connector.client_host or connector.host
        return {"code": 200, "host": host, "port": connector.client_port}
