"""Where a client connects to: a URL, or a host and a port."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import optionsForClientTLS

_PORTS = {"ws": 80, "wss": 443, "tcp": 0, "tls": 0}


@dataclass(frozen=True, slots=True)
class Place:
    """A server's client port.

    Args:
        scheme: what is spoken: ``ws``, ``wss``, ``tcp`` or ``tls``.
        host: the server's host name or address.
        port: its client port.
        path: what a WebSocket asks for.
    """

    scheme: str
    host: str
    port: int
    path: str = "/"

    @property
    def is_websocket(self) -> bool:
        """Whether it is reached by WebSocket, or else by packages over plain TCP."""
        return self.scheme in ("ws", "wss")

    @property
    def url(self) -> str:
        """What a WebSocket asks for."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    def endpoint(self, reactor: Any, timeout: float, trust: Any) -> IStreamClientEndpoint:
        """How to connect to it.

        Args:
            timeout: seconds until there has to be a connection.
            trust: whose certificates are accepted: an ``IOpenSSLTrustRoot``; None for those that
                the system trusts.
        """
        plain = self._plain(reactor, timeout)
        if self.scheme in ("ws", "tcp"):
            return plain
        return wrapClientTLS(optionsForClientTLS(self.host, trustRoot=trust), plain)

    def _plain(self, reactor: Any, timeout: float) -> IStreamClientEndpoint:
        # Names are looked up in a thread, addresses need none.
        try:
            version = ipaddress.ip_address(self.host).version
        except ValueError:
            return HostnameEndpoint(reactor, self.host, self.port, timeout)
        kind = TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint
        return kind(reactor, self.host, self.port, timeout)


def parse_url(url: str) -> Place:
    """The place that a URL names, as in ``wss://chat.example.org:3010``.

    Raises:
        ValueError: it names none.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError(f"{url!r} begins with none of ws://, wss://, tcp:// and tls://")
    port = parts.port if parts.port is not None else _PORTS[parts.scheme]
    if not parts.hostname or not port:
        raise ValueError(f"{url!r} has no {'port' if parts.hostname else 'host'}")
    path = parts.path or "/"
    return Place(
        parts.scheme, parts.hostname, port, f"{path}?{parts.query}" if parts.query else path
    )
