"""Long work that leaves everybody else their turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from twisted.internet.task import Clock

from chatcore.cluster import portions as module
from chatcore.cluster.portions import LOOK, SECONDS, STEPS, Portions, Steps

TURN = 0.001
"""Seconds between two portions here: a test's clock knows no turns."""


class Work:
    """Counts the steps that are done."""

    def __init__(self) -> None:
        self.done = 0

    def steps(self, count: int, also: Callable[[], object] = lambda: None) -> Steps:
        for _ in range(count):
            self.done += 1
            also()
            yield True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    monkeypatch.setattr(module, "PAUSE", TURN)
    clock = Clock()
    yield clock
    assert clock.getDelayedCalls() == []


@pytest.fixture
def portions(clock: Clock) -> Portions:
    return Portions(clock)


@pytest.fixture
def work() -> Work:
    return Work()


def test_what_is_short_is_done_at_once(portions: Portions, work: Work) -> None:
    portions.do(work.steps(STEPS - 1))
    assert (work.done, portions.busy) == (STEPS - 1, False)


def test_what_is_long_leaves_others_their_turn(
    portions: Portions, work: Work, clock: Clock
) -> None:
    portions.do(work.steps(2 * STEPS + 5))
    assert (work.done, portions.busy) == (STEPS, True)
    clock.advance(TURN)
    assert work.done == 2 * STEPS
    clock.advance(TURN)
    assert (work.done, portions.busy) == (2 * STEPS + 5, False)


def test_it_is_time_that_counts(portions: Portions, work: Work, clock: Clock) -> None:
    portions.do(work.steps(3, lambda: clock.advance(SECONDS)))
    assert work.done == 1
    clock.advance(TURN)
    assert work.done == 2
    clock.advance(TURN)
    clock.advance(TURN)
    assert (work.done, portions.busy) == (3, False)


def test_what_can_not_go_on_is_looked_at_again(portions: Portions, clock: Clock) -> None:
    full, done = [True], list[int]()

    def steps() -> Steps:
        while full[0]:
            yield False
        done.append(1)

    portions.do(steps())
    clock.advance(LOOK)
    assert (done, portions.busy) == ([], True)
    full[0] = False
    clock.advance(LOOK)
    assert (done, portions.busy) == ([1], False)


def test_other_work_takes_its_place(portions: Portions, work: Work, clock: Clock) -> None:
    other = Work()
    portions.do(work.steps(2 * STEPS))
    portions.do(other.steps(2 * STEPS))
    clock.advance(TURN)
    clock.advance(TURN)
    assert (work.done, other.done) == (STEPS, 2 * STEPS)


@pytest.mark.parametrize("number", [0, STEPS])
def test_it_is_given_up(portions: Portions, work: Work, number: int) -> None:
    if number:
        portions.do(work.steps(2 * number))
    portions.stop()
    assert (work.done, portions.busy) == (number, False)


def test_a_step_may_end_it_or_begin_something_else(portions: Portions, work: Work) -> None:
    portions.do(work.steps(5, portions.stop))
    assert (work.done, portions.busy) == (1, False)
    other = Work()
    portions.do(work.steps(5, lambda: portions.do(other.steps(3))))
    assert (work.done, other.done, portions.busy) == (2, 3, False)


def test_what_raises_is_over(portions: Portions, work: Work, clock: Clock) -> None:
    def fail() -> None:
        if work.done > STEPS:
            raise ValueError("a mistake")

    portions.do(work.steps(2 * STEPS, fail))
    with pytest.raises(ValueError, match="a mistake"):
        clock.advance(TURN)
    assert not portions.busy
    portions.do(Work().steps(1))
