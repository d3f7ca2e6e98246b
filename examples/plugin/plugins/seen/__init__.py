"""A plugin that knows who was seen last, on any frontend."""

from dataclasses import dataclass

from chatcore.config.settings import setting
from chatcore.interfaces import IApplication, IConfigurator, ISession


@dataclass(frozen=True)
class SeenSettings:
    most: int = setting(100, "names that each server remembers")


settings = SeenSettings


class Seen:
    """A component: who has logged in on this server, the last one first."""

    name = "seen"

    def __init__(self, app: IApplication) -> None:
        self.names: list[str] = []
        self._most = app.settings[SeenSettings].most
        app.on("bind_session", self._bound)

    def _bound(self, session: ISession) -> None:
        self.names = [str(session.uid), *self.names][: self._most]


def configure(app: IConfigurator) -> None:
    app.load(Seen)
