"""How often what is asked, how long it takes, and how often it fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from chatcore.inspector.seen import Seen

WINDOW_SECONDS = 10
"""Seconds over which rates and durations are told."""

MOST_DURATIONS = 1000
"""Durations of one route on one link that are kept."""

MOST_ROWS = 500
"""Routes on links that are told apart; what else there is goes together."""

OTHERS = "(others)"
"""The route under which that goes."""


@dataclass(frozen=True, slots=True)
class Row:
    """A route on a link, or all of them.

    Args:
        route: what is asked for.
        link: between whom.
        rate: how often in a second.
        p50: milliseconds within which half of it is answered; None where nothing was.
        p95: the same of 95 %.
        p99: the same of 99 %.
        errors: how often it has failed, since the beginning.
        count: how often it was asked or told, since the beginning.
    """

    route: str
    link: str
    rate: float
    p50: float | None
    p95: float | None
    p99: float | None
    errors: int
    count: int


class _Route:
    def __init__(self) -> None:
        self.count = self.errors = 0
        self._seconds: deque[tuple[int, int]] = deque()
        self._durations: deque[tuple[int, float]] = deque(maxlen=MOST_DURATIONS)

    def asked(self, second: int) -> None:
        self.count += 1
        count = 0
        if self._seconds and self._seconds[-1][0] == second:
            count = self._seconds.pop()[1]
        self._seconds.append((second, count + 1))
        self._forget(second)

    def ended(self, second: int, ms: float | None, failed: bool) -> None:
        self.errors += failed
        if ms is not None:
            self._durations.append((second, ms))

    def recent(self, second: int) -> int:
        self._forget(second)
        return sum(count for _, count in self._seconds)

    def durations(self, second: int) -> list[float]:
        return [ms for when, ms in self._durations if when > second - WINDOW_SECONDS]

    def _forget(self, second: int) -> None:
        while self._seconds and self._seconds[0][0] <= second - WINDOW_SECONDS:
            self._seconds.popleft()


class Rates:
    """Keeps count of messages, as they are seen.

    Args:
        begun: when it begins, in seconds.
    """

    def __init__(self, begun: float) -> None:
        self._begun = begun
        self._routes: dict[tuple[str, str], _Route] = {}
        self._all = _Route()

    def add(self, seen: Seen, now: float) -> None:
        """Count a message.

        Args:
            now: the time, in seconds.
        """
        if seen.kind not in ("ask", "tell", "answer", "error", "unanswered"):
            return
        second, failed = int(now), seen.kind in ("error", "unanswered")
        for route in (self._route(seen), self._all):
            if seen.kind in ("ask", "tell"):
                route.asked(second)
            else:
                route.ended(second, None if seen.kind == "unanswered" else seen.ms, failed)

    def rows(self, now: float) -> list[Row]:
        """What there is to be told now: what is asked most often first."""
        rows = [self._row(*key, route, now) for key, route in self._routes.items()]
        return sorted(rows, key=lambda row: (-row.rate, -row.count, row.route, row.link))

    def total(self, now: float) -> Row:
        """All of it."""
        return self._row("all", "", self._all, now)

    def _route(self, seen: Seen) -> _Route:
        one, other = sorted((seen.node, seen.peer))
        key = seen.route or seen.command or "?", f"{one} - {other}"
        if key not in self._routes:
            if len(self._routes) >= MOST_ROWS:
                key = OTHERS, ""
            self._routes.setdefault(key, _Route())
        return self._routes[key]

    def _row(self, name: str, link: str, route: _Route, now: float) -> Row:
        second = int(now)
        seconds = min(max(now - self._begun, 1.0), WINDOW_SECONDS)
        durations = sorted(route.durations(second))
        p50, p95, p99 = (percentile(durations, part) for part in (50, 95, 99))
        rate = route.recent(second) / seconds
        return Row(name, link, rate, p50, p95, p99, route.errors, route.count)


def percentile(values: Sequence[float], part: int) -> float | None:
    """The value that so many percent of others don't exceed; None where there are none.

    Args:
        values: sorted.
    """
    if not values:
        return None
    return values[min(len(values) - 1, -(-len(values) * part // 100) - 1)]
