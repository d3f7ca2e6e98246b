"""The capture format: boxes as they were seen, one record after the other.

A capture is a sequence of records, and nothing else. Numbers are unsigned and big-endian::

    marker   4 bytes   A9 42 4F 58, which is no text in UTF-8
    length   4 bytes   of the content
    content  length bytes
    check    4 bytes   CRC-32 (as in zlib) of length and content

The first byte of the content is the kind. A head is ``H``, the version in two bytes, and a JSON
object in UTF-8. Each process that writes begins with a head, so that captures may be appended to
and put behind each other. Everything else is an event::

    kind        1 byte    B a box, X bytes that are none, T bytes of TLS, L a loss,
                          O a connection was made, E it has ended
    direction   1 byte    > from the node to its peer, < from the peer to the node, - neither
    time        8 bytes   microseconds since 1970, UTC
    connection  4 bytes   its number; numbers begin anew behind each head
    node        1 byte for the length, and that many bytes of UTF-8: where it was seen
    peer        the same: who is at the other end of the connection
    data        the rest: the bytes of the box, or the other bytes; of a loss, two numbers of 8
                bytes, how many boxes and how many bytes; of an end, why, in UTF-8

Whoever reads goes on behind what is damaged, at the next marker whose record is whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, Final, Literal
from zlib import crc32

from chatcore.errors import WireError

VERSION: Final = 1
MARKER: Final = b"\xa9BOX"
HEAD: Final = b"H"

LONGEST_CONTENT = 32 * 1024 * 1024
"""Bytes of one record's content; who reads takes a greater length for damage."""

LONGEST_NAME = 255
"""Bytes of the name of a node or a peer; longer ones are cut."""

Kind = Literal["box", "bytes", "tls", "loss", "open", "end"]
Direction = Literal["in", "out", ""]

_KINDS: Final[dict[Kind, bytes]] = {
    "box": b"B",
    "bytes": b"X",
    "tls": b"T",
    "loss": b"L",
    "open": b"O",
    "end": b"E",
}
_DIRECTIONS: Final[dict[Direction, bytes]] = {"out": b">", "in": b"<", "": b"-"}
_KIND_OF = {code[0]: kind for kind, code in _KINDS.items()}
_DIRECTION_OF = {code[0]: direction for direction, code in _DIRECTIONS.items()}

_lead = Struct(">4sI")
_check = Struct(">I")
_version = Struct(">H")
_event = Struct(">ccQI")
_loss = Struct(">QQ")

LEAD: Final = _lead.size
CHECK: Final = _check.size


class CaptureError(WireError):
    """A record that can't be read, or made."""


class VersionError(CaptureError):
    """A capture of a version that is not known here."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a process says of what it is about to write.

    Args:
        about: ``program``, and ``dialect`` where more is known of the boxes than that they are AMP.
        version: of the format.
    """

    about: Mapping[str, Any] = field(default_factory=dict)
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was seen.

    Args:
        kind: what it is.
        time: microseconds since 1970, UTC.
        connection: the number of the connection.
        node: where it was seen.
        peer: who is at the other end.
        direction: ``out`` from the node to the peer, ``in`` the other way.
        data: the bytes; of an end, why, in UTF-8.
        boxes: of a loss, how many boxes.
        bytes: of a loss, how many bytes.
    """

    kind: Kind
    time: int
    connection: int
    node: str = ""
    peer: str = ""
    direction: Direction = ""
    data: bytes = b""
    boxes: int = 0
    bytes: int = 0


Record = Head | Event


def encode(record: Record) -> bytes:
    """One whole record.

    Raises:
        CaptureError: it is too long.
    """
    content = _head(record) if isinstance(record, Head) else _content(record)
    if len(content) > LONGEST_CONTENT:
        raise CaptureError(f"a record of {len(content)} bytes; {LONGEST_CONTENT} at most")
    lead = _lead.pack(MARKER, len(content))
    return lead + content + _check.pack(crc32(content, crc32(lead[len(MARKER) :])))


def length(lead: bytes) -> int:
    """How long the content is behind the first `LEAD` bytes of a record.

    Raises:
        CaptureError: they begin none.
    """
    marker, size = _lead.unpack(lead)
    if marker != MARKER:
        raise CaptureError("no record begins here")
    if size > LONGEST_CONTENT:
        raise CaptureError(f"a record of {size} bytes; {LONGEST_CONTENT} at most")
    return int(size)


def decode(record: bytes) -> Record:
    """Read one whole record, as long as `length` says.

    Raises:
        CaptureError: it is damaged.
        VersionError: it is the head of another version.
    """
    content = record[LEAD:-CHECK]
    (check,) = _check.unpack(record[-CHECK:])
    if check != crc32(record[len(MARKER) : -CHECK]):
        raise CaptureError("a record whose check does not hold")
    try:
        return _read_head(content) if content[:1] == HEAD else _read_event(content)
    except (ValueError, LookupError, ArithmeticError) as problem:
        raise CaptureError(f"a record that means nothing: {problem}") from None


def _head(head: Head) -> bytes:
    about = json.dumps(dict(head.about), ensure_ascii=False, separators=(",", ":"))
    return HEAD + _version.pack(head.version) + about.encode()


def _content(event: Event) -> bytes:
    data = event.data
    if event.kind == "loss":
        data = _loss.pack(event.boxes, event.bytes)
    fixed = _event.pack(
        _KINDS[event.kind], _DIRECTIONS[event.direction], event.time, event.connection
    )
    return fixed + _name(event.node) + _name(event.peer) + data


def _name(name: str) -> bytes:
    encoded = name.encode("utf-8", "replace")
    if len(encoded) > LONGEST_NAME:
        encoded = encoded[:LONGEST_NAME].decode("utf-8", "ignore").encode()
    return bytes([len(encoded)]) + encoded


def _read_head(content: bytes) -> Head:
    if len(content) < 1 + _version.size:
        raise ValueError("a head without a version")
    (version,) = _version.unpack_from(content, 1)
    if version != VERSION:
        raise VersionError(f"version {version} of the format, and only {VERSION} is known here")
    about = json.loads(content[1 + _version.size :])
    if not isinstance(about, dict):
        raise ValueError("a head that is no JSON object")
    return Head(about, version)


def _read_event(content: bytes) -> Event:
    if len(content) < _event.size:
        raise ValueError(f"{len(content)} bytes")
    kind, direction, time, connection = _event.unpack_from(content)
    at = _event.size
    names = []
    for _ in range(2):
        end = at + 1 + content[at]
        if end > len(content):
            raise ValueError("a name that is cut")
        names.append(content[at + 1 : end].decode())
        at = end
    named, data = _KIND_OF[kind[0]], content[at:]
    boxes = lost = 0
    if named == "loss":
        if len(data) != _loss.size:
            raise ValueError(f"a loss of {len(data)} bytes")
        (boxes, lost), data = _loss.unpack(data), b""
    return Event(
        named, time, connection, names[0], names[1], _DIRECTION_OF[direction[0]], data, boxes, lost
    )
