"""``config/settings.json``: settings that a file gives, for one environment.

::

    {"production": {"limits": {"connections": 5000}, "heartbeat.interval": 60}}

A key is a section with an object of fields, or ``section.field``. The file may also be
``config/<environment>/settings.json``, without the environment around its keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chatcore.config.files import Found, find_config
from chatcore.config.names import suggestion
from chatcore.config.servers import environments
from chatcore.config.settings import Assignment

NAME = "settings"


def settings_in_file(folder: Path, env: str) -> list[Assignment]:
    """Read what the file assigns in an environment; nothing where there is no file.

    Raises:
        ConfigError: the file is no object of settings, or of environments that there are.
    """
    found = find_config(folder, env, NAME)
    if found is None:
        return []
    if not isinstance(found.value, dict):
        raise found.document.error("expected an object of settings", found.where)
    if not found.for_env:
        _refuse_unknown_environments(found, [*environments(folder), env])
        return []
    return list(_assignments(found, found.value))


def _refuse_unknown_environments(found: Found, known: list[str]) -> None:
    for key in found.value:
        if key not in known:
            raise found.document.error(
                f"'{key}' is no environment",
                (key,),
                advice=f"{suggestion(key, dict.fromkeys(known), 'environments')}."
                " Settings stand inside of one",
            )


def _assignments(found: Found, value: dict[str, Any]) -> Iterator[Assignment]:
    for key, given in value.items():
        where = (*found.where, key)
        if "." in key:
            yield _assignment(found, key, given, where)
        elif isinstance(given, dict):
            for field, inner in given.items():
                yield _assignment(found, f"{key}.{field}", inner, (*where, field))
        else:
            raise found.document.error(
                f"'{key}' is no section with its settings",
                where,
                advice=f'Write "{key}": {{"…": …}} or "{key}.…": …',
            )


def _assignment(found: Found, key: str, value: Any, where: tuple[str | int, ...]) -> Assignment:
    line, column = found.document.place(where)
    source = f"{found.document.file}:{line}:{column}"
    return Assignment(key=key, value=value, source=source)
