"""Which messages are shown."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from chatcore.inspector.seen import TROUBLE, Seen


class Choice:
    """Chooses messages.

    Args:
        routes: patterns, as in ``chat.*``, of routes and commands; all unless given.
        errors: only what went wrong.
        slow: only what took at least so many milliseconds.
    """

    def __init__(
        self, routes: Sequence[str] = (), *, errors: bool = False, slow: float | None = None
    ) -> None:
        self._routes, self._errors, self._slow = routes, errors, slow

    def __contains__(self, seen: Seen) -> bool:
        if seen.kind in ("damaged", "note"):
            return True
        if self._routes and not any(self._fits(seen, each) for each in self._routes):
            return False
        if self._errors and seen.kind not in TROUBLE:
            return False
        return self._slow is None or (seen.ms is not None and seen.ms >= self._slow)

    @staticmethod
    def _fits(seen: Seen, pattern: str) -> bool:
        return fnmatchcase(seen.route, pattern) or fnmatchcase(seen.command, pattern)
