"""Rates, durations and errors of what passes."""

from __future__ import annotations

from typing import Any

import pytest

from chatcore.inspector import rates as rates_module
from chatcore.inspector.rates import OTHERS, Rates, Row, percentile
from chatcore.inspector.seen import Seen


def seen(kind: Any, route: str = "chat.say", ms: float | None = None, **more: Any) -> Seen:
    return Seen(kind, node="a", peer="b", route=route, ms=ms, **more)


def test_a_route_on_a_link() -> None:
    rates = Rates(100.0)
    for number in range(100):
        now = 100.0 + number / 20
        rates.add(seen("ask"), now)
        rates.add(seen("answer" if number % 10 else "error", ms=float(number)), now)
    rates.add(seen("tell", "Push"), 104.0)
    rates.add(seen("unanswered", "chat.say"), 104.0)
    rates.add(seen("open"), 104.0)
    say, push = rates.rows(105.0)
    assert say == Row("chat.say", "a - b", 20.0, 49.0, 94.0, 98.0, 11, 100)
    assert push == Row("Push", "a - b", 0.2, None, None, None, 0, 1)
    total = rates.total(105.0)
    assert (total.rate, total.errors, total.count) == (20.2, 11, 101)


def test_what_is_past_is_past() -> None:
    rates = Rates(0.0)
    rates.add(seen("ask"), 1.0)
    rates.add(seen("answer", ms=5.0), 1.0)
    assert rates.rows(5.0)[0].p50 == 5.0
    assert rates.rows(20.0) == [Row("chat.say", "a - b", 0.0, None, None, None, 0, 1)]


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates_module, "MOST_ROWS", 3)
    rates = Rates(0.0)
    for number in range(10):
        rates.add(seen("ask", f"route{number}"), 1.0)
    rows = rates.rows(1.0)
    assert len(rows) == 4
    assert rows[0].route == OTHERS
    assert sum(row.count for row in rows) == 10


def test_percentiles() -> None:
    assert percentile([], 50) is None
    assert percentile([7.0], 99) == 7.0
    assert percentile([1.0, 2.0], 50) == 1.0
    assert percentile([float(number) for number in range(1, 101)], 95) == 95.0
