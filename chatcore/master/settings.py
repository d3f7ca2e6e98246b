"""The settings of ``chatcore start`` itself; those of a node are passed on to every node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from chatcore.cluster.master_registry import PORT, master_server
from chatcore.config.files import find_config
from chatcore.config.names import MASTER, PAGE
from chatcore.config.servers import Server
from chatcore.config.settings import Assignment, Settings, resolve, setting
from chatcore.config.settings_file import settings_in_file

Host = Annotated[str, Meta(min_length=1)]
Port = Annotated[int, Meta(ge=1, le=65535)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """The section ``page``: where the application's page is served."""

    host: Host = setting("127.0.0.1", "the address that the page is served on")
    port: Port = setting(3001, "the port that the page is served on")


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterSettings:
    """The section ``master``: where nodes find the master."""

    host: Host = setting(
        "127.0.0.1", "the address that the master listens on; config/master.json may say it, too"
    )
    port: Port = setting(
        PORT, "the port that the master listens on; config/master.json may say it, too"
    )


OF_START: Final[dict[str, type]] = {PAGE: PageSettings, MASTER: MasterSettings}
"""The sections that belong to ``chatcore start``, and to what it starts beside the nodes."""


def address_of(settings: MasterSettings) -> Server:
    """The master as a server, which can be listened for and dialled like one."""
    return master_server(settings.host, settings.port)


def settings_of_start(folder: Path, env: str, given: Iterable[Assignment]) -> Settings:
    """What the files and ``--set`` say, but not what ``app.py`` says.

    Settings of the application's own sections are left to whoever has read the application.

    Args:
        folder: the application's.
        env: the environment.
        given: what each ``--set`` said.

    Raises:
        ConfigError: a key that does not exist, or a value that it can't have.
    """
    return _resolve([*_in_master_file(folder, env), *settings_in_file(folder, env), *given])


def for_nodes(given: Iterable[Assignment]) -> tuple[Assignment, ...]:
    """Check what each ``--set`` said; what every node is to be given of it comes back.

    Raises:
        ConfigError: a key that does not exist, or a value that it can't have.
    """
    every = tuple(given)
    _resolve(every)
    return tuple(one for one in every if _section(one) not in OF_START)


def _resolve(every: Iterable[Assignment]) -> Settings:
    # Late, because it brings everything that a node is made of.
    from chatcore.node import SECTIONS

    sections = {**SECTIONS, **OF_START}
    return resolve(sections, [one for one in every if _section(one) in sections])


def _section(assignment: Assignment) -> str:
    return assignment.key.partition(".")[0]


def _in_master_file(folder: Path, env: str) -> list[Assignment]:
    """What Pomelo's ``config/master.json`` says: ``{environment: {"host": …, "port": …}}``."""
    found = find_config(folder, env, "master")
    if found is None or not isinstance(found.value, dict):
        return []
    return [
        Assignment(
            key=f"{MASTER}.{key}",
            value=found.value[key],
            source="{}:{}:{}".format(
                found.document.file, *found.document.place((*found.where, key))
            ),
        )
        for key in ("host", "port")
        if key in found.value
    ]
