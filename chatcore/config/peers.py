"""Where those are who connect: their hosts and ports."""

from __future__ import annotations

import ipaddress
from typing import Any

from chatcore.interfaces import Address

_MAPPED = "::ffff:"


def address_of(peer: Any) -> Address:
    """The address of what Twisted calls a peer; empty for one that has none."""
    return plain(getattr(peer, "host", "")), getattr(peer, "port", 0)


def plain(host: str) -> str:
    """IPv4 that was taken in by an IPv6 port (RFC 4291, section 2.5.5.2) as IPv4; others as is."""
    return host[len(_MAPPED) :] if host.startswith(_MAPPED) and "." in host else host


def shown(address: Address) -> str:
    """An address for the log."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def neighbourhood(host: str) -> str | int:
    """What is counted as one client's: an IPv4 address, or a /64 of IPv6.

    Whoever has one address of IPv6 nearly always has all of its /64.
    """
    if ":" not in host:
        return host
    try:
        return int(ipaddress.IPv6Address(host)) >> 64
    except ValueError:
        return host
