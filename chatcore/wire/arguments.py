"""What the packets of all versions of Socket.IO have in common: names, numbers, arguments in JSON.

Arguments are looked over, so that they are JSON, but not read: most are only passed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from chatcore.errors import SocketioError
from chatcore.wire.body import encode as encode_json
from chatcore.wire.text import mend_json

T = TypeVar("T")
_Json = bytes | msgspec.Raw

LONGEST_PLACE = 4096
"""Bytes of a namespace, with the query that a client may put behind it."""

LARGEST_NUMBER = 2**53 - 1
"""Of an id: JavaScript counts no further."""

_FAULTS = (ValueError, RecursionError, msgspec.MsgspecError)
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,15}")
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_any = msgspec.json.Decoder(msgspec.Raw).decode
_text = msgspec.json.Decoder(str).decode


def read(decode: Callable[[_Json], T], data: _Json, what: str) -> T:
    """What a decoder of msgspec makes of JSON. Halves of surrogate pairs become U+FFFD.

    Args:
        what: what it is, for the error.

    Raises:
        SocketioError: it is no JSON, or not what that decoder reads.
    """
    try:
        return decode(data)
    except _FAULTS:
        mended = mend_json(bytes(data))
    try:
        return decode(mended)
    except _FAULTS as problem:
        raise SocketioError(f"{what} that can't be read: {problem}") from None


def read_items(data: bytes, what: str) -> list[msgspec.Raw]:
    """The items of an array, each as it came; arguments and errors as those of `read`."""
    return read(_items, data, what)


def read_any(data: bytes, what: str) -> bytes:
    """The JSON of any value, as it came; arguments and errors as those of `read`."""
    return bytes(read(_any, data, what))


def read_text(argument: msgspec.Raw) -> str:
    """The text that an argument is.

    Raises:
        SocketioError: it is none.
    """
    return read(_text, argument, "an argument that is to be a text, and")


def quote_text(text: bytes) -> bytes:
    """The JSON of an argument that is that text, given in UTF-8."""
    return encode_json(text.decode())


def read_number(digits: bytes, what: str) -> int:
    """A number from its digits.

    Raises:
        SocketioError: it has leading zeros, or is larger than `LARGEST_NUMBER`.
    """
    if _NUMBER.fullmatch(digits) is None or int(digits) > LARGEST_NUMBER:
        raise SocketioError(f"{what} that is no number up to {LARGEST_NUMBER}")
    return int(digits)


def read_place(place: bytes, what: str) -> str:
    """The name of a namespace.

    Raises:
        SocketioError: it is longer than `LONGEST_PLACE`, or not UTF-8.
    """
    if len(place) > LONGEST_PLACE:
        raise SocketioError(f"{what} of more than {LONGEST_PLACE} bytes")
    try:
        return place.decode()
    except UnicodeDecodeError:
        raise SocketioError(f"{what} that is not UTF-8") from None
