"""The messages in what servers tell of their links."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from typing import Any

from chatcore.inspector.batches import Boxes, Ended, Happened, Lost, Opened, Told
from chatcore.inspector.capture import Event, Kind
from chatcore.inspector.exchange import Exchange, Way
from chatcore.inspector.seen import Seen
from chatcore.inspector.stream import Boxed, BoxStream

MOST_LINKS = 100_000
"""Links whose ends are known; beyond that, the oldest are forgotten."""


class Links:
    """Knows the links that servers tell of, and which of two ends shows one.

    Args:
        tapped: who is tapped now.
        rank: which of two shows their link, if both are tapped: the one of the lower rank.
    """

    def __init__(
        self, tapped: Callable[[], Collection[str]], rank: Callable[[str], Any] = str
    ) -> None:
        self._tapped, self._rank = tapped, rank
        self._peers: dict[tuple[int, int], str] = {}

    def noted(self, origin: int, event: Happened) -> str | None:
        """The other end of the link of an event; None where it is not to be shown.

        Args:
            origin: the number of the visit to who tells it.
        """
        if isinstance(event, Told):
            return event.seen.peer
        key = origin, event.connection
        if isinstance(event, Opened):
            if len(self._peers) >= MOST_LINKS:
                del self._peers[next(iter(self._peers))]
            self._peers[key] = event.peer
        elif isinstance(event, Ended):
            return self._peers.pop(key, "")
        return self._peers.get(key, "")

    def shows(self, node: str, peer: str) -> bool:
        """Whether a server shows its link to another one, and not that one."""
        return self._rank(node) < self._rank(peer) or peer not in self._tapped()


class TappedMessages:
    """Finds the messages in what servers tell.

    Args:
        links: knows their links.
        exchange: knows which answers belong to which asks.
    """

    def __init__(self, links: Links, exchange: Exchange) -> None:
        self._links, self._exchange = links, exchange

    def of(self, node: str, origin: int, event: Happened) -> Iterator[Seen]:
        """What an event comes to."""
        peer = self._links.noted(origin, event)
        if peer is None or not self._links.shows(node, peer):
            return
        if isinstance(event, Told):
            self._exchange.count(event.seen)
            yield event.seen
            return
        way = Way(event.connection, "", node, peer, origin)
        if isinstance(event, Boxes):
            way = replace(way, direction=event.direction)
            for seen in self._exchange.pieces(way, BoxStream().feed(event.data), event.time):
                seen.offset = None  # it would be that within what has come at once
                yield seen
        elif isinstance(event, Lost):
            way = replace(way, direction=event.direction)
            yield self._exchange.lost(way, event.time, event.bytes, event.boxes)
        elif isinstance(event, Ended):
            yield from self._exchange.ended(way, event.time)
            yield self._exchange.told(way, "end", event.time)
        elif event.anew:
            yield self._exchange.told(way, "open", event.time)


class TappedEvents:
    """Makes what servers tell into what captures hold.

    Args:
        links: knows their links.
    """

    def __init__(self, links: Links) -> None:
        self._links = links
        self._numbers: dict[tuple[int, int], int] = {}
        self._last = 0

    def of(self, node: str, origin: int, event: Happened) -> Iterator[Event]:
        """What an event comes to."""
        peer = self._links.noted(origin, event)
        if peer is None or isinstance(event, Told) or not self._links.shows(node, peer):
            return
        key = origin, event.connection
        if isinstance(event, Ended):
            number = self._numbers.pop(key, None)
            if number is not None:
                yield Event("end", event.time, number, node, peer)
            return
        if key not in self._numbers:
            self._last += 1
            self._numbers[key] = self._last
        number = self._numbers[key]
        if isinstance(event, Opened):
            yield Event("open", event.time, number, node, peer)
        elif isinstance(event, Lost):
            yield Event(
                "loss",
                event.time,
                number,
                node,
                peer,
                event.direction,
                boxes=event.boxes,
                bytes=event.bytes,
            )
        else:
            for piece in BoxStream().feed(event.data):
                kind: Kind = "box" if isinstance(piece, Boxed) else "bytes"
                yield Event(kind, event.time, number, node, peer, event.direction, piece.raw)
