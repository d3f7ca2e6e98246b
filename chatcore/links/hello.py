"""How two nodes prove to each other that they belong to the same cluster.

Both know the cluster's secret and neither sends it. Each proves it over everything that was said:
the protocol's version, its own role, both ids, both incarnations and both nonces. So a proof is of
use neither on another connection (the nonces differ) nor for the other side (the role does). Behind
TLS it goes over what only the two ends of that connection know, too: somebody between them, with
stolen certificates, can't pass it on.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from chatcore.wire.values import pack

DIALLER, LISTENER = "dialler", "listener"

CHANNEL, CHANNEL_BYTES = b"EXPORTER-chatcore-link", 32

UNPROVEN_BYTES = 4096
"""What a link may hold before it is proven."""
UNPROVEN_SECONDS = 5.0
"""How long it may take to prove itself."""
UNPROVEN_LINKS = 64
"""How many of them there may be."""


@dataclass(frozen=True, slots=True)
class Party:
    """One side of a link: its id, which life of it this is, and its nonce for this link."""

    id: str
    incarnation: str
    nonce: bytes


def new_nonce() -> bytes:
    """What makes a proof good for one connection only."""
    return secrets.token_bytes(32)


def proof(
    secret: bytes, role: str, version: int, dialler: Party, listener: Party, channel: bytes = b""
) -> bytes:
    """What the side in ``role`` has to show: HMAC-SHA256 (RFC 2104) over all that was said.

    Args:
        secret: the cluster's; the key of a token, where a dialler has one.
        channel: the keying material that TLS exports for `CHANNEL` (RFC 5705, RFC 8446, section
            7.5), `CHANNEL_BYTES` of it; nothing where links are not encrypted.
    """
    said = pack(
        (
            "chatcore link",
            version,
            role,
            (dialler.id, dialler.incarnation, dialler.nonce),
            (listener.id, listener.incarnation, listener.nonce),
            channel,
        )
    )
    return hmac.new(secret, said, hashlib.sha256).digest()


def proves(shown: bytes, expected: bytes) -> bool:
    """Compare two proofs in constant time."""
    return hmac.compare_digest(shown, expected)
