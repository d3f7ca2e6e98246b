"""How late the reactor is."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from chatcore.deadlines import IClock

INTERVAL = 0.5
"""Seconds between two looks at the clock."""

WEIGHT = 1 / 3
"""What the latest look counts against those before it: one hiccup is not yet a lag."""

MOST = 1.0
"""Seconds that one look counts at most: a machine that slept for an hour is soon well again."""


class Lag:
    """Measures how much later than asked for the reactor calls: what a busy node does not keep up.

    It costs one call each `INTERVAL`, from when it is started.

    Args:
        clock: the reactor, or a test's clock.
    """

    def __init__(self, clock: IClock) -> None:
        self._clock = clock
        self._seconds = 0.0
        self._due = 0.0
        self._timer: Any = None
        self._measured = False
        self._waiting: list[Deferred[None]] = []

    async def measured(self) -> float:
        """The lag; where nobody has asked before, after a first look."""
        self.start()
        if not self._measured:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting
        return self._seconds

    @property
    def seconds(self) -> float:
        """The lag; who asks first starts the measuring, and is told 0."""
        self.start()
        return self._seconds

    def start(self) -> None:
        """Measure from now on, unless it does already."""
        if self._timer is None:
            self._arm()

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._seconds, self._measured = 0.0, False
        self._tell()

    def _arm(self) -> None:
        self._due = self._clock.seconds() + INTERVAL
        self._timer = self._clock.callLater(INTERVAL, self._look)

    def _look(self) -> None:
        late = min(max(self._clock.seconds() - self._due, 0.0), MOST)
        self._seconds += (late - self._seconds) * WEIGHT
        self._measured = True
        self._arm()
        self._tell()

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)
