"""Packets of socket.io 0.9, and the payloads in which polling carries several.

After the document of that protocol, LearnBoost's socket.io-spec (version 1, sections "Handshake"
and "Messages"). What it leaves open is as the parsers of socket.io 0.9 have it.

::

    packet     kind : [id [+]] : [endpoint] [: data]
    payload    one packet, or U+FFFD length U+FFFD packet for each of several

Lengths count JavaScript's characters, which are UTF-16 code units.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from chatcore.errors import EngineError, SocketioError
from chatcore.wire.arguments import read, read_any, read_items, read_number, read_place
from chatcore.wire.body import encode as encode_json
from chatcore.wire.counted import Counted
from chatcore.wire.text import escape_lines

DISCONNECT, CONNECT, HEARTBEAT, MESSAGE, JSON, EVENT, ACK, ERROR, NOOP = range(9)
REASONS = ("transport not supported", "client not handshaken", "unauthorized")
"""What an error may say, by its number."""

ADVICE = ("reconnect",)
"""What an error may advise, by its number."""

ENCODED_HEARTBEAT = b"2::"
ENCODED_NOOP = b"8::"

_MARK = "\ufffd".encode()
_PACKETS = Counted("\ufffd", "\ufffd")
_HEAD = re.compile(rb"([0-8])(?:(?<=0)\Z|:([0-9]*)(\+?):([^:\0-\x1f\x7f]*)(?::|\Z))")
_ACK = re.compile(rb"([0-9]+)(?:\+|\Z)")


class _Event(msgspec.Struct):
    name: str
    args: list[msgspec.Raw] | None = None


_event = msgspec.json.Decoder(_Event).decode


class OldPacket(NamedTuple):
    """One packet.

    Args:
        kind: ``EVENT`` and so on.
        id: what its acknowledgement is to name; None for none.
        answers: whether the acknowledgement waits for what the handler answers. Without, a
            server acknowledges at once.
        endpoint: what later versions call a namespace; empty for theirs that is called ``/``.
        data: a message's text, JSON as it came, or an error's numbers.
        name: an event's name.
        arguments: an event's or acknowledgement's arguments, each as it came, which is JSON.
        acknowledged: the id that an acknowledgement names.
        query: what a client put behind an endpoint that it connects to, after the question mark.
    """

    kind: int
    id: int | None = None
    answers: bool = False
    endpoint: str = ""
    data: bytes = b""
    name: str = ""
    arguments: Sequence[msgspec.Raw] = ()
    acknowledged: int | None = None
    query: str = ""


def encode_payload(packets: list[bytes]) -> bytes:
    """Encoded packets as one payload."""
    return packets[0] if len(packets) == 1 else _PACKETS.encode(packets)


def decode_payload(payload: bytes, *, limit: int, most: int) -> list[OldPacket]:
    """The packets of a payload.

    Args:
        limit: the most bytes of a packet.
        most: how many packets there may be.

    Raises:
        EngineError: it is not UTF-8, a length is none or a lie, or there are too many packets.
        SocketioError: one of them is broken or too long.
    """
    if not payload.startswith(_MARK):
        try:
            payload.decode()
        except UnicodeDecodeError as problem:
            raise EngineError("a payload that is not UTF-8", problem.start) from None
        return [decode(payload, limit=limit)]
    return [decode(text, limit=limit) for _, text in _PACKETS.decode(payload, most=most)]


def decode(text: bytes, *, limit: int) -> OldPacket:
    """Take one packet apart. Arguments are looked over, so that they are JSON, but not read.

    Args:
        text: UTF-8, which is not verified again.
        limit: the most bytes of it.

    Raises:
        SocketioError: it is broken or too long.
    """
    if len(text) > limit:
        raise SocketioError(f"a packet of {len(text)} bytes; {limit} at most")
    head = _HEAD.match(text)
    if head is None:
        raise SocketioError(f"a packet without kind, id and endpoint: {text[:20]!r}")
    digit, number, answers, place = head.groups(b"")
    kind, data = digit[0] - 48, text[head.end() :]
    if kind == CONNECT and b"?" in text:
        return _decode_connect(text[head.start(4) :])
    id = read_number(number, "a packet with an id") if number else None
    packet = OldPacket(kind, id, bool(answers), read_place(place, "an endpoint"), data)
    if kind == EVENT:
        return _with_event(packet)
    if kind == ACK:
        return _with_ack(packet)
    return packet._replace(data=read_any(data, "a JSON message")) if kind == JSON else packet


def encode_connect(*, endpoint: str = "") -> bytes:
    """What tells a client that it is connected, or connected to an endpoint."""
    return _encode(CONNECT, endpoint)


def encode_disconnect(*, endpoint: str = "") -> bytes:
    """What tells a client that it is connected to an endpoint no more; to nothing without one."""
    return _encode(DISCONNECT, endpoint)


def encode_message(text: bytes, *, endpoint: str = "", id: int | None = None) -> bytes:
    """A message.

    Args:
        text: UTF-8.
        id: what its acknowledgement is to name, if one is wanted.
    """
    return _encode(MESSAGE, endpoint, id, text or None)


def encode_json_message(json: bytes, *, endpoint: str = "", id: int | None = None) -> bytes:
    """A message that is a value in JSON; arguments as for `encode_message`."""
    return _encode(JSON, endpoint, id, json)


def encode_event(
    name: str,
    arguments: Sequence[bytes] = (),
    *,
    endpoint: str = "",
    id: int | None = None,
    answers: bool = False,
) -> bytes:
    """An event.

    Args:
        arguments: the JSON of each, in UTF-8.
        id: what its acknowledgement is to name, if one is wanted.
        answers: whether the acknowledgement is to wait for what is answered.

    Raises:
        BodyError: the name holds half a surrogate pair.
    """
    more = b',"args":[%b]' % b",".join(arguments) if arguments else b""
    return _encode(EVENT, endpoint, id, b'{"name":%b%b}' % (encode_json(name), more), answers)


def encode_ack(id: int, arguments: Sequence[bytes] = (), *, endpoint: str = "") -> bytes:
    """The acknowledgement of the packet with that id; ``arguments`` as for `encode_event`.

    Its parsers don't read on where JavaScript ends a line.
    """
    answer = b"+[%b]" % escape_lines(b",".join(arguments)) if arguments else b""
    return _encode(ACK, endpoint, data=b"%d%b" % (id, answer))


def encode_error(
    reason: int | None = None, advice: int | None = None, *, endpoint: str = ""
) -> bytes:
    """An error; its reason and advice are places in `REASONS` and `ADVICE`."""
    said = b"" if reason is None else b"%d" % reason
    if advice is not None:
        said += b"+%d" % advice
    return _encode(ERROR, endpoint, data=said or None)


def encode_handshake(
    sid: str, heartbeat: int | None, close: int | None, transports: Iterable[str]
) -> bytes:
    """The answer to a client's first request.

    Args:
        heartbeat: within how many seconds a heartbeat comes; None for no heartbeats.
        close: after how many seconds without a connection the client is gone.
        transports: those that it may use, as in ``websocket``.
    """
    seconds = ["" if number is None else str(number) for number in (heartbeat, close)]
    return ":".join((sid, *seconds, ",".join(transports))).encode()


def _encode(
    kind: int,
    endpoint: str,
    id: int | None = None,
    data: bytes | None = None,
    answers: bool = False,
) -> bytes:
    number = b"" if id is None else b"%d" % id
    head = b"%d:%b%b:%b" % (kind, number, b"+" if answers else b"", endpoint.encode())
    return head if data is None else b"%b:%b" % (head, data)


def _decode_connect(text: bytes) -> OldPacket:
    """The query stands behind the endpoint, in the document, or behind a colon, in the code."""
    place, _, query = read_place(text, "an endpoint").partition("?")
    return OldPacket(CONNECT, endpoint=place.removesuffix(":"), query=query)


def _with_event(packet: OldPacket) -> OldPacket:
    event = read(_event, packet.data, "an event")
    return packet._replace(data=b"", name=event.name, arguments=event.args or ())


def _with_ack(packet: OldPacket) -> OldPacket:
    match = _ACK.match(packet.data)
    if match is None:
        raise SocketioError("an acknowledgement without an id")
    rest = packet.data[match.end() :]
    return packet._replace(
        data=b"",
        acknowledged=read_number(match[1], "an acknowledgement with an id"),
        arguments=read_items(rest, "an acknowledgement") if rest else (),
    )
