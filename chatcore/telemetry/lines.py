"""What says whether one more line of the log is worth its place."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Literal


class Seen:
    """Says what is new, so that it is logged once, until there was as much as it remembers.

    Args:
        most: how many different things; after them, nothing is new.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[Hashable] = set()

    def first(self, what: Hashable) -> bool:
        """Whether this is new, and to be logged."""
        if len(self._seen) >= self._most or what in self._seen:
            return False
        self._seen.add(what)
        return True


class Troubles:
    """Says which troubles are worth a line, where the same ones come again and again.

    Args:
        passing: seconds for which those are put up with that may pass by themselves; who has had
            none for so long has it for the first time again.
        quiet: seconds in which one is told once only.
        most: how many are remembered.
    """

    def __init__(self, *, passing: float, quiet: float, most: int) -> None:
        self._passing, self._quiet, self._most = passing, quiet, most
        self._known: dict[Hashable, tuple[float, float, float]] = {}

    def level(self, what: Hashable, now: float, *, may_pass: bool) -> Literal["warn", "info", ""]:
        """How to log it; empty if it is not to be logged now.

        Args:
            now: the time, in seconds.
            may_pass: whether it may pass by itself.
        """
        first, last, told = self._known.get(what, (now, now, now - self._quiet))
        if now - last > self._passing:
            first = now
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[what] = first, now, told
        if now - told < self._quiet:
            return ""
        if may_pass and now - first < self._passing:
            return "info" if first == now else ""
        self._known[what] = first, now, now
        return "warn"


class Rationed:
    """Lets a few lines a second into the log, of what others can bring about at will.

    Args:
        most: lines a second.
        later: calls something after so many seconds, as a reactor's ``callLater`` does.
        left_out: told at the end of a second how many were too many; it logs that.
    """

    def __init__(
        self, most: int, *, later: Callable[..., Any], left_out: Callable[[int], object]
    ) -> None:
        self._most, self._later, self._left_out = most, later, left_out
        self._asked = 0
        self._timer: Any = None

    def admit(self) -> bool:
        """Whether one more is to be logged."""
        self._asked += 1
        if self._timer is None:
            self._timer = self._later(1.0, self._over)
        return self._asked <= self._most

    def stop(self) -> None:
        """Say what there is to say, and forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._over()

    def _over(self) -> None:
        self._timer = None
        too_many, self._asked = self._asked - self._most, 0
        if too_many > 0:
            self._left_out(too_many)
