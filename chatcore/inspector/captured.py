"""The messages that a capture holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from chatcore.inspector.capture import Event, Head
from chatcore.inspector.commands import Dictionary
from chatcore.inspector.exchange import Exchange, Way
from chatcore.inspector.reading import Damage
from chatcore.inspector.seen import Seen
from chatcore.inspector.stream import Boxed, BoxStream, Piece, Strange

CHATCORE = "chatcore"
"""The dialect of captures whose boxes are those of chatcore's links."""


def messages(
    records: Iterable[Head | Event | Damage],
    exchange: Exchange,
    speaks: Callable[[str], Dictionary],
) -> Iterator[Seen]:
    """What was recorded, in its order; asks that had no answer come where their time ends.

    Args:
        records: the capture.
        exchange: knows which answers belong to which asks.
        speaks: gives what is known of the commands of a dialect.
    """
    for seen in _messages(records, exchange, speaks):
        if seen.kind != "damaged":
            seen.offset = None  # it would be that within a record
        yield seen


def _messages(
    records: Iterable[Head | Event | Damage],
    exchange: Exchange,
    speaks: Callable[[str], Dictionary],
) -> Iterator[Seen]:
    origin = 0
    for record in records:
        if isinstance(record, Damage):
            error = f"at offset {record.offset}: {record.why}"
            yield Seen("damaged", size=record.size, offset=record.offset, error=error)
        elif isinstance(record, Head):
            yield from exchange.finish()
            origin += 1
            exchange.dictionary = speaks(str(record.about.get("dialect", "")))
            exchange.dictionary.learn(record.about)
        else:
            yield from _event(record, exchange, origin)
    yield from exchange.finish()


def _event(event: Event, exchange: Exchange, origin: int) -> Iterator[Seen]:
    way = Way(event.connection, event.direction, event.node, event.peer, origin)
    if event.kind == "loss":
        yield exchange.lost(way, event.time, event.bytes, event.boxes)
    elif event.kind == "open":
        yield exchange.told(way, "open", event.time)
    elif event.kind == "end":
        yield from exchange.ended(way, event.time)
        yield exchange.told(way, "end", event.time, event.data.decode("utf-8", "replace"))
    else:
        yield from exchange.pieces(way, _pieces(event), event.time)


def _pieces(event: Event) -> list[Piece]:
    if event.kind == "tls":
        return [Strange(0, event.data, "encrypted by TLS from here on", True)]
    if event.kind == "bytes":
        return [Strange(0, event.data, "no boxes")]
    stream = BoxStream(limit=len(event.data))
    found = stream.feed(event.data)
    if len(found) == 1 and isinstance(found[0], Boxed) and not stream.waiting:
        return found
    return [Strange(0, event.data, "a record of a box that is none")]
