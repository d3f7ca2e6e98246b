"""The files of an application that differ by environment.

``name`` is looked for in this order; the first that is there counts:

1. ``config/<name>.json``, where it has a key called as the environment: what stands under it
2. ``config/<environment>/<name>.json``, all of it
3. ``config/<name>.json``, all of it
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatcore.config.names import is_server_id, listing, nearest
from chatcore.config.positions import Document, Where, read_json
from chatcore.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a file says for an environment.

    Args:
        document: the file.
        where: the place in it where that begins.
        for_env: whether it is said for the environment alone.
    """

    document: Document
    where: Where = ()
    for_env: bool

    @property
    def value(self) -> Any:
        """What stands there."""
        value = self.document.value
        for step in self.where:
            value = value[step]
        return value


def find_config(folder: Path, env: str, name: str) -> Found | None:
    """Find what a file of the application says for an environment; None where there is no file.

    Args:
        folder: the application's folder, or a plugin's.
        env: the environment.
        name: the file's name without ``.json``.

    Raises:
        ConfigError: the file can't be read, or is not JSON.
    """
    shared, own = config_places(folder, env, name)
    document = read_json(shared) if os.path.lexists(shared) else None
    if document is not None and isinstance(document.value, dict) and env in document.value:
        return Found(document=document, where=(env,), for_env=True)
    if os.path.lexists(own):
        return Found(document=read_json(own), for_env=True)
    return None if document is None else Found(document=document, for_env=False)


def config_places(folder: Path, env: str, name: str) -> tuple[Path, Path]:
    """Where a file may be: for all environments, and for this one."""
    return folder / "config" / f"{name}.json", folder / "config" / env / f"{name}.json"


def load_config(folder: Path, env: str, name: str) -> Any:
    """Read a file of the application's own for an environment.

    Raises:
        ConfigError: there is no such file, or it can't be read, or is not JSON.
    """
    if not isinstance(name, str) or not is_server_id(name):
        raise ConfigError(
            f"{name!r} can't be the name of a config file",
            advice='Name it without folder and ending, as in load_config("levels")',
        )
    found = find_config(folder, env, name)
    if found is None:
        places = (folder / "config", folder / "config" / env)
        there = {file.stem for place in places for file in place.glob("*.json")}
        near = nearest(name, there)
        meant = f"Did you mean '{near}'? " if near else ""
        looked_at = listing(str(place / f"{name}.json") for place in places)
        raise ConfigError(f"no {name}.json", advice=f"{meant}Looked for {looked_at}")
    return found.value
