"""What a node that is tapped tells, as it crosses a link: a batch of what was seen on its links."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec

from chatcore.errors import WireError
from chatcore.inspector.capture import Direction
from chatcore.inspector.seen import KINDS, Seen

BOXES, LOST, OPEN, END, TOLD, THERE = range(6)
"""What an event is, which its first value says."""

_NAMES: Final = [field.name for field in fields(Seen)]
_LEFT_OUT: Final[tuple[Any, ...]] = (None, "", frozenset())

_DIRECTIONS: Final[tuple[Direction, ...]] = ("in", "out")


@dataclass(frozen=True, slots=True)
class Boxes:
    """Whole boxes, one behind the other."""

    time: int
    connection: int
    direction: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """What passed and was not kept."""

    time: int
    connection: int
    direction: Direction
    boxes: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A link is there; ``anew`` if it has just come up."""

    time: int
    connection: int
    peer: str
    anew: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """A link has gone."""

    time: int
    connection: int


@dataclass(frozen=True, slots=True)
class Told:
    """A message that the node itself has decoded."""

    seen: Seen


Happened = Boxes | Lost | Opened | Ended | Told

encode = msgspec.msgpack.Encoder().encode
"""A list of tuples as bytes: what kind of event each is, its time, its connection, and the rest.

``(BOXES, time, connection, is_out, data)``, ``(LOST, time, connection, is_out, boxes, bytes)``,
``(OPEN, time, connection, peer)``, ``(THERE, time, connection, peer)``, ``(END, time,
connection)``, and ``(TOLD, message)``.
"""

_decode = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode


def decode(data: bytes) -> list[Happened]:
    """Read what `encode` has made.

    Raises:
        WireError: it is something else.
    """
    try:
        return [_happened(event) for event in _decode(data)]
    except (ValueError, TypeError, LookupError, msgspec.MsgspecError) as problem:
        raise WireError(f"a batch that can't be read: {problem!r:.200}") from None


def message(seen: Seen) -> bytes:
    """A message as it crosses a link."""
    said = {name: getattr(seen, name) for name in _NAMES if getattr(seen, name) not in _LEFT_OUT}
    for name in ("uids", "channels"):
        if name in said:
            said[name] = sorted(said[name])
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _message(data: bytes) -> Seen:
    said = json.loads(data)
    for name in ("uids", "channels"):
        said[name] = frozenset(said.get(name, ()))
    if said["kind"] not in KINDS:
        raise ValueError(f"a message of the kind {said['kind']!r}")
    return Seen(**said)


def _happened(event: Sequence[Any]) -> Happened:
    kind, *rest = event
    if kind == BOXES:
        time, connection, out, data = rest
        return Boxes(time, connection, _DIRECTIONS[out], data)
    if kind == LOST:
        time, connection, out, boxes, size = rest
        return Lost(time, connection, _DIRECTIONS[out], boxes, size)
    if kind in (OPEN, THERE):
        time, connection, peer = rest
        return Opened(time, connection, peer, kind == OPEN)
    if kind == END:
        return Ended(*rest)
    if kind == TOLD:
        return Told(_message(rest[0]))
    raise ValueError(f"an event of the kind {kind!r}")
