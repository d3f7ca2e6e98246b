from chatcore.application import by_session
from chatcore.interfaces import IConfigurator


def configure(app: IConfigurator) -> None:
    app.route("chat", by_session("rid"))
    app.set("heartbeat.interval", 3)
    app.set("connector.protobuf", True)
    app.set("connector.dictionary", app.server_type == "connector")
