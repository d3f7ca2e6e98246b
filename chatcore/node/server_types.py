"""Whether the application's folders and servers.json speak of the same server types."""

from __future__ import annotations

import difflib
from pathlib import Path

from twisted.logger import Logger

from chatcore.config.names import nearest
from chatcore.config.servers import Servers
from chatcore.dispatch.components import EVERY_TYPE, Catalogue
from chatcore.errors import ConfigError

MISSPELT = 0.8
"""How much alike two names are of which one was meant to be the other."""

log = Logger()


def compare_types(catalogue: Catalogue, servers: Servers) -> None:
    """Log the types that only one of the two knows: they may be unused in this environment.

    Raises:
        ConfigError: a type is called ``all``, or one that only servers.json knows is nearly one
            that only the folders know.
    """
    if EVERY_TYPE in servers.types:
        entries = servers.of_type(EVERY_TYPE)
        raise ConfigError(
            f"'{EVERY_TYPE}' means every server type, so none can be called that",
            file=servers.file,
            line=entries[0].line if entries else None,
            advice="Give the type another name",
        )
    if not (catalogue.folder / "servers").is_dir():
        _refuse_pomelos_folders(catalogue.folder)
        return
    listed, folders = servers.types, catalogue.server_types
    without_folder = [each for each in listed if each not in folders]
    not_listed = [each for each in folders if each not in listed]
    for each in without_folder:
        if meant := difflib.get_close_matches(each, not_listed, 1, MISSPELT):
            entries = servers.of_type(each)
            raise ConfigError(
                f"servers.json has the type '{each}',"
                f" and the application's folder is servers/{meant[0]}",
                file=servers.file,
                line=entries[0].line if entries else None,
                advice="Give both the same name",
            )
        log.warn(
            "The type {type} of servers.json has no folder servers/{type}, so its servers have no"
            " handlers and no remotes.{near}",
            type=each,
            near=_near(each, folders),
        )
    for each in not_listed:
        log.warn(
            "servers.json has no type {type} in the environment {env}, so nothing starts"
            " what is in servers/{type}.{near}",
            type=each,
            env=servers.env,
            near=_near(each, listed),
        )


def _refuse_pomelos_folders(folder: Path) -> None:
    if (folder / "app/servers").is_dir():
        raise ConfigError(
            "nobody reads app/servers, where Pomelo has its handlers",
            file=folder / "app/servers",
            advice="Move it to servers, with handlers.py or a folder handlers in each server type",
        )


def verify_components(complete: Catalogue, servers: Servers) -> None:
    """Look at whether there is anything to be called, plugins included.

    What is missing from some types only is logged: filters may answer in place of handlers.

    Raises:
        ConfigError: the application has no folder ``servers``, and its plugins bring nothing.
    """
    everything = any((*complete.handlers(), *complete.remotes(), *complete.crons(), complete.hooks))
    if not everything and not (complete.folder / "servers").is_dir():
        raise ConfigError(
            "there is no folder servers, although servers.json lists servers",
            file=complete.folder,
            advice=f"Write servers/{next(iter(servers.types))}/handlers.py",
        )
    if any(server.frontend for server in servers) and not any(complete.handlers()):
        log.warn(
            "No server type has a handler, so every request of a client is answered 500. Handlers"
            " are looked for in servers/<type>/handlers.py below {folder}",
            folder=complete.folder,
        )


def _near(name: str, names: list[str]) -> str:
    close = nearest(name, names)
    return f" The nearest name is {close}" if close else ""
