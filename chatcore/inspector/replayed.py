"""What of a capture is played again, in which order, and where answers differ."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from chatcore.errors import BoxError
from chatcore.inspector import own
from chatcore.inspector.capture import Direction, Event, Head
from chatcore.inspector.reading import Damage
from chatcore.inspector.redaction import HIDDEN, Redaction
from chatcore.inspector.values import shown
from chatcore.wire.box import Box, BoxParser, encode, join, split
from chatcore.wire.values import UNPACKABLE, pack, unpack

WINDOW: Final = 1_000_000
"""Microseconds within which what several servers have told is put into the order of its times."""

MOST_DIFFERENCES: Final = 1000
"""Places of one answer that are compared after the first that differs."""

_BACK: Final[dict[Direction, Direction]] = {"in": "out", "out": "in", "": ""}

Key = tuple[int, int, Direction, bytes]
"""What an ask and its answer have in common."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A message of a client, or a call.

    Args:
        time: microseconds since 1970, UTC.
        sender: who has sent it.
        recipient: to whom.
        key: what its answer has in common with it; None where it wants none.
        box: what it was.
        raw: the same, as it was sent.
    """

    time: int
    sender: str
    recipient: str
    key: Key | None
    box: Box
    raw: bytes

    @property
    def command(self) -> bytes:
        """AMP's name of it."""
        return self.box[b"_command"]


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered."""

    time: int
    key: Key
    box: Box


@dataclass(frozen=True, slots=True)
class Came:
    """Sessions of these uids are at a frontend."""

    time: int
    frontend: str
    uids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Gone:
    """They are there no more."""

    time: int
    frontend: str
    uids: Sequence[str]


Step = Asked | Answered | Came | Gone


def steps(records: Iterable[Head | Event | Damage]) -> Iterator[Step]:
    """What a capture says, in the order of its times."""
    for origin, event in _in_order(records):
        if event.kind == "box":
            yield from _steps(origin, event)


def _in_order(records: Iterable[Head | Event | Damage]) -> Iterator[tuple[int, Event]]:
    origin, count = 0, 0
    waiting: list[tuple[int, int, int, Event]] = []
    newest = 0
    for record in records:
        if isinstance(record, Head):
            while waiting:
                yield _next(waiting)
            origin += 1
        elif isinstance(record, Event):
            count += 1
            newest = max(newest, record.time)
            heapq.heappush(waiting, (record.time, count, origin, record))
            while waiting[0][0] < newest - WINDOW:
                yield _next(waiting)
    while waiting:
        yield _next(waiting)


def _next(waiting: list[tuple[int, int, int, Event]]) -> tuple[int, Event]:
    _, _, origin, event = heapq.heappop(waiting)
    return origin, event


def _steps(origin: int, event: Event) -> Iterator[Step]:
    try:
        (box,) = BoxParser(len(event.data)).feed(event.data)
    except (BoxError, ValueError):
        return
    sender, recipient = event.node, event.peer
    if event.direction == "in":
        sender, recipient = recipient, sender
    command = box.get(b"_command")
    if command in own.REQUESTS or command in own.CALLS:
        tag = box.get(b"_ask")
        key = None if tag is None else (origin, event.connection, event.direction, tag)
        yield Asked(event.time, sender, recipient, key, box, event.data)
        uids = own.uids(command, box) if command in own.REQUESTS else ()
        if uids:
            yield Came(event.time, sender, sorted(uids))
    elif command is None:
        tag = box.get(b"_answer", box.get(b"_error", b""))
        back = _BACK[event.direction]
        yield Answered(event.time, (origin, event.connection, back, tag), box)
    elif command == b"GroupJoin":
        yield Came(event.time, recipient, sorted(own.uids(command, box)))
    elif command == b"GroupGone":
        yield Gone(event.time, sender, sorted(own.uids(command, box)))


class Stays:
    """How often sessions of a uid come to a frontend, as a capture says.

    Who is spoken of is there; who was told as gone comes again when spoken of again.
    """

    def __init__(self, records: Iterable[Step]) -> None:
        self._left: dict[tuple[str, str], int] = {}
        there: set[tuple[str, str]] = set()
        for step in records:
            if isinstance(step, Came | Gone):
                for uid in step.uids:
                    self._note(step, (step.frontend, uid), there)

    def _note(self, step: Step, who: tuple[str, str], there: set[tuple[str, str]]) -> None:
        if isinstance(step, Gone):
            there.discard(who)
        elif who not in there:
            there.add(who)
            self._left[who] = self._left.get(who, 0) + 1

    def first(self) -> dict[str, list[str]]:
        """Who comes at all, by frontend."""
        found: dict[str, list[str]] = {}
        for frontend, uid in self._left:
            found.setdefault(frontend, []).append(uid)
        return found

    def again(self, frontend: str, uids: Iterable[str]) -> list[str]:
        """Who of those who have just gone comes again."""
        back = []
        for uid in uids:
            who = frontend, uid
            if who in self._left:
                self._left[who] -= 1
                if self._left[who] > 0:
                    back.append(uid)
        return back


def with_session(asked: Asked, numbers: dict[str, int]) -> Asked:
    """The same with the number that the session of its uid has now.

    Args:
        numbers: of the sessions at the frontend that it comes from, by uid.
    """
    box = asked.box
    if asked.command not in own.REQUESTS:
        return asked
    try:
        number, uid, *rest = unpack(join(box, b"session"))
        if uid not in numbers or numbers[uid] == number:
            return asked
        packed = pack((numbers[uid], uid, *rest))
    except (*own.UNREADABLE, *UNPACKABLE):
        return asked
    kept = [(key, value) for key, value in box.items() if key.partition(b".")[0] != b"session"]
    return replace(asked, raw=encode([*kept, *split(b"session", packed)]))


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two answers differ.

    Args:
        path: where, as in ``reply.users.0``.
        recorded: what was answered.
        replayed: what is answered now.
    """

    path: str
    recorded: Any
    replayed: Any


NOTHING_THERE: Final = "[nothing]"
"""What is shown where one answer has something that the other has not."""


class Comparison:
    """Compares answers by their values.

    Args:
        ignored: patterns of paths that are not compared.
        rule: what is hidden of what differs.
    """

    def __init__(self, ignored: Sequence[str], rule: Redaction) -> None:
        self._ignored, self._rule = ignored, rule

    def of(self, recorded: Box, replayed: Box, declared: own.Declared) -> list[Difference]:
        """Where they differ.

        Args:
            declared: what is known of the method that has answered.
        """
        rule = self._rule.hiding(declared.hidden)
        hidden = declared.hides_answer and not rule.off
        found = []
        for path, one, other in self._places((), _value(recorded), _value(replayed)):
            hides = hidden or any(rule.hides(name) for name in path)
            found.append(
                Difference(
                    ".".join(path),
                    HIDDEN if hides else shown("", one, rule),
                    HIDDEN if hides else shown("", other, rule),
                )
            )
            if len(found) >= MOST_DIFFERENCES:
                break
        return found

    def _places(
        self, path: tuple[str, ...], one: Any, other: Any
    ) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
        if path and any(fnmatchcase(".".join(path), each) for each in self._ignored):
            return
        if isinstance(one, dict) and isinstance(other, dict):
            for key in dict.fromkeys((*one, *other)):
                inner = one.get(key, NOTHING_THERE), other.get(key, NOTHING_THERE)
                yield from self._places((*path, str(key)), *inner)
        elif isinstance(one, list) and isinstance(other, list):
            for place in range(max(len(one), len(other))):
                inner = (
                    one[place] if place < len(one) else NOTHING_THERE,
                    other[place] if place < len(other) else NOTHING_THERE,
                )
                yield from self._places((*path, str(place)), *inner)
        elif type(one) is not type(other) or one != other:
            yield path, one, other


def _value(box: Box) -> dict[str, Any]:
    """What an answer says, whatever number it has."""
    if b"_error" in box:
        code = box.get(b"_error_code", b"").decode("utf-8", "replace")
        why = box.get(b"_error_description", b"").decode("utf-8", "replace")
        # What was raised begins with the number under which it was logged.
        return {"error": code, "why": why.partition(" ")[2] if code == "RAISED" else why}
    value: dict[str, Any] = {}
    for key in box:
        name = key.decode("utf-8", "backslashreplace")
        if not name.startswith("_") and not name.rpartition(".")[2].isdigit():
            try:
                value[name] = unpack(join(box, key))
            except own.UNREADABLE:
                value[name] = join(box, key)
    return value
