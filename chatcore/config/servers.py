"""The servers of an application: Pomelo's ``servers.json``, read as it is.

It is looked for in three places of the application folder, and the first that knows the
environment is used:

1. ``config/servers.json``, which holds ``{environment: {type: [entry, …]}}``
2. ``config/<environment>/servers.json``, which holds ``{type: [entry, …]}``
3. ``servers.json``, which holds the same as the first

What the keys of an entry mean is told in :mod:`chatcore.config.entries`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from chatcore.config.addresses import refuse_clashes
from chatcore.config.entries import Server, read_entry
from chatcore.config.names import (
    ADMIN,
    SERVER_TYPE_RULE,
    is_own_name,
    is_server_id,
    is_server_type,
    listing,
    suggestion,
)
from chatcore.config.positions import Document, Where, read_json
from chatcore.errors import ConfigError

__all__ = ["Server", "Servers", "environments", "load_servers"]


class Servers:
    """The servers of one environment, in the order in which the file lists them.

    Args:
        servers: the servers; their ids differ.
        types: the server types in file order, where that is more than the servers show.
        file: the file they were read from.
        env: the environment.
    """

    def __init__(
        self,
        servers: Iterable[Server],
        *,
        file: Path,
        env: str,
        types: Iterable[str] = (),
    ) -> None:
        self.file, self.env = file, env
        self._by_id = {server.id: server for server in servers}
        self._by_type: dict[str, list[Server]] = {type: [] for type in types}
        for server in self._by_id.values():
            self._by_type.setdefault(server.type, []).append(server)

    def __iter__(self) -> Iterator[Server]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def types(self) -> list[str]:
        """The server types there are."""
        return list(self._by_type)

    def of_type(self, type: str) -> list[Server]:
        """Return the servers of one type; ConfigError when the file knows no such type."""
        try:
            return list(self._by_type[type])
        except KeyError:
            raise ConfigError(
                f"no server type '{type}' in the environment '{self.env}'",
                file=self.file,
                advice=suggestion(type, self._by_type, "types"),
            ) from None

    def get(self, id: str) -> Server | None:
        """Return the server with this id, or None."""
        return self._by_id.get(id)

    def by_id(self, id: str) -> Server:
        """Return the server with this id; ConfigError when the file knows no such server."""
        try:
            return self._by_id[id]
        except KeyError:
            raise ConfigError(
                f"no server with the id '{id}' in the environment '{self.env}'",
                file=self.file,
                advice=suggestion(id, self._by_id, "ids"),
            ) from None

    def having(self, server: Server) -> Servers:
        """The same servers and this one, which stands for the one with its id if there is one."""
        every = {**self._by_id, server.id: server}
        return Servers(every.values(), file=self.file, env=self.env, types=self.types)


def load_servers(app: Path, env: str) -> Servers:
    """Read the servers of an application.

    Args:
        app: the application folder.
        env: the environment, as in ``development``.

    Raises:
        ConfigError: for the first mistake found, with file, line and column.
    """
    if not is_server_id(env):
        raise ConfigError(
            f"'{env}' can't be an environment", advice="Use letters, digits, '.', '-' and '_'"
        )
    document, top = _find(app, env)
    return _read(document, top, env)


def servers_files(app: Path) -> list[Path]:
    """List the files of an application folder that may list servers, those that exist."""
    nested = sorted((app / "config").glob("*/servers.json"))
    return [file for file in (_first(app), *nested, _last(app)) if os.path.lexists(file)]


def environments(app: Path) -> list[str]:
    """List the environments that an application has servers for, as far as that can be read."""
    found: dict[str, None] = {}
    for file in servers_files(app):
        if file.parent.parent == app / "config":
            found[file.parent.name] = None
            continue
        try:
            value = read_json(file).value
        except ConfigError:
            continue  # who reads it for its servers says so
        if isinstance(value, dict):
            found.update(dict.fromkeys(value))
    return list(found)


def _first(app: Path) -> Path:
    return app / "config" / "servers.json"


def _last(app: Path) -> Path:
    return app / "servers.json"


def _find(app: Path, env: str) -> tuple[Document, Where]:
    """Find the file that knows the environment, and the place in it where the types stand."""
    own = app / "config" / env / "servers.json"
    shared: list[Document] = []
    for file in (_first(app), own, _last(app)):
        if not os.path.lexists(file):
            continue
        document = read_json(file)
        if file == own:
            return document, ()
        _refuse_other_than_object(document, (), "environments")
        if env in document.value:
            return document, (env,)
        shared.append(document)
    raise _no_such_env(app, env, shared)


def _no_such_env(app: Path, env: str, shared: list[Document]) -> ConfigError:
    if not servers_files(app):
        looked_at = (_first(app), app / "config" / env / "servers.json", _last(app))
        return ConfigError(
            f"no servers.json in {app}",
            advice=f"Looked for {listing(str(file) for file in looked_at)}",
        )
    for document in shared:
        for name, value in document.value.items():
            if isinstance(value, list):
                return document.error(
                    f"'{name}' is a list, where an environment was expected",
                    (name,),
                    advice=f'Put the types into one: {{"{env}": {{"{name}": […]}}}}, '
                    f"or move the file to {app / 'config' / env / 'servers.json'}",
                )
    envs = [name for document in shared for name in document.value]
    envs += [file.parent.name for file in servers_files(app) if file.parent.parent.name == "config"]
    return ConfigError(
        f"no environment '{env}'",
        file=shared[0].file if shared else app / "config",
        advice=suggestion(env, dict.fromkeys(envs), "environments"),
    )


def _refuse_other_than_object(document: Document, where: Where, holds: str) -> None:
    value = document.value
    for step in where:
        value = value[step]
    if not isinstance(value, dict):
        raise document.error(f"expected an object of {holds}", where)


def _read(document: Document, top: Where, env: str) -> Servers:
    _refuse_other_than_object(document, top, "server types")
    types = document.value[top[0]] if top else document.value
    if not top and env in types and isinstance(types[env], dict):
        raise document.error(
            f"'{env}' is an object, where a server type with its list was expected",
            (env,),
            advice="This file belongs to one environment: it holds the types directly",
        )
    servers: list[Server] = []
    places: dict[str, Where] = {}
    for type, entries in types.items():
        where = (*top, type)
        _refuse_bad_type(document, where, type, entries)
        clustered = 0
        for index, entry in enumerate(entries):
            found = read_entry(document, (*where, index), type, entry, clustered)
            if isinstance(entry, dict) and "clusterCount" in entry:
                clustered += len(found)
            for server in found:
                _refuse_twin(document, server, (*where, index), places)
                _refuse_own_name(document, server, (*where, index))
                servers.append(server)
    if not servers:
        raise document.error(f"the environment '{env}' lists no servers", top)
    refuse_clashes(document, servers, places)
    return Servers(servers, file=document.file, env=env, types=types)


def _refuse_bad_type(document: Document, where: Where, type: str, entries: object) -> None:
    if not is_server_type(type):
        raise document.error(f"'{type}' can't be a server type", where, advice=SERVER_TYPE_RULE)
    if not isinstance(entries, list):
        raise document.error(
            f"'{type}' is not a list of servers", where, advice=f'Write "{type}": [{{"id": …}}]'
        )


def _refuse_twin(
    document: Document, server: Server, where: Where, places: dict[str, Where]
) -> None:
    first = places.setdefault(server.id, where)
    if first != where:
        line, _ = document.place(first)
        raise document.error(
            f"the id '{server.id}' is already used in line {line}",
            (*where, "id"),
            advice="Give each server an id of its own",
        )


def _refuse_own_name(document: Document, server: Server, where: Where) -> None:
    if is_own_name(server.id):
        raise document.error(
            f"the id '{server.id}' is taken by chatcore itself",
            (*where, "id"),
            advice=f"Call the server something else, as in '{server.type}-1'"
            if not server.type.startswith(ADMIN)
            else f"Ids that begin with '{ADMIN}' are those of administrators",
        )
