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

from chatcore.links.link import LinkParts
from chatcore.links.settings import LinkSettings
from chatcore.links.table import LinkTable, Peer
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


@asynccontextmanager
async def nodes(
    folder: Path,
    *,
    a: Papers | LinkTls = GOOD,
    b: Papers = GOOD,
    ids: tuple[str, str] = ("a", "b"),
    kind: str = "tcp",
    secret: bytes = SECRET,
) -> AsyncIterator[tuple[TlsNode, TlsNode]]:
    """Two nodes of which the first dials the second.

    Args:
        a: what the first one shows.
        b: what the second one shows.
        secret: the first one's.
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
    shown = a if isinstance(a, LinkTls) else a.read(folder, ids[0])
    dialler = TlsNode(ids[0], {ids[1]: endpoint}, shown, secret)
    dialler.table.startService()
    listener.table.startService()
    try:
        yield dialler, listener
    finally:
        await port.stopListening()
        await dialler.table.stopService()
        await listener.table.stopService()
