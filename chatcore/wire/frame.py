"""WebSocket frames as a server writes and reads them (RFC 6455, section 5.2).

Autobahn speaks the protocol. Here is only what is worth doing once for many receivers, or without
a state machine.
"""

from __future__ import annotations

TEXT, BINARY = 0x81, 0x82
"""How a whole frame begins, by what its payload is."""

_FINAL_PONG = 0x8A


def head(size: int, kind: int = BINARY) -> bytes:
    """What stands before the payload of a whole, unmasked frame.

    Such frames serve every receiver.

    Args:
        size: bytes of the payload.
        kind: `TEXT` or `BINARY`.
    """
    if size < 126:
        return bytes((kind, size))
    if size < 0x10000:
        return (kind << 24 | 126 << 16 | size).to_bytes(4, "big")
    return (kind << 8 | 127).to_bytes(2, "big") + size.to_bytes(8, "big")


def encode_pong(payload: bytes) -> bytes:
    """The answer to a ping that carried ``payload`` (section 5.5.3)."""
    return bytes((_FINAL_PONG, len(payload))) + payload


def decode_lone(data: bytes, limit: int, kind: int = BINARY) -> bytes | None:
    """The payload of ``data`` if it is exactly one whole, masked, final frame of a kind.

    This is what a client's request nearly always looks like. For anything else, None: then the
    full state machine has to look at it.

    Args:
        limit: the longest payload to take, in bytes; a longer one is left to the state machine.
        kind: `TEXT` or `BINARY`; a text is not verified to be UTF-8.
    """
    if len(data) < 6 or data[0] != kind or not data[1] & 0x80:
        return None
    size, at = data[1] & 0x7F, 2
    if size >= 126:
        if size == 127:
            return None
        size, at = data[2] << 8 | data[3], 4
        if size < 126:
            return None
    if len(data) != at + 4 + size or size > limit:
        return None
    mask, payload = data[at : at + 4], data[at + 4 :]
    if mask == b"\0\0\0\0":
        return payload
    # One exclusive or over the whole payload as a single large integer.
    stream = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(payload, "little") ^ stream).to_bytes(size, "little")
