"""Global filters of a frontend, and what it forwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from twisted.internet.task import Clock

from chatcore.application import Configurator, timeout
from chatcore.connectors.encoding import REFUSED, WEBSOCKET
from chatcore.dispatch.calling import Caller
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.lag import Lag
from chatcore.errors import LinkLost
from chatcore.node.filtering import Surroundings
from chatcore.node.frontend import Frontend
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters
from chatcore.wire.box import BoxParser
from chatcore.wire.message import REQUEST, Message

from .fakes import FakeConnection

ROUTE = "back.workHandler.work"
BODY = b'{ "a" : 1 }'


class Link:
    """A link that keeps what was asked."""

    overloaded = False

    def __init__(self) -> None:
        self.asked: list[tuple[dict[bytes, bytes], Callable[..., None]]] = []

    def on_up(self, hook: Callable[[Any], None]) -> None:
        pass

    def get(self, id: str) -> Link:
        return self

    def ask(self, payload: bytes, done: Callable[..., None], what: str, timeout: float) -> None:
        (box,) = BoxParser(1 << 20).feed(payload + b"\0\0")
        self.asked.append((box, done))


class Door:
    """A frontend with filters, whose only other server is the test."""

    def __init__(self) -> None:
        self.clock, self.counters = Clock(), Counters()
        self.app = Configurator(env="test", server_type="door", server_types=["door", "back"])
        self.link: Any = Link()
        self.replies: list[Any] = []
        dispatcher = Dispatcher(caller=Caller(seconds=10, clock=self.clock), counters=self.counters)
        sessions = SessionService(frontend_id="door-1", counters=self.counters)
        self.frontend = Frontend(
            server_type="door",
            routes=[ROUTE],
            choose=lambda server_type, session: "back-1",
            dispatcher=dispatcher,
            sessions=sessions,
            links=self.link,
            counters=self.counters,
            handler_seconds=10,
        )
        self.session = sessions.open(FakeConnection(encoding=WEBSOCKET))
        self._dispatcher = dispatcher
        self._surroundings: Surroundings | None = None

    def ask(self) -> None:
        """Have a client ask; its answers come into ``replies``."""
        if self._surroundings is None:
            self._surroundings = Surroundings(
                self.app,
                seconds=10,
                dispatcher=self._dispatcher,
                counters=self.counters,
                lag=Lag(self.clock),
                clock=self.clock,
            )
            app: Any = None
            self._surroundings.surround(app, self.frontend)
        message = Message(REQUEST, 1, ROUTE, BODY)
        self.frontend.serve(self.session, message, lambda body: self.replies.append(body.value))

    def close(self) -> None:
        assert self._surroundings is not None
        self._surroundings.stop()
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    yield door
    door.close()


def test_what_nobody_looks_at_is_forwarded_as_it_came(door: Door) -> None:
    door.app.global_before(lambda request: request.session.uid)
    door.ask()
    ((box, _),) = door.link.asked
    assert (box[b"body"], box.get(b"coding")) == (BODY, None)


@pytest.mark.parametrize("change", [False, True])
def test_what_a_filter_has_seen_is_forwarded_as_a_value(door: Door, change: bool) -> None:
    def before(request: Any) -> None:
        if change:
            request.msg = {"b": 2}
        else:
            request.msg["a"] += 1

    door.app.global_before(before)
    door.ask()
    ((box, _),) = door.link.asked
    assert box[b"coding"] == b"msgpack"
    assert msgspec.msgpack.decode(box[b"body"]) == ({"b": 2} if change else {"a": 2})


def test_the_answer_and_what_comes_after_it(door: Door) -> None:
    seen: list[Any] = []
    door.app.global_after(lambda *args: seen.append((args[1], list(door.replies))))
    door.ask()
    assert (door.replies, seen) == ([], [])
    ((_, done),) = door.link.asked
    done({b"reply": msgspec.msgpack.encode({"ok": True})}, None)
    assert door.replies == [{"ok": True}]
    assert seen == [({"ok": True}, [{"ok": True}])]  # the client has been answered by then


@pytest.mark.parametrize("answer", [None, {b"reply": b"\xc1"}, {}])
def test_a_server_that_does_not_answer(door: Door, answer: Any) -> None:
    """The error handler is told; nothing is counted twice."""
    seen: list[BaseException] = []
    door.app.global_error_handler(lambda problem, request: seen.append(problem))
    door.ask()
    ((_, done),) = door.link.asked
    lost = LinkLost("back-1", ROUTE)
    done(answer, lost if answer is None else None)
    assert door.replies == [REFUSED.value]
    assert len(seen) == door.counters.requests_failed == 1
    assert (seen[0] is lost) is (answer is None)


def test_it_does_not_wait_for_ever_for_another_server(door: Door) -> None:
    """With `timeout`; the answer that comes later is nobody's."""
    door.app.global_filter(timeout(3))
    door.ask()
    door.clock.advance(3)
    assert door.replies == [{"code": 500}]
    ((_, done),) = door.link.asked
    done({b"reply": msgspec.msgpack.encode({"ok": True})}, None)
    assert door.replies == [{"code": 500}]


def test_waiting_for_another_server_has_its_own_time(door: Door) -> None:
    """That of the filters begins anew when the answer is there."""
    called: list[str] = []

    async def after(request: Any, reply: Any, problem: Any) -> None:
        called.append("after")

    door.app.global_after(after)
    door.ask()
    door.clock.advance(10.9)
    assert door.replies == []
    ((_, done),) = door.link.asked
    done({b"reply": msgspec.msgpack.encode({"ok": True})}, None)
    assert (door.replies, called) == ([{"ok": True}], ["after"])


def test_what_can_not_be_encoded_as_a_value_is_forwarded_as_json(door: Door) -> None:
    door.app.global_before(lambda request: request.msg.update(long=2**70))
    door.ask()
    ((box, _),) = door.link.asked
    assert b"coding" not in box
    assert json.loads(box[b"body"]) == {"a": 1, "long": 2**70}
