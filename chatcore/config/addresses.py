"""Whether two servers would listen on one address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from chatcore.config.entries import Server
from chatcore.config.positions import Document, Where

NOT_HERE = (
    "Correct the host; or, where clients are to be told one that this machine does not have, as"
    " behind NAT, name in 'clientBind' the address to bind"
)
"""What to do about a host that is no address of this machine."""


@dataclass(frozen=True, slots=True)
class _Listener:
    server: Server
    key: str
    host: str
    port: int


def is_wildcard(host: str) -> bool:
    """Say whether binding to ``host`` means every address of the machine."""
    address = _address(host)
    return address is not None and address.is_unspecified


def is_loopback(host: str) -> bool:
    """Say whether ``host`` is reached from its own machine only."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def refuse_clashes(
    document: Document, servers: Iterable[Server], places: Mapping[str, Where]
) -> None:
    """Raise ConfigError when two servers, or both ports of one, would listen on one address.

    Args:
        document: the file that lists them.
        servers: the servers.
        places: where in the file each id's entry stands.
    """
    by_port: dict[int, list[_Listener]] = {}
    for server in servers:
        for new in _listeners(server, document, places[server.id]):
            for old in by_port.setdefault(new.port, []):
                if _clash(old, new):
                    line, _ = document.place((*places[old.server.id], old.key))
                    raise document.error(
                        f"the {new.key} of '{server.id}', {new.host}:{new.port}, is also "
                        f"the {old.key} of '{old.server.id}' in line {line}",
                        (*places[server.id], new.key),
                        advice="Let the port of a cluster end in '++'"
                        if places[old.server.id] == places[server.id] and old.server != server
                        else "Give one of them another port",
                    )
            by_port[new.port].append(new)


def _listeners(server: Server, document: Document, where: Where) -> Iterator[_Listener]:
    if server.port is not None:
        yield _Listener(server, "port", server.host, server.port)
    if server.client_port is not None:
        # A frontend that has only a port takes its clients there.
        key = "clientPort" if (*where, "clientPort") in document.offsets else "port"
        yield _Listener(server, key, server.listen_host, server.client_port)


def _clash(one: _Listener, other: _Listener) -> bool:
    """Say whether two listeners with the same port would meet.

    A wildcard or loopback address means another one on each machine, and servers whose hosts are
    two real addresses may stand on two machines.
    """
    if is_wildcard(one.host) or is_wildcard(other.host):
        return _may_share_a_machine(one.server.host, other.server.host)
    if is_loopback(one.host) and is_loopback(other.host):
        return _same(one.host, other.host) and _may_share_a_machine(
            one.server.host, other.server.host
        )
    return _same(one.host, other.host)


def _may_share_a_machine(one: str, other: str) -> bool:
    vague = any(is_wildcard(host) or is_loopback(host) for host in (one, other))
    return vague or _same(one, other)


def _same(one: str, other: str) -> bool:
    return _normal(one) == _normal(other)


def _normal(host: str) -> str:
    if host.lower() == "localhost":
        return "127.0.0.1"
    return str(_address(host) or host.lower().rstrip("."))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
