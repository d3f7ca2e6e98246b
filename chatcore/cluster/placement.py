"""Which server a key belongs to: rendezvous hashing, and Pomelo's way."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from zlib import crc32


def weight(server_id: str, key: str) -> int:
    """How strongly a key is drawn to a server."""
    said = f"{server_id}\0{key}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(said, digest_size=8).digest(), "big")


def ranking(server_ids: Iterable[str], key: str) -> list[str]:
    """The servers in the order in which they own a key.

    When a server goes, only its own keys move, each to the next in its ranking; when one comes, it
    takes from all alike (Thaler and Ravishankar, "A Name-Based Mapping Scheme for Rendezvous").
    """
    return sorted(server_ids, key=lambda server_id: weight(server_id, key), reverse=True)


def pomelo_index(text: str, count: int) -> int:
    """Which of so many servers Pomelo's applications choose for a text.

    They take the CRC-32 of the low byte of each UTF-16 unit as a signed number, without its sign,
    modulo the number of servers.
    """
    crc = crc32(text.encode("utf-16-le", "surrogatepass")[::2])
    return min(crc, (1 << 32) - crc) % count


def pomelo_ranking(server_ids: Iterable[str], key: str) -> list[str]:
    """The servers in the order in which they own a key where Pomelo's way places it."""
    ids = list(server_ids)
    first = pomelo_index(key, len(ids))
    return ids[first:] + ids[:first]
