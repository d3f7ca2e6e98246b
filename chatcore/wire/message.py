"""Pomelo's message layer: flag, id, route, body, inside a data package.

::

    flag(1) [id: base-128, low groups first] [route: code(2) or length(1) + text] body
    flag = gzip << 4 | kind << 1 | compressed route
"""

from __future__ import annotations

from typing import Any, NamedTuple

from chatcore.errors import MessageError

REQUEST, NOTIFY, RESPONSE, PUSH = 0, 1, 2, 3

_COMPRESSED = 0x01
LONGEST_ROUTE = 255
"""Bytes of a route: its length has one byte."""
_LARGEST_ID = 0xFFFFFFFF


class Message(NamedTuple):
    """One message.

    ``id`` is 0 for a notify or a push. ``route`` is its text, its code in the route dictionary,
    or empty for a response. ``value`` is there where the body has come as a value already, because
    JSON has no form for what is in it.
    """

    kind: int
    id: int
    route: str | int
    body: bytes
    value: Any = None


def decode(data: bytes) -> Message:
    """Take one message apart. Its body stays as it came.

    Raises:
        MessageError: it is empty, of an unknown kind, compressed by gzip, or cut short.
    """
    size = len(data)
    if not size:
        raise MessageError("an empty message")
    flag = data[0]
    kind = flag >> 1 & 7
    if kind > PUSH or flag & ~0x0F:
        raise MessageError(f"a message with the unknown flag 0x{flag:02x}")
    at, number = 1, 0
    if kind in (REQUEST, RESPONSE):
        shift = 0
        while True:
            if at >= size:
                raise MessageError("a message that ends inside its id")
            byte = data[at]
            at += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 28:
                raise MessageError("a message whose id is longer than 5 bytes")
        if number > _LARGEST_ID:
            raise MessageError("a message whose id does not fit 32 bits")
        if kind == RESPONSE:
            return Message(kind, number, "", data[at:])
    if flag & _COMPRESSED:
        if at + 2 > size:
            raise MessageError("a message that ends inside its route code")
        return Message(kind, number, data[at] << 8 | data[at + 1], data[at + 2 :])
    if at >= size:
        raise MessageError("a message without a route")
    start = at + 1
    stop = start + data[at]
    if stop > size:
        raise MessageError("a message that ends inside its route")
    try:
        return Message(kind, number, data[start:stop].decode(), data[stop:])
    except UnicodeDecodeError:
        raise MessageError("a message whose route is not UTF-8") from None


def encode_request(number: int, route: str | int, body: bytes) -> bytes:
    """A request; ``number`` is its id, from 1 to 2**32 - 1."""
    return _head(REQUEST, route, _id(number)) + body


def encode_notify(route: str | int, body: bytes) -> bytes:
    """A notify: a request that wants no answer."""
    return _head(NOTIFY, route) + body


def response_head(number: int) -> bytes:
    """What stands before the body of the answer to the request with the id ``number``."""
    return b"\x04" + _id(number)


def encode_response(number: int, body: bytes) -> bytes:
    """The answer to the request with the id ``number``."""
    return response_head(number) + body


def push_head(route: str | int) -> bytes:
    """What stands before the body of a message from the server that nobody asked for."""
    return _head(PUSH, route)


def encode_push(route: str | int, body: bytes) -> bytes:
    """A message from the server that nobody asked for."""
    return push_head(route) + body


def _id(number: int) -> bytes:
    if 0 < number < 0x80:  # most are
        return bytes((number,))
    if not 0 < number <= _LARGEST_ID:
        raise MessageError(f"{number} is no message id; they run from 1 to {_LARGEST_ID}")
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _head(kind: int, route: str | int, number: bytes = b"") -> bytes:
    if isinstance(route, int):
        if not 0 <= route <= 0xFFFF:
            raise MessageError(f"{route} is no route code; they fit two bytes")
        return bytes((kind << 1 | _COMPRESSED,)) + number + route.to_bytes(2, "big")
    text = route.encode()
    if len(text) > LONGEST_ROUTE:
        raise MessageError(f"a route of {len(text)} bytes; {LONGEST_ROUTE} at most")
    return bytes((kind << 1,)) + number + bytes((len(text),)) + text
