"""How packets leave: in frames of a WebSocket, or held until it is known what they leave in."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, Protocol

from chatcore.turn import write_now
from chatcore.wire import frame
from chatcore.wire.engineio import MESSAGE, EnginePacket, encode_frame

_TEXT, _BINARY, _PART, _FRAMES = range(4)
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

    def part(self, before: bytes, inner: bytes, after: bytes) -> bytes:
        """A packet of which those that leave together make one, as the items of an array in it.

        Args:
            before: what stands before the array, or before the only item.
            inner: the item.
            after: what stands behind it.
        """
        ends = b"%b%b" % (len(before).to_bytes(2, "big"), len(after).to_bytes(2, "big"))
        data = b"%b%b%b%b" % (ends, before, after, inner)
        return b"%c%b%b" % (_PART, len(data).to_bytes(4, "big"), data)

    def frames(self, frames: bytes) -> bytes:
        """What is in frames already."""
        return b"%c%b%b" % (_FRAMES, len(frames).to_bytes(4, "big"), frames)


FRAMES = {3: Frames(3), 4: Frames(4)}
HELD = Held()


def join(framing: Framing, text: bytes, attachments: Sequence[bytes] = ()) -> bytes:
    """A message and the attachments that follow it."""
    first = framing.text(text)
    return b"".join((first, *map(framing.binary, attachments))) if attachments else first


def _pieces_of(held: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(held):
        stop = at + _HEAD + int.from_bytes(held[at + 1 : at + _HEAD], "big")
        yield held[at], held[at + _HEAD : stop]
        at = stop


def _packets_of(held: bytes) -> Iterator[tuple[int, bytes]]:
    """What is held, with the parts joined that follow each other and have the same ends."""
    ends: tuple[bytes, bytes] = b"", b""
    inner: list[bytes] = []
    for kind, data in _pieces_of(held):
        if kind == _PART:
            found, item = _part(data)
            if inner and found != ends:
                yield _TEXT, _joined(ends, inner)
                inner = []
            ends = found
            inner.append(item)
            continue
        if inner:
            yield _TEXT, _joined(ends, inner)
            inner = []
        yield kind, data
    if inner:
        yield _TEXT, _joined(ends, inner)


def _part(data: bytes) -> tuple[tuple[bytes, bytes], bytes]:
    first = 4 + int.from_bytes(data[:2], "big")
    second = first + int.from_bytes(data[2:4], "big")
    return (data[4:first], data[first:second]), data[second:]


def _joined(ends: tuple[bytes, bytes], inner: Sequence[bytes]) -> bytes:
    before, after = ends
    if len(inner) == 1:
        return b"%b%b%b" % (before, inner[0], after)
    return b"%b[%b]%b" % (before, b",".join(inner), after)


def texts_of(held: bytes) -> list[bytes]:
    """The texts that are held, where nothing else is."""
    return [data for _, data in _packets_of(held)]


def packets_of(held: bytes) -> list[EnginePacket]:
    """The packets that are held."""
    return [
        EnginePacket(MESSAGE, data, True)
        if kind == _BINARY
        else EnginePacket(data[0] - _ZERO, data[1:])
        for kind, data in _packets_of(held)
    ]


def reframed(held: bytes, framing: Framing) -> bytes:
    """What is held, for a client that goes on by WebSocket."""
    framed = []
    for kind, data in _packets_of(held):
        if kind == _TEXT:
            framed.append(framing.text(data))
        else:
            framed.append(data if kind == _FRAMES else framing.binary(data))
    return b"".join(framed)


class Reframing:
    """A WebSocket's transport that is given what is held.

    Args:
        transport: the transport.
        framing: how packets leave on it.
    """

    __slots__ = ("_framing", "_transport")

    def __init__(self, transport: Any, framing: Framing) -> None:
        self._transport, self._framing = transport, framing

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self._transport.unregisterProducer()

    def write(self, held: bytes) -> None:
        write_now(self._transport, reframed(held, self._framing))
