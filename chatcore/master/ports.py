"""Whether the addresses that an application needs are free, asked before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chatcore.config.addresses import NOT_HERE, is_wildcard
from chatcore.config.names import listing
from chatcore.config.servers import Server, Servers
from chatcore.errors import ConfigError
from chatcore.master.settings import PageSettings

FURTHEST = 100
"""Ports that are tried to find one that is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """An address that something will listen on.

    Args:
        host: an address of this machine, or a name of it.
        port: the port.
        who: what will listen there: a server id, ``the page`` or ``the master``.
        key: what decides the port: ``port``, ``clientPort``, or a setting.
        file: the file that says so, if one does.
        line: its line.
    """

    host: str
    port: int
    who: str
    key: str
    file: Path | None = None
    line: int | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def error(self, problem: str, advice: str) -> ConfigError:
        """Make the error that says what is wrong with this address."""
        return ConfigError(problem, file=self.file, line=self.line, advice=advice)


def needs_of(servers: Servers, page: PageSettings | None, master: Server | None) -> list[Need]:
    """List every address that the servers, the page and the master will listen on.

    Args:
        page: where the page is served, where there is one.
        master: the master, where one is started with the servers.
    """
    needs = list(_of_servers(servers))
    if page is not None:
        needs.append(Need(host=page.host, port=page.port, who="the page", key="page.port"))
    if master is not None and master.port is not None:
        needs.append(Need(host=master.host, port=master.port, who="the master", key="master.port"))
    return needs


def refuse_clashes(needs: Iterable[Need]) -> None:
    """Raise ConfigError when the page or the master would listen where something else does."""
    every = list(needs)
    for place, need in enumerate(every):
        for other in every[:place]:
            if need.file is None and _meet(need, other):
                raise other.error(
                    f"{other.who} and {need.who} would both listen on port {need.port}",
                    f"Give {need.who} another port with --set {need.key}=NUMBER",
                )


def check_free(needs: Iterable[Need]) -> None:
    """Listen on each address for a moment.

    Raises:
        ConfigError: an address that can't be listened on; says which, for what, and why.
    """
    every = list(needs)
    for place, need in enumerate(every):
        try:
            _try(need)
        except OSError as error:
            if need.file is None and error.errno == errno.EADDRINUSE:
                raise _own_in_use(every[place:], every) from error
            raise _explain(need, error) from error


def trouble_with(host: str, port: int) -> OSError | None:
    """Why an address can't be listened on now; None where it can."""
    try:
        _try(Need(host=host, port=port, who="", key=""))
    except OSError as problem:
        return problem
    return None


def _of_servers(servers: Servers) -> Iterator[Need]:
    for server in servers:
        ports = (
            ("port", server.host, server.port),
            ("clientPort", server.listen_host, server.client_port),
        )
        for key, host, port in ports:
            if port is not None:
                yield Need(
                    host=host,
                    port=port,
                    who=server.id,
                    key=key,
                    file=servers.file,
                    line=server.line,
                )


def _meet(one: Need, other: Need) -> bool:
    if one.port != other.port:
        return False
    hosts = {"127.0.0.1" if host == "localhost" else host for host in (one.host, other.host)}
    return len(hosts) == 1 or any(is_wildcard(host) for host in hosts)


def _try(need: Need) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(
        need.host, need.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)


def _own_in_use(later: Iterable[Need], every: Iterable[Need]) -> ConfigError:
    """Say which ports of ours are in use, and what to give instead: all that is to be said at once.

    Where another application runs on the machine, all of them are.
    """
    used = [need for need in later if need.file is None and _is_in_use(need)]
    taken = {need.port for need in every}
    problems, options = [], []
    for need in used:
        problems.append(f"port {need.port} is in use by another process; {need.who} needs {need}")
        port = _free_above(need, taken)
        taken.add(port)
        options.append(f"--set {need.key}={port}")
    whose = listing(need.who for need in used)
    return ConfigError(
        "; ".join(problems),
        advice=f"Stop that process, or give {whose} another port with {' '.join(options)}",
    )


def _free_above(need: Need, taken: Collection[int]) -> int:
    """A port above that of a need which is free now; the next one where none is soon."""
    candidates = range(need.port + 1, min(need.port + FURTHEST, 65536))
    free = (port for port in candidates if port not in taken and not _is_in_use(need, port))
    return next(free, need.port + 1)


def _is_in_use(need: Need, port: int | None = None) -> bool:
    trouble = trouble_with(need.host, need.port if port is None else port)
    return trouble is not None and trouble.errno == errno.EADDRINUSE


def _explain(need: Need, error: OSError) -> ConfigError:
    where = f"in {need.file.name}" if need.file is not None else f"with --set {need.key}=NUMBER"
    if error.errno == errno.EADDRINUSE:
        return need.error(
            f"port {need.port} is in use by another process; {need.who} needs {need}",
            f"Stop that process, or give {need.who} another {need.key} {where}",
        )
    if error.errno == errno.EACCES:
        return need.error(
            f"{need.who} needs {need}, and this user may not listen on port {need.port}",
            "Take a port from 1024 on",
        )
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return need.error(
            f"{need.who} needs {need}, which is not an address of this machine",
            f"Correct the host {where.replace('port=NUMBER', 'host=ADDRESS')}"
            if need.file is None
            else NOT_HERE,
        )
    return need.error(
        f"{need.who} needs {need}, which can't be listened on: {error.strerror or error}",
        f"Take another {need.key}",
    )
