"""Text as clients write and read it: UTF-8, and what Pomelo's JavaScript clients take for it.

Their codec knows at most three bytes a character. What lies beyond U+FFFF they write, and can
read, as the two halves of its surrogate pair, three bytes each. That is known as CESU-8.
"""

from __future__ import annotations

import re

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_NOT_ASCII = re.compile("[^\0-\x7f]+")
_HIGH, _LOW = rb"u[dD][89abAB][0-9a-fA-F]{2}", rb"u[dD][c-fC-F][0-9a-fA-F]{2}"
# Whole escapes from left to right, so that a backslash that is escaped itself begins none.
_ESCAPE = re.compile(rb"\\(?:%b\\%b|(%b|%b)|.)" % (_HIGH, _LOW, _HIGH, _LOW), re.DOTALL)


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


def mend_halves(data: bytes) -> bytes:
    """UTF-8 or CESU-8 as UTF-8, with U+FFFD for what is half a surrogate pair.

    Clients send halves where somebody cut a text between the two of an emoji.

    Raises:
        UnicodeDecodeError: it is neither.
    """
    halves = data.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass")
    return halves.decode("utf-16-le", "replace").encode()


def mend_json(data: bytes) -> bytes:
    r"""JSON with ``\ufffd`` for each escape of half a surrogate pair.

    Browsers write half an emoji like that, and msgspec refuses to read it.
    """
    return _ESCAPE.sub(lambda match: rb"\ufffd" if match[1] else match[0], data)


def ascii_json(data: bytes) -> bytes:
    """JSON with escapes for all that is not ASCII, in surrogate pairs beyond U+FFFF.

    Args:
        data: JSON in UTF-8, or a text whose other characters all stand in JSON.
    """
    if data.isascii():
        return data
    return _NOT_ASCII.sub(_escaped, data.decode()).encode()


def _escaped(match: re.Match[str]) -> str:
    return "\\u" + match[0].encode("utf-16-be").hex(" ", 2).replace(" ", "\\u")


def escape_lines(data: bytes) -> bytes:
    """JSON with escapes for U+2028 and U+2029, which end lines in JavaScript.

    Strings in scripts could not hold them before 2019, and a dot in a pattern does not match them.
    """
    if data.isascii():
        return data
    return data.replace(b"\xe2\x80\xa8", rb"\u2028").replace(b"\xe2\x80\xa9", rb"\u2029")


def length(data: bytes) -> int:
    """How long JavaScript says that a text in UTF-8 is: its UTF-16 code units."""
    return len(data) if data.isascii() else len(data.decode().encode("utf-16-le")) // 2
