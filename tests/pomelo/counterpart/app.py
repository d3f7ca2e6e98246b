from typing import Any

from chatcore.application import by_session
from chatcore.errors import ClientError
from chatcore.interfaces import IConfigurator, IHandshake


def configure(app: IConfigurator) -> None:
    app.route("chat", by_session("rid"))

    @app.configure(type="gate")
    def gate() -> None:
        app.set("heartbeat.interval", 0)
        app.set("connector.protobuf", True)

    @app.configure(type="connector|probe")
    def connector() -> None:
        app.set("heartbeat.interval", 10)
        app.set("connector.dictionary", True)
        app.set("connector.protobuf", True)

    @app.configure(type="probe")
    def probe() -> None:
        app.check_client(lambda type, version: type != "outdated" and version != "0.0.0")
        app.on_handshake(welcome)

    @app.configure(type="bare")
    def bare() -> None:
        app.set("heartbeat.interval", 1)

    @app.configure(type="sealed")
    def sealed() -> None:
        app.set("heartbeat.interval", 0)
        app.set("connector.signed", True)

    @app.configure(type="air")
    def air() -> None:
        app.set("heartbeat.interval", 10)
        app.set("connector.udp", True)


def welcome(handshake: IHandshake) -> Any:
    user = handshake.user or {}
    if user.get("refuse"):
        raise ClientError(500)
    return user.get("tell")
