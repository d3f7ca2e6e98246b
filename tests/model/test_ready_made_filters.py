"""The filters that come with chatcore."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatcore.application import serial, time_log, timeout, too_busy
from chatcore.dispatch.dispatcher import FAILED
from chatcore.dispatch.lag import INTERVAL, Lag
from chatcore.errors import ClientError, ConfigError, RemoteRefused

from .fakes import Log
from .filtered import FilteredNode, Waits, client


@pytest.fixture
def node() -> Iterator[FilteredNode]:
    node = FilteredNode()
    yield node
    node.close()


class TestSerial:
    @pytest.fixture
    def handler(self, node: FilteredNode) -> Waits:
        handler = Waits()
        node.handler(handler)
        return handler

    def test_one_after_the_other_in_order(self, node: FilteredNode, handler: Waits) -> None:
        node.app.filter(serial())
        first, second, third = (node.begin(n, notify=n == 1) for n in range(3))
        assert len(handler.under_way) == 1
        for replies in (first, second, third):
            assert replies == []
            handler.go_on("done")
            assert replies == ["done"]
            node.clock.advance(0)
        assert handler.under_way == []

    def test_sessions_do_not_wait_for_each_other(self, node: FilteredNode, handler: Waits) -> None:
        node.app.filter(serial())
        node.begin(session=client(1))
        node.begin(session=client(2))
        assert len(handler.under_way) == 2

    def test_the_answer_leaves_before_the_next_begins(self, node: FilteredNode) -> None:
        called: list[Any] = []
        gate: Deferred[None] = Deferred()

        async def handler(msg: Any, session: Any) -> Any:
            called.append((msg, list(node.replies)))
            if msg == 1:
                await gate
            return msg

        node.app.filter(serial())
        node.handler(handler)
        node.begin(1)
        node.begin(2)
        gate.callback(None)
        node.clock.advance(0)
        assert called == [(1, []), (2, [1])]

    def test_many_that_wait_do_not_pile_up(self, node: FilteredNode) -> None:
        """They end at once when it is their turn, each in a turn of its own."""
        gate: Deferred[None] = Deferred()

        async def handler(msg: Any, session: Any) -> Any:
            if msg == 0:
                await gate
            return msg

        node.app.filter(serial(most=2000))
        node.handler(handler)
        for number in range(2000):
            node.begin(number)
        gate.callback(None)
        node.clock.pump([0] * 2000)
        assert node.replies == list(range(2000))

    def test_one_that_takes_too_long_lets_the_next_begin(
        self, node: FilteredNode, handler: Waits, log: Log
    ) -> None:
        node.app.filter(serial(timeout=3))
        slow = node.begin()
        node.begin()
        node.clock.advance(3)
        node.clock.advance(0)
        assert len(handler.under_way) == 2
        assert "runs for more than 3" in log.text()
        third = node.begin()
        handler.go_on("slow")  # it ends after all, and it is nobody's turn for that
        node.clock.advance(0)
        assert (slow, len(handler.under_way)) == (["slow"], 1)
        handler.go_on()
        node.clock.advance(0)
        handler.go_on("third")
        assert third == ["third"]

    def test_only_so_many_may_wait(self, node: FilteredNode, handler: Waits) -> None:
        node.app.filter(serial(most=2))
        replies = [node.begin(session=client(1, "bob")) for _ in range(4)]
        assert replies == [[], [], [], [FAILED]]
        assert node.counters.requests_refused == 1
        (entry,) = node.counters.journal.of("bob")
        assert (entry.why, entry.about["detail"]) == (
            "refused",
            "2 messages of its session wait already",
        )
        assert len(node.begin(session=client(2))) == 0

    def test_nothing_is_kept_of_who_is_gone(self, node: FilteredNode, handler: Waits) -> None:
        """Whether they were answered, failed, or gave up waiting for their turn."""
        one = serial(timeout=60)
        node.app.filter(one)
        for number in range(50):
            session = client(number)
            node.begin(session=session)
            node.begin(session=session)
            node.begin(session=session)
        handler.go_on()
        node.clock.advance(0)
        handler.under_way.pop(0).errback(ClientError(1))
        node.clock.advance(0)
        assert len(one) == 50
        node.clock.advance(10)
        assert len(node.replies) == 150
        node.clock.advance(1)
        assert len(one) == 0

    def test_an_early_answer_ends_a_turn_too(self, node: FilteredNode, handler: Waits) -> None:
        def refuse(request: Any) -> None:
            if request.msg == "refuse":
                raise ClientError(403)

        node.app.filter(serial())
        node.app.before(refuse)
        assert node.ask("refuse") == {"code": 403}
        node.begin()
        assert len(handler.under_way) == 1


class TestTimeLog:
    def test_says_route_time_and_uid(self, node: FilteredNode, log: Log) -> None:
        handler = Waits()
        node.app.filter(time_log())
        node.handler(handler)
        node.begin(session=client(1, "alice\n"))
        node.clock.advance(0.25)
        handler.go_on()
        assert log.text() == r"chat.chatHandler.send 250.0 ms, uid 'alice\n'"
        assert log.events[0]["log_namespace"] == "chatcore.time"

    def test_says_what_failed(self, node: FilteredNode, log: Log) -> None:
        handler = Waits()
        node.app.filter(time_log())
        node.handler(handler)
        node.begin()
        handler.under_way.pop().errback(ClientError(403))
        assert log.text().endswith("uid None, ClientError")

    def test_may_leave_out_the_fast_ones(self, node: FilteredNode, log: Log) -> None:
        handler = Waits()
        node.app.filter(time_log(slow=0.5))
        node.handler(handler)
        node.begin()
        node.clock.advance(0.4)
        handler.go_on()
        assert log.events == []
        node.begin()
        node.clock.advance(0.5)
        handler.go_on()
        assert len(log.events) == 1


class TestTimeout:
    def test_answers_and_cancels(self, node: FilteredNode) -> None:
        handler = Waits()
        node.app.filter(timeout(3))
        node.handler(handler)
        replies = node.begin()
        node.clock.advance(2.9)
        assert replies == []
        node.clock.advance(0.1)
        assert (replies, handler.cancelled) == ([FAILED], 1)
        assert node.counters.requests_failed == 1

    def test_leaves_nothing_of_what_ended_in_time(self, node: FilteredNode, log: Log) -> None:
        node.app.filter(timeout(3))
        node.handler(lambda msg, session: msg)
        for number in range(1000):
            assert node.ask(number) == number
        node.clock.advance(3)
        assert node.clock.getDelayedCalls() == []
        assert log.events == []


class TestLag:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def lag(self, clock: Clock) -> Any:
        lag = Lag(clock)
        yield lag
        lag.stop()
        assert clock.getDelayedCalls() == []

    def test_is_measured_from_when_it_is_asked_for(self, clock: Clock, lag: Lag) -> None:
        clock.advance(10)
        assert clock.getDelayedCalls() == []
        assert lag.seconds == 0
        assert len(clock.getDelayedCalls()) == 1

    def test_rises_with_what_the_reactor_is_late_and_falls_again(
        self, clock: Clock, lag: Lag
    ) -> None:
        lag.start()
        clock.advance(INTERVAL + 0.3)
        first = lag.seconds
        assert 0 < first < 0.3  # one hiccup is not yet a lag
        for _ in range(20):
            clock.advance(INTERVAL + 0.3)
        assert lag.seconds == pytest.approx(0.3, rel=0.01)
        for _ in range(20):
            clock.advance(INTERVAL)
        assert lag.seconds < 0.001

    def test_a_machine_that_slept_is_soon_well(self, clock: Clock, lag: Lag) -> None:
        lag.start()
        clock.advance(3600)
        for _ in range(6):
            clock.advance(INTERVAL)
        assert lag.seconds < 0.07


class TestTooBusy:
    def late(self, node: FilteredNode, seconds: float, times: int = 12) -> None:
        for _ in range(times):
            node.clock.advance(INTERVAL + seconds)

    def test_refuses_while_the_reactor_is_late(self, node: FilteredNode, log: Log) -> None:
        node.app.filter(too_busy(0.07))
        node.handler(lambda msg, session: {"a": 1})
        assert node.ask() == {"a": 1}
        self.late(node, 0.1)
        assert node.ask() == FAILED
        assert node.ask() == FAILED
        assert (node.counters.requests_refused, node.counters.requests_failed) == (2, 0)
        self.late(node, 0)
        assert node.ask() == {"a": 1}
        first, second = log.text().splitlines()  # said once, not for each
        assert first.startswith("Too busy")
        assert second.startswith("Not too busy any more")

    def test_a_call_of_another_server_is_refused_its_own_way(self, node: FilteredNode) -> None:
        class Call:
            def refuse(self, why: str) -> None:
                raise RemoteRefused("chat-1", "chatRemote.add", why)

        busy = too_busy()
        node.app.filter(busy)
        node.handler(lambda msg, session: None)
        node.ask()
        busy.before(Call())
        self.late(node, 0.1)
        with pytest.raises(RemoteRefused, match="late"):
            busy.before(Call())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: serial(timeout=0), "serial: timeout is 0"),
        (lambda: serial(most=-1), "serial: most is -1"),
        (lambda: timeout("3"), "timeout: seconds is '3'"),
        (lambda: too_busy(True), "too_busy: max_lag is True"),
        (lambda: time_log(-1), "time_log: slow is -1"),
    ],
)
def test_numbers_are_verified(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()
