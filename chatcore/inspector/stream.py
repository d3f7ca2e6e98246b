"""Finding the boxes in a stream of bytes, and what in it is none.

Unlike `chatcore.wire.box.BoxParser`, which ends a link over the first bad byte, this goes on: it
says where the stream is broken, and looks for the next box.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from chatcore.wire.box import LONGEST_KEY, Box

LONGEST_BOX = 16 * 1024 * 1024
"""Bytes of one box; a longer one is taken for garbage."""

READ_AGAIN = 4
"""Items of a broken box in which a box is looked for: it may have begun at the wrong place.

If all of it were read again each time, bytes made for the purpose could keep a reader busy.
"""

BEGINNINGS = re.compile(rb"\0(?:\x04_ask|\x08_command|\x07_answer|\x06_error)")
"""The keys with which boxes begin, as stock AMP and chatcore write them."""

_LONGEST_BEGINNING = 10
_TLS = b"\x16\x03"


@dataclass(frozen=True, slots=True)
class Boxed:
    """A whole box.

    Args:
        offset: where in the stream it begins, in bytes.
        raw: the same, as it came.
        box: its keys and values.
    """

    offset: int
    raw: bytes
    box: Box


@dataclass(frozen=True, slots=True)
class Strange:
    """Bytes that are no box.

    Args:
        offset: where in the stream they begin, in bytes.
        raw: the bytes; may be none, where only the reason is told.
        why: what is wrong; empty where these go on with what was told before.
        encrypted: whether they are TLS, as behind AMP's ``StartTLS``.
    """

    offset: int
    raw: bytes
    why: str = ""
    encrypted: bool = False


Piece = Boxed | Strange


class BoxStream:
    """Cuts one direction of a connection into boxes, however its bytes were split.

    Args:
        limit: the longest box, in bytes.

    Attributes:
        offset: how many bytes of the stream were told.
    """

    def __init__(self, limit: int = LONGEST_BOX) -> None:
        self.offset = 0
        self._limit = limit
        self._buffer = bytearray()
        self._at = 0  # in the buffer, which begins with the box that is being read
        self._box: Box = {}
        self._items = 0
        self._lost = self._encrypted = False

    @property
    def waiting(self) -> int:
        """How many bytes of an unfinished box are held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Piece]:
        """Take what came in; what is certain now comes back, in the order of the stream."""
        self._buffer += data
        pieces: list[Piece] = []
        while self._step(pieces):
            pass
        return pieces

    def missed(self, size: int, why: str = "the rest of it was missed") -> list[Piece]:
        """Go on behind bytes that nobody has seen; what was held is told as garbage.

        Args:
            size: how many bytes.
            why: what is wrong with what was held.
        """
        pieces: list[Piece] = []
        self._give(len(self._buffer), pieces, "" if self._lost else why)
        self.offset += size
        self._lost = not self._encrypted
        return pieces

    def end(self) -> list[Piece]:
        """The stream is over; what was held is told as garbage, but for boxes in it.

        A length that is damaged makes what follows a part of its box.
        """
        pieces: list[Piece] = []
        while self._buffer and not self._lost:
            end = self.offset + len(self._buffer)
            self._break(f"the stream ends within this box, at offset {end}", pieces)
            while self._step(pieces):
                pass
        self._give(len(self._buffer), pieces)
        return pieces

    def _step(self, pieces: list[Piece]) -> bool:
        """Go on as far as one kind of bytes reaches; whether there may be more behind it."""
        if self._encrypted:
            self._give(len(self._buffer), pieces)
            return False
        if self._lost:
            return self._search(pieces)
        if not self._at and self._buffer.startswith(_TLS):
            self._encrypted = True
            # Told once, without the bytes, so that it is the same however they were split.
            pieces.append(Strange(self.offset, b"", "encrypted by TLS from here on", True))
            return True
        return self._read(pieces)

    def _read(self, pieces: list[Piece]) -> bool:
        buffer, at, box = self._buffer, self._at, self._box
        end, start = len(buffer), 0
        problem = ""
        while at + 2 <= end:
            size = buffer[at] << 8 | buffer[at + 1]
            if not size:
                if not box:
                    problem = "an empty box"
                    break
                at += 2
                pieces.append(Boxed(self.offset, bytes(buffer[start:at]), box))
                self.offset += at - start
                box, start, self._items = {}, at, 0
                if buffer.startswith(_TLS, at):
                    break
                continue
            if size > LONGEST_KEY:
                problem = f"a key of {size} bytes at offset {self.offset + at - start}"
                break
            middle = at + 2 + size
            value = middle + 2
            if value > end:
                break
            stop = value + (buffer[middle] << 8 | buffer[middle + 1])
            if stop - start > self._limit:
                problem = f"a box of more than {self._limit} bytes"
                break
            if stop > end:
                break
            box[bytes(buffer[at + 2 : middle])] = bytes(buffer[value:stop])
            self._items += 1
            at = stop
        del buffer[:start]
        self._at, self._box = at - start, box
        if problem:
            self._break(problem, pieces)
            return True
        return bool(buffer) and not self._at and buffer.startswith(_TLS)

    def _break(self, problem: str, pieces: list[Piece]) -> None:
        """What is being read is no box: tell it, and look for the next one."""
        again = 1 if self._items <= READ_AGAIN else max(self._at, 1)
        pieces.append(Strange(self.offset, b"", problem))
        self._lost = True
        self._give(again, pieces)

    def _search(self, pieces: list[Piece]) -> bool:
        found = BEGINNINGS.search(self._buffer)
        if found is not None:
            self._give(found.start(), pieces)
            self._lost = False
            return True
        self._give(max(len(self._buffer) - _LONGEST_BEGINNING, 0), pieces)
        return False

    def _give(self, size: int, pieces: list[Piece], why: str = "") -> None:
        """Tell that many bytes at the beginning of the buffer as none of a box."""
        if size:
            raw = bytes(self._buffer[:size])
            pieces.append(Strange(self.offset, raw, why, self._encrypted))
            del self._buffer[:size]
            self.offset += size
        self._at, self._box, self._items = 0, {}, 0
