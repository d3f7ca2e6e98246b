"""Filters around the calls that a node makes."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from chatcore.errors import CallRefused, CallTimedOut, NotConnected, RemoteRaised
from chatcore.links.filters import rpc_log

from .senders import FakeSender
from .test_rpc_failures import make
from .wiring import Log, done


@pytest.fixture
def sender() -> FakeSender:
    return FakeSender()


class Noting:
    """A filter that writes down what it sees."""

    def __init__(self, name: str, seen: list[Any]) -> None:
        self.name, self.seen = name, seen

    def before(self, call: Any) -> Any:
        self.seen.append(f"before {self.name}")

    def after(self, call: Any, result: Any, problem: Any) -> Any:
        outcome = result if problem is None else repr(problem)
        self.seen.append(f"after {self.name}: {outcome}")


class Waiting(Noting):
    """One that waits, for what the test says."""

    def __init__(self, name: str, seen: list[Any]) -> None:
        super().__init__(name, seen)
        self.gate: Deferred[None] = Deferred()

    async def before(self, call: Any) -> None:
        super().before(call)
        await self.gate


class Raising(Noting):
    def __init__(self, name: str, seen: list[Any], problem: Exception) -> None:
        super().__init__(name, seen)
        self.problem = problem

    def before(self, call: Any) -> None:
        super().before(call)
        raise self.problem


def test_before_in_order_and_after_in_reverse(sender: FakeSender) -> None:
    seen: list[Any] = []
    assert done(make(sender.calls(Noting("1", seen), Noting("2", seen)))) == "by a"
    assert seen == ["before 1", "before 2", "after 2: by a", "after 1: by a"]


def test_filters_that_wait(sender: FakeSender) -> None:
    seen: list[Any] = []
    waiting = Waiting("1", seen)
    call = make(sender.calls(waiting, Noting("2", seen)))
    assert (seen, sender.sent) == (["before 1"], [])
    waiting.gate.callback(None)
    assert done(call) == "by a"
    assert seen[1:] == ["before 2", "after 2: by a", "after 1: by a"]


def test_a_filter_has_no_more_time_than_the_call(sender: FakeSender) -> None:
    seen: list[Any] = []
    call = make(sender.calls(Waiting("1", seen)), timeout=3)
    sender.clock.advance(3)
    with pytest.raises(CallTimedOut, match="a filter did not let it pass"):
        done(call)
    assert len(seen) == 2
    assert sender.sent == []
    assert sender.counters.calls_failed == 1


def test_the_call_has_what_time_the_filter_left(sender: FakeSender) -> None:
    waiting = Waiting("1", [])
    call = make(sender.calls(waiting), timeout=3)
    sender.clock.advance(2)
    waiting.gate.callback(None)
    done(call)
    assert sender.timeouts == [1]


def test_a_filter_that_raises_stops_the_call(sender: FakeSender) -> None:
    """After it, only those are told that had seen the call."""
    seen: list[Any] = []
    problem = ValueError("no")
    calls = sender.calls(Noting("1", seen), Raising("2", seen, problem), Noting("3", seen))
    with pytest.raises(
        CallRefused, match=r"add on a: a filter raised ValueError\('no'\)"
    ) as raised:
        done(make(calls))
    assert raised.value.__cause__ is problem
    assert sender.sent == []
    assert [each.partition(":")[0] for each in seen] == [
        "before 1",
        "before 2",
        "after 2",
        "after 1",
    ]
    assert sender.counters.calls_failed == 1


def test_refusing_in_words(sender: FakeSender) -> None:
    class Shut:
        def before(self, call: Any) -> None:
            call.refuse(f"{call.server_id} is shut")

    with pytest.raises(CallRefused, match=r"chatRemote\.add on a: a is shut"):
        done(make(sender.calls(Shut())))


def test_what_a_filter_refuses_may_go_elsewhere(sender: FakeSender) -> None:
    """Filters see each try, so one may keep calls from a server that does not do well."""

    class Breaker:
        def before(self, call: Any) -> None:
            if call.server_id in "ab":
                call.refuse("not that one")

    seen: list[Any] = []
    calls = sender.calls(Noting("1", seen), Breaker())
    assert done(make(calls, failure="over")) == "by c"
    assert sender.servers == ["c"]
    assert seen.count("before 1") == 3


def test_what_a_filter_changes_is_what_is_called(sender: FakeSender) -> None:
    class Adding:
        def before(self, call: Any) -> None:
            call.args.append("more")

    done(make(sender.calls(Adding()), failure="over"))
    done(make(sender.calls(Adding())))
    assert [args for *_, args in sender.sent] == [[1, "more"]] * 2


@pytest.mark.parametrize(
    "problem",
    [NotConnected("a", "add"), CallTimedOut("a", "add"), RemoteRaised("a", "add", "no")],
    ids=repr,
)
def test_after_is_told_however_it_ended(sender: FakeSender, problem: Exception) -> None:
    seen: list[Any] = []
    sender.outcome = lambda id: fail(problem)
    with pytest.raises(type(problem)):
        done(make(sender.calls(Noting("1", seen))))
    assert seen == ["before 1", f"after 1: {problem!r}"]


def test_what_is_carried_from_before_to_after(sender: FakeSender) -> None:
    found: list[Any] = []

    class Carrying:
        def before(self, call: Any) -> None:
            call.context["key"] = "value"

        def after(self, call: Any, result: Any, problem: Any) -> None:
            found.append((call.context, call.seconds, call.size, call.notify, call.peer))

    waiting: Deferred[Any] = Deferred()
    sender.outcome = lambda id: waiting
    call = make(sender.calls(Carrying()))
    sender.clock.advance(2)
    waiting.callback(None)
    done(call)
    assert found == [({"key": "value"}, 2, 2, False, None)]


def test_errors_after_a_call_are_only_logged(sender: FakeSender, log: Log) -> None:
    class Broken:
        def after(self, call: Any, result: Any, problem: Any) -> None:
            raise ValueError("too late to matter")

    seen: list[Any] = []
    assert done(make(sender.calls(Noting("1", seen), Broken()))) == "by a"
    assert seen == ["before 1", "after 1: by a"]
    assert any("too late to matter" in text for text in log.texts)


def test_nobody_waits_for_what_comes_after(sender: FakeSender) -> None:
    class Slow:
        def after(self, call: Any, result: Any, problem: Any) -> Any:
            return Deferred()

    assert done(make(sender.calls(Slow()))) == "by a"
    sender.clock.advance(30)
    assert sender.clock.getDelayedCalls() == []


def test_a_notify_that_a_filter_stops(sender: FakeSender) -> None:
    seen: list[Any] = []
    calls = sender.calls(Raising("1", seen, ValueError("no")))
    assert done(make(calls, notify=True)) is None
    assert sender.counters.calls_failed == 1
    assert len(seen) == 2


@pytest.mark.parametrize("level", ["info", "debug"])
def test_the_log_of_calls(sender: FakeSender, level: str) -> None:
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        calls = sender.calls(rpc_log(level))
        done(make(calls))
        sender.outcome = lambda id: fail(NotConnected(id, "add"))
        with pytest.raises(NotConnected):
            done(make(calls))
    finally:
        globalLogPublisher.removeObserver(events.append)
    mine = [event for event in events if event["log_namespace"] == "chatcore.rpc"]
    assert [formatEvent(event) for event in mine] == [
        "chat.chatRemote.add on a: 2 bytes, 0.0 ms, ok",
        "chat.chatRemote.add on a: 2 bytes, 0.0 ms, NotConnected",
    ]
    assert {event["log_level"].name for event in mine} == {level}


def test_the_log_has_two_levels() -> None:
    with pytest.raises(ValueError, match="neither 'info' nor 'debug'"):
        rpc_log("loud")
