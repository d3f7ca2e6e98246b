"""Payloads of Engine.IO 3: several packets in one poll's answer, or in one POST.

After revision 3 of the protocol's document, section "Payload", and engine.io-parser 1.3 and 2.2.

::

    text      length in JavaScript's characters, colon, packet as text; again and again
    binary    0 or 1, length as a byte per digit, 0xff, packet as text (0) or as bytes (1)

The clients of socket.io 1.x write texts in UTF-8 twice; those of 2.x do so once. A server is not
told which one it has. Lengths say nothing, because both count the characters that are left after
one decoding. So what is read as UTF-8 a second time where all of it can be; in plain ASCII there is
no difference, and what a server says is plain ASCII. In the binary form both write UTF-8 once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from chatcore.errors import EngineError
from chatcore.wire.counted import Counted
from chatcore.wire.engineio import (
    EnginePacket,
    decode_binary,
    decode_text,
    encode_frame,
    encode_text,
)
from chatcore.wire.text import ascii_json, mend_halves

_TEXTS = Counted("", ":")
_TEXT, _BYTES = 0, 1
_LENGTH = re.compile(rb"(\0|[\1-\x09][\0-\x09]{0,8})\xff")
_TO_DIGITS = bytes.maketrans(b"0123456789", bytes(range(10)))
_FROM_DIGITS = bytes.maketrans(bytes(range(10)), b"0123456789")


def encode_texts(packets: Iterable[EnginePacket]) -> bytes:
    """Packets as a payload of texts in ASCII, which every client reads.

    A character that is not ASCII becomes JSON's escape of it: outside of JSON, as in the name of
    a namespace, it reaches a client only in `encode_bytes`.
    """
    texts = [ascii_json(encode_text(packet, 3)) for packet in packets]
    return _TEXTS.encode(texts) or b"0:"


def encode_bytes(packets: Iterable[EnginePacket]) -> bytes:
    """Packets as a binary payload, for clients that did not ask for base64 (``b64=1``)."""
    pieces: list[bytes] = []
    for packet in packets:
        data = encode_frame(packet, 3)
        size = (b"%d" % len(data)).translate(_TO_DIGITS)
        pieces += (b"\1" if packet.binary else b"\0", size, b"\xff", data)
    return b"".join(pieces)


def longest_texts(size: int) -> int:
    """Bytes of a payload of texts, as it is sent, that has so many: it may be in UTF-8 twice."""
    return 2 * size


def decode_texts(
    payload: bytes, *, limit: int, most: int, size: int | None = None
) -> list[EnginePacket]:
    """The packets of a payload of texts, be they in UTF-8 once or twice.

    Packets without anything, not even a kind, are passed over: ``0:`` is how engine.io-parser
    writes no packets at all.

    Args:
        limit: the most bytes of a packet's data, after base64.
        most: how many packets there may be.
        size: the most bytes of the payload, in UTF-8 once; None for any.

    Raises:
        EngineError: it is empty, too long or not UTF-8, a length is none or a lie, there are too
            many packets, or one of them is broken or too long.
    """
    if not payload:
        raise EngineError("an empty payload")
    once = _read_once(payload)
    if size is not None and len(payload if once is None else once) > size:
        raise EngineError(f"a payload of more than {size} bytes")
    if once is None:
        texts = _TEXTS.decode(payload, most=most)
    else:
        texts = [(at, _mended(text, at)) for at, text in _TEXTS.decode_bytes(once, most=most)]
    return [decode_text(text, 3, limit=limit, at=at) for at, text in texts if text]


def decode_bytes(payload: bytes, *, limit: int, most: int) -> list[EnginePacket]:
    """The packets of a binary payload; arguments and errors are those of `decode_texts`."""
    if not payload:
        raise EngineError("an empty payload")
    packets: list[EnginePacket] = []
    at, end = 0, len(payload)
    while at < end:
        if len(packets) == most:
            raise EngineError(f"a payload of more than {most} packets", at)
        start, stop = _extent(payload, at)
        data = payload[start:stop]
        if payload[at] == _TEXT:
            packets.append(decode_text(_mended(data, start), 3, limit=limit, at=start))
        else:
            packets.append(decode_binary(data, limit=limit, at=start))
        at = stop
    return packets


def _extent(payload: bytes, at: int) -> tuple[int, int]:
    """Where the packet whose head is there begins and ends."""
    if payload[at] > _BYTES:
        raise EngineError(f"a payload with 0x{payload[at]:02x} where text or binary begins", at)
    match = _LENGTH.match(payload, at + 1)
    if match is None:
        raise EngineError("a payload without a length where one should be", at + 1)
    stop = match.end() + int(match[1].translate(_FROM_DIGITS))
    if stop > len(payload):
        raise EngineError("a payload with a length that ends beyond it", at + 1)
    return match.end(), stop


def _read_once(payload: bytes) -> bytes | None:
    """The payload in UTF-8 once, if it is ASCII or was in UTF-8 twice."""
    if payload.isascii():
        return payload
    try:
        once = payload.decode().encode("latin-1")
        once.decode("utf-8", "surrogatepass")
    except UnicodeError:
        return None
    return once


def _mended(text: bytes, at: int) -> bytes:
    try:
        text.decode()
    except UnicodeDecodeError:
        try:
            return mend_halves(text)
        except UnicodeDecodeError:
            raise EngineError("a text that is not UTF-8", at) from None
    return text
