"""Servers that are to be added to a running cluster: their ids, and ports that are free."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from chatcore.config.entries import Server, entry_of
from chatcore.config.placing import described
from chatcore.errors import ConfigError

MOST: Final = 100
"""Servers that are added at once."""

FURTHEST: Final = 1000
"""Ports that are tried from the first one on."""

FIRST_PORTS: Final = {"port": 6050, "clientPort": 3010}
"""Where the search for a port begins, where no server of the type has one."""

_NUMBERED: Final = re.compile(r"(.*?)([0-9]{1,9})")
_NUMBER: Final = re.compile(r"[0-9]{1,9}")
_COUNTED: Final = re.compile(r"([0-9]{1,18})\+\+")


def made(
    server_type: str,
    given: Mapping[str, str],
    *,
    count: int,
    listed: Sequence[Server],
    others: Sequence[Server],
    ids: Collection[str],
    trouble: Callable[[str, int], OSError | None],
) -> list[Server]:
    """Make the servers that somebody asked for.

    They are like the last one of their type in servers.json, but for what was given. With
    ``clusterCount`` they are called and counted as there.

    Args:
        server_type: their type.
        given: the keys of an entry of servers.json, with their values as texts.
        count: how many, where ``clusterCount`` does not say it.
        listed: the servers of servers.json.
        others: the other servers there are.
        ids: the ids that are taken.
        trouble: why a host and a port can't be listened on, if they can't.

    Raises:
        ConfigError: something makes no sense, or no port is free.
    """
    values: dict[str, Any] = dict(given)
    clustered = values.pop("clusterCount", None)
    number = _count(clustered) if clustered is not None else count
    if number > 1 and "id" in values:
        raise ConfigError("servers can't share an id", advice="Leave the id away")
    if not 1 <= number <= MOST:
        raise ConfigError(f"{number} servers at once; 1 to {MOST} can be added")
    alike = [server for server in (*others, *listed) if server.type == server_type]
    template = entry_of(alike[-1]) if alike else {}
    names = _cluster_ids(server_type, ids) if clustered else _ids(server_type, alike, ids)
    ports = _Ports((*others, *listed), alike, trouble)
    servers: list[Server] = []
    for index in range(number):
        entry = template | _counted(values, index, clustered is not None)
        if "id" not in values:
            entry["id"] = next(names)
        for key in ("port", "clientPort"):
            if key not in values and (key in template or _needs(key, server_type, entry, alike)):
                entry[key] = ports.next(str(entry.get("host", "127.0.0.1")), key)
        servers.append(described(server_type, entry))
    return servers


class _Ports:
    """Finds free ports behind those that the others of a type have."""

    def __init__(
        self,
        known: Iterable[Server],
        alike: Iterable[Server],
        trouble: Callable[[str, int], OSError | None],
    ) -> None:
        every = list(known)
        self._trouble = trouble
        self._taken = {port for server in every for port in (server.port, server.client_port)}
        of_type = list(alike)
        self._next = {
            "port": max([each.port or 0 for each in of_type], default=0) + 1,
            "clientPort": max([each.client_port or 0 for each in of_type], default=0) + 1,
        }

    def next(self, host: str, key: str) -> int:
        first = self._next[key] if self._next[key] > 1 else FIRST_PORTS[key]
        for port in range(first, min(first + FURTHEST, 65536)):
            if port in self._taken:
                continue
            trouble = self._trouble(host, port)
            if trouble is None:
                self._taken.add(port)
                self._next[key] = port + 1
                return port
            if trouble.errno != errno.EADDRINUSE:
                raise cannot_listen(host, port, trouble)
        raise ConfigError(f"no {key} is free on {host} from {first} on", advice=f"Give a {key}")


def cannot_listen(host: str, port: int, trouble: OSError) -> ConfigError:
    """Say why nothing can listen at an address."""
    advice = "Give another one, or none, and one that is free is chosen"
    if trouble.errno != errno.EADDRINUSE:
        advice = "It has to be an address of the machine that 'chatcore start' runs on"
    why = trouble.strerror or str(trouble)
    return ConfigError(f"{host}:{port} can't be listened on: {why}", advice=advice)


def _needs(key: str, server_type: str, entry: Mapping[str, Any], alike: Sequence[Server]) -> bool:
    """Whether the first frontend of a type has to be given a port for clients."""
    if key != "clientPort" or alike or "port" in entry:
        return False
    return entry.get("frontend") == "true" or server_type in ("gate", "connector")


def _counted(values: Mapping[str, str], index: int, clustered: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, text in values.items():
        counted = _COUNTED.fullmatch(text)
        if counted is not None and not clustered:
            raise ConfigError(
                f"{key}={text}: '++' needs a clusterCount", advice="As in clusterCount=3"
            )
        found[key] = text if counted is None else int(counted[1]) + index
    return found


def _count(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise ConfigError(f"clusterCount={text[:40]} is no number of servers")
    return int(text)


def _cluster_ids(server_type: str, ids: Collection[str]) -> Iterator[str]:
    return _numbered(f"cluster-server-{server_type}-", ids, 0)


def _ids(server_type: str, alike: Sequence[Server], ids: Collection[str]) -> Iterator[str]:
    """Ids that go on where those of the type end."""
    for server in reversed(alike):
        found = _NUMBERED.fullmatch(server.id)
        if found is not None:
            return _numbered(found[1], ids, 1)
    return _numbered(f"{server_type}-server-", ids, 1)


def _numbered(lead: str, ids: Collection[str], first: int) -> Iterator[str]:
    numbers = [id.removeprefix(lead) for id in ids if id.startswith(lead)]
    last = max([int(each) for each in numbers if each.isdigit()], default=first - 1)
    while True:
        last += 1
        yield f"{lead}{last}"
