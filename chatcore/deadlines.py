"""Many timeouts of one length, at the price of a dictionary entry each."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol


class IClock(Protocol):
    """What is needed of a reactor to tell the time: `twisted.internet.interfaces.IReactorTime`."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, call: Callable[..., Any], *args: Any) -> Any: ...


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
        self._due: dict[Hashable, float] = {}
        self._timer: Any = None

    def __len__(self) -> int:
        return len(self._due)

    def start(self, key: Hashable) -> None:
        """Start the time of ``key``, or start it again."""
        if not self.seconds:
            return
        self._due.pop(key, None)  # so that it goes to the end: the dict stays in order of time
        self._due[key] = self._clock.seconds() + self.seconds
        if self._timer is None:
            self._timer = self._clock.callLater(self.seconds, self._check)

    def stop(self, key: Hashable) -> None:
        """Forget ``key``; nothing happens if it is not waited for."""
        self._due.pop(key, None)

    def clear(self) -> None:
        """Forget all keys."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        now = self._clock.seconds()
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
                self._timer = self._clock.callLater(max(due - now, 0), self._check)
