"""Hooks that are called one after another, whether they wait or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from chatcore.dispatch.calling import Caller, DeadlinePassed
from chatcore.dispatch.chain import every, in_turn, then

from .fakes import result_of


class Hooks:
    """Hooks that write down that they were called, and do what the test says."""

    def __init__(self) -> None:
        self.called: list[Any] = []
        self.waiting: dict[str, Deferred[Any]] = {}
        self.cancelled: list[str] = []

    def gives(self, name: str, value: Any = None) -> Callable[..., Any]:
        def hook(*args: Any) -> Any:
            self.called.append((name, *args))
            return value

        return hook

    def raises(self, name: str, problem: BaseException) -> Callable[..., Any]:
        def hook(*args: Any) -> Any:
            self.called.append((name, *args))
            raise problem

        return hook

    def waits(self, name: str) -> Callable[..., Any]:
        async def hook(*args: Any) -> Any:
            self.called.append((name, *args))
            waiting = Deferred[Any](lambda _: self.cancelled.append(name))
            self.waiting[name] = waiting
            return await waiting

        return hook

    def defers(self, name: str) -> Callable[..., Any]:
        def hook(*args: Any) -> Any:
            self.called.append((name, *args))
            return self.waiting.setdefault(name, Deferred())

        return hook

    @property
    def names(self) -> list[str]:
        return [name for name, *_ in self.called]


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


async def at_once(*args: Any) -> str:
    return "at once"


def test_without_waiting_there_is_no_deferred(hooks: Hooks) -> None:
    chain = [hooks.gives("a", 1), at_once, hooks.gives("b")]
    assert in_turn(chain, "x", "y") is None
    assert hooks.called == [("a", "x", "y"), ("b", "x", "y")]
    assert in_turn([]) is None


def test_each_waits_for_the_one_before(hooks: Hooks) -> None:
    ended = in_turn([hooks.waits("a"), hooks.gives("b"), hooks.defers("c"), hooks.gives("d")], 1)
    assert hooks.called == [("a", 1)]
    hooks.waiting["a"].callback(None)
    assert hooks.called == [("a", 1), ("b", 1), ("c", 1)]
    hooks.waiting["c"].callback("passed over")
    assert hooks.names == ["a", "b", "c", "d"]
    assert result_of(ended) is None


@pytest.mark.parametrize("kind", ["raises", "waits", "defers"])
def test_who_raises_ends_it(hooks: Hooks, kind: str) -> None:
    problem = ValueError("no")
    if kind == "raises":
        with pytest.raises(ValueError, match="no"):
            in_turn([hooks.raises("a", problem), hooks.gives("b")])
    else:
        ended = in_turn([getattr(hooks, kind)("a"), hooks.gives("b")])
        hooks.waiting["a"].errback(problem)
        with pytest.raises(ValueError, match="no"):
            result_of(ended)
    assert hooks.names == ["a"]


def test_cancelling_cancels_the_hook_under_way(hooks: Hooks) -> None:
    ended = in_turn([hooks.gives("a"), hooks.waits("b"), hooks.gives("c")])
    ended.cancel()
    with pytest.raises(CancelledError):
        result_of(ended)
    assert hooks.cancelled == ["b"]
    assert hooks.names == ["a", "b"]


def test_what_comes_then(hooks: Hooks) -> None:
    assert then(in_turn([hooks.gives("a")]), at_once) == "at once"
    ended = then(in_turn([hooks.waits("b")]), hooks.waits("c"), 7)
    hooks.waiting["b"].callback(None)
    assert hooks.called[-1] == ("c", 7)
    hooks.waiting["c"].callback("end")
    assert result_of(ended) == "end"


def test_what_comes_then_does_not_come_after_a_failure(hooks: Hooks) -> None:
    ended = then(in_turn([hooks.waits("a")]), hooks.gives("b"))
    hooks.waiting["a"].errback(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        result_of(ended)
    assert hooks.names == ["a"]


def test_every_hook_is_called_whatever_the_others_do(hooks: Hooks) -> None:
    """Those that raise and those that take too long are told of; each has its own time."""
    clock, failed, ended = Clock(), [], []
    slow, broken = hooks.waits("slow"), hooks.raises("broken", SystemExit("no"))
    every(
        [hooks.gives("a"), broken, slow, hooks.waits("b"), hooks.gives("c")],
        "x",
        caller=Caller(seconds=10, clock=clock),
        failed=lambda hook, problem: failed.append((hook, type(problem))),
        ended=lambda: ended.append(True),
    )
    assert hooks.names == ["a", "broken", "slow"]
    assert failed == [(broken, SystemExit)]
    clock.advance(10)
    assert failed[1:] == [(slow, DeadlinePassed)]
    assert hooks.cancelled == ["slow"]
    clock.advance(9)
    assert hooks.names == ["a", "broken", "slow", "b"]
    assert ended == []
    hooks.waiting["b"].callback(None)
    assert hooks.called[-1] == ("c", "x")
    assert ended == [True]
    assert len(failed) == 2
    clock.advance(10)
    assert clock.getDelayedCalls() == []
