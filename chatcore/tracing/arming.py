"""Which messages somebody wants to be traced, and for how long."""

from __future__ import annotations

import re
from collections.abc import Collection
from fnmatch import translate

MOST_ARMED = 16
"""How many may want something at the same time."""

MOST_COUNT = 100
"""Messages that one may want."""

LONGEST_SECONDS = 3600.0
"""How long one may want them."""

LONGEST_WORD = 1024
"""Characters of what is looked for."""


class Arming:
    """What somebody wants.

    Args:
        id: made up by who wants it.
        word: the route of messages, as a glob, or the uid of who sends them; empty for neither.
        to: the uid of whom pushes are meant for; empty for nobody.
        count: how many.
        until: the clock's time at which it ends.

    Attributes:
        found: those that were found, the oldest first: the ids of traces, and of their spans.
    """

    __slots__ = ("_route", "found", "id", "left", "to", "until", "word")

    def __init__(self, *, id: str, word: str, to: str, count: int, until: float) -> None:
        self.id, self.word, self.to, self.until = id, word, to, until
        self.left = count
        self.found: list[tuple[str, str]] = []
        self._route = re.compile(translate(word)) if word else None

    def wants(self, route: str, uid: str | None) -> bool:
        """Whether a client's message is one of those."""
        if self._route is None or not self.left:
            return False
        return uid == self.word or self._route.match(route) is not None

    def wants_push(self, uids: Collection[str] | None) -> bool:
        """Whether a push is one of those.

        Args:
            uids: whom it is meant for; None for everybody.
        """
        return bool(self.to and self.left) and (uids is None or self.to in uids)

    def take(self, trace: str, span: str) -> None:
        """One was found."""
        self.left -= 1
        self.found.append((trace, span))
