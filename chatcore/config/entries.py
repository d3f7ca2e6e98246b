"""One entry of ``servers.json``, and the server or servers it stands for.

==================  ==========================================================================
``id``              the server's name; also a part of file names
``host``            where other nodes reach it; 127.0.0.1 unless given
``port``            where it listens for other nodes; without one, a socket in the run folder
``clientPort``      where a frontend listens for clients
``clientHost``      the host that clients are told; ``host`` unless given
``clientBind``      the address that ``clientPort`` is bound to; ``clientHost`` unless given
``frontend``        ``true`` or ``"true"``: clients connect to it
``max-connections`` how many clients it accepts at most
``tls``             the files of a frontend's certificate, as ``{"certificate": …, "key": …}``,
                    with ``"chain"`` where it has one; seen from the application folder
``weight``          how much it is given where servers are chosen by weight; 1 unless given
``data``            an object of the application's own
``clusterCount``    the entry stands for that many servers, called ``cluster-server-<type>-<n>``;
                    a value that ends in ``++`` is one more for each
==================  ==========================================================================

``auto-restart``, ``restart-force``, ``cpu``, ``args`` and ``wsPort`` are accepted and not used.

The forms that Pomelo's tutorials use differ in how they name a frontend, so where ``frontend`` is
missing an entry with a ``clientPort`` is one, and so is an entry of type ``gate`` or ``connector``.
A frontend without ``clientPort`` takes clients on its ``port``, and other nodes on a socket.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zope.interface import implementer

from chatcore.config.names import SERVER_ID_RULE, is_server_id, nearest
from chatcore.config.positions import Document, Where
from chatcore.config.tls_files import TlsFiles
from chatcore.errors import ConfigError
from chatcore.interfaces import IServer

LOOPBACK = "127.0.0.1"
MAX_CLUSTER = 1000
MAX_WEIGHT = 1000

_FRONTENDS_OF_OLD = ("gate", "connector")
_USED = {
    "id", "host", "port", "clientPort", "clientHost", "clientBind", "frontend", "max-connections",
    "data", "clusterCount", "tls", "weight",
}  # fmt: skip
_ACCEPTED = {"auto-restart", "restart-force", "cpu", "args", "wsPort"}
_TLS_FILES = ("certificate", "key", "chain")
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_DIGITS = re.compile(r"[0-9]{1,18}")


@implementer(IServer)
@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server of ``servers.json``.

    Args:
        id: its name.
        type: its server type.
        host: where other nodes reach it.
        port: where it listens for other nodes; None: on a socket in the run folder.
        client_host: the ``clientHost`` that was given, if any.
        client_bind: the ``clientBind`` that was given, if any; nobody else has to know it.
        client_port: where it listens for clients; None for a backend.
        frontend: whether clients connect to it.
        max_connections: how many clients it accepts at most; None: no limit of its own.
        tls: the certificate of its client port, if it has one of its own.
        weight: how much it is given, compared with others of its type.
        data: what the application wrote for itself.
        line: the line of the file at which its entry begins, from 1.
    """

    id: str
    type: str
    host: str = LOOPBACK
    port: int | None = None
    client_host: str | None = None
    client_bind: str | None = None
    client_port: int | None = None
    frontend: bool = False
    max_connections: int | None = None
    tls: TlsFiles | None = None
    weight: int = 1
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)
    line: int = 0

    @property
    def listen_host(self) -> str:
        """The address that the client port is bound to."""
        return self.client_bind or self.client_host or self.host


def entry_of(server: Server) -> dict[str, Any]:
    """The entry that stands for a server and no other; `read_entry` makes the same of it."""
    given = {
        "id": server.id,
        "host": server.host,
        "port": server.port,
        "clientHost": server.client_host,
        "clientBind": server.client_bind,
        "clientPort": server.client_port,
        "frontend": server.frontend,
        "max-connections": server.max_connections,
        "tls": None if server.tls is None else _tls_entry(server.tls),
        "weight": server.weight,
        "data": dict(server.data),
    }
    return {key: value for key, value in given.items() if value is not None}


def _tls_entry(tls: TlsFiles) -> dict[str, str]:
    files = {key: getattr(tls, key) for key in _TLS_FILES}
    return {key: str(file) for key, file in files.items() if file is not None}


def read_entry(
    document: Document, where: Where, type: str, entry: object, clustered: int
) -> list[Server]:
    """Read one entry.

    Args:
        document: the file it stands in.
        where: its place in that file.
        type: the server type it is listed under.
        entry: the entry.
        clustered: how many servers of this type were made from ``clusterCount`` before it.

    Raises:
        ConfigError: for the first mistake found.
    """
    if not isinstance(entry, dict):
        raise document.error(
            f"a server of type '{type}' is {_shown(entry)}, where an object was expected",
            where,
            advice='Write {"id": …}',
        )
    return [
        _Entry(document, where, type, values).server()
        for values in _expanded(_Entry(document, where, type, entry), clustered)
    ]


class _Entry:
    """The values of an entry, and the words for what is wrong with them."""

    def __init__(
        self, document: Document, where: Where, type: str, values: Mapping[str, Any]
    ) -> None:
        self.document, self.where, self.type, self.values = document, where, type, values

    def error(self, problem: str, key: str | None = None, advice: str | None = None) -> ConfigError:
        where = self.where if key is None else (*self.where, key)
        name = self.values.get("id")
        whose = f"server '{name}'" if isinstance(name, str) else f"a server of type '{self.type}'"
        return self.document.error(f"{whose}: {problem}", where, advice=advice)

    def wrong(self, key: str, expected: str, advice: str | None = None) -> ConfigError:
        return self.error(
            f"'{key}' is {_shown(self.values[key])}, where {expected} was expected", key, advice
        )

    def server(self) -> Server:
        self.refuse_unknown_keys()
        id, frontend = self.id(), self.frontend()
        host, client_host = self.host("host"), self.host("clientHost")
        port, client_port = self.port("port"), self.port("clientPort")
        if frontend and client_port is None:
            if port is None:
                raise self.document.error(
                    f"{id} is a frontend and has no clientPort",
                    self.where,
                    advice="Give it a 'clientPort'",
                )
            port, client_port = None, port
        return Server(
            id=id,
            type=self.type,
            host=host or LOOPBACK,
            port=port,
            client_host=client_host if frontend else None,
            client_bind=self.host("clientBind") if frontend else None,
            client_port=client_port if frontend else None,
            frontend=frontend,
            max_connections=self.count("max-connections", 10**9),
            tls=self.tls(frontend),
            weight=self.count("weight", MAX_WEIGHT) or 1,
            data=self.data(),
            line=self.document.place(self.where)[0],
        )

    def refuse_unknown_keys(self) -> None:
        known = _USED | _ACCEPTED
        for key in self.values:
            if key not in known:
                close = nearest(key, known)
                meant = f"Did you mean '{close}'? " if close else ""
                raise self.error(
                    f"unknown key '{key}'",
                    key,
                    advice=f"{meant}Keys of your own go into an object called 'data'",
                )

    def id(self) -> str:
        if "id" not in self.values:
            raise self.error("no 'id'", advice='Add one, as in "id": "chat-server-1"')
        id = self.values["id"]
        if not isinstance(id, str):
            raise self.wrong("id", "a text")
        if not is_server_id(id):
            raise self.wrong("id", "a usable name", SERVER_ID_RULE[:1].upper() + SERVER_ID_RULE[1:])
        return id

    def frontend(self) -> bool:
        given = self.values.get("frontend")
        if "frontend" not in self.values:
            return "clientPort" in self.values or self.type in _FRONTENDS_OF_OLD
        if given in ("true", "false"):
            return bool(given == "true")
        if not isinstance(given, bool):
            raise self.wrong("frontend", "true or false")
        return given

    def host(self, key: str) -> str | None:
        if key not in self.values:
            return None
        host = self.values[key]
        if not isinstance(host, str):
            raise self.wrong(key, "a host name or an address")
        if not _is_host(host):
            raise self.wrong(
                key,
                "a host name or an address",
                f"The port goes into '{key.replace('host', 'port').replace('Host', 'Port')}', "
                "and an IPv6 address needs no brackets"
                if ":" in host
                else None,
            )
        return host

    def port(self, key: str) -> int | None:
        if key not in self.values:
            return None
        number = _whole_number(self.values[key])
        if number is None or not 1 <= number <= 65535:
            raise self.wrong(
                key,
                "a port from 1 to 65535",
                "'++' needs a 'clusterCount' beside it" if _is_counted(self.values[key]) else None,
            )
        return number

    def count(self, key: str, most: int) -> int | None:
        if key not in self.values:
            return None
        number = _whole_number(self.values[key])
        if number is None or not 1 <= number <= most:
            raise self.wrong(key, f"a whole number from 1 to {most}")
        return number

    def tls(self, frontend: bool) -> TlsFiles | None:
        if "tls" not in self.values:
            return None
        files = self.values["tls"]
        if not (
            isinstance(files, dict)
            and {"certificate", "key"} <= files.keys() <= set(_TLS_FILES)
            and all(isinstance(file, str) and file for file in files.values())
        ):
            raise self.wrong(
                "tls",
                "an object of files",
                'As in {"certificate": "tls/chat.pem", "key": "tls/chat.key"};'
                ' "chain" may be a third',
            )
        if not frontend:
            raise self.error("'tls' belongs to a client port, and it has none", "tls")
        return TlsFiles(**{key: Path(file) for key, file in files.items()})

    def data(self) -> Mapping[str, Any]:
        data = self.values.get("data", {})
        if not isinstance(data, dict):
            raise self.wrong("data", "an object")
        return data


def _expanded(entry: _Entry, clustered: int) -> Iterator[Mapping[str, Any]]:
    """Yield the values of each server that an entry stands for."""
    values = entry.values
    count = entry.count("clusterCount", MAX_CLUSTER)
    if count is None:
        yield values
        return
    counted = {key: int(value[:-2]) for key, value in values.items() if _is_counted(value)}
    for index in range(count):
        yield {
            **values,
            **{key: first + index for key, first in counted.items()},
            "id": f"cluster-server-{entry.type}-{clustered + index}",
        }


def _is_counted(value: object) -> bool:
    return (
        isinstance(value, str)
        and value.endswith("++")
        and _DIGITS.fullmatch(value[:-2]) is not None
    )


def _whole_number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return None


def _is_host(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        looks_numeric = re.fullmatch(r"[0-9.]+", host) is not None
        return not looks_numeric and _HOST_NAME.fullmatch(host) is not None
    return True


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
