"""What those do who are given what passes: find the messages in it, or keep it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from chatcore.inspector.aside import Passed
from chatcore.inspector.capture import Event, Kind
from chatcore.inspector.exchange import Exchange, Way
from chatcore.inspector.recording import Recorder
from chatcore.inspector.seen import Seen
from chatcore.inspector.stream import Boxed, BoxStream, Piece

MOST_UNFINISHED = 64 * 1024 * 1024
"""Bytes of unfinished boxes that are held, of all connections; what is more is garbage."""


class Streams:
    """Finds the boxes in what passes, each way on its own.

    Args:
        most: bytes of unfinished boxes that are held.
    """

    def __init__(self, most: int = MOST_UNFINISHED) -> None:
        self._most, self._held = most, 0
        self._streams: dict[tuple[int, int], dict[Way, BoxStream]] = {}

    def told(self, passed: Passed) -> Iterator[tuple[Passed, list[Piece]]]:
        """What a piece comes to: itself, with what was found in it.

        What an ended connection leaves unfinished comes before its end.
        """
        way = passed.way
        if passed.what == "data":
            yield passed, self._fed(self._stream(way), passed.data)
        elif passed.what == "missed" and way.connection:
            stream = self._stream(way)
            self._held -= stream.waiting
            yield passed, stream.missed(passed.size)
        elif passed.what == "end":
            for each, stream in self._streams.pop(way.of, {}).items():
                self._held -= stream.waiting
                rest = stream.end()
                if rest:
                    yield Passed("data", each, passed.time), rest
            yield passed, []
        else:
            yield passed, []

    def _fed(self, stream: BoxStream, data: bytes) -> list[Piece]:
        before = stream.waiting
        pieces = stream.feed(data)
        self._held += stream.waiting - before
        if self._held > self._most:
            self._held -= stream.waiting
            pieces += stream.missed(0, "too many boxes are unfinished to keep this one")
        return pieces

    def _stream(self, way: Way) -> BoxStream:
        of = self._streams.setdefault(way.of, {})
        if way not in of:
            of[way] = BoxStream()
        return of[way]


class Messages:
    """Tells the messages in what passes.

    Args:
        exchange: knows which answers belong to which asks.
        tell: given each message.
    """

    def __init__(self, exchange: Exchange, tell: Callable[[Seen], None]) -> None:
        self._exchange, self._tell = exchange, tell
        self._streams = Streams()

    def take(self, pieces: Sequence[Passed]) -> None:
        """Tell what is in these."""
        for passed in pieces:
            for one, found in self._streams.told(passed):
                for seen in self._seen(one, found):
                    self._tell(seen)

    def _seen(self, passed: Passed, found: list[Piece]) -> Iterator[Seen]:
        way, time = passed.way, passed.time
        yield from self._exchange.pieces(way, found, time)
        if passed.what == "missed":
            yield self._exchange.lost(way, time, passed.size)
        elif passed.what == "end":
            yield from self._exchange.ended(way, time)
            yield self._exchange.told(way, "end", time, passed.text)
        elif passed.what != "data":
            yield self._exchange.told(way, passed.what, time, passed.text)


class Keeper:
    """Writes what passes into a capture.

    Args:
        recorder: writes it.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._streams = Streams()

    def take(self, pieces: Sequence[Passed]) -> None:
        """Write what is in these, at once.

        Raises:
            OSError: it can't be written.
        """
        events = [
            event
            for passed in pieces
            for one, found in self._streams.told(passed)
            for event in _events(one, found)
        ]
        if events:
            self._recorder.write(events)


def _events(passed: Passed, found: list[Piece]) -> Iterator[Event]:
    for piece in found:
        if isinstance(piece, Boxed):
            yield _event("box", passed, piece.raw)
        elif piece.raw:
            yield _event("tls" if piece.encrypted else "bytes", passed, piece.raw)
    if passed.what == "missed":
        yield _event("loss", passed, size=passed.size)
    elif passed.what == "open":
        yield _event("open", passed)
    elif passed.what in ("end", "failed"):
        yield _event("end", passed, passed.text.encode("utf-8", "replace"))


def _event(kind: Kind, passed: Passed, data: bytes = b"", size: int = 0) -> Event:
    way = passed.way
    return Event(
        kind,
        passed.time,
        way.connection,
        way.node,
        way.peer,
        way.direction,
        data,
        bytes=size,
    )
