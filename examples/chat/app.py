"""The chat's settings."""

from chatcore.application import by_session
from chatcore.interfaces import IConfigurator


def configure(app: IConfigurator) -> None:
    app.route("chat", by_session("rid"))

    @app.configure(type="connector")
    def connectors() -> None:
        app.set("heartbeat.interval", 3)
