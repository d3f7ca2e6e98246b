"""The body of an HTTP/1 request: where it ends, and what it holds (RFC 9112, sections 6 and 7)."""

from __future__ import annotations

import re
from math import inf

from chatcore.errors import HttpError
from chatcore.wire.http import Head

_LINE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n\0]*)?\r\n")
_END = b"\r\n"
_LONGEST_LINE = 1024
"""Bytes of what stands before a chunk, and of all that follows the last one."""
MOST_CHUNKS = 16384
"""Of one body: small ones cost more time than bytes."""


class Sized:
    """A body whose length is told before it.

    Args:
        size: its bytes.
    """

    __slots__ = ("_held", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._held = bytearray()

    @property
    def done(self) -> bool:
        """Whether all of it has come."""
        return len(self._held) == self._size

    @property
    def held(self) -> int:
        """How many bytes of it have come."""
        return len(self._held)

    @property
    def content(self) -> bytes:
        """What has come of it."""
        return bytes(self._held)

    def limit(self, most: int) -> None:
        """Take no more than so many bytes.

        Raises:
            HttpError: it is longer, or, from `feed`, becomes longer.
        """
        if self._size > most:
            raise HttpError(f"a body of {self._size} bytes; {most} at most", 413)

    def feed(self, data: bytes) -> bytes:
        """Take what came; what follows the body comes back."""
        lacking = self._size - len(self._held)
        self._held += data[:lacking]
        return data[lacking:]


class Chunked:
    """A body in chunks, each after its length (section 7.1).

    Extensions and trailers are passed over.
    """

    __slots__ = ("_chunks", "_held", "_left", "_most", "_over", "_trailers", "_waiting", "done")

    def __init__(self) -> None:
        self.done = False
        self._chunks = 0
        self._held = bytearray()
        self._most = inf
        # Of the chunk: bytes that have not come, and whether what ends it is awaited.
        self._left, self._over = 0, False
        self._trailers: int | None = None
        self._waiting = b""

    @property
    def held(self) -> int:
        return len(self._held)

    @property
    def content(self) -> bytes:
        return bytes(self._held)

    def limit(self, most: int) -> None:
        self._most = most
        self._check(0)

    def _check(self, more: int) -> None:
        if len(self._held) + more > self._most:
            raise HttpError(f"a body of more than {self._most} bytes", 413)

    def feed(self, data: bytes) -> bytes:
        data, at = self._waiting + data, 0
        while not self.done:
            stop = self._read(data, at)
            if stop == at:
                break
            at = stop
        rest = data[at:]
        self._waiting = b"" if self.done else rest
        return rest if self.done else b""

    def _read(self, data: bytes, at: int) -> int:
        """Read one piece from there on; where it ends, which is there if more has to come."""
        if self._left:
            piece = data[at : at + self._left]
            self._held += piece
            self._left -= len(piece)
            self._over = not self._left
            return at + len(piece)
        if self._over:
            return self._end_chunk(data, at)
        stop = data.find(_END, at, at + _LONGEST_LINE) + len(_END)
        if stop < len(_END):
            if len(data) - at >= _LONGEST_LINE:
                raise HttpError(f"a chunk with more than {_LONGEST_LINE} bytes before it")
            return at
        if self._trailers is None:
            self._begin_chunk(data[at:stop])
        else:
            self._pass_over(stop - at)
        return stop

    def _end_chunk(self, data: bytes, at: int) -> int:
        end = data[at : at + len(_END)]
        if not _END.startswith(end):
            raise HttpError("a chunk that is longer than it says")
        if len(end) < len(_END):
            return at
        self._over = False
        return at + len(_END)

    def _begin_chunk(self, line: bytes) -> None:
        found = _LINE.fullmatch(line)
        if found is None:
            raise HttpError("a chunk whose length is no number")
        self._chunks += 1
        if self._chunks > MOST_CHUNKS:
            raise HttpError(f"a body in more than {MOST_CHUNKS} chunks", 413)
        self._left = int(found[1], 16)
        self._check(self._left)
        if not self._left:
            self._trailers = 0

    def _pass_over(self, size: int) -> None:
        assert self._trailers is not None
        self._trailers += size
        if self._trailers > _LONGEST_LINE:
            raise HttpError(f"trailers of more than {_LONGEST_LINE} bytes")
        self.done = size == len(_END)


Body = Sized | Chunked


def body_of(head: Head) -> Body:
    """The body that follows a head; an empty one where nothing does.

    Raises:
        HttpError: where it ends is said in no way that is known, or in two.
    """
    fields = head.fields
    coding, length = fields.get("transfer-encoding"), fields.get("content-length")
    if coding is not None:
        if length is not None or head.version == "1.0":
            raise HttpError("a body whose length is told in two ways")
        if coding.lower() != "chunked":
            raise HttpError(f"a body in the transfer coding {coding[:60]}", 501)
        return Chunked()
    if length is None:
        return Sized(0)
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise HttpError("a body whose length is no number")
    return Sized(int(length))
