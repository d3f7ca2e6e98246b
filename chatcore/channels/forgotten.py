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

    Each until the frontend has said that it forgot them: what it says before may still mean them.

    Args:
        clock: the reactor.
    """

    def __init__(self, clock: IClock) -> None:
        # Whether the frontend has been asked.
        self._uids: dict[str, dict[str, bool]] = {}
        self._times = Deadlines(SECONDS, clock, self._uids.__delitem__)

    def add(self, frontend: str, uids: Iterable[str]) -> None:
        """Remember some more of a frontend."""
        known = self._uids.setdefault(frontend, {})
        known.update(dict.fromkeys(uids, False))
        if not known:
            del self._uids[frontend]
            return
        self._times.start(frontend)
        if len(self._uids) > MOST:
            self._drop(next(iter(self._uids)))

    def of(self, frontend: str) -> Mapping[str, bool]:
        """Those of a frontend."""
        return self._uids.get(frontend, {})

    def all(self) -> list[tuple[str, list[str]]]:
        """Those of each frontend."""
        return [(frontend, list(uids)) for frontend, uids in self._uids.items()]

    def asked(self, frontend: str, uids: Iterable[str]) -> None:
        """The frontend is asked to forget these."""
        self._uids[frontend].update(dict.fromkeys(uids, True))

    def done(self, frontend: str, uids: Iterable[str]) -> None:
        """The frontend has forgotten these, or they have come in anew."""
        known = self._uids.get(frontend)
        if known is not None:
            for uid in uids:
                known.pop(uid, None)
            if not known:
                self._drop(frontend)

    def held_by_nobody(self, frontend: str) -> None:
        """The frontend has said whom it holds: of the others nothing is asked."""
        self.done(frontend, [uid for uid, asked in self.of(frontend).items() if not asked])

    def clear(self) -> None:
        """Forget all of it, and the timer."""
        self._times.clear()
        self._uids.clear()

    def _drop(self, frontend: str) -> None:
        self._times.stop(frontend)
        del self._uids[frontend]
