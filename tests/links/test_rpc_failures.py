"""What follows when a call gives no result: nothing, another server, or another try."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from chatcore.errors import (
    CallTimedOut,
    LinkLost,
    NoSuchServer,
    NotConnected,
    RemoteRaised,
    RemoteRefused,
    RpcError,
)
from chatcore.links.calls import Calls, Choice, options

from .senders import FakeSender
from .wiring import Log, done

SERVERS = ["a", "b", "c"]


@pytest.fixture
def sender() -> FakeSender:
    return FakeSender()


def untried(server_type: str, tried: Collection[str]) -> str:
    for server_id in SERVERS:
        if server_id not in tried:
            return server_id
    raise NoSuchServer(server_type, "any")


def make(calls: Calls, choice: Choice | None = None, **asked: Any) -> Deferred[Any]:
    how = options(asked.get("notify", False), asked.get("timeout"), asked.get("failure", "fast"))
    return calls.make(choice or Choice(untried), how, "chat", "chatRemote", "add", [1])


NOTHING_RAN: list[RpcError] = [
    NoSuchServer("x", "add"),
    NotConnected("x", "add"),
    RemoteRefused("x", "add", nothing_ran=True),
]
LOST: list[RpcError] = [LinkLost("x", "add"), CallTimedOut("x", "add")]
IT_RAN: list[RpcError] = [RemoteRaised("x", "add", "no"), RemoteRefused("x", "add")]


@pytest.mark.parametrize("problem", [*NOTHING_RAN, *LOST, *IT_RAN], ids=repr)
def test_fail_fast_tries_once(sender: FakeSender, problem: RpcError) -> None:
    sender.outcome = lambda id: fail(problem)
    with pytest.raises(type(problem)):
        done(make(sender.calls()))
    assert sender.servers == ["a"]
    assert sender.timeouts == [None]


@pytest.mark.parametrize("problem", NOTHING_RAN, ids=repr)
def test_fail_over_calls_another_where_nothing_ran(sender: FakeSender, problem: RpcError) -> None:
    sender.outcome = lambda id: succeed("c's") if id == "c" else fail(problem)
    assert done(make(sender.calls(), failure="over")) == "c's"
    assert sender.servers == ["a", "b", "c"]
    assert sender.counters.calls_retried == 2


@pytest.mark.parametrize("problem", [*LOST, *IT_RAN], ids=repr)
def test_fail_over_does_not_run_anything_twice(sender: FakeSender, problem: RpcError) -> None:
    sender.outcome = lambda id: fail(problem)
    with pytest.raises(type(problem)):
        done(make(sender.calls(), failure="over"))
    assert sender.servers == ["a"]


def test_fail_over_says_how_many_were_tried(sender: FakeSender) -> None:
    sender.outcome = lambda id: fail(NotConnected(id, "add"))
    with pytest.raises(NotConnected) as raised:
        done(make(sender.calls(), failure="over"))
    assert raised.value.tried == 3
    assert str(raised.value) == ("add on c: not connected; nothing was sent (the last of 3 tries)")


def test_fail_over_ends_where_the_route_knows_no_other(sender: FakeSender) -> None:
    """A route of an application's own may name the same server whatever it is given."""
    sender.outcome = lambda id: fail(NotConnected(id, "add"))
    with pytest.raises(NotConnected):
        done(make(sender.calls(), Choice(lambda type, tried: "a"), failure="over"))
    assert sender.servers == ["a"]


def test_fail_over_ends_with_the_time(sender: FakeSender) -> None:
    waiting: Deferred[Any] = Deferred()
    sender.outcome = lambda id: waiting if id == "a" else succeed(id)
    call = make(sender.calls(), failure="over", timeout=3)
    sender.clock.advance(3)
    waiting.errback(RemoteRefused("a", "add", nothing_ran=True))
    with pytest.raises(RemoteRefused):
        done(call)
    assert sender.servers == ["a"]


@pytest.mark.parametrize("problem", [*NOTHING_RAN, *LOST], ids=repr)
def test_retry_calls_the_same_server_again(sender: FakeSender, problem: RpcError) -> None:
    outcomes = [fail(problem), fail(problem), succeed("well")]
    sender.outcome = lambda id: outcomes.pop(0)
    call = make(sender.calls(retry_seconds=1), failure="retry")
    assert sender.servers == ["a"]
    sender.clock.advance(1)
    assert sender.servers == ["a", "a"]
    sender.clock.advance(1)
    assert done(call) == "well"
    assert sender.counters.calls_retried == 2


def test_retry_goes_elsewhere_where_any_server_will_do(sender: FakeSender) -> None:
    sender.outcome = lambda id: fail(LinkLost(id, "add"))
    call = make(
        sender.calls(retry_seconds=0, retries=4), Choice(untried, keeps=False), failure="retry"
    )
    for _ in range(5):
        sender.clock.advance(0)
    with pytest.raises(LinkLost) as raised:
        done(call)
    assert sender.servers == ["a", "b", "c", "a", "a"]
    assert raised.value.tried == 5


@pytest.mark.parametrize("problem", IT_RAN, ids=repr)
def test_what_the_remote_answered_is_not_asked_again(sender: FakeSender, problem: RpcError) -> None:
    sender.outcome = lambda id: fail(problem)
    with pytest.raises(type(problem)):
        done(make(sender.calls(), failure="retry"))
    assert sender.servers == ["a"]


def test_tries_are_bounded(sender: FakeSender) -> None:
    sender.outcome = lambda id: fail(LinkLost(id, "add"))
    call = make(sender.calls(retries=2, retry_seconds=1), failure="retry")
    sender.clock.pump([1] * 5)
    with pytest.raises(LinkLost, match="the last of 3 tries"):
        done(call)
    assert len(sender.sent) == 3
    assert sender.clock.getDelayedCalls() == []


def test_each_try_has_its_share_of_the_time(sender: FakeSender) -> None:
    """Otherwise the first answer that is lost would leave no time for another try."""
    sender.outcome = lambda id: Deferred()
    waiting: list[Deferred[Any]] = []
    sender.outcome = lambda id: waiting.append(Deferred()) or waiting[-1]
    call = make(sender.calls(retries=2, retry_seconds=1), failure="retry", timeout=9)
    for seconds in (3, 2.5, 1.5):
        sender.clock.advance(seconds)
        waiting[-1].errback(CallTimedOut("a", "add"))
        sender.clock.advance(1)
    with pytest.raises(CallTimedOut):
        done(call)
    assert sender.timeouts == [3, 2.5, 1.5]


def test_nothing_is_tried_after_the_deadline(sender: FakeSender) -> None:
    waiting: Deferred[Any] = Deferred()
    sender.outcome = lambda id: waiting
    call = make(sender.calls(retry_seconds=2), failure="retry", timeout=5)
    sender.clock.advance(3)
    waiting.errback(LinkLost("a", "add"))
    with pytest.raises(LinkLost):
        done(call)  # at once: another try would begin when the time is up
    sender.clock.advance(10)
    assert len(sender.sent) == 1


def test_a_node_that_stops_tries_nothing_again(sender: FakeSender) -> None:
    sender.outcome = lambda id: fail(LinkLost(id, "add"))
    calls = sender.calls(retry_seconds=1)
    call = make(calls, failure="retry")
    calls.stop()
    with pytest.raises(LinkLost):
        done(call)
    assert sender.clock.getDelayedCalls() == []
    assert len(sender.sent) == 1


def test_who_waits_no_more_stops_the_tries(sender: FakeSender) -> None:
    sender.outcome = lambda id: fail(LinkLost(id, "add"))
    call = make(sender.calls(retry_seconds=1), failure="retry")
    call.cancel()
    with pytest.raises(LinkLost):
        done(call)
    assert sender.clock.getDelayedCalls() == []


def test_a_timeout_of_ones_own(sender: FakeSender) -> None:
    assert done(make(sender.calls(), timeout=2.5)) == "by a"
    assert sender.timeouts == [2.5]


@pytest.mark.parametrize("failure", ["fast", "over"])
def test_a_notify_gives_none_at_once(sender: FakeSender, failure: str) -> None:
    sender.outcome = lambda id: succeed(None) if id == "b" else fail(NotConnected(id, "add"))
    assert done(make(sender.calls(), notify=True, failure=failure)) is None
    assert sender.servers == (["a"] if failure == "fast" else ["a", "b"])
    assert set(sender.notified) == {True}


def test_a_notify_to_nobody_is_counted(sender: FakeSender) -> None:
    def nobody(server_type: str, tried: Collection[str]) -> str:
        raise NoSuchServer(server_type, "any")

    assert done(make(sender.calls(), Choice(nobody), notify=True)) is None
    assert sender.counters.calls_failed == 1
    with pytest.raises(NoSuchServer):
        done(make(sender.calls(), Choice(nobody)))
    assert sender.counters.calls_failed == 2


def test_a_route_that_finds_nothing_to_go_by(sender: FakeSender) -> None:
    def lost(server_type: str, tried: Collection[str]) -> str:
        raise LookupError("the session has no 'room'")

    with pytest.raises(NoSuchServer, match="the session has no 'room'"):
        done(make(sender.calls(), Choice(lost)))
    assert sender.counters.calls_failed == 1


# The handler of errors.


async def later(error: RpcError, call: Any) -> Any:
    return "instead"


def at_once(error: RpcError, call: Any) -> Any:
    return "instead"


@pytest.mark.parametrize("handler", [at_once, later])
@pytest.mark.parametrize("failure", ["fast", "over"])
def test_what_the_handler_returns_is_the_result(
    sender: FakeSender, handler: Any, failure: str
) -> None:
    sender.outcome = lambda id: fail(NotConnected(id, "add"))
    assert done(make(sender.calls(on_error=handler), failure=failure)) == "instead"


def test_what_the_handler_is_told(sender: FakeSender) -> None:
    told: list[Any] = []
    calls = sender.calls(on_error=lambda *args: told.append(args))
    problem = NotConnected("a", "add")
    assert done(make(calls)) == "by a"
    sender.outcome = lambda id: fail(problem)
    with pytest.raises(NotConnected):  # it returned None, so the error stays
        done(make(calls))
    ((error, call),) = told
    assert error is problem
    assert (call.server_id, call.route, call.args) == ("a", "chat.chatRemote.add", [1])


def test_the_handler_may_raise_another_error(sender: FakeSender) -> None:
    def raises(error: RpcError, call: Any) -> Any:
        raise KeyError("mine")

    sender.outcome = lambda id: fail(NotConnected(id, "add"))
    with pytest.raises(KeyError, match="mine"):
        done(make(sender.calls(on_error=raises)))


def test_a_handler_that_never_ends_is_given_up(sender: FakeSender, log: Log) -> None:
    sender.outcome = lambda id: fail(NotConnected(id, "add"))
    call = make(sender.calls(on_error=lambda error, call: Deferred()))
    sender.clock.advance(30)
    with pytest.raises(NotConnected):
        done(call)
    assert any("took too long" in text for text in log.texts)
