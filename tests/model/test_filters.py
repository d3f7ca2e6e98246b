"""Filters and error handlers around the handlers of a node."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from chatcore.dispatch import dispatcher as dispatching
from chatcore.dispatch.calling import DeadlinePassed
from chatcore.dispatch.dispatcher import FAILED
from chatcore.errors import ClientError, NotConnected
from chatcore.interfaces import IRequest

from .fakes import Log
from .filtered import ROUTE, FilteredNode, Waits, client

LONG = 100


@pytest.fixture
def node() -> Iterator[FilteredNode]:
    node = FilteredNode()
    yield node
    node.close()


def notes(into: list[Any], name: str, wait: bool = False) -> Callable[..., Any]:
    """A hook that notes that it was called, at once or as a coroutine."""

    def note(*args: Any) -> None:
        into.append(name)

    async def note_later(*args: Any) -> None:
        into.append(name)

    return note_later if wait else note


class Both:
    def __init__(self, into: list[Any], name: str) -> None:
        self.into, self.name = into, name

    def before(self, request: Any) -> None:
        self.into.append(f"before {self.name}")

    async def after(self, request: Any, reply: Any, problem: Any) -> None:
        self.into.append(f"after {self.name}")


class TestOrder:
    def test_before_in_order_after_in_reverse(self, node: FilteredNode) -> None:
        called: list[Any] = []
        node.app.before(notes(called, "b1"))
        node.app.after(notes(called, "a1", wait=True))
        node.app.filter(Both(called, "2"))
        node.app.before(notes(called, "b3", wait=True))
        node.app.after(notes(called, "a3"))
        node.handler(notes(called, "handler", wait=True))
        assert node.ask() == {}
        assert called == ["b1", "before 2", "b3", "handler", "a3", "after 2", "a1"]
        assert node.clock.getDelayedCalls() == []  # nothing waited: nothing was timed

    def test_each_stage_waits_for_the_one_before(self, node: FilteredNode) -> None:
        called: list[Any] = []
        before, handler, after = Waits(), Waits(), Waits()
        node.app.before(before)
        node.app.before(notes(called, "before"))
        node.app.after(notes(called, "after"))
        node.app.after(after)
        node.handler(handler)
        replies = node.begin()
        assert (len(before.under_way), called) == (1, [])
        before.go_on()
        assert (len(handler.under_way), called) == (1, ["before"])
        handler.go_on({"a": 1})
        assert (len(after.under_way), called, replies) == (1, ["before"], [])
        after.go_on()
        assert (called, replies) == (["before", "after"], [{"a": 1}])

    def test_what_a_filter_is_given(self, node: FilteredNode) -> None:
        seen: list[Any] = []
        node.app.before(seen.append)
        node.app.after(lambda *args: seen.extend(args))
        node.handler(lambda msg, session: {"got": msg})
        session = client(7, "alice")
        assert node.ask({"a": 1}, session) == {"got": {"a": 1}}
        request, again, reply, problem = seen
        assert verifyObject(IRequest, request)
        assert request is again
        assert (request.route, request.msg, request.notify) == (ROUTE, {"a": 1}, False)
        assert (request.server_type, request.service, request.method) == tuple(ROUTE.split("."))
        assert request.session is session
        assert request.app == "the application"
        assert (reply, problem) == ({"got": {"a": 1}}, None)

    def test_a_notify_is_taken_through_too(self, node: FilteredNode) -> None:
        seen: list[Any] = []
        node.app.before(lambda request: seen.append(request.notify))
        node.handler(lambda msg, session: seen.append(msg))
        node.begin("hello", notify=True)
        assert seen == [True, "hello"]

    def test_without_filters_nothing_is_made(
        self, node: FilteredNode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(dispatching, "Request", None)
        node.handler(lambda msg, session: msg)
        assert node.ask(5) == 5


class TestBefore:
    def test_it_may_change_the_message_and_keep_data(self, node: FilteredNode) -> None:
        def before(request: Any) -> None:
            request.context["was"] = request.msg
            request.msg = {"changed": True}

        def after(request: Any, reply: Any, problem: Any) -> None:
            reply["was"] = request.context["was"]

        node.app.before(before)
        node.app.after(after)
        node.handler(lambda msg, session: {"got": msg})
        assert node.ask("x") == {"got": {"changed": True}, "was": "x"}

    def test_it_may_answer(self, node: FilteredNode, log: Log) -> None:
        called: list[Any] = []

        def refuse(request: Any) -> None:
            raise ClientError(401, why="who are you")

        node.app.before(refuse)
        node.app.before(notes(called, "second"))
        node.app.after(lambda request, reply, problem: called.append((reply, type(problem))))
        node.app.error_handler(notes(called, "error handler"))
        node.handler(notes(called, "handler"))
        answer = {"code": 401, "why": "who are you"}
        assert node.ask() == answer
        assert called == [(answer, ClientError)]
        assert (node.counters.requests_failed, log.events) == (0, [])

    @pytest.mark.parametrize("problem", [ValueError("secret"), SystemExit(3)])
    def test_it_may_fail(self, node: FilteredNode, log: Log, problem: BaseException) -> None:
        seen: list[Any] = []

        def fail(request: Any) -> None:
            raise problem

        node.app.before(fail)
        node.app.after(lambda request, reply, problem: seen.append((reply, problem)))
        node.handler(lambda msg, session: seen.append("handler"))
        assert node.ask() == FAILED
        assert seen == [(FAILED, problem)]
        assert node.counters.requests_failed == 1
        assert repr(problem) in log.text()

    @pytest.mark.parametrize("wait", [False, True])
    def test_what_it_sets_in_a_context_variable_is_there_afterwards(
        self, node: FilteredNode, wait: bool
    ) -> None:
        variable: ContextVar[str] = ContextVar("variable", default="not set")
        gate: Deferred[None] = Deferred()

        async def before(request: Any) -> None:
            if wait:
                await gate
            variable.set("set")

        async def handler(msg: Any, session: Any) -> Any:
            return [variable.get()]

        node.app.before(before)
        node.app.after(lambda request, reply, problem: reply.append(variable.get()))
        node.handler(handler)
        replies = node.begin()
        gate.callback(None)
        assert replies == [["set", "set"]]
        assert variable.get() == "not set"


class TestAfter:
    def test_its_failure_is_logged_and_costs_nothing(self, node: FilteredNode, log: Log) -> None:
        called: list[Any] = []

        async def fail(*args: Any) -> None:
            raise ValueError("in a filter")

        node.app.after(notes(called, "the other"))
        node.app.after(fail)
        node.handler(lambda msg, session: {"a": 1})
        assert node.ask() == {"a": 1}
        assert called == ["the other"]
        assert f"a filter after {ROUTE}" in log.text()

    def test_it_can_not_change_what_others_are_answered(self, node: FilteredNode) -> None:
        node.app.after(lambda request, reply, problem: reply.update(more=1))
        refusal = ClientError(403)

        def handler(msg: Any, session: Any) -> None:
            raise refusal if msg == "refuse" else ValueError

        node.handler(handler)
        assert node.ask("refuse") == {"code": 403, "more": 1}
        assert node.ask("fail") == {"code": 500, "more": 1}
        assert FAILED == {"code": 500}
        assert refusal.reply == {"code": 403}

    def test_one_that_hangs_does_not_lose_the_answer(self, node: FilteredNode) -> None:
        called: list[Any] = []
        hanging = Waits()
        node.app.after(notes(called, "the other"))
        node.app.after(hanging)
        node.handler(lambda msg, session: {"a": 1})
        replies = node.begin()
        node.clock.advance(9.9)
        assert replies == []
        node.clock.advance(0.1)
        assert replies == [{"a": 1}]
        assert (called, hanging.cancelled) == (["the other"], 1)


class TestDeadline:
    def test_it_is_for_all_stages_together(self, node: FilteredNode, log: Log) -> None:
        seen: list[Any] = []
        before, handler = Waits(), Waits()
        node.app.before(before)
        node.app.after(lambda request, reply, problem: seen.append((reply, type(problem))))
        node.handler(handler)
        replies = node.begin()
        node.clock.advance(6)
        before.go_on()
        node.clock.advance(3.9)
        assert replies == []
        node.clock.advance(0.1)
        assert replies == [FAILED]
        assert seen == [(FAILED, DeadlinePassed)]
        assert handler.cancelled == 1
        assert node.counters.requests_failed == 1
        assert "no result within 10 s" in log.text()

    def test_before_can_not_hang(self, node: FilteredNode) -> None:
        called: list[Any] = []
        node.app.before(Waits())
        node.handler(notes(called, "handler"))
        replies = node.begin()
        node.clock.advance(10)
        assert (replies, called) == ([FAILED], [])

    def test_who_ignores_being_cancelled_is_left_to_himself(self, node: FilteredNode) -> None:
        called: list[Any] = []
        cleaning: Deferred[None] = Deferred()

        async def handler(msg: Any, session: Any) -> Any:
            try:
                await Deferred()
            except CancelledError:
                await cleaning
                called.append("cleaned up")
            return "too late"

        node.app.after(notes(called, "after"))
        node.handler(handler)
        replies = node.begin()
        node.clock.advance(10)
        assert (replies, called) == ([FAILED], ["after"])
        cleaning.callback(None)
        assert (replies, called) == ([FAILED], ["after", "cleaned up"])

    def test_what_comes_after_it_gets_a_little_more_time(self, node: FilteredNode) -> None:
        """So that an answer, if there is one, is there before the frontend stops waiting for it."""
        error_handler, after, last = Waits(), Waits(), Waits()
        called: list[Any] = []
        node.app.error_handler(error_handler)
        node.app.after(notes(called, "called in any case"))
        node.app.after(last)
        node.app.after(after)
        node.handler(Waits())
        replies = node.begin()
        node.clock.advance(10)
        node.clock.advance(0.25)
        error_handler.go_on({"code": 504})
        node.clock.advance(0.125)
        assert (len(after.under_way), replies) == (1, [])
        node.clock.advance(0.125)
        assert replies == [{"code": 504}]
        assert (after.cancelled, last.cancelled) == (1, 1)
        assert called == ["called in any case"]


class TestErrorHandler:
    def failing(self, node: FilteredNode, problem: BaseException) -> None:
        def fail(msg: Any, session: Any) -> None:
            raise problem

        node.handler(fail)

    @pytest.mark.parametrize("wait", [False, True])
    def test_it_gives_the_reply(self, node: FilteredNode, log: Log, wait: bool) -> None:
        seen: list[Any] = []
        gate: Deferred[None] = Deferred()

        async def explain(problem: BaseException, request: Any) -> Any:
            if wait:
                await gate
            return {"code": 500, "why": str(problem), "id": request.error_id}

        node.app.error_handler(explain)
        node.app.after(lambda request, reply, problem: seen.append((reply, problem)))
        problem = ValueError("no")
        self.failing(node, problem)
        replies = node.begin()
        gate.callback(None)
        (reply,) = replies
        assert (reply["code"], reply["why"]) == (500, "no")
        assert f"Error {reply['id']} in {ROUTE}" in log.text()
        assert seen == [(reply, problem)]
        assert node.counters.requests_failed == 1

    def test_nothing_stands_for_the_default(self, node: FilteredNode) -> None:
        called: list[Any] = []
        node.app.error_handler(notes(called, "called"))
        self.failing(node, NotConnected("chat-1", "chatRemote.add"))
        assert node.ask() == FAILED
        assert called == ["called"]

    def test_its_failure_is_logged_beside_the_first(self, node: FilteredNode, log: Log) -> None:
        def fail(problem: BaseException, request: Any) -> None:
            raise KeyError("in the error handler")

        node.app.error_handler(fail)
        self.failing(node, ValueError("in the handler"))
        assert node.ask() == FAILED
        assert "in the error handler" in log.text()
        assert "in the handler" in log.text()
        assert node.counters.requests_failed == 1

    def test_it_is_not_asked_about_an_answer(self, node: FilteredNode) -> None:
        called: list[Any] = []
        node.app.error_handler(notes(called, "called"))
        self.failing(node, ClientError(404))
        assert node.ask() == {"code": 404}
        assert called == []


class TestCallingOff:
    def test_what_is_under_way_is_cancelled(self, node: FilteredNode) -> None:
        requests: list[Any] = []
        handler = Waits()
        node.app.before(requests.append)
        node.handler(handler)
        replies = node.begin()
        requests[0].call_off(ClientError(409))
        assert (replies, handler.cancelled) == ([{"code": 409}], 1)
        requests[0].call_off(ClientError(410))
        assert replies == [{"code": 409}]

    @pytest.mark.parametrize("wait", [False, True])
    def test_a_filter_may_do_it_itself(self, node: FilteredNode, wait: bool) -> None:
        called: list[Any] = []

        def before(request: Any) -> Any:
            request.call_off(ClientError(409))
            return Deferred() if wait else None

        node.app.before(before)
        node.handler(notes(called, "handler"))
        assert node.ask() == {"code": 409}
        assert called == []

    def test_what_has_ended_is_not_called_off(self, node: FilteredNode) -> None:
        after = Waits()
        node.app.after(lambda request, reply, problem: request.call_off(ClientError(409)))
        node.app.after(after)
        node.handler(lambda msg, session: {"a": 1})
        replies = node.begin()
        after.go_on()
        assert replies == [{"a": 1}]


def behaviours() -> dict[str, Callable[..., Any]]:
    """What a stage can do."""

    def give(*args: Any) -> None:
        pass

    def fail(*args: Any) -> None:
        raise ValueError("no")

    async def answer(*args: Any) -> None:
        raise ClientError(1)

    def hang(*args: Any) -> Any:
        return Deferred()

    async def ignore(*args: Any) -> None:
        while True:
            try:
                await Deferred()
            except CancelledError:
                await Deferred()

    def call_off(*args: Any) -> Any:
        request = next((each for each in args if hasattr(each, "call_off")), None)
        if request is not None:
            request.call_off(KeyError("called off"))
        return Deferred()

    return {f.__name__: f for f in (give, fail, answer, hang, ignore, call_off)}


def test_every_request_is_answered_once_whatever_happens() -> None:
    """Every combination of what the stages can do."""
    kinds = behaviours().values()
    for before, handler, error_handler, after in itertools.product(kinds, repeat=4):
        ended: list[Any] = []
        node = FilteredNode()
        node.app.before(before)
        node.app.after(lambda *args, ended=ended: ended.append(args))
        node.app.after(after)
        node.app.error_handler(error_handler)
        node.handler(handler)
        node.begin()
        for _ in range(6):
            node.clock.advance(LONG)
        said = [each.__name__ for each in (before, handler, error_handler, after)]
        assert len(node.replies) == 1, said
        assert len(ended) == 1, said
        assert node.clock.getDelayedCalls() == [], said
