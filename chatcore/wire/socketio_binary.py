"""Socket.IO packets with bytes in them, which follow the packet as attachments.

After what versions 4 and 5 of the protocol's document say of `BINARY_EVENT` and `BINARY_ACK`, and
socket.io-parser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from chatcore.errors import BodyError, SocketioError
from chatcore.wire.arguments import read
from chatcore.wire.body import encode as encode_json
from chatcore.wire.socketio import (
    ACK,
    BINARY,
    BINARY_ACK,
    BINARY_EVENT,
    EVENT,
    SocketPacket,
    decode,
    encode_items,
)

_BINARY_KINDS = {EVENT: BINARY_EVENT, ACK: BINARY_ACK}
_value = msgspec.json.Decoder().decode


class SocketDecoder:
    """Packets from one client's messages, each with the attachments that follow it.

    Args:
        version: of the protocol, 4 or 5.
        most: how many attachments a packet may have.
        limit: the most bytes of a packet's attachments, together.

    Attributes:
        waiting: how many bytes of attachments are held for a packet that lacks others.
    """

    __slots__ = ("_held", "_limit", "_most", "_packet", "_version", "waiting")

    def __init__(self, version: int, *, most: int, limit: int) -> None:
        self._version, self._most, self._limit = version, most, limit
        self._packet: SocketPacket | None = None
        self._held: list[bytes] = []
        self.waiting = 0

    def feed(self, data: bytes, binary: bool) -> SocketPacket | None:
        """Take a message; the packet that is complete with it comes back, if one is.

        Raises:
            SocketioError: as `chatcore.wire.socketio.decode` does; and where a packet comes before
                the attachments of the one before it, attachments belong to none or are too long
                together, or a packet names one twice or one that it has not.
        """
        if binary:
            return self._attach(data)
        if self._packet is not None:
            raise SocketioError("a packet before the attachments of the one before it")
        packet = decode(data, self._version, most=self._most)
        if packet.attachments:
            self._packet = packet
            return None
        return _completed(packet, []) if packet.kind in BINARY else packet

    def _attach(self, data: bytes) -> SocketPacket | None:
        packet = self._packet
        if packet is None:
            raise SocketioError("an attachment that belongs to no packet")
        self.waiting += len(data)
        if self.waiting > self._limit:
            raise SocketioError(f"attachments of more than {self._limit} bytes")
        self._held.append(data)
        if len(self._held) < packet.attachments:
            return None
        held = self._held
        self._packet, self._held, self.waiting = None, [], 0
        return _completed(packet, held)


_BYTES = (bytes, bytearray, memoryview)


def has_bytes(value: Any) -> bool:
    """Whether there are bytes in a value: in its lists, tuples and dictionaries, or it itself."""
    if isinstance(value, dict):
        return any(map(has_bytes, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(has_bytes, value))
    return isinstance(value, _BYTES)


def encode_values(
    kind: int, values: Sequence[Any], *, namespace: str = "/", id: int | None = None
) -> tuple[bytes, list[bytes]]:
    """A packet from values, and its attachments, which have to follow it.

    Args:
        kind: ``EVENT``, whose first value is its name, or ``ACK``. It becomes its binary kind
            where there are bytes in the values' lists, tuples and dictionaries.

    Raises:
        BodyError: a value, or something in it, has no form in JSON.
    """
    attachments: list[bytes] = []
    try:
        items = [_taken_out(value, attachments) for value in values]
    except RecursionError:
        raise BodyError("can't be sent as JSON: a value that is too deep") from None
    text = encode_items(
        _BINARY_KINDS[kind] if attachments else kind,
        [encode_json(item) for item in items],
        namespace=namespace,
        id=id,
        attachments=len(attachments),
    )
    return text, attachments


def _taken_out(value: Any, attachments: list[bytes]) -> Any:
    """A value with places where bytes were; those are added to ``attachments``."""
    if isinstance(value, _BYTES):
        attachments.append(bytes(value))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, (list, tuple)):
        return [_taken_out(item, attachments) for item in value]
    if isinstance(value, dict):
        return {key: _taken_out(item, attachments) for key, item in value.items()}
    return value


def _completed(packet: SocketPacket, attachments: list[bytes]) -> SocketPacket:
    left: list[bytes | None] = list(attachments)
    try:
        values = [
            _put_back(read(_value, argument, "an argument"), left) for argument in packet.arguments
        ]
    except RecursionError:
        raise SocketioError("an argument that is too deep") from None
    return packet._replace(values=values)


def _put_back(value: Any, left: list[bytes | None]) -> Any:
    """A value with attachments in their places; each can be taken from ``left`` once.

    Otherwise a short packet could name a long one many times.
    """
    if isinstance(value, list):
        return [_put_back(item, left) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("_placeholder") is not True:
        return {key: _put_back(item, left) for key, item in value.items()}
    number = value.get("num")
    if type(number) is not int or not 0 <= number < len(left) or left[number] is None:
        raise SocketioError("a place for an attachment that is not there")
    found, left[number] = left[number], None
    return found
