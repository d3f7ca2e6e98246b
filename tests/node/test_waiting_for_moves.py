"""How long what comes for a channel that moves waits for it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.task import Clock

from chatcore.cluster.moving import PATIENCE
from chatcore.node.arrivals import Arrivals, longest_wait
from chatcore.telemetry import Counters

LONGEST = 7.5


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrivals(clock: Clock) -> Arrivals:
    me: Any = SimpleNamespace(id="back-1")
    servers: Any = SimpleNamespace(ownership=SimpleNamespace(owner=lambda *args: me))
    settling: Any = SimpleNamespace(may_answer=lambda key: False)
    return Arrivals(
        id="back-1",
        server_type="back",
        servers=servers,
        settling=settling,
        links=SimpleNamespace(),  # type: ignore[arg-type]  # nothing is passed on
        counters=Counters(),
        clock=clock,
        longest=LONGEST,
    )


def asks(arrivals: Arrivals) -> list[str]:
    """A request that looks again whether it may be served, and why it was refused."""
    refused: list[str] = []

    def serve() -> None:
        assert not arrivals.admit_own("key", serve, refused.append)

    serve()
    return refused


def passes(clock: Clock, seconds: float, act: Callable[[], None] = lambda: None) -> None:
    clock.advance(seconds)
    act()


def changes(arrivals: Arrivals) -> None:
    arrivals.owners_changed()
    arrivals.again()


def test_what_waits_is_refused_in_time(arrivals: Arrivals, clock: Clock) -> None:
    refused = asks(arrivals)
    passes(clock, PATIENCE - 0.1, arrivals.again)
    assert refused == []
    passes(clock, 0.1)
    assert refused == ["not settled in time"]
    assert clock.getDelayedCalls() == []


def test_its_time_begins_anew_when_the_owners_change_again(
    arrivals: Arrivals, clock: Clock
) -> None:
    passes(clock, 10)
    refused = asks(arrivals)
    passes(clock, 1.5, lambda: changes(arrivals))
    passes(clock, PATIENCE - 0.1, arrivals.again)
    assert refused == []
    passes(clock, 0.1)
    assert len(refused) == 1


def test_but_nothing_waits_longer_than_those_who_asked(arrivals: Arrivals, clock: Clock) -> None:
    refused = asks(arrivals)
    for _ in range(7):
        passes(clock, 1, lambda: changes(arrivals))
    assert refused == []
    passes(clock, LONGEST - 7)
    assert len(refused) == 1


def test_how_long_that_is() -> None:
    assert longest_wait(8.0, 10.0) == LONGEST
    assert longest_wait(8.0, 0.0) == LONGEST
    assert longest_wait(2.0, 10.0) == PATIENCE
