"""From boxes to messages: which answer belongs to which ask, and how long it took."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from chatcore.inspector.capture import Direction
from chatcore.inspector.commands import Dictionary, named
from chatcore.inspector.redaction import Redaction
from chatcore.inspector.seen import Seen, What
from chatcore.inspector.stream import Boxed, Piece, Strange
from chatcore.wire.box import Box

MOST_UNANSWERED = 50_000
"""Asks that are remembered until they are answered; the oldest makes room."""

LONGEST_NAME = 300
"""Characters of a command, a code or a route that are shown."""

LONGEST_WHY = 1000
"""Characters of what an error says that are shown."""

LONGEST_TAG = 64
"""Bytes by which an ask is known as they are; longer ones are known by a hash."""

MOST_WAYS = 100_000
"""Ways of which it is remembered that they carry garbage; beyond that, it may be told again."""

_DIRECTIONS: tuple[Direction, ...] = ("in", "out", "")
_BACK: dict[Direction, Direction] = {"in": "out", "out": "in", "": ""}

_Key = tuple[object, Direction, bytes]


@dataclass(frozen=True, slots=True)
class Way:
    """One direction of one connection.

    Args:
        connection: its number.
        direction: which of the two; empty where both are mixed.
        node: where it was seen.
        peer: who is at the other end.
        origin: what tells connections of the same number apart, as those behind different heads.
    """

    connection: int = 0
    direction: Direction = ""
    node: str = ""
    peer: str = ""
    origin: int = 0

    @property
    def of(self) -> tuple[int, int]:
        """What the two directions of a connection have in common."""
        return self.origin, self.connection


@dataclass(slots=True)
class Totals:
    """What was seen altogether.

    Args:
        forgotten: asks that made room for others before they were answered.
        lost: boxes that passed and were not seen, as far as they were counted.
        missed: bytes that passed and were not seen.
        garbage: bytes that are no boxes.
    """

    boxes: int = 0
    asks: int = 0
    answers: int = 0
    errors: int = 0
    unanswered: int = 0
    forgotten: int = 0
    lost: int = 0
    missed: int = 0
    garbage: int = 0


@dataclass(slots=True)
class _Waiting:
    command: bytes
    route: str
    time: int | None
    way: Way
    offset: int | None
    uids: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()


class Exchange:
    """Makes messages of boxes.

    Attributes:
        totals: what was seen.
        bodies: whether bodies are read; may be changed later.

    Args:
        dictionary: what is known of commands; may be changed later.
        rule: what is hidden.
        bodies: whether bodies are read.
        concerns: whether it is read whom and which channels messages concern.
        most: how many asks are remembered.
        asked_for: the only uids and channels that are kept of those that messages concern: what
            else is read there was given to calls, and may be anything. All, unless given.
    """

    def __init__(
        self,
        dictionary: Dictionary,
        rule: Redaction,
        *,
        bodies: bool = False,
        concerns: bool = False,
        most: int = MOST_UNANSWERED,
        asked_for: frozenset[str] | None = None,
    ) -> None:
        self._concerns, self._asked_for = concerns, asked_for
        self.totals = Totals()
        self.dictionary, self._rule, self.bodies, self._most = dictionary, rule, bodies, most
        self._waiting: OrderedDict[_Key, deque[_Waiting]] = OrderedDict()
        self._count = 0
        self._of: dict[object, dict[_Key, None]] = {}
        self._garbage: dict[Way, int] = {}
        self._encrypted: dict[Way, int] = {}

    def pieces(self, way: Way, pieces: list[Piece], time: int | None) -> Iterator[Seen]:
        """What was found in a stream.

        Args:
            time: when it came, in microseconds since 1970.
        """
        for piece in pieces:
            if isinstance(piece, Strange):
                yield from self._strange(way, piece, time)
            else:
                yield from self._resumed(way, piece, time)
                yield self.box(way, piece, time)

    def box(self, way: Way, boxed: Boxed, time: int | None) -> Seen:
        """A box."""
        box = boxed.box
        self.totals.boxes += 1
        seen = self._seen(way, "box", time, size=len(boxed.raw), offset=boxed.offset)
        command = box.get(b"_command")
        if command is not None:
            self._asked(seen, way, command, box)
        elif b"_answer" in box or b"_error" in box:
            command = self._answered(seen, way, box)
        if self.bodies:
            seen.body = self.dictionary.body(command, seen.kind, box, self._rule, seen.route)
        return seen

    def count(self, seen: Seen) -> None:
        """Count a message that somebody else has made of a box."""
        totals = self.totals
        if seen.kind in ("ask", "tell", "answer", "error", "box"):
            totals.boxes += 1
        totals.asks += seen.kind == "ask"
        totals.answers += seen.kind == "answer"
        totals.errors += seen.kind == "error"
        totals.unanswered += seen.kind == "unanswered"

    def lost(self, way: Way, time: int | None, size: int, boxes: int = 0) -> Seen:
        """Some of what passed was not seen.

        Args:
            size: how many bytes.
            boxes: how many boxes, where that is known.
        """
        self.totals.missed += size
        self.totals.lost += boxes
        seen = self._seen(way, "lost", time, size=size)
        seen.error = f"{boxes} boxes were not seen" if boxes else "not seen"
        return seen

    def told(self, way: Way, kind: What, time: int | None, error: str = "") -> Seen:
        """Something that is no box, as that a connection was made."""
        seen = self._seen(way, kind, time)
        seen.error = self._text(error)
        return seen

    def ended(self, way: Way, time: int | None) -> Iterator[Seen]:
        """A connection has ended: the asks that had no answer."""
        for direction in _DIRECTIONS:
            one = Way(way.connection, direction, way.node, way.peer, way.origin)
            self._garbage.pop(one, None)
            self._encrypted.pop(one, None)
        for key in self._of.pop(way.of, {}):
            yield from self._unanswered(key, time)

    def finish(self) -> Iterator[Seen]:
        """There is no more: the asks that had no answer.

        Of a stream that has one direction only, which has no answers at all, they are counted and
        not told.
        """
        told = self.totals.answers or self.totals.errors
        for key in list(self._waiting):
            for seen in self._unanswered(key, None):
                if told or seen.direction:
                    yield seen
        self._of.clear()

    def _unanswered(self, key: _Key, time: int | None) -> Iterator[Seen]:
        for one in self._waiting.pop(key, ()):
            self._count -= 1
            self.totals.unanswered += 1
            seen = self._seen(one.way, "unanswered", one.time if time is None else time)
            seen.command, seen.route = self._name(one.command), one.route
            seen.ask, seen.offset = self._name(key[2]), one.offset
            seen.uids, seen.channels = one.uids, one.channels
            seen.ms, seen.error = _between(one.time, time), "no answer"
            yield seen

    def _asked(self, seen: Seen, way: Way, command: bytes, box: Box) -> None:
        tag = box.get(b"_ask")
        seen.command = self._name(command)
        to = {"in": way.node, "out": way.peer}.get(way.direction, "")
        seen.route = self._text(self.dictionary.route(command, box, to)[:LONGEST_NAME])
        if self._concerns:
            seen.uids = self.dictionary.uids(command, box)
            seen.channels = self.dictionary.channels(box)
            if self._asked_for is not None:
                seen.uids &= self._asked_for
                seen.channels &= self._asked_for
        seen.kind = "tell" if tag is None else "ask"
        if tag is not None:
            self.totals.asks += 1
            seen.ask = self._name(tag)
            waiting = _Waiting(
                command[:LONGEST_NAME],
                seen.route,
                seen.time,
                way,
                seen.offset,
                seen.uids,
                seen.channels,
            )
            self._wait((way.of, way.direction, _tag(tag)), waiting)

    def _wait(self, key: _Key, waiting: _Waiting) -> None:
        self._waiting.setdefault(key, deque()).append(waiting)
        self._of.setdefault(key[0], {})[key] = None
        self._count += 1
        if self._count > self._most:
            oldest = next(iter(self._waiting))
            self._take(oldest)
            self.totals.forgotten += 1

    def _take(self, key: _Key) -> _Waiting | None:
        queue = self._waiting.get(key)
        if queue is None:
            return None
        waiting = queue.popleft()
        self._count -= 1
        if not queue:
            del self._waiting[key]
            keys = self._of.get(key[0], {})
            keys.pop(key, None)
            if not keys:
                self._of.pop(key[0], None)
        return waiting

    def _answered(self, seen: Seen, way: Way, box: Box) -> bytes | None:
        tag = box.get(b"_answer")
        if tag is None:
            self.totals.errors += 1
            seen.kind, tag = "error", box[b"_error"]
            seen.error = self._text(self._name(box.get(b"_error_code", b"UNKNOWN")))
        else:
            self.totals.answers += 1
            seen.kind = "answer"
        seen.ask = self._name(tag)
        waiting = self._take((way.of, _BACK[way.direction], _tag(tag)))
        if seen.kind == "error":
            rule = self.dictionary.rule_of("" if waiting is None else waiting.route, self._rule)
            why = box.get(b"_error_description", b"").decode("utf-8", "backslashreplace")
            seen.why = rule.text(why)[:LONGEST_WHY]
        if waiting is None:
            return None
        seen.command, seen.route = self._name(waiting.command), waiting.route
        seen.uids, seen.channels = waiting.uids, waiting.channels
        seen.ms = _between(waiting.time, seen.time)
        if seen.kind == "answer" and self.dictionary.switches(waiting.command):
            seen.why = "from here on, something else is spoken than AMP"
        return waiting.command

    def _strange(self, way: Way, piece: Strange, time: int | None) -> Iterator[Seen]:
        size = len(piece.raw)
        if piece.encrypted:
            if way not in self._encrypted:
                yield self._said(way, "encrypted", piece, time)
            self._note(self._encrypted, way, size)
            return
        self.totals.garbage += size
        if way not in self._garbage:
            yield self._said(way, "garbage", piece, time)
        self._note(self._garbage, way, size)

    @staticmethod
    def _note(sizes: dict[Way, int], way: Way, size: int) -> None:
        if len(sizes) >= MOST_WAYS:
            sizes.clear()
        sizes[way] = sizes.get(way, 0) + size

    def _said(self, way: Way, kind: What, piece: Strange, time: int | None) -> Seen:
        size = len(piece.raw) if piece.why else 0
        seen = self._seen(way, kind, time, size=size or None, offset=piece.offset)
        seen.error = piece.why or "no boxes"
        return seen

    def _resumed(self, way: Way, boxed: Boxed, time: int | None) -> Iterator[Seen]:
        size = self._garbage.pop(way, None)
        if size is not None:
            yield self._seen(way, "resumed", time, size=size, offset=boxed.offset)

    def _seen(
        self,
        way: Way,
        kind: What,
        time: int | None,
        *,
        size: int | None = None,
        offset: int | None = None,
    ) -> Seen:
        return Seen(
            kind,
            time,
            way.node,
            way.peer,
            way.connection,
            way.direction,
            size=size,
            offset=offset,
        )

    def _name(self, name: bytes) -> str:
        return named(name[:LONGEST_NAME])

    def _text(self, text: str) -> str:
        return self._rule.text(text)


def _tag(tag: bytes) -> bytes:
    return tag if len(tag) <= LONGEST_TAG else b"#" + blake2b(tag, digest_size=32).digest()


def _between(before: int | None, after: int | None) -> float | None:
    if before is None or after is None:
        return None
    return max(after - before, 0) / 1000
