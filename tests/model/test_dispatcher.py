"""From a route to a method, and from its outcome to a reply."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatcore.dispatch.calling import Caller
from chatcore.dispatch.dispatcher import FAILED, Dispatcher, Refused
from chatcore.errors import ClientError
from chatcore.telemetry import Counters

from .fakes import Log


class Node:
    def __init__(self) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.caller = Caller(seconds=10, clock=self.clock)
        self.dispatcher = Dispatcher(caller=self.caller, counters=self.counters)
        self.replies: list[Any] = []

    def ask(self, route: str, msg: Any = None) -> Any:
        """The reply to a request; it fails unless there is exactly one."""
        self.begin(route, msg)
        (reply,) = self.replies
        return reply

    def begin(self, route: str, msg: Any = None) -> None:
        self.replies.clear()
        self.dispatcher.handle(route, msg, "the session", self.replies.append)


@pytest.fixture
def node() -> Any:
    node = Node()
    yield node
    node.caller.stop()
    assert node.clock.getDelayedCalls() == []


class TestHandlers:
    def test_is_given_message_and_session(self, node: Node) -> None:
        node.dispatcher.add_handler("chat.chatHandler.send", lambda msg, session: [msg, session])
        assert node.ask("chat.chatHandler.send", {"a": 1}) == [{"a": 1}, "the session"]
        assert node.counters.requests_failed == 0

    @pytest.mark.parametrize("value", [{}, {"code": 200}, [], 0, False, ""])
    def test_what_it_returns_is_the_reply(self, node: Node, value: Any) -> None:
        async def method(msg: Any, session: Any) -> Any:
            return value

        node.dispatcher.add_handler("a.b.c", method)
        reply = node.ask("a.b.c")
        assert (reply, type(reply)) == (value, type(value))

    def test_nothing_is_an_empty_object(self, node: Node) -> None:
        node.dispatcher.add_handler("a.b.c", lambda msg, session: None)
        assert node.ask("a.b.c") == {}

    def test_an_answer_of_the_applications_own(self, node: Node, log: Log) -> None:
        async def method(msg: Any, session: Any) -> None:
            raise ClientError(403, why="not yours")

        node.dispatcher.add_handler("a.b.c", method)
        assert node.ask("a.b.c") == {"code": 403, "why": "not yours"}
        assert (node.counters.requests_failed, log.events) == (0, [])

    @pytest.mark.parametrize("problem", [ValueError("secret"), KeyError("x"), SystemExit(1)])
    def test_anything_else_is_logged_and_answered_500(
        self, node: Node, log: Log, problem: BaseException
    ) -> None:
        def method(msg: Any, session: Any) -> None:
            raise problem

        node.dispatcher.add_handler("a.b.c", method)
        assert node.ask("a.b.c") == {"code": 500}
        assert node.counters.requests_failed == 1
        text = log.text()
        assert re.search(r"Error [0-9a-f]{8} in a\.b\.c for 'the session'", text)
        assert repr(problem) in text
        assert "test_dispatcher.py" in text  # the traceback

    def test_each_failure_has_an_id_of_its_own(self, node: Node, log: Log) -> None:
        ids = {node.dispatcher.report("it", ValueError()) for _ in range(10)}
        assert len(ids) == 10
        assert all(id in log.text() for id in ids)

    def test_a_deadline_is_answered_500(self, node: Node, log: Log) -> None:
        node.dispatcher.add_handler("a.b.c", lambda msg, session: Deferred())
        node.begin("a.b.c")
        assert node.replies == []
        node.clock.advance(10)
        assert node.replies == [{"code": 500}]
        assert node.counters.requests_failed == 1
        assert "DeadlinePassed" in log.text()

    @pytest.mark.parametrize("route", ["", "a", "a.b", "a.b.d", "a.b.c.d", ".a.b.c", 5])
    def test_an_unknown_route(self, node: Node, log: Log, route: Any) -> None:
        node.dispatcher.add_handler("a.b.c", lambda msg, session: 1)
        for _ in range(2):
            assert node.ask(route) == {"code": 500}
        assert (node.counters.requests_refused, node.counters.requests_failed) == (2, 0)
        [said] = log.text().splitlines()
        assert said == f"{route!r} was forwarded to this server, which has no such handler"

    def test_the_answer_to_failures_is_never_changed(self, node: Node) -> None:
        assert node.ask("x.y.z") == {"code": 500} == FAILED


class TestRemotes:
    @pytest.fixture
    def ends(self) -> list[tuple[Any, BaseException | None]]:
        return []

    def call(self, node: Node, name: str, args: Any, ends: list[Any]) -> None:
        node.dispatcher.call("chatRemote", name, args, lambda *end: ends.append(end))

    @pytest.fixture(autouse=True)
    def remote(self, node: Node) -> None:
        async def add(uid: str, sid: str, create: bool = False) -> Any:
            if uid == "raise":
                raise ClientError(7)
            return [uid, sid, create]

        node.dispatcher.add_remote("chatRemote", "add", add, inspect.signature(add))

    def test_is_given_the_arguments(self, node: Node, ends: list[Any]) -> None:
        self.call(node, "add", ["alice", "connector-1"], ends)
        self.call(node, "add", ["alice", "connector-1", True], ends)
        assert ends == [
            (["alice", "connector-1", False], None),
            (["alice", "connector-1", True], None),
        ]

    def test_what_it_raises_is_told(self, node: Node, ends: list[Any]) -> None:
        self.call(node, "add", ["raise", "x"], ends)
        ((result, problem),) = ends
        assert result is None
        assert isinstance(problem, ClientError)

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            ([], "missing a required argument: 'uid'"),
            (["alice"], "missing a required argument: 'sid'"),
            (["a", "b", True, 4], "too many positional arguments"),
        ],
    )
    def test_the_arguments_have_to_fit(
        self, node: Node, ends: list[Any], args: list[Any], said: str
    ) -> None:
        with pytest.raises(Refused) as raised:
            self.call(node, "add", args, ends)
        assert "chatRemote.add(uid: " in str(raised.value)
        assert said in str(raised.value)
        assert ends == []

    @pytest.mark.parametrize("args", [None, 5])
    def test_what_are_no_arguments_at_all(self, node: Node, ends: list[Any], args: Any) -> None:
        with pytest.raises(Refused):
            self.call(node, "add", args, ends)
        assert ends == []

    def test_an_unknown_method(self, node: Node, ends: list[Any]) -> None:
        for service, name in (("chatRemote", "kill"), ("other", "add"), ("chatRemote", "__init__")):
            with pytest.raises(Refused, match=f"there is no {service}.{name}"):
                node.dispatcher.call(service, name, [], lambda *end: ends.append(end))
        assert ends == []

    def test_own_methods(self, node: Node, ends: list[Any]) -> None:
        class Sessions:
            def bind(self, id: int, uid: str) -> str:
                return f"{id} is {uid}"

        node.dispatcher.add_own("sys.sessions", Sessions().bind)
        node.dispatcher.call("sys.sessions", "bind", [1, "a"], lambda *end: ends.append(end))
        assert ends == [("1 is a", None)]
        with pytest.raises(Refused):
            node.dispatcher.call("sys.sessions", "bind", [1], lambda *end: ends.append(end))
