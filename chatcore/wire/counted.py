"""Texts that follow their lengths, counted in UTF-16 code units as JavaScript does."""

from __future__ import annotations

import re

from chatcore.errors import EngineError
from chatcore.wire.text import length

_DIGITS = 9  # of the longest length that is looked at


class Counted:
    """A way to put several texts into one: ``<before><length><after><text>`` for each.

    Args:
        before: what stands before each length.
        after: what stands between a length and its text.
    """

    def __init__(self, before: str, after: str) -> None:
        self._before, self._after = before.encode(), after.encode()
        self._narrow = self._pattern("utf-8", b"")
        self._wide = self._pattern("utf-16-le", b"\0")

    def _pattern(self, encoding: str, rest: bytes) -> re.Pattern[bytes]:
        before = re.escape(self._before.decode().encode(encoding))
        after = re.escape(self._after.decode().encode(encoding))
        first, more, zero = b"[1-9]" + rest, b"[0-9]" + rest, b"0" + rest
        return re.compile(
            rb"%b(%b|%b(?:%b){0,%d})%b" % (before, zero, first, more, _DIGITS - 1, after)
        )

    def encode(self, texts: list[bytes]) -> bytes:
        """Put texts in UTF-8 into one."""
        before, after = self._before, self._after
        return b"".join([b"%b%d%b%b" % (before, length(text), after, text) for text in texts])

    def decode(self, text: bytes, *, most: int) -> list[tuple[int, bytes]]:
        """The texts in a text, and where each of them begins, in code units.

        Args:
            text: UTF-8.
            most: how many texts there may be.

        Raises:
            EngineError: it is not UTF-8, there are too many, or a length is none or a lie.
        """
        if text.isascii():
            return self.decode_bytes(text, most=most)
        try:
            wide = text.decode().encode("utf-16-le")
        except UnicodeDecodeError as problem:
            raise EngineError(f"a payload that is not UTF-8 from byte {problem.start} on") from None
        # None of them ends inside a pair: the pair's other half would be where a length is.
        return [
            (at, piece.decode("utf-16-le").encode())
            for at, piece in _cut(wide, self._wide, 2, most)
        ]

    def decode_bytes(self, data: bytes, *, most: int) -> list[tuple[int, bytes]]:
        """As `decode`, where the lengths count bytes and the texts may be anything."""
        return _cut(data, self._narrow, 1, most)


def _cut(data: bytes, pattern: re.Pattern[bytes], width: int, most: int) -> list[tuple[int, bytes]]:
    pieces: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    while at < end:
        match = pattern.match(data, at)
        if match is None:
            raise EngineError("a payload without a length where one should be", at // width)
        start = match.end()
        stop = start + int(match[1][::width]) * width
        if stop > end:
            raise EngineError("a payload with a length that ends beyond it", at // width)
        if len(pieces) == most:
            raise EngineError(f"a payload of more than {most} packets", at // width)
        pieces.append((start // width, data[start:stop]))
        at = stop
    return pieces
