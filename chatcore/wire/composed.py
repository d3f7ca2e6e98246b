"""Pomelo's messages to and from its clients of socket.io.

After Pomelo's ``sioconnector``. A request or notify is a text; a response, push or kick is an
object in JSON, or an array of several.

::

    request    id(4 characters, big-endian) length(1) route(length) body in JSON
    response   {"id":…,"body":…}
    push       {"route":…,"body":…}

Characters are UTF-16 code units. Of the first five only the low byte counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from chatcore.errors import MessageError
from chatcore.wire.body import encode as encode_json

_HEAD = 5


class Request(NamedTuple):
    """A request, or a notify if its ``id`` is 0. ``body`` is as it came, in UTF-8."""

    id: int
    route: str
    body: bytes


def decode(text: str) -> Request:
    """Take a request apart.

    Ids are read as they were meant: Pomelo makes those from 2**31 on negative.

    Raises:
        MessageError: it is cut short, has no route, or holds half a surrogate pair.
    """
    try:
        head = text[:_HEAD].encode("latin-1")
    except UnicodeEncodeError:
        return _decode_units(text)
    if len(head) == _HEAD:
        stop = _HEAD + head[4]
        route = text[_HEAD:stop]
        if len(route) == head[4] and route.isascii():  # nearly every one
            return _request(head, route, text[stop:])
    return _decode_units(text)


def encode_response(id: int, body: bytes) -> bytes:
    """The answer to the request with that id; ``body`` is JSON."""
    return b'{"id":%d,"body":%b}' % (id, body)


def encode_push(route: str, body: bytes) -> bytes:
    """A message from the server that nobody asked for; ``body`` is JSON."""
    return b'{"route":%b,"body":%b}' % (encode_json(route), body)


def encode_kick(reason: str) -> bytes:
    """What a client is told before it is disconnected."""
    return b'{"route":"onKick","reason":%b}' % encode_json(reason)


def encode_batch(messages: Iterable[bytes]) -> bytes:
    """Several of the above in one."""
    return b"[%b]" % b",".join(messages)


def _decode_units(text: str) -> Request:
    """`decode` where a character may be two code units."""
    try:
        units = text.encode("utf-16-le")
        head = units[: 2 * _HEAD : 2]
        if len(head) < _HEAD:
            raise MessageError("a message that ends inside its head")
        stop = 2 * (_HEAD + head[4])
        route, body = units[2 * _HEAD : stop].decode("utf-16-le"), units[stop:].decode("utf-16-le")
    except UnicodeError:
        raise MessageError("a message with half a surrogate pair") from None
    if len(units) < stop:
        raise MessageError("a message that ends inside its route")
    return _request(head, route, body)


def _request(head: bytes, route: str, body: str) -> Request:
    if not route:
        raise MessageError("a message without a route")
    try:
        return Request(int.from_bytes(head[:4], "big"), route, body.encode())
    except UnicodeEncodeError:
        raise MessageError("a message with half a surrogate pair") from None
