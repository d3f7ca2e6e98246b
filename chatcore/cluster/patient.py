"""Waiting for what an application's hooks do, though they may never end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from chatcore.cluster.moving import PATIENCE
from chatcore.deadlines import IClock


class Patient:
    """Waits until others have ended, for `PATIENCE` seconds at most.

    Args:
        clock: the reactor.
    """

    def __init__(self, clock: IClock) -> None:
        self._clock = clock
        self._timers: set[Any] = set()

    def wait_for(self, asked: Sequence[Deferred[Any]], then: Callable[[], None]) -> None:
        """Call ``then`` when all have ended, or are cancelled because they took too long.

        At once, if there are none; and not at all once this has stopped.
        """
        if not asked:
            then()
            return
        all_ended = DeferredList(asked, consumeErrors=True)

        def over(_: object = None) -> None:
            if timer in self._timers:
                self._forget(timer)
                then()

        def late() -> None:
            all_ended.cancel()
            over()  # whatever they make of that

        timer = self._clock.callLater(PATIENCE, late)
        self._timers.add(timer)
        all_ended.addCallback(over)

    def stop(self) -> None:
        """Wait no more; nobody is told."""
        for timer in list(self._timers):
            self._forget(timer)

    def _forget(self, timer: Any) -> None:
        self._timers.discard(timer)
        if timer.active():
            timer.cancel()
