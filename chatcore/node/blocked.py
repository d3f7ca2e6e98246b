"""Telling an operator of code that keeps a whole node waiting."""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger

from chatcore.deadlines import IClock
from chatcore.telemetry import Counters

INTERVAL = 1.0
"""Seconds between two looks at the clock."""

QUIET = 10.0
"""Seconds between two warnings."""


class Blocked:
    """Looks each second whether it is called in time, and logs where it is not.

    Args:
        id: the node's.
        seconds: how late it may be before that is told; 0 for ever.
        clock: the reactor, or a test's clock.
        counters: where it is kept how late it is, if anywhere.
    """

    log = Logger()

    def __init__(
        self, *, id: str, seconds: float, clock: IClock, counters: Counters | None = None
    ) -> None:
        self._id, self._seconds, self._clock = id, seconds, clock
        self._counters = counters
        self._due = self._quiet_until = 0.0
        self._unsaid = 0
        self._timer: Any = None

    def start(self) -> None:
        """Look from now on."""
        if (self._seconds or self._counters is not None) and self._timer is None:
            self._arm()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._due = self._clock.seconds() + INTERVAL
        self._timer = self._clock.callLater(INTERVAL, self._look)

    def _look(self) -> None:
        now = self._clock.seconds()
        late = now - self._due
        if self._counters is not None:
            self._counters.loop_lag_seconds.add(max(late, 0.0))
        if self._seconds and late > self._seconds:
            if self._counters is not None:
                more = {"seconds": round(late, 1)}
                self._counters.journal.note_node("held up", more=more)
            self._say(now, late)
        self._arm()

    def _say(self, now: float, late: float) -> None:
        if now < self._quiet_until:
            self._unsaid += 1
            return
        self.log.warn(
            "{id} did nothing else for {late:.1f} s or more: is there a call that blocks, as"
            " time.sleep, a file or a database? Give it to app.in_thread.{before}",
            id=self._id,
            late=late,
            before=f" It was so {self._unsaid} times before" if self._unsaid else "",
        )
        self._unsaid, self._quiet_until = 0, now + QUIET
