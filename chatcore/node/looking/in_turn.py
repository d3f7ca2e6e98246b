"""Answering those who may only look one after the other, so that they can't keep a node busy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredLock

from chatcore.deadlines import IClock

REST: Final = 3
"""How many times as long as an answer took the next one waits for its turn, at least."""

LONGEST_REST: Final = 0.1
"""Seconds that it waits at most; what takes long lets others have their turns in between."""


class InTurn:
    """Gives answers one after the other.

    Args:
        clock: the reactor.
    """

    def __init__(self, clock: IClock) -> None:
        self._clock, self._lock = clock, DeferredLock()
        self._next = 0.0

    async def __call__(self, answer: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Give an answer once it is its turn.

        Args:
            answer: gives it; may raise.
        """
        await self._lock.acquire()
        try:
            await self._rest()
            begun = self._clock.seconds()
            try:
                return await answer()
            finally:
                now = self._clock.seconds()
                self._next = now + min(REST * (now - begun), LONGEST_REST)
        finally:
            self._lock.release()

    async def _rest(self) -> None:
        left = self._next - self._clock.seconds()
        if left > 0:
            rested: Deferred[None] = Deferred()
            self._clock.callLater(left, rested.callback, None)
            await rested
