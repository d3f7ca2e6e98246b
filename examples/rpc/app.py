from chatcore.application import by_session
from chatcore.interfaces import IConfigurator, IRpcCall


def configure(app: IConfigurator) -> None:
    app.route("worker", by_session("topic"))
    app.remote_filter(Holiday())


class Holiday:
    """On the side that is called: one of the workers refuses all work."""

    def before(self, call: IRpcCall) -> None:
        if call.server_id == "worker-3":
            call.refuse("on holiday")
