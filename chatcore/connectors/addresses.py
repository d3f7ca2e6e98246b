"""Where clients are: a host and a port."""

from __future__ import annotations

from typing import Any

Address = tuple[str, int]
"""A client's IP address as text, and its port; the port is 0 where a proxy did not tell it."""

_MAPPED = "::ffff:"


def address_of(peer: Any) -> Address:
    """The address of what Twisted calls a peer; empty for one that has none."""
    host = getattr(peer, "host", "")
    if host.startswith(_MAPPED) and "." in host:
        host = host[len(_MAPPED) :]  # IPv4, taken in by an IPv6 port (RFC 4291, section 2.5.5.2)
    return host, getattr(peer, "port", 0)


def shown(address: Address) -> str:
    """An address for the log."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
