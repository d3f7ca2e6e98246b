"""``config/crons.json``: what runs at which times, in Pomelo's form.

::

    {"development": {"chat": [{"id": 1, "time": "0 30 4 * * *", "action": "roomCron.clean"}]}}

==============  ============================================================================
``id``          a name or a number; once for each server
``time``        when it is due: see :mod:`chatcore.config.times`
``every``       instead of ``time``: seconds from one run to the next
``count``       beside ``every``: how often it runs
``action``      ``service.method`` of a cron of that server type
``serverId``    the one server that it runs on; all of the type unless given
==============  ============================================================================

The environment may be left out, also where the file is ``config/<environment>/crons.json``. The
server type ``all`` means every type.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chatcore.config.files import Found, find_config
from chatcore.config.names import suggestion
from chatcore.config.positions import Where
from chatcore.config.servers import Server, Servers, environments
from chatcore.config.times import Times
from chatcore.errors import ConfigError

EVERY_TYPE: Final = "all"
_KEYS: Final = ("id", "time", "every", "count", "action", "serverId")
_MOST: Final = 10.0**9


@dataclass(frozen=True, slots=True, kw_only=True)
class CronEntry:
    """One entry, for one server type.

    Args:
        times: when it is due; None where ``every`` says it.
        every: seconds from one run to the next; None where ``times`` says it.
        count: how often it runs; None: as long as the server does.
        server_id: the one server that it runs on; None for all of the type.
    """

    id: str
    server_type: str
    action: str
    times: Times | None
    every: float | None
    count: int | None
    server_id: str | None
    file: Path
    line: int


def load_crons(folder: Path, servers: Servers, *, lenient: bool = False) -> list[CronEntry]:
    """Read the crons of an application; none where there is no file.

    Args:
        folder: the application's, or a plugin's.
        servers: the servers there are.
        lenient: pass over server types that there are not, as a plugin has to.

    Raises:
        ConfigError: for the first mistake found, with file, line and column.
    """
    found = find_config(folder, servers.env, "crons")
    if found is None:
        return []
    if not isinstance(found.value, dict):
        raise found.document.error("expected an object of server types", found.where)
    if not found.for_env and not any(isinstance(value, list) for value in found.value.values()):
        _refuse_unknown_environments(found, [*environments(folder), servers.env], lenient)
        return []
    return list(_entries(found, servers, lenient))


def _refuse_unknown_environments(found: Found, known: list[str], lenient: bool) -> None:
    for key, value in found.value.items():
        if not isinstance(value, dict):
            raise found.document.error(f"'{key}' is not a list of crons", (key,))
        if key not in known and not lenient:
            advice = suggestion(key, dict.fromkeys(known), "environments")
            raise found.document.error(f"'{key}' is no environment", (key,), advice=advice)


def _entries(found: Found, servers: Servers, lenient: bool) -> Iterator[CronEntry]:
    for given_type, entries in found.value.items():
        where = (*found.where, given_type)
        if not isinstance(entries, list):
            raise found.document.error(f"'{given_type}' is not a list of crons", where)
        if given_type != EVERY_TYPE and given_type not in servers.types:
            if lenient:
                continue
            advice = suggestion(given_type, servers.types, "server types")
            raise found.document.error(f"no server type '{given_type}'", where, advice=advice)
        types = servers.types if given_type == EVERY_TYPE else [given_type]
        for index, values in enumerate(entries):
            yield from _Entry(found, (*where, index), values).entries(types, servers)


class _Entry:
    """The values of an entry, and the words for what is wrong with them."""

    def __init__(self, found: Found, where: Where, values: Any) -> None:
        self.document, self.where, self.values = found.document, where, values

    def error(self, problem: str, key: str | None = None, advice: str | None = None) -> ConfigError:
        where = self.where if key is None else (*self.where, key)
        name = self.values.get("id") if isinstance(self.values, dict) else None
        whose = "a cron" if name is None else f"the cron {name}"
        return self.document.error(f"{whose}: {problem}", where, advice=advice)

    def entries(self, types: list[str], servers: Servers) -> list[CronEntry]:
        if not isinstance(self.values, dict):
            raise self.error("expected an object", advice='Write {"id": …, "time": …, "action": …}')
        for key in self.values:
            if key not in _KEYS:
                raise self.error(f"unknown key '{key}'", key, suggestion(key, _KEYS, "keys"))
        id, action = self.id(), self.action()
        every = self.number("every", _MOST)
        count = self.number("count", _MOST)
        if ("time" in self.values) == (every is not None):
            raise self.error("needs a 'time' or an 'every'", advice="Give it one of the two")
        if count is not None and (every is None or count != int(count)):
            raise self.error("'count' is a whole number that goes with 'every'", "count")
        server = self.server(types, servers)
        times = self.times() if every is None else None
        return [
            CronEntry(
                id=id,
                server_type=server_type,
                action=action,
                times=times,
                every=every,
                count=None if count is None else int(count),
                server_id=None if server is None else server.id,
                file=self.document.file,
                line=self.document.place(self.where)[0],
            )
            for server_type in (types if server is None else [server.type])
        ]

    def id(self) -> str:
        id = self.values.get("id")
        if isinstance(id, bool) or not isinstance(id, str | int) or id == "":
            raise self.error("no 'id'", advice='Add one, as in "id": "clean-rooms"')
        return str(id)

    def action(self) -> str:
        action = self.values.get("action")
        if not isinstance(action, str) or action.count(".") != 1:
            raise self.error(
                "no 'action'", "action", advice='It is a service and a method: "roomCron.clean"'
            )
        return action

    def times(self) -> Times:
        text = self.values["time"]
        if not isinstance(text, str):
            raise self.error("'time' is not a text", "time", 'Write it as "0 30 4 * * *"')
        try:
            return Times(text)
        except ValueError as problem:
            raise self.error(f"the time '{text}' is wrong: {problem}", "time") from None

    def number(self, key: str, most: float) -> float | None:
        if key not in self.values:
            return None
        value = self.values[key]
        right = isinstance(value, int | float) and not isinstance(value, bool)
        if not right or not math.isfinite(value) or not 0 < value <= most:
            raise self.error(f"'{key}' is not a number over 0", key)
        return float(value)

    def server(self, types: list[str], servers: Servers) -> Server | None:
        if "serverId" not in self.values:
            return None
        given = self.values["serverId"]
        server = servers.get(given) if isinstance(given, str) else None
        if server is None:
            ids = [each.id for each in servers if each.type in types]
            raise self.error(f"no server {given!r}", "serverId", suggestion(str(given), ids, "ids"))
        if server.type not in types:
            raise self.error(f"{given} is a server of the type {server.type}", "serverId")
        return server
