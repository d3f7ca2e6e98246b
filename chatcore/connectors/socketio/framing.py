"""How Engine.IO's packets leave: in frames of a WebSocket, or held until the client polls."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Protocol

from chatcore.wire import frame
from chatcore.wire.engineio import MESSAGE, EnginePacket, encode_frame

_TEXT, _BINARY = 0, 1
_HEAD = 5
_ZERO = ord("0")


class Framing(Hashable, Protocol):
    """Makes what is written to an outbox."""

    name: str

    def text(self, text: bytes) -> bytes:
        """A packet that is text, its kind in front."""

    def binary(self, data: bytes) -> bytes:
        """A message that is binary."""


class Frames:
    """Each packet in a frame of a WebSocket.

    Args:
        revision: of Engine.IO's protocol.
    """

    def __init__(self, revision: int) -> None:
        self.name = "websocket"
        self._revision = revision

    def text(self, text: bytes) -> bytes:
        return frame.head(len(text), frame.TEXT) + text

    def binary(self, data: bytes) -> bytes:
        payload = encode_frame(EnginePacket(MESSAGE, data, True), self._revision)
        return frame.head(len(payload)) + payload


class Held:
    """Packets in a form of our own: what they leave in differs from one poll to the next."""

    name = "polling"

    def text(self, text: bytes) -> bytes:
        return b"%c%b%b" % (_TEXT, len(text).to_bytes(4, "big"), text)

    def binary(self, data: bytes) -> bytes:
        return b"%c%b%b" % (_BINARY, len(data).to_bytes(4, "big"), data)


FRAMES = {3: Frames(3), 4: Frames(4)}
HELD = Held()


def join(framing: Framing, text: bytes, attachments: Sequence[bytes] = ()) -> bytes:
    """A message and the attachments that follow it."""
    first = framing.text(text)
    return b"".join((first, *map(framing.binary, attachments))) if attachments else first


def _parts_of(held: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(held):
        stop = at + _HEAD + int.from_bytes(held[at + 1 : at + _HEAD], "big")
        yield held[at], held[at + _HEAD : stop]
        at = stop


def texts_of(held: bytes) -> list[bytes]:
    """The texts that are held, where nothing else is."""
    return [data for _, data in _parts_of(held)]


def packets_of(held: bytes) -> list[EnginePacket]:
    """The packets that are held."""
    return [
        EnginePacket(MESSAGE, data, True)
        if kind == _BINARY
        else EnginePacket(data[0] - _ZERO, data[1:])
        for kind, data in _parts_of(held)
    ]


def reframed(held: bytes, framing: Framing) -> bytes:
    """What is held, for a client that goes on by WebSocket."""
    return b"".join(
        framing.binary(data) if kind == _BINARY else framing.text(data)
        for kind, data in _parts_of(held)
    )
