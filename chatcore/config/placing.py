"""Where one server is, if its command line says so and not servers.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from chatcore.config.addresses import is_loopback, is_wildcard
from chatcore.config.entries import Server, read_entry
from chatcore.config.names import SERVER_TYPE_RULE, is_own_name, is_server_type
from chatcore.config.positions import Document
from chatcore.config.servers import Servers
from chatcore.errors import ConfigError

_KEYS: Final = {
    "host": "host",
    "port": "port",
    "clientHost": "client_host",
    "clientBind": "client_bind",
    "clientPort": "client_port",
}
"""The keys of servers.json that options stand for, and what they are called in a `Server`."""


ENTRY_VARIABLE: Final = "CHATCORE_ENTRY"
"""The environment variable with the whole entry of a server that servers.json does not list."""


def described(server_type: str, entry: Mapping[str, object], where: str | None = None) -> Server:
    """The server that an entry stands for which is not in servers.json.

    Args:
        server_type: its type.
        entry: the entry.
        where: what says so, if people know that.

    Raises:
        ConfigError: something in it is wrong, or it leads nowhere.
    """
    if not is_server_type(server_type):
        raise ConfigError(f"'{server_type}' can't be a server type", advice=SERVER_TYPE_RULE)
    document = Document(Path(where or "command line"), entry, json.dumps(entry), {})
    try:
        (server,) = read_entry(document, (), server_type, entry, 0)
    except ConfigError as problem:
        raise ConfigError(problem.problem, file=where, advice=problem.advice) from None
    if is_own_name(server.id):
        raise ConfigError(f"the id '{server.id}' is taken by chatcore itself", file=where)
    _refuse_nowhere(server)
    return server


def described_by_environment(
    id: str, server_type: str, environment: Mapping[str, str]
) -> Server | None:
    """The server that the environment describes, where it describes that one.

    Raises:
        ConfigError: it can't be understood.
    """
    text = environment.get(ENTRY_VARIABLE)
    if text is None:
        return None
    try:
        entry = json.loads(text)
    except ValueError as problem:
        raise ConfigError(f"not JSON: {problem}", file=ENTRY_VARIABLE) from None
    if not isinstance(entry, dict) or entry.get("id") != id:
        return None
    return described(server_type, entry, ENTRY_VARIABLE)


@dataclass(frozen=True, slots=True)
class Placing:
    """What the command line says of where a server is.

    Args:
        said: the values of ``--host``, ``--port``, ``--client-host``, ``--client-bind`` and
            ``--client-port``, as far as they were given, by the keys of servers.json.
    """

    said: Mapping[str, str]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Placing:
        """Take what is in options, by their names."""
        given = {key: options[field.replace("_", "-")] for key, field in _KEYS.items()}
        return cls({key: text for key, text in given.items() if text is not None})

    def place(self, server: Server) -> Server:
        """A server that servers.json lists, where it really is.

        Raises:
            ConfigError: what was said is no host or no port, or leads nowhere.
        """
        if not self.said:
            return server
        known = {key: getattr(server, field) for key, field in _KEYS.items()}
        entry = {"id": server.id, "frontend": server.frontend}
        entry |= {key: value for key, value in known.items() if value is not None}
        placed = self._read(server.type, entry)
        return replace(server, **{field: getattr(placed, field) for field in _KEYS.values()})

    def new(self, id: str, server_type: str, servers: Servers) -> Server:
        """A server that servers.json does not list.

        It is a frontend where others of its type are, or where it has a client port.

        Raises:
            ConfigError: what was said is no host or no port, or leads nowhere; or the application
                knows no such type.
        """
        if is_own_name(id):
            raise ConfigError(f"the id '{id}' is taken by chatcore itself")
        entry: dict[str, object] = {"id": id}
        if any(each.frontend for each in servers.of_type(server_type)):
            entry["frontend"] = True
        return self._read(server_type, entry)

    def _read(self, server_type: str, entry: Mapping[str, object]) -> Server:
        entry = {**entry, **self.said}
        document = Document(Path("command line"), entry, json.dumps(entry), {})
        try:
            (server,) = read_entry(document, (), server_type, entry, 0)
        except ConfigError as problem:
            raise ConfigError(_as_options(problem.problem), advice=problem.advice) from None
        _refuse_nowhere(server)
        return server


def _as_options(text: str) -> str:
    """What is wrong with an entry, said of options."""
    for key, field in _KEYS.items():
        option = f"--{field.replace('_', '-')}"
        text = text.replace(f"'{key}'", option).replace(f"no {key}", f"no {option}")
    return text


def _refuse_nowhere(server: Server) -> None:
    if is_wildcard(server.host):
        raise ConfigError(
            f"--host {server.host} is every address of this machine, and others can't dial that",
            advice="Say the address by which they reach this machine",
        )
    if server.port is None and not is_loopback(server.host):
        raise ConfigError(
            f"{server.id} has no port for links, so nobody on another machine reaches it",
            advice="Say it with --port",
        )
