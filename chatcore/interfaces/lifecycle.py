"""Components and plugins that an application adds to its servers, events, and crons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zope.interface import Attribute, Interface


class IComponent(Interface):
    """What ``app.load`` adds to a server. Each of its methods and attributes may be missing.

    It is made by ``factory(app)``, or ``factory(app, settings=…)`` where the factory has the
    attribute ``settings``, when the server is made; nothing runs yet. What the methods do may be
    waited for.
    """

    name: str = Attribute("Its name in `app.components`; that of the class unless given.")
    settings: type = Attribute("The dataclass that declares its settings: the section `name`.")

    def start() -> Any:
        """Begin. The components before it have; nobody can reach this server yet."""

    def after_start() -> Any:
        """All components have started and the links are up; clients can't connect yet."""

    def stop() -> Any:
        """End. Clients are gone; links are still there, and so are the components before it."""


class IPlugin(Interface):
    """What ``app.use`` adds to an application; an object, or a package or module.

    Each of its attributes may be missing.
    """

    name: str = Attribute("Its name; that of the class or package unless given.")
    folder: Path = Attribute(
        "A folder laid out like an application's: its handlers, remotes, crons and hooks go to the"
        " servers of each type. That of the package unless given."
    )
    settings: type = Attribute("The dataclass that declares its settings: the section `name`.")

    def configure(app: Any) -> None:
        """As the ``configure`` of ``app.py``; also gets the options that ``app.use`` was given."""


class ICronJob(Interface):
    """A cron, as it stands."""

    id: str = Attribute("Its name.")
    action: str = Attribute("What it calls.")
    when: str = Attribute("Its six fields, or `every 30 s`.")
    next: float | None = Attribute("When it is due: seconds since the epoch.")
    running: bool = Attribute("Whether a run is under way.")
    runs: int = Attribute("How often it has run.")
    skipped: int = Attribute("How often it was due while it still ran.")
    failed: int = Attribute("How often it raised, or took too long.")


class ICrons(Interface):
    """The crons of this server."""

    def add(
        *,
        id: str,
        action: str | Callable[[], Any],
        time: str | None = None,
        every: float | None = None,
        count: int | None = None,
    ) -> ICronJob:
        """Have something called at certain times; see ``config/crons.json``.

        Args:
            id: a name that no other cron of this server has.
            action: ``service.method`` of a cron of this server type, or a function.
            time: the six fields ``second minute hour day month day-of-week``; months from 0.
            every: instead of that, seconds from one run to the next.
            count: how often, with ``every``.

        Raises:
            ConfigError: one of them is wrong.
        """

    def remove(id: str) -> bool:
        """Call it no more; False if there is none. A run under way goes on."""

    def list() -> Sequence[ICronJob]:
        """All crons, in the order in which they were added."""
