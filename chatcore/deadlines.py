"""Many timeouts of one length, at the price of a dictionary entry each."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol


class IClock(Protocol):
    """What is needed of a reactor to tell the time: `twisted.internet.interfaces.IReactorTime`."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any) -> Any: ...


def keep_steady(reactor: Any) -> None:
    """Have the time of a reactor pass evenly from now on, whatever is done to the machine's clock.

    Twisted's reactors ask `time.time`. With it, a clock that is set forward is hours of silence of
    every client at once, and one that is set back stops all timeouts for as long. Every process
    begins with this.

    The time goes on from where it is: what is scheduled already stays right. But from then on it is
    no time of day; for that, ask `time.time`.

    Args:
        reactor: any of Twisted's; it may run already.
    """
    ahead = reactor.seconds() - time.monotonic()
    reactor.seconds = lambda: time.monotonic() + ahead


OVERSLEPT = 1.0
"""Seconds by which a timer may be late before others are given the time to be heard."""


class Deadlines:
    """Calls ``expired(key)`` for each key that was not removed within ``seconds``.

    All have the same length, so the oldest is always due first and one delayed call is enough,
    however many wait.

    Args:
        seconds: how long each may take; 0 for ever.
        clock: the reactor, or a test's clock.
        expired: told the key whose time is up, which is then forgotten.
    """

    def __init__(self, seconds: float, clock: IClock, expired: Callable[[Any], None]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._expired = expired
        # In the order of time. A plain dict would look through all that were removed before.
        self._due: OrderedDict[Hashable, float] = OrderedDict()
        self._expected = 0.0
        self._timer: Any = None

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: object) -> bool:
        return key in self._due

    def start(self, key: Hashable, now: float | None = None) -> None:
        """Start the time of ``key``, or start it again.

        Args:
            now: the clock's time, for who has asked already.
        """
        if not self.seconds:
            return
        self._due[key] = (self._clock.seconds() if now is None else now) + self.seconds
        self._due.move_to_end(key)
        if self._timer is None:
            self._arm(self.seconds)

    def passed(self, key: Hashable, now: float | None = None) -> float | None:
        """How many seconds of the time of ``key`` are over; None if it is not waited for.

        Args:
            now: the clock's time, for who has asked already.
        """
        due = self._due.get(key)
        if due is None:
            return None
        return (self._clock.seconds() if now is None else now) - due + self.seconds

    def stop(self, key: Hashable) -> None:
        """Forget ``key``; nothing happens if it is not waited for."""
        self._due.pop(key, None)

    def clear(self) -> list[Any]:
        """Forget all keys, which come back."""
        keys = list(self._due)
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return keys

    def _check(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        if now - self._expected > OVERSLEPT:
            # This process was held up, and has not read what came meanwhile: read that first.
            self._arm(0)
            return
        try:
            while self._due:
                key, due = next(iter(self._due.items()))
                if due > now:
                    return
                del self._due[key]
                self._expired(key)
        finally:  # also when it raised: that must not cost the others theirs
            if self._due and self._timer is None:
                due = next(iter(self._due.values()))
                self._arm(max(due - now, 0))

    def _arm(self, seconds: float) -> None:
        self._expected = self._clock.seconds() + seconds
        self._timer = self._clock.callLater(seconds, self._check)


class _Deadline(Deadlines):
    """One timeout of a length that nobody else has: its timer goes with it."""

    def stop(self, key: Hashable) -> None:
        self.clear()


MOST_SHARED = 8
"""Lengths that share a timer, for each `Timeouts`."""


class Timeouts:
    """Timeouts of any length: those of a few lengths share a timer each, others get their own.

    Args:
        clock: the reactor, or a test's clock.
        expired: told the key whose time is up.
    """

    def __init__(self, clock: IClock, expired: Callable[[Any], None]) -> None:
        self._clock, self._expired = clock, expired
        self._shared: dict[float, Deadlines] = {}

    def start(self, key: Hashable, seconds: float) -> Deadlines:
        """Start the time of ``key``; what to ``stop(key)`` it with comes back.

        Args:
            seconds: how long it may take; 0 for ever.
        """
        deadlines = self._shared.get(seconds)
        if deadlines is None:
            deadlines = self._new(seconds)
        deadlines.start(key)
        return deadlines

    def clear(self) -> None:
        """Forget all keys whose time is of a shared length; the others are to be stopped."""
        for deadlines in self._shared.values():
            deadlines.clear()

    def _new(self, seconds: float) -> Deadlines:
        # Callers choose lengths: what is kept has to be bounded.
        if len(self._shared) >= MOST_SHARED:
            unused = next((each for each in self._shared.values() if not each), None)
            if unused is None:
                return _Deadline(seconds, self._clock, self._expired)
            del self._shared[unused.seconds]
            unused.clear()
        deadlines = Deadlines(seconds, self._clock, self._expired)
        self._shared[seconds] = deadlines
        return deadlines
