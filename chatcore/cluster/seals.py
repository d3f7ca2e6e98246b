"""Seals: what tells a cluster's own words from those of whoever else may write where they lie."""

from __future__ import annotations

import hmac
from typing import Final

_BYTES: Final = 16
_LENGTH: Final = 2 * _BYTES


class Seal:
    """What a cluster's secret makes of texts that others can read and write.

    Its key follows from the secret and the cluster's name, and proves nothing on links.

    Args:
        secret: the cluster's.
        cluster: its name.

    Attributes:
        mark: tells the cluster from others of its name; the secret can't be told from it.
    """

    def __init__(self, secret: bytes, cluster: str) -> None:
        self._key = hmac.digest(secret, b"chatcore: seals of " + cluster.encode(), "sha256")
        self.mark = hmac.digest(self._key, b"the mark", "sha256").hex()[:12]

    def put(self, where: bytes, text: bytes) -> bytes:
        """A text with its seal, which is good at one place only.

        Args:
            where: the place; it holds no NUL.
            text: the text.
        """
        return text + self._seal(where, text)

    def take(self, where: bytes, sealed: bytes) -> bytes | None:
        """The text alone; None if nobody who knows the secret has put it there."""
        text, seal = sealed[:-_LENGTH], sealed[-_LENGTH:]
        return text if hmac.compare_digest(seal, self._seal(where, text)) else None

    def _seal(self, where: bytes, text: bytes) -> bytes:
        digest = hmac.digest(self._key, where + b"\0" + text, "sha256")
        return digest[:_BYTES].hex().encode()
