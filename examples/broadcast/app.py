from typing import Any

from chatcore.interfaces import IConfigurator, ISession


def configure(app: IConfigurator) -> None:
    app.broadcast_filter(likes_it)


def likes_it(session: ISession, msg: Any, where: Any) -> bool:
    """Runs on each lobby, once for each of its clients, where a broadcast says ``where``."""
    return bool(session.get("likes") == where)
