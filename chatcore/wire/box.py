"""AMP boxes: what links speak, exactly as `twisted.protocols.amp` writes and reads it.

A box is a list of keys and values, each preceded by its length in two bytes, closed by an empty
key. A key has 1 to 255 bytes and stands once in a box; a value has at most 65,535. A larger value
goes in several keys: ``args``, ``args.1``, ``args.2`` and so on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct

from chatcore.errors import BoxError

Box = dict[bytes, bytes]

LONGEST_KEY = 0xFF
LONGEST_VALUE = 0xFFFF
END = b"\0\0"

_pack = Struct(">H").pack


def item(key: bytes, value: bytes) -> bytes:
    """A key and its value, split over several keys where it is too long for one.

    Raises:
        BoxError: the key is empty, or longer than 255 bytes.
    """
    size, key_size = len(value), len(key)
    if size <= LONGEST_VALUE:
        if not 0 < key_size <= LONGEST_KEY:
            raise BoxError(f"a key of {key_size} bytes; 1 to {LONGEST_KEY} fit a box")
        return _pack(key_size) + key + _pack(size) + value
    return b"".join(item(part, chunk) for part, chunk in split(key, value))


def encode(pairs: Iterable[tuple[bytes, bytes]]) -> bytes:
    """One whole box."""
    return b"".join([item(key, value) for key, value in pairs]) + END


def split(key: bytes, value: bytes) -> list[tuple[bytes, bytes]]:
    """The keys and values that carry ``value``, of any length, in one box."""
    return [
        (key if not number else b"%b.%d" % (key, number), value[start : start + LONGEST_VALUE])
        for number, start in enumerate(range(0, len(value) or 1, LONGEST_VALUE))
    ]


def join(box: Mapping[bytes, bytes], key: bytes) -> bytes:
    """The value that `split` put into a box.

    Raises:
        KeyError: the box has no such key.
    """
    first = box[key]
    if len(first) < LONGEST_VALUE:
        return first
    chunks, number = [first], 1
    while (chunk := box.get(b"%b.%d" % (key, number))) is not None:
        chunks.append(chunk)
        number += 1
    return b"".join(chunks)


class BoxParser:
    """Cuts a byte stream into boxes, however it was split.

    Args:
        limit: the longest box accepted, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = b""
        self._box: Box = {}
        self._held = 0

    @property
    def waiting(self) -> int:
        """How many bytes of an unfinished box are held."""
        return len(self._buffer) + self._held

    def feed(self, data: bytes) -> list[Box]:
        """Take what came in; the boxes that are complete now come back.

        Raises:
            BoxError: the stream is broken, or a box is too long; the link has to be closed.
        """
        buffer = self._buffer + data if self._buffer else data
        boxes: list[Box] = []
        box, box_start = self._box, -self._held
        at, end = 0, len(buffer)
        # One loop over the buffer, without a call per key: this is what makes a link cheap.
        while at + 2 <= end:
            size = buffer[at] << 8 | buffer[at + 1]
            if not size:
                at += 2
                if not box:
                    raise BoxError("an empty box")
                boxes.append(box)
                box, box_start = {}, at
                continue
            if size > LONGEST_KEY:
                raise BoxError(f"a box with a key of {size} bytes; {LONGEST_KEY} at most")
            middle = at + 2 + size
            start = middle + 2
            if start > end:
                break
            stop = start + (buffer[middle] << 8 | buffer[middle + 1])
            if stop - box_start > self.limit:  # before any more of it is kept
                raise BoxError(f"a box of more than {self.limit} bytes")
            if stop > end:
                break
            key = buffer[at + 2 : middle]
            if key in box:
                raise BoxError(f"a box with the key {key!r} twice")
            box[key] = buffer[start:stop]
            at = stop
        self._box, self._held = box, at - box_start
        self._buffer = buffer[at:]
        return boxes
