"""Many timeouts of one length."""

from __future__ import annotations

import pytest
from twisted.internet.base import ReactorBase
from twisted.internet.task import Clock, LoopingCall

from chatcore.deadlines import MOST_SHARED, Deadlines, Timeouts, keep_steady


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def expired() -> list[str]:
    return []


@pytest.fixture
def deadlines(clock: Clock, expired: list[str]) -> Deadlines:
    return Deadlines(10, clock, expired.append)


def test_each_is_told_at_its_own_time_and_in_order(
    clock: Clock, deadlines: Deadlines, expired: list[str]
) -> None:
    for key in ("a", "b", "c"):
        deadlines.start(key)
        clock.advance(2)
    assert len(deadlines) == 3
    clock.advance(3.75)
    assert expired == []
    clock.advance(0.25)
    assert expired == ["a"]
    clock.advance(2)
    assert expired == ["a", "b"]
    clock.advance(100)
    assert expired == ["a", "b", "c"]
    assert len(deadlines) == 0
    assert clock.getDelayedCalls() == []


def test_many_cost_one_delayed_call(clock: Clock, deadlines: Deadlines) -> None:
    for key in range(1000):
        deadlines.start(key)
        clock.advance(0.001)
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(9.5)
    assert 0 < len(deadlines) < 1000
    assert len(clock.getDelayedCalls()) == 1


def test_those_of_the_same_time_end_in_the_order_of_their_starts(
    clock: Clock, deadlines: Deadlines, expired: list[str]
) -> None:
    for key in "zyxabc":
        deadlines.start(key)
    clock.advance(10)
    assert "".join(expired) == "zyxabc"


def test_a_key_that_starts_again_has_its_whole_time(
    clock: Clock, deadlines: Deadlines, expired: list[str]
) -> None:
    deadlines.start("a")
    deadlines.start("b")
    clock.advance(6)
    deadlines.start("a")
    clock.advance(4)
    assert expired == ["b"]
    clock.advance(5.5)
    assert expired == ["b"]
    clock.advance(0.5)
    assert expired == ["b", "a"]


def test_a_key_that_stopped_is_never_told(
    clock: Clock, deadlines: Deadlines, expired: list[str]
) -> None:
    deadlines.start("a")
    deadlines.start("b")
    deadlines.stop("a")
    deadlines.stop("never started")
    clock.advance(100)
    assert expired == ["b"]


def test_after_all_have_stopped_another_can_start(
    clock: Clock, deadlines: Deadlines, expired: list[str]
) -> None:
    deadlines.start("a")
    deadlines.stop("a")
    clock.advance(5)
    deadlines.start("b")
    clock.advance(9.5)
    assert expired == []
    clock.advance(0.5)
    assert expired == ["b"]


def test_clearing_forgets_all_and_leaves_nothing(
    clock: Clock, deadlines: Deadlines, expired: list[str]
) -> None:
    deadlines.start("a")
    deadlines.clear()
    assert clock.getDelayedCalls() == []
    assert len(deadlines) == 0
    deadlines.clear()
    deadlines.start("b")
    clock.advance(10)
    assert expired == ["b"]


def test_after_a_long_sleep_what_came_meanwhile_is_heard_first(
    clock: Clock, deadlines: Deadlines, expired: list[str]
) -> None:
    for key in ("a", "b"):
        deadlines.start(key)
    clock.callLater(50, deadlines.stop, "a")  # as reading its answer would
    clock.advance(50)
    assert expired == ["b"]
    assert clock.getDelayedCalls() == []


def test_a_timer_that_is_a_little_late_is_no_long_sleep(
    clock: Clock, deadlines: Deadlines, expired: list[str]
) -> None:
    deadlines.start("a")
    clock.callLater(10.5, deadlines.stop, "a")
    clock.advance(10.5)
    assert expired == ["a"]


def test_zero_seconds_are_for_ever(clock: Clock, expired: list[str]) -> None:
    deadlines = Deadlines(0, clock, expired.append)
    deadlines.start("a")
    assert clock.getDelayedCalls() == []
    clock.advance(1e9)
    assert expired == []


def test_who_is_told_may_start_another(clock: Clock) -> None:
    expired: list[tuple[float, int]] = []

    def again(key: int) -> None:
        expired.append((clock.seconds(), key))
        if key < 3:
            deadlines.start(key + 1)

    deadlines = Deadlines(10, clock, again)
    deadlines.start(1)
    deadlines.start(100)
    for _ in range(40):
        clock.advance(1)
    assert expired == [(10, 1), (10, 100), (20, 2), (30, 3)]
    assert clock.getDelayedCalls() == []


def test_who_is_told_may_stop_others(clock: Clock, expired: list[str]) -> None:
    def told(key: str) -> None:
        expired.append(key)
        deadlines.clear()

    deadlines = Deadlines(10, clock, told)
    deadlines.start("a")
    deadlines.start("b")
    clock.advance(10)
    assert expired == ["a"]
    assert clock.getDelayedCalls() == []


def test_one_that_raises_costs_the_others_nothing(clock: Clock) -> None:
    expired: list[str] = []

    def told(key: str) -> None:
        expired.append(key)
        if key == "bad":
            raise ValueError(key)

    deadlines = Deadlines(10, clock, told)
    for key in ("bad", "next"):
        deadlines.start(key)
    clock.advance(5)
    deadlines.start("later")
    with pytest.raises(ValueError, match="bad"):
        clock.advance(5)
    clock.advance(0)
    assert expired == ["bad", "next"]
    clock.advance(5)
    assert expired == ["bad", "next", "later"]


def test_each_length_has_its_time(clock: Clock, expired: list[str]) -> None:
    """However many lengths there are, each key is told once, or stopped."""
    timeouts = Timeouts(clock, expired.append)
    lengths = list(range(1, 4 * MOST_SHARED))
    for seconds in lengths:
        timeouts.start(f"{seconds}", seconds)
        timeouts.start(f"{seconds} stopped", seconds).stop(f"{seconds} stopped")
    for seconds in lengths:
        clock.advance(1)
        assert expired[-1] == f"{seconds}"
    assert len(expired) == len(lengths)
    assert clock.getDelayedCalls() == []


def test_lengths_that_come_once_leave_nothing(clock: Clock, expired: list[str]) -> None:
    timeouts = Timeouts(clock, expired.append)
    timeouts.start("waits", 10)
    for number in range(1000):
        timeouts.start(number, 20 + number / 7).stop(number)
    assert len(clock.getDelayedCalls()) <= MOST_SHARED
    clock.advance(10)
    assert expired == ["waits"]
    timeouts.clear()
    assert clock.getDelayedCalls() == []


def test_some_of_one_length_and_many_of_others(clock: Clock, expired: list[str]) -> None:
    timeouts = Timeouts(clock, expired.append)
    started = {
        key: timeouts.start(key, seconds)
        for key, seconds in [(f"{n}", 5 + n % 50) for n in range(500)]
    }
    for key, deadlines in started.items():
        if int(key) % 50 != 7:
            deadlines.stop(key)
    clock.advance(12)
    assert expired == [f"{n}" for n in range(7, 500, 50)]
    timeouts.clear()
    assert clock.getDelayedCalls() == []


def test_steady_time_does_not_follow_a_clock_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a real reactor has scheduled stays due, also what it had before."""
    wall, steady = [1_767_225_600.0], [100.0]

    class Reactor(ReactorBase):
        seconds = staticmethod(lambda: wall[0])

        def installWaker(self) -> None: ...

    def both(passed: float) -> None:
        wall[0] += passed
        steady[0] += passed
        reactor.runUntilCurrent()

    reactor, ran = Reactor(), []
    monkeypatch.setattr("time.monotonic", lambda: steady[0])
    reactor.callLater(10, ran.append, "before")
    keep_steady(reactor)
    reactor.callLater(5, ran.append, "after")
    loop = LoopingCall(ran.append, "loop")
    loop.clock = reactor
    loop.start(4, now=False)
    moved = reactor.callLater(1, ran.append, "moved")
    wall[0] -= 7200
    assert reactor.timeout() == 1
    moved.reset(7)
    both(4)
    both(1)
    assert ran == ["loop", "after"]
    wall[0] += 86400
    both(2)
    both(3)
    assert ran == ["loop", "after", "moved", "loop", "before"]
    loop.stop()
