"""Packets of Socket.IO: what is inside the messages of Engine.IO.

After the protocol's documents: version 4, which socket.io 1.x and 2.x speak, and version 5, which
3.x and 4.x speak (section "Packet encoding" in both). What they leave open is as socket.io-parser
has it.

::

    kind [attachments -] [namespace ,] [id] [JSON]

An event's name and arguments are one array in JSON. Bytes among the arguments follow the packet as
attachments; objects with their numbers hold their places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from chatcore.errors import SocketioError
from chatcore.wire.arguments import read, read_any, read_items, read_number, read_place
from chatcore.wire.body import encode as encode_json

CONNECT, DISCONNECT, EVENT, ACK, ERROR, BINARY_EVENT, BINARY_ACK = range(7)

BINARY = (BINARY_EVENT, BINARY_ACK)
RESERVED = frozenset(
    ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
)
"""Names that no event may have: to the libraries they mean something else."""

_EVENTS, _ACKS = (EVENT, BINARY_EVENT), (ACK, BINARY_ACK)
_WORDS = (
    "a connect",
    "a disconnect",
    "an event",
    "an acknowledgement",
    "an error",
    "a binary event",
    "a binary acknowledgement",
)
_ZERO = ord("0")
_HEAD = re.compile(rb"[0-6](?:([0-9]+)-)?(?:(/[^,\0-\x1f\x7f]*)(?:,|\Z))?([0-9]*)")
_name = msgspec.json.Decoder(str | int).decode


class SocketPacket(NamedTuple):
    """One packet.

    Args:
        kind: ``EVENT`` and so on.
        namespace: as in ``/`` and ``/admin``.
        id: of an event, what its acknowledgement is to name, or None; of an acknowledgement, what
            it names.
        attachments: how many attachments belong to it.
        name: an event's name.
        arguments: an event's or acknowledgement's arguments, each as it came, which is JSON.
        data: the JSON of a connect or an error, or nothing.
        query: what a client of version 4 put behind a namespace that it connects to, after the
            question mark.
        values: the arguments of a binary packet, read, with the attachments in their places.
    """

    kind: int
    namespace: str = "/"
    id: int | None = None
    attachments: int = 0
    name: str = ""
    arguments: Sequence[msgspec.Raw] = ()
    data: bytes = b""
    query: str = ""
    values: Sequence[Any] = ()


def decode(text: bytes, version: int, *, most: int) -> SocketPacket:
    """Take one packet apart. Its arguments are looked over, so that they are JSON, but not read.

    Args:
        text: UTF-8, which is not verified again.
        version: of the protocol, 4 or 5.
        most: how many attachments it may have.

    Raises:
        SocketioError: it is broken, its event has a name that is `RESERVED`, or it announces too
            many attachments.
    """
    head = _HEAD.match(text)
    if head is None:
        raise SocketioError(f"a packet of the unknown kind {text[:1]!r}")
    attachments, namespace, number = head.groups()
    kind, data = text[0] - _ZERO, text[head.end() :]
    place = "/" if namespace is None else read_place(namespace, "a namespace")
    id = read_number(number, "a packet with an id") if number else None
    count = 0
    if attachments is not None or kind in BINARY:
        count = _read_count(kind, version, attachments, most)
    if kind in _EVENTS:
        name, arguments = _read_event(kind, data)
        return SocketPacket(kind, place, id, count, name, arguments)
    if kind in _ACKS:
        if id is None:
            raise SocketioError(f"{_WORDS[kind]} without an id")
        return SocketPacket(kind, place, id, count, "", read_items(data, _WORDS[kind]))
    query = ""
    if kind == CONNECT and version == 4:
        place, _, query = place.partition("?")
    return SocketPacket(kind, place, id, data=_read_data(kind, data), query=query)


def encode_event(
    name: str, arguments: Iterable[bytes] = (), *, namespace: str = "/", id: int | None = None
) -> bytes:
    """An event.

    Args:
        arguments: the JSON of each, in UTF-8.
        id: what its acknowledgement is to name, if one is wanted.

    Raises:
        SocketioError: the name is `RESERVED`; the clients' libraries would end the connection.
        BodyError: the name holds half a surrogate pair.
    """
    if name in RESERVED:
        raise SocketioError(f"an event with the reserved name {name}")
    return encode_items(EVENT, (encode_json(name), *arguments), namespace=namespace, id=id)


def encode_ack(id: int, arguments: Iterable[bytes] = (), *, namespace: str = "/") -> bytes:
    """The acknowledgement of the event with that id; ``arguments`` as for `encode_event`."""
    return encode_items(ACK, arguments, namespace=namespace, id=id)


def encode_items(
    kind: int,
    items: Iterable[bytes],
    *,
    namespace: str = "/",
    id: int | None = None,
    attachments: int = 0,
) -> bytes:
    """A packet whose data is an array, from the JSON of the array's items."""
    head = b"%d%d-" % (kind, attachments) if kind in BINARY else b"%d" % kind
    number = b"" if id is None else b"%d" % id
    return b"%b%b%b[%b]" % (head, _place(namespace), number, b",".join(items))


def encode_connect(version: int, sid: str, *, namespace: str = "/") -> bytes:
    """What tells a client that it is connected to a namespace; in version 5 with its id there."""
    data = encode_json({"sid": sid}) if version > 4 else b""
    return b"0%b%b" % (_place(namespace), data)


def encode_error(
    version: int, message: str, *, data: bytes | None = None, namespace: str = "/"
) -> bytes:
    """What tells a client why it is not connected to a namespace.

    Args:
        data: more about it, in JSON. Clients of version 4 are told that instead of the message,
            as by socket.io 4.
    """
    if version == 4:
        said = data or encode_json(message)
    else:
        more = b"" if data is None else b',"data":' + data
        said = b'{"message":%b%b}' % (encode_json(message), more)
    return b"4%b%b" % (_place(namespace), said)


def encode_disconnect(*, namespace: str = "/") -> bytes:
    """What tells a client that it is connected to a namespace no more."""
    return b"1" + _place(namespace)


def _place(namespace: str) -> bytes:
    return b"" if namespace == "/" else namespace.encode() + b","


def _read_count(kind: int, version: int, digits: bytes | None, most: int) -> int:
    if kind not in BINARY:
        raise SocketioError(f"{_WORDS[kind]} with attachments")
    count = 0 if digits is None else read_number(digits, "a packet with a number of attachments")
    if digits is None or (count == 0 and version > 4):
        raise SocketioError(f"{_WORDS[kind]} without attachments")
    if count > most:
        raise SocketioError(f"a packet with {count} attachments; {most} at most")
    return count


def _read_event(kind: int, data: bytes) -> tuple[str, list[msgspec.Raw]]:
    """An event's name and arguments. The libraries take a number for a name, too."""
    items = read_items(data, _WORDS[kind])
    if not items:
        raise SocketioError("an event without a name")
    name = read(_name, items[0], "an event with a name")
    if name in RESERVED:
        raise SocketioError(f"an event with the reserved name {name}")
    return str(name), items[1:]


def _read_data(kind: int, data: bytes) -> bytes:
    """The data of a packet that is neither event nor acknowledgement."""
    if not data:
        return data
    if kind == DISCONNECT:
        raise SocketioError("a disconnect with data")
    found = read_any(data, f"{_WORDS[kind]} with data")
    if kind == CONNECT and not found.startswith(b"{"):
        raise SocketioError("a connect with data that is no object")
    if not found.startswith((b"{", b'"')):
        raise SocketioError("an error with data that is neither object nor text")
    return found
