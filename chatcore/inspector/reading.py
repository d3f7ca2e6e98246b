"""Reading captures, also damaged ones: what is whole is read, and what is not is located."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from chatcore.inspector.capture import (
    CHECK,
    LEAD,
    MARKER,
    CaptureError,
    Record,
    VersionError,
    decode,
    length,
)

CHUNK = 256 * 1024
"""Bytes that are read at once."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a capture that can't be read.

    Args:
        offset: where in the file they begin.
        size: how many there are.
        why: what is wrong.
    """

    offset: int
    size: int
    why: str


def is_capture(beginning: bytes) -> bool:
    """Whether something that begins so is a capture."""
    return beginning.startswith(MARKER)


def read(file: BinaryIO, beginning: bytes = b"") -> Iterator[Record | Damage]:
    """Read a capture, to its end.

    Records come as soon as they are there, also from a pipe.

    Args:
        file: what it is read from.
        beginning: what was read of it before.

    Raises:
        VersionError: what follows is of a version that is not known here.
        OSError: the file can't be read.
    """
    reader = CaptureReader()
    yield from reader.feed(beginning)
    one_read = getattr(file, "read1", file.read)
    while data := one_read(CHUNK):
        yield from reader.feed(data)
    yield from reader.end()


class CaptureReader:
    """Cuts the bytes of a capture into records, however they were split."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._offset = 0
        self._damage: Damage | None = None

    def feed(self, data: bytes) -> Iterator[Record | Damage]:
        """Take bytes; the records that are complete now come back, and what is damaged."""
        self._buffer += data
        yield from self._read(at_end=False)

    def end(self) -> Iterator[Record | Damage]:
        """There is no more; what is left may be damaged."""
        yield from self._read(at_end=True)
        if self._damage is not None:
            yield self._damage

    def _read(self, *, at_end: bool) -> Iterator[Record | Damage]:
        at, buffer = 0, self._buffer
        try:
            while at < len(buffer):
                try:
                    size = self._size(at, at_end=at_end)
                    if size is None:
                        return
                    record = decode(bytes(buffer[at : at + size]))
                except VersionError as problem:
                    raise VersionError(f"at offset {self._offset + at}: {problem}") from None
                except CaptureError as problem:
                    to = self._next(at)
                    self._damaged(at, to, str(problem))
                    at = to
                    continue
                if self._damage is not None:
                    damage, self._damage = self._damage, None
                    yield damage
                at += size
                yield record
        finally:
            del buffer[:at]
            self._offset += at

    def _size(self, at: int, *, at_end: bool) -> int | None:
        """How long the record is that begins there; None where that, or its end, is to come.

        Raises:
            CaptureError: none begins there, or it never ends.
        """
        there = len(self._buffer) - at
        lead = bytes(self._buffer[at : at + LEAD])
        if not MARKER.startswith(lead[: len(MARKER)]):
            raise CaptureError("no record begins here")
        if there < LEAD:
            if at_end:
                raise CaptureError(f"the last record is cut: {there} bytes of it are there")
            return None
        size = LEAD + length(lead) + CHECK
        if size <= there:
            return size
        if at_end:
            raise CaptureError(f"a record is cut: {there} of {size} bytes are there")
        return None

    def _next(self, at: int) -> int:
        """Where the next record may begin."""
        found = self._buffer.find(MARKER, at + 1)
        if found >= 0:
            return found
        # The last bytes may be the beginning of a marker that is to come.
        for kept in range(len(MARKER) - 1, 0, -1):
            if len(self._buffer) - kept > at and self._buffer.endswith(MARKER[:kept]):
                return len(self._buffer) - kept
        return len(self._buffer)

    def _damaged(self, at: int, to: int, why: str) -> None:
        before = self._damage
        if before is None:
            self._damage = Damage(self._offset + at, to - at, why)
        else:
            self._damage = Damage(before.offset, before.size + to - at, before.why)
