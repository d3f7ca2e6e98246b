"""Calling methods that return at once, or later, or never."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock, deferLater

from chatcore.dispatch import calling
from chatcore.dispatch.calling import Caller, DeadlinePassed


class Told:
    """What a call's end was told to be, each time it was told."""

    def __init__(self) -> None:
        self.ends: list[tuple[Any, BaseException | None]] = []

    def __call__(self, result: Any, problem: BaseException | None) -> None:
        self.ends.append((result, problem))

    @property
    def result(self) -> Any:
        ((result, problem),) = self.ends
        assert problem is None
        return result

    @property
    def problem(self) -> BaseException:
        ((result, problem),) = self.ends
        assert result is None
        assert problem is not None
        return problem


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def caller(clock: Clock) -> Any:
    caller = Caller(seconds=10, clock=clock)
    yield caller
    caller.stop()
    assert clock.getDelayedCalls() == []


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_plain_value(caller: Caller, clock: Clock, told: Told) -> None:
    caller.call(told, lambda a, b: (a, b), 1, 2)
    assert told.result == (1, 2)
    assert clock.getDelayedCalls() == []


def test_a_coroutine_that_ends_at_once_costs_no_deferred(
    caller: Caller, clock: Clock, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def method(value: int) -> int:
        return await inner(value) + await succeed(1)

    async def inner(value: int) -> int:
        return value

    async def waits() -> None:
        await waiting

    waiting: Deferred[None] = Deferred()
    made: list[Any] = []
    plain = calling.Waiting
    monkeypatch.setattr(calling, "Waiting", lambda *args: made.append(plain(*args)))
    caller.call(told, method, 4)
    assert (told.result, made, clock.getDelayedCalls()) == (5, [], [])
    caller.call(Told(), waits)
    assert len(made) == 1
    waiting.callback(None)


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_coroutine_that_is_given_up_ends_in_peace(clock: Clock) -> None:
    """As when a node stops while handlers wait."""
    seen: list[str] = []

    async def method() -> None:
        try:
            await Deferred()
        finally:
            seen.append("cleaned up")

    caller = Caller(seconds=10, clock=clock)
    caller.call(lambda result, problem: seen.append("told"), method)
    caller.stop()
    del caller
    gc.collect()
    assert seen == ["cleaned up"]


def test_stopping_cancels_what_waits(caller: Caller, told: Told, clock: Clock) -> None:
    """So that a node in a process that goes on leaves no timers of its handlers behind."""
    seen: list[str] = []

    async def method() -> None:
        try:
            await deferLater(clock, 60)
        finally:
            seen.append("cleaned up")

    caller.call(told, method)
    caller.stop()
    assert (seen, told.ends, clock.getDelayedCalls()) == (["cleaned up"], [], [])


def test_a_coroutine_that_waits(caller: Caller, told: Told) -> None:
    first: Deferred[int] = Deferred()
    second: Deferred[int] = Deferred()

    async def method() -> int:
        got = await first
        try:
            await second
        except ValueError:
            got += 1
        return got + await succeed(10)

    caller.call(told, method)
    assert told.ends == []
    first.callback(1)
    assert told.ends == []
    second.errback(ValueError())
    assert told.result == 12


def test_a_deferred(caller: Caller, told: Told) -> None:
    waiting: Deferred[str] = Deferred()
    caller.call(told, lambda: waiting)
    assert told.ends == []
    waiting.callback("done")
    assert told.result == "done"


def test_a_deferred_that_has_fired(caller: Caller, told: Told) -> None:
    caller.call(told, lambda: succeed(5))
    assert told.result == 5


@pytest.mark.parametrize("problem", [ValueError("no"), SystemExit(3)])
def test_what_is_raised(caller: Caller, told: Told, problem: BaseException) -> None:
    def at_once() -> None:
        raise problem

    async def in_a_coroutine() -> None:
        raise problem

    async def later() -> None:
        await waiting
        raise problem

    for method in (at_once, in_a_coroutine, later):
        waiting: Deferred[None] = Deferred()
        told = Told()
        caller.call(told, method)
        if method is later:
            assert told.ends == []
            waiting.callback(None)
        assert told.problem is problem


def test_a_deferred_that_fails(caller: Caller, told: Told) -> None:
    waiting: Deferred[None] = Deferred()
    caller.call(told, lambda: waiting)
    problem = ValueError("no")
    waiting.errback(problem)
    assert told.problem is problem


def test_the_wrong_arguments(caller: Caller, told: Told) -> None:
    caller.call(told, lambda a: a)
    assert isinstance(told.problem, TypeError)


class TestDeadline:
    def test_is_told_once_and_cancels(self, caller: Caller, clock: Clock, told: Told) -> None:
        cancelled: list[Any] = []
        waiting: Deferred[None] = Deferred(cancelled.append)
        caller.call(told, lambda: waiting)
        clock.advance(9.9)
        assert told.ends == []
        clock.advance(0.1)
        assert isinstance(told.problem, DeadlinePassed)
        assert "10 s" in str(told.problem)
        assert cancelled == [waiting]

    def test_a_coroutine_is_cancelled_where_it_waits(
        self, caller: Caller, clock: Clock, told: Told
    ) -> None:
        seen: list[str] = []

        async def method() -> None:
            try:
                await Deferred()
            except CancelledError:
                seen.append("cancelled")
                raise
            finally:
                seen.append("cleaned up")

        caller.call(told, method)
        clock.advance(10)
        assert seen == ["cancelled", "cleaned up"]
        assert isinstance(told.problem, DeadlinePassed)

    def test_a_late_result_is_ignored(self, caller: Caller, clock: Clock, told: Told) -> None:
        second: Deferred[str] = Deferred()

        async def stubborn() -> str:
            try:
                await Deferred()
            except CancelledError:
                return await second
            return "never"

        caller.call(told, stubborn)
        clock.advance(10)
        second.callback("late")
        assert isinstance(told.problem, DeadlinePassed)

    def test_a_deferred_that_can_not_be_cancelled(
        self, caller: Caller, clock: Clock, told: Told
    ) -> None:
        waiting: Deferred[str] = Deferred(lambda deferred: deferred.callback("late"))
        caller.call(told, lambda: waiting)
        clock.advance(10)
        assert isinstance(told.problem, DeadlinePassed)

    def test_a_late_failure_is_ignored(self, caller: Caller, clock: Clock, told: Told) -> None:
        async def method() -> None:
            try:
                await Deferred()
            finally:
                raise ValueError("late")

        caller.call(told, method)
        clock.advance(10)
        gc.collect()
        assert isinstance(told.problem, DeadlinePassed)

    def test_what_ended_in_time_does_not_expire(
        self, caller: Caller, clock: Clock, told: Told
    ) -> None:
        waiting: Deferred[str] = Deferred()
        caller.call(told, lambda: waiting)
        clock.advance(9)
        waiting.callback("in time")
        clock.advance(60)
        assert told.result == "in time"

    def test_each_call_has_its_own(self, caller: Caller, clock: Clock) -> None:
        calls = [Told() for _ in range(3)]
        for told in calls:
            caller.call(told, Deferred)
            clock.advance(4)
        assert [len(told.ends) for told in calls] == [1, 0, 0]
        clock.advance(4)
        assert [len(told.ends) for told in calls] == [1, 1, 0]
        clock.advance(4)
        assert [len(told.ends) for told in calls] == [1, 1, 1]

    def test_no_deadline(self, clock: Clock, told: Told) -> None:
        waiting: Deferred[str] = Deferred()
        Caller(seconds=0, clock=clock).call(told, lambda: waiting)
        clock.advance(100_000)
        assert (told.ends, clock.getDelayedCalls()) == ([], [])
        waiting.callback("done")
        assert told.result == "done"
