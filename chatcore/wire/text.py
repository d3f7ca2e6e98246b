"""Text as clients write and read it: UTF-8, and what Pomelo's JavaScript clients take for it.

Their codec knows at most three bytes a character. What lies beyond U+FFFF they write, and can
read, as the two halves of its surrogate pair, three bytes each. That is known as CESU-8.
"""

from __future__ import annotations

import re

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def check_text(what: str, value: object) -> None:
    """Refuse what is no text that can be sent.

    Args:
        what: what it was to be.
        value: what it is.

    Raises:
        TypeError: it is not a text, is empty, or holds half a surrogate pair.
    """
    if not isinstance(value, str) or not value:
        raise TypeError(f"{what} is a text that is not empty, not {value!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise TypeError(
            f"{what} is a text, and {value!r} holds half of a surrogate pair, which is no character"
        ) from None


def encode_cesu(text: str) -> bytes:
    """A text as CESU-8.

    Raises:
        UnicodeEncodeError: it holds half a surrogate pair.
    """
    data = text.encode()
    if text.isascii() or _ASTRAL.search(text) is None:
        return data
    return _ASTRAL.sub(_halves, text).encode("utf-8", "surrogatepass")


def _halves(match: re.Match[str]) -> str:
    point = ord(match.group()) - 0x10000
    return chr(0xD800 | point >> 10) + chr(0xDC00 | point & 0x3FF)


def decode(data: bytes) -> str:
    """The text of UTF-8 or CESU-8, or of both in one.

    Raises:
        UnicodeDecodeError: it is neither, or holds half a surrogate pair.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        return join_halves(data).decode()


def join_halves(data: bytes) -> bytes:
    """CESU-8 as UTF-8.

    Raises:
        UnicodeDecodeError: it is neither, or holds half a surrogate pair.
    """
    halves = data.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass")
    return halves.decode("utf-16-le").encode()
