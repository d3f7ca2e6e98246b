"""Which messages are shown."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from chatcore.inspector.seen import TROUBLE, Seen

PING = "Ping"
"""The command by which links find out whether they are alive."""


class Choice:
    """Chooses messages.

    Args:
        routes: patterns, as in ``chat.*``, of routes and commands; all unless given.
        errors: only what went wrong.
        slow: only what took at least so many milliseconds.
        uid: only what concerns that one.
        channel: only what concerns that channel.
        link: only what passes between these two.
        pings: whether pings are among them, where no route is given.
    """

    def __init__(
        self,
        routes: Sequence[str] = (),
        *,
        errors: bool = False,
        slow: float | None = None,
        uid: str | None = None,
        channel: str | None = None,
        link: frozenset[str] | None = None,
        pings: bool = True,
    ) -> None:
        self._routes, self._errors, self._slow = routes, errors, slow
        self._uid, self._channel, self._link, self._pings = uid, channel, link, pings

    def __contains__(self, seen: Seen) -> bool:
        if seen.kind in ("damaged", "note"):
            return True
        if self._link is not None and self._link != {seen.node, seen.peer}:
            return False
        if seen.kind == "lost":  # what it would have been nobody knows
            return True
        if not self._concerned(seen):
            return False
        if self._routes and not any(self._fits(seen, each) for each in self._routes):
            return False
        if not self._pings and not self._routes and seen.command == PING:
            return seen.kind in TROUBLE
        if self._errors and seen.kind not in TROUBLE:
            return False
        return self._slow is None or (seen.ms is not None and seen.ms >= self._slow)

    def _concerned(self, seen: Seen) -> bool:
        if self._uid is not None and self._uid not in seen.uids:
            return False
        return self._channel is None or self._channel in seen.channels

    @staticmethod
    def _fits(seen: Seen, pattern: str) -> bool:
        return fnmatchcase(seen.route, pattern) or fnmatchcase(seen.command, pattern)
