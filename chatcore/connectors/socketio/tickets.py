"""Ids for those who are to come again soon: nobody has to remember them meanwhile."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2s

from chatcore.deadlines import Deadlines, IClock

_RANDOM, _TIME, _PROOF = 12, 6, 15
MOST_USED = 65536
"""Ids that may have been used within the time for which one is good; beyond, none is good."""

_LENGTH = 4 * (_RANDOM + _TIME + _PROOF) // 3


class Tickets:
    """Issues ids that are good for a while, and once.

    An id holds the time until which it is good, and a proof that it was issued here.

    Args:
        seconds: how long it is good.
        clock: the reactor, or a test's clock.
        used: keeps those that were used until they would not be good any more; of that length.
    """

    def __init__(self, seconds: float, clock: IClock, used: Deadlines) -> None:
        self._seconds, self._clock, self._used = seconds, clock, used
        self._key = secrets.token_bytes(32)

    def issue(self) -> str:
        """A new id."""
        due = int(self._clock.seconds() + self._seconds)
        said = secrets.token_bytes(_RANDOM) + due.to_bytes(_TIME, "big")
        return urlsafe_b64encode(said + self._proof(said)).decode()

    def use(self, ticket: str) -> bool:
        """Whether an id is good; from now on it is not."""
        if len(ticket) != _LENGTH or ticket in self._used or len(self._used) >= MOST_USED:
            return False
        try:
            data = urlsafe_b64decode(ticket)
        except ValueError:
            return False
        said, proof = data[:-_PROOF], data[-_PROOF:]
        if not hmac.compare_digest(proof, self._proof(said)):
            return False
        if int.from_bytes(said[_RANDOM:], "big") < self._clock.seconds():
            return False
        self._used.start(ticket)
        return True

    def _proof(self, said: bytes) -> bytes:
        return blake2s(said, key=self._key, digest_size=_PROOF).digest()
