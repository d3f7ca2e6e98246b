"""Something that is asked by those who administer, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from chatcore.admin.asker import Asker
from chatcore.admin.outcomes import REFUSED, WHATS, What
from chatcore.admin.questions import QUESTIONS, Question
from chatcore.errors import AdminError
from chatcore.links.link import Link
from chatcore.wire.box import Box, join
from chatcore.wire.values import UNPACKABLE, unpack

LONGEST_SECONDS = 24 * 3600.0
"""Seconds that something may be given to be done."""

USUAL_SECONDS = 5.0
"""Seconds within which an answer is wanted, where nobody says it."""

LONGEST_WORD = 64
"""Bytes of what somebody may not do that are told of it."""

_LONGEST_NUMBER = 12
_decode_texts = msgspec.msgpack.Decoder(dict[str, str]).decode
_decode_values = msgspec.msgpack.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class Asking:
    """Something that is asked, of which nothing has been looked at before it is read here.

    Every problem is an `AdminError`.

    Args:
        link: over which it is.
        box: what is asked, as it came.
        asker: who asks.
        passes_on: whether another process may be asked for it.
    """

    link: Link
    box: Box
    asker: Asker
    passes_on: bool

    def text(self, key: bytes) -> str:
        """A text."""
        try:
            return self.box[key].decode()
        except (KeyError, UnicodeDecodeError):
            raise _nonsense(key) from None

    def texts(self, key: bytes) -> dict[str, str]:
        """Texts by name."""
        try:
            return _decode_texts(join(self.box, key))
        except (KeyError, ValueError, msgspec.MsgspecError):
            raise _nonsense(key) from None

    def value(self, key: bytes) -> Any:
        """A value."""
        try:
            return unpack(join(self.box, key))
        except (KeyError, msgspec.MsgspecError, *UNPACKABLE):
            raise _nonsense(key) from None

    def values(self, key: bytes) -> dict[str, Any]:
        """Values by name; none where they are not there."""
        try:
            return _decode_values(join(self.box, key)) if key in self.box else {}
        except (ValueError, msgspec.MsgspecError):
            raise _nonsense(key) from None

    def whole(self, key: bytes) -> int:
        """A whole number."""
        try:
            return int(self.box[key][:_LONGEST_NUMBER])
        except (KeyError, ValueError):
            raise _nonsense(key) from None

    def seconds(self, usual: float = 0.0) -> float:
        """The seconds that it may take."""
        try:
            seconds = float(self.box.get(b"seconds", usual))
        except ValueError:
            seconds = 0.0
        if not 0 < seconds <= LONGEST_SECONDS:
            raise AdminError(
                f"the time that it may take is no number of seconds up to {LONGEST_SECONDS:.0f}",
                code=REFUSED,
            )
        return seconds

    def question(self) -> Question:
        """A question."""
        text = self.box.get(b"what", b"").decode("utf-8", "replace")
        for question in QUESTIONS:
            if question == text:
                return question
        raise AdminError(f"nobody here can be asked for {text[:40]!r}", code=REFUSED)

    def what(self) -> What:
        """What is to be done."""
        text = self.box.get(b"what", b"").decode("utf-8", "replace")
        for what in WHATS:
            if what == text:
                return what
        raise AdminError(f"nobody here knows how to {text[:40]!r} a server", code=REFUSED)

    def in_words(self, command: bytes) -> str:
        """What is asked, for those who may not; nothing of it has been looked at."""
        told = [
            self.box[key][:LONGEST_WORD]
            for key in (b"what", b"type", b"route", b"id")
            if key in self.box
        ]
        if command != b"Order":  # which says by itself what it is
            told.insert(0, b"call" if command == b"Invoke" else command.lower())
        return " ".join(ascii(each.decode("utf-8", "replace"))[1:-1] for each in told)


def _nonsense(key: bytes) -> AdminError:
    return AdminError(f"there is no usable {key.decode()} in what was asked", code=REFUSED)
