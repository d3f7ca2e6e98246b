"""The folder that an application lives in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from chatcore.config.names import nearest
from chatcore.config.servers import servers_files
from chatcore.errors import ConfigError

_HOLDS = "An application folder holds config/servers.json and a folder servers/"
_LOOKED_AT = 200


def find_application(path: str | Path) -> Path:
    """Check that ``path`` is an application folder.

    Args:
        path: the folder, absolute or from the current directory.

    Returns:
        The same folder, absolute and without symbolic links.

    Raises:
        ConfigError: it isn't one; says what one holds, and which folder near by is one.
    """
    given = Path(path)
    try:
        folder = given.resolve()
        exists, is_folder = folder.exists(), folder.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"the application folder {given!s} can't be read: {error}") from None
    if not exists:
        raise ConfigError(f"the application folder {given} does not exist", advice=_near(folder))
    if not is_folder:
        raise ConfigError(f"{given} is not a folder, so it can't be an application", advice=_HOLDS)
    if not os.access(folder, os.R_OK | os.X_OK):
        raise ConfigError(f"the application folder {given} can't be read", advice="Permit it")
    if not _looks_like_one(folder):
        raise ConfigError(
            f"{given if str(given) != '.' else folder} is not an application folder",
            advice=_around(given, folder),
        )
    return folder


def _looks_like_one(folder: Path) -> bool:
    if (folder / "servers").is_dir():
        return True
    # The config folder of an application holds a servers.json, too.
    return folder.name != "config" and bool(servers_files(folder))


def _near(folder: Path) -> str:
    """Advise somebody whose folder does not exist."""
    close = nearest(folder.name, (child.name for child in _folders_in(folder.parent)))
    return f"Did you mean {folder.parent / close}?" if close else "Check --app"


def _around(given: Path, folder: Path) -> str:
    """Advise somebody whose folder is above or inside an application."""
    children = list(_folders_in(folder))
    grandchildren = (inner for child in children for inner in _folders_in(child))
    for inside in (*children, *grandchildren):
        if _looks_like_one(inside):
            return f"Did you mean {given / inside.relative_to(folder)}? {_HOLDS}"
    for outside in folder.parents:
        if _looks_like_one(outside):
            return f"Did you mean {outside}, around it? {_HOLDS}"
    return _HOLDS


def _folders_in(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(folder))[:_LOOKED_AT]
    except OSError:
        return
    for name in names:
        child = folder / name
        if not name.startswith(".") and child.is_dir():
            yield child
