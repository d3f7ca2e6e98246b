"""Packets of Engine.IO, and the WebSocket frames that carry one each.

After the protocol's documents: revision 3, which socket.io 1.x and 2.x speak (section "Packet"),
and revision 4, which 3.x and 4.x speak (section "Packet encoding"). What they leave open is as
engine.io-parser has it.

::

    text              kind as a digit, data in UTF-8
    bytes as text     b, in revision 3 the kind as a digit, then base64
    binary frame      in revision 3 the kind as a byte, then the data; in 4 the data of a message
"""

from __future__ import annotations

import binascii
from typing import NamedTuple

from chatcore.errors import EngineError

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = range(7)

NAMES = ("open", "close", "ping", "pong", "message", "upgrade", "noop")

_DIGITS = tuple(b"%d" % kind for kind in range(len(NAMES)))
_ZERO, _BASE64 = b"0b"


class EnginePacket(NamedTuple):
    """One packet. ``data`` is UTF-8 unless it is ``binary``."""

    kind: int
    data: bytes = b""
    binary: bool = False


def encode_text(packet: EnginePacket, revision: int) -> bytes:
    """A packet as text, for a text frame or a payload of texts; bytes become base64.

    Raises:
        EngineError: it is binary, no message, and of revision 4, which has no form for it.
    """
    kind, data, binary = packet
    if not binary:
        return _DIGITS[kind] + data
    mark = b"b" if _is_bare(packet, revision) else b"b" + _DIGITS[kind]
    return mark + binascii.b2a_base64(data, newline=False)


def encode_frame(packet: EnginePacket, revision: int) -> bytes:
    """A packet as a frame's payload; the frame is binary if the packet is.

    Raises:
        EngineError: as `encode_text` does.
    """
    kind, data, binary = packet
    if not binary:
        return _DIGITS[kind] + data
    return data if _is_bare(packet, revision) else bytes((kind,)) + data


def decode_frame(payload: bytes, binary: bool, revision: int, *, limit: int) -> EnginePacket:
    """The packet of a frame.

    Args:
        payload: the frame's payload; in UTF-8, which is not looked at, if it is not binary.
        binary: whether the frame is a binary one.
        limit: the most bytes of data.

    Raises:
        EngineError: there is no such kind of packet, its base64 is none, or it is too long.
    """
    if not binary:
        return decode_text(payload, revision, limit=limit)
    if revision == 3:
        return decode_binary(payload, limit=limit)
    return _checked(EnginePacket(MESSAGE, payload, True), limit, None)


def decode_text(text: bytes, revision: int, *, limit: int, at: int | None = None) -> EnginePacket:
    """The packet of a text.

    Args:
        limit: the most bytes of data, after base64.
        at: where in its payload it begins, to say so of a broken one.

    Raises:
        EngineError: as `decode_frame` does.
    """
    if not text:
        raise EngineError("an empty packet", at)
    kind = text[0] - _ZERO
    if 0 <= kind <= NOOP:
        return _checked(EnginePacket(kind, text[1:]), limit, at)
    if text[0] != _BASE64:
        raise EngineError(f"a packet of the unknown kind {text[:1]!r}", at)
    if revision == 3:
        kind = text[1] - _ZERO if len(text) > 1 else -1
        if not 0 <= kind <= NOOP:
            raise EngineError(f"a packet of the unknown kind {text[:2]!r}", at)
        data = _from_base64(text[2:], at)
    else:
        kind, data = MESSAGE, _from_base64(text[1:], at)
    return _checked(EnginePacket(kind, data, True), limit, at)


def decode_binary(data: bytes, *, limit: int, at: int | None = None) -> EnginePacket:
    """The packet of a binary frame, or of bytes in a payload, of revision 3; as `decode_text`."""
    if not data:
        raise EngineError("an empty packet", at)
    if data[0] > NOOP:
        raise EngineError(f"a packet of the unknown kind {data[0]}", at)
    return _checked(EnginePacket(data[0], data[1:], True), limit, at)


def _is_bare(packet: EnginePacket, revision: int) -> bool:
    """Whether nothing says its kind."""
    if revision == 3:
        return False
    if packet.kind != MESSAGE:
        raise EngineError(f"a binary packet of the kind {NAMES[packet.kind]}")
    return True


def _from_base64(text: bytes, at: int | None) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error as problem:
        raise EngineError(f"a binary packet that is not base64: {problem}", at) from None


def _checked(packet: EnginePacket, limit: int, at: int | None) -> EnginePacket:
    if len(packet.data) > limit:
        raise EngineError(f"a packet of {len(packet.data)} bytes; {limit} at most", at)
    return packet
