"""Payloads of Engine.IO 4: several packets in one poll's answer, or in one POST.

After revision 4 of the protocol's document, section "Packet encoding", "HTTP long-polling": the
packets as text, with U+001E between them.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatcore.errors import EngineError
from chatcore.wire.engineio import EnginePacket, decode_text, encode_text

SEPARATOR = b"\x1e"


def encode(packets: Iterable[EnginePacket]) -> bytes:
    """Packets as one payload. Their texts hold no `SEPARATOR`, as JSON never does.

    Raises:
        EngineError: as `chatcore.wire.engineio.encode_text` does.
    """
    return SEPARATOR.join([encode_text(packet, 4) for packet in packets])


def decode(payload: bytes, *, limit: int, most: int) -> list[EnginePacket]:
    """The packets of a payload; there is at least one.

    Args:
        limit: the most bytes of a packet's data, after base64.
        most: how many packets there may be.

    Raises:
        EngineError: it is not UTF-8, has too many packets, or one of them is broken or too long.
    """
    if payload.count(SEPARATOR) >= most:
        raise EngineError(f"a payload of more than {most} packets")
    if not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError as problem:
            raise EngineError("a payload that is not UTF-8", problem.start) from None
    packets, at = [], 0
    for text in payload.split(SEPARATOR):
        packets.append(decode_text(text, 4, limit=limit, at=at))
        at += len(text) + 1
    return packets
