"""Who a client is that comes through proxies."""

from __future__ import annotations

from collections.abc import Mapping

from chatcore.connectors.addresses import Networks, canonical
from chatcore.connectors.settings import ProxySettings
from chatcore.errors import HttpError
from chatcore.interfaces import Address

FORWARDED = "x-forwarded-for"


class Proxies:
    """Which proxies are believed, and what they say.

    Args:
        settings: which they are and what they are expected to say.
    """

    def __init__(self, settings: ProxySettings) -> None:
        self.protocol = settings.protocol
        self._hops = settings.forwarded_hops
        self._trusted = Networks(settings.trusted)

    def trusts(self, host: str) -> bool:
        """Whether what comes from there may speak for others."""
        return not host or host in self._trusted  # who has no address is on this machine

    def may_forward(self, host: str) -> bool:
        """Whether an HTTP request from there may say for whom it is."""
        return bool(self._hops) and self.trusts(host)

    def client(self, peer: Address, fields: Mapping[str, str]) -> Address:
        """The client of an HTTP request from a trusted proxy.

        Each proxy appends the address that it was connected from, so what the n-th from the right
        says is true if that many are trusted; whatever stands left of it, the client may have
        written itself.

        Args:
            peer: who sent it; the client itself, if no proxy says anything.
            fields: the headers, by name in small letters.

        Raises:
            HttpError: the header has fewer entries than there are proxies, or is malformed there.
        """
        value = fields.get(FORWARDED)
        if value is None:
            return peer
        entries = value.split(",")
        if len(entries) < self._hops:
            raise HttpError(f"an X-Forwarded-For of {len(entries)} where {self._hops} proxies are")
        return _address(entries[-self._hops].strip())


def _address(entry: str) -> Address:
    """``192.0.2.7``, ``192.0.2.7:50000``, ``2001:db8::7`` or ``[2001:db8::7]:50000``."""
    host, port = entry, ""
    if entry.startswith("["):
        host, closed, port = entry[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise _malformed(entry)
        port = port[1:]
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    try:
        if port and not (port.isascii() and port.isdecimal() and int(port) <= 65535):
            raise ValueError(port)
        if "%" in host:  # the name of an interface, which may be any text
            raise ValueError(host)
        return canonical(host), int(port or 0)
    except ValueError:
        raise _malformed(entry) from None


def _malformed(entry: str) -> HttpError:
    return HttpError(f"an X-Forwarded-For in which {entry[:60]!r} stands for an address")
