from chatcore.application import by_session
from chatcore.interfaces import IConfigurator


def configure(app: IConfigurator) -> None:
    app.route("chat", by_session("rid"))

    @app.configure(type="gate")
    def gate() -> None:
        app.set("heartbeat.interval", 0)

    @app.configure(type="connector|probe")
    def connector() -> None:
        app.set("heartbeat.interval", 3)

    @app.configure(type="bare")
    def bare() -> None:
        app.set("heartbeat.interval", 1)
