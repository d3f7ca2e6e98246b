from chatcore.application import by_session
from chatcore.interfaces import IConfigurator


def configure(app: IConfigurator) -> None:
    app.route("chat", by_session("rid"))
    app.set("heartbeat.interval", 0)
    app.set("socketio.ping_seconds", 2)
    app.set("drain.grace_seconds", 0.2)
    app.set("connector.protobuf", True)
    app.set("connector.dictionary", app.server_type == "connector")
