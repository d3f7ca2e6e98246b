"""Whom a frontend has to forget when it is back, because others were told that they left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chatcore.deadlines import Deadlines, IClock

MOST = 100
"""Frontends of which that is remembered."""

SECONDS = 300.0
"""How long it is remembered of one that does not come back."""


class Forgotten:
    """The members that were given up while their frontend could not be reached.

    Args:
        clock: the reactor.
    """

    def __init__(self, clock: IClock) -> None:
        self._uids: dict[str, dict[str, None]] = {}
        self._times = Deadlines(SECONDS, clock, self._uids.__delitem__)

    def add(self, frontend: str, uids: Iterable[str]) -> None:
        """Remember some more of a frontend."""
        known = self._uids.setdefault(frontend, {})
        known.update(dict.fromkeys(uids))
        if not known:
            del self._uids[frontend]
            return
        self._times.start(frontend)
        if len(self._uids) > MOST:
            self.take(next(iter(self._uids)))

    def of(self, frontend: str) -> Mapping[str, None]:
        """Those of a frontend."""
        return self._uids.get(frontend, {})

    def take(self, frontend: str) -> list[str]:
        """Those of a frontend, which are not remembered any longer."""
        self._times.stop(frontend)
        return list(self._uids.pop(frontend, ()))

    def clear(self) -> None:
        """Forget all of it, and the timer."""
        self._times.clear()
        self._uids.clear()
