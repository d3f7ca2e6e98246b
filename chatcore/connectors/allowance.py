"""How much a client may do, as a token bucket."""

from __future__ import annotations

from dataclasses import dataclass

BYTES_OF_ONE = 4096
"""Bytes of a message from which on it counts as more than one against the allowance."""


@dataclass(slots=True)
class Allowance:
    """How much a client may still do.

    Args:
        rate: how often a second it may.
        burst: how many may come at once.
        now: the time, in seconds.
    """

    rate: float
    burst: float
    now: float
    left: float = 0

    def __post_init__(self) -> None:
        self.left = self.burst

    def take(self, now: float, size: int) -> bool:
        """Whether a message of ``size`` bytes may come; a long one counts as several."""
        passed = max(now - self.now, 0)  # clocks are set back, too
        self.left = min(self.burst, self.left + passed * self.rate)
        self.now = now
        if self.left < 1:
            return False
        self.left -= 1 + size // BYTES_OF_ONE
        return True
