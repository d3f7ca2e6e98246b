"""Nodes that have certificates to show, on the real reactor."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from identities import NOW, make_identities
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol

from chatcore.links.dialler import Peer
from chatcore.links.link import LinkParts
from chatcore.links.settings import LinkSettings
from chatcore.links.table import LinkTable
from chatcore.links.tls import LinkTls
from chatcore.telemetry import Counters
from chatcore.turn import Turn
from chatcore.wire.box import Box, item, join

from .wiring import SECRET

ECHO = item(b"_command", b"Echo")


@dataclass(frozen=True)
class Papers:
    """What somebody has to show.

    Args:
        folder: where, under the test's.
        shows: whose certificate; their own unless given.
        made: when it was made.
        none: whether they speak no TLS at all.
    """

    folder: str = "tls"
    shows: str | None = None
    made: datetime.datetime = NOW
    none: bool = False

    def read(self, folder: Path, id: str) -> LinkTls | None:
        from twisted.internet import reactor

        if self.none:
            return None
        shown = self.shows or id
        make_identities(folder / self.folder, now=NOW - datetime.timedelta(days=100))
        papers = make_identities(folder / self.folder, shown, now=self.made)
        clock: Any = reactor
        return LinkTls(papers, shown, clock=clock, today=lambda: self.made)


GOOD, NONE = Papers(), Papers(none=True)
FOREIGN = Papers("another authority's")
EXPIRED = Papers(made=NOW - datetime.timedelta(days=90))
EARLY = Papers(made=NOW + datetime.timedelta(days=90))


class TlsNode:
    """A table of links on the real reactor that echoes."""

    def __init__(
        self, id: str, peers: dict[str, Any], tls: LinkTls | None, secret: bytes = SECRET
    ) -> None:
        from twisted.internet import reactor

        clock: Any = reactor
        self.counters = Counters()
        self.table = LinkTable(
            id=id,
            incarnation="life 1",
            secret=secret,
            remotes={},
            parts=LinkParts(
                turn=Turn(clock.callLater),
                clock=clock,
                settings=LinkSettings(),
                counters=self.counters,
                responders={b"Echo": self.echo},
                tls=tls,
            ),
        )
        self.table.follow({id: Peer(endpoint) for id, endpoint in peers.items()})

    def echo(self, link: Any, box: Box, ask: bytes | None) -> None:
        if ask is not None:
            link.answer(ask, item(b"text", join(box, b"text")))


NOWHERE: Any = None


class Between:
    """Somebody between two nodes, who passes on what each of them says, and reads it.

    Args:
        near: shows the certificate of the one that is dialled.
        far: shows that of the one that dials.
    """

    port: Any

    def __init__(self, near: LinkTls, far: LinkTls) -> None:
        self._near, self._far = near, far
        self.heard = bytearray()

    async def before(self, endpoint: Any) -> Any:
        """Stand before somebody; the way to them, as others take it, comes back."""
        from twisted.internet import reactor

        self._endpoint = self._far.dialling(endpoint, "b")
        place = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        self.port = await place.listen(self._near.listening(_Pairs(self)))
        return TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)


class _End(Protocol):
    """One of the two connections of who stands between."""

    def __init__(self, between: Between) -> None:
        self._between, self.waiting = between, bytearray()
        self.other: _End

    def connectionMade(self) -> None:
        self.say(b"")

    def say(self, data: bytes) -> None:
        self.waiting += data
        if self.connected and self.transport is not None:
            self.transport.write(bytes(self.waiting))
            self.waiting.clear()

    def dataReceived(self, data: bytes) -> None:
        self._between.heard += data
        self.other.say(data)

    def connectionLost(self, reason: object = None) -> None:
        if self.other.transport is not None:
            self.other.transport.loseConnection()


class _Pairs(Factory):
    def __init__(self, between: Between) -> None:
        self._between = between

    def buildProtocol(self, addr: object) -> _End:
        near, far = _End(self._between), _End(self._between)
        near.other, far.other = far, near
        self._between._endpoint.connect(_Only(far))
        return near


class _Only(Factory):
    def __init__(self, end: _End) -> None:
        self._end = end

    def buildProtocol(self, addr: object) -> _End:
        return self._end


@asynccontextmanager
async def nodes(
    folder: Path,
    *,
    a: Papers | LinkTls = GOOD,
    b: Papers = GOOD,
    ids: tuple[str, str] = ("a", "b"),
    kind: str = "tcp",
    secret: bytes = SECRET,
    between: Between | None = None,
) -> AsyncIterator[tuple[TlsNode, TlsNode]]:
    """Two nodes of which the first dials the second.

    Args:
        a: what the first one shows.
        b: what the second one shows.
        secret: the first one's.
        between: who stands between them.
    """
    from twisted.internet import reactor

    listener = TlsNode(ids[1], {ids[0]: NOWHERE}, b.read(folder, ids[1]))
    endpoint: Any
    if kind == "tcp":
        place: Any = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        port = await place.listen(listener.table.factory)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    else:
        path = str(folder / "s")
        port = await UNIXServerEndpoint(reactor, path).listen(listener.table.factory)
        endpoint = UNIXClientEndpoint(reactor, path)
    if between is not None:
        endpoint = await between.before(endpoint)
    shown = a if isinstance(a, LinkTls) else a.read(folder, ids[0])
    dialler = TlsNode(ids[0], {ids[1]: endpoint}, shown, secret)
    dialler.table.startService()
    listener.table.startService()
    try:
        yield dialler, listener
    finally:
        await port.stopListening()
        if between is not None:
            await between.port.stopListening()
        await dialler.table.stopService()
        await listener.table.stopService()
