"""Long work in portions, so that everybody else has their turn in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from chatcore.deadlines import IClock

T = TypeVar("T")

SECONDS = 0.01
"""How long one portion may take."""

STEPS = 1000
"""How many steps it may have, where they take no time."""

AT_ONCE = 100
"""How many of many alike are seen to in one step, where it takes several together."""

PAUSE = 0.0
"""Seconds between two portions: others have a turn, and no more."""

LOOK = 0.02
"""Seconds after which work that could not go on is looked at again."""

Steps = Iterator[bool]
"""Work in steps: True after each, False where it can't go on now."""


class Portions:
    """Does one work at a time: a portion at once, and the others in later turns of the reactor.

    Who begins other work, or stops, gives up what is left. So whoever follows a view begins anew
    with the next one, and each step has to leave behind what is right by itself.

    Args:
        clock: the reactor.
    """

    def __init__(self, clock: IClock) -> None:
        self._clock = clock
        self._work: Steps | None = None
        self._timer: Any = None

    @property
    def busy(self) -> bool:
        """Whether there is more to do."""
        return self._work is not None

    def do(self, work: Steps) -> None:
        """Do this, and nothing else any more. What is short is done when this returns."""
        self.stop()
        self._work = work
        self._go_on(work)

    def stop(self) -> None:
        """Give up what is left."""
        self._work = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _go_on(self, work: Steps) -> None:
        wait: float | None = None
        try:
            wait = self._portion(work)
        finally:  # what has raised is over, too
            if self._work is work:
                self._work = None if wait is None else work
        if self._work is work and wait is not None:
            self._timer = self._clock.callLater(wait, self._go_on, work)

    def _portion(self, work: Steps) -> float | None:
        """Do some of it; in how many seconds there is more to do, if there is more."""
        end = self._clock.seconds() + SECONDS
        for number, went_on in enumerate(work, 1):
            if self._work is not work:
                break  # the step itself has ended it, or begun something else
            if not went_on:
                return LOOK
            if number >= STEPS or self._clock.seconds() >= end:
                return PAUSE
        return None


def several(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """A list in parts of what is seen to in one step."""
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
