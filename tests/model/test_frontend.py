"""What a frontend says in its log about the requests that it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.task import Clock

from chatcore.connectors.encoding import WEBSOCKET
from chatcore.dispatch.calling import Caller
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.errors import NoSuchServer
from chatcore.node.frontend import MOST_REFUSALS, Frontend
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters
from chatcore.wire.message import REQUEST, Message

from .fakes import FakeConnection, Log


class NoLinks:
    """A link table of a node that stands alone."""

    def on_up(self, hook: Callable[[Any], None]) -> None:
        pass

    def get(self, id: str) -> None:
        return None


class Door:
    """A frontend of the type ``door``; requests of ``counter`` are forwarded."""

    def __init__(self) -> None:
        self.counters = Counters()
        sessions = SessionService(frontend_id="door-1", counters=self.counters)
        caller = Caller(seconds=0, clock=Clock())
        links: Any = NoLinks()
        self.problem: Exception = LookupError("the session has no 'room'")
        self.frontend = Frontend(
            server_type="door",
            routes=["door.echoHandler.echo", "counter.countHandler.add", "stock.stockHandler.add"],
            choose=self._choose,
            dispatcher=Dispatcher(caller=caller, counters=self.counters),
            sessions=sessions,
            links=links,
            counters=self.counters,
            handler_seconds=0,
        )
        self.session = sessions.open(FakeConnection(encoding=WEBSOCKET))
        self.replies: list[Any] = []

    def _choose(self, server_type: str, session: Any) -> str:
        raise self.problem

    def ask(self, route: str | int) -> None:
        self.frontend.serve(self.session, Message(REQUEST, 1, route, b"{}"), self.replies.append)


@pytest.fixture
def door() -> Door:
    return Door()


def test_an_unknown_route_is_logged_once(door: Door, log: Log) -> None:
    for _ in range(3):
        door.ask("door.echoHandler.eco")
    (event,) = log.events
    assert event["log_level"].name == "warn"
    assert log.text() == (
        "door.echoHandler.eco: no such route; did you mean door.echoHandler.echo?"
    )
    assert len(door.replies) == door.counters.requests_refused == 3


@pytest.mark.parametrize("route", ["zzz", "", 7])
def test_an_unknown_route_that_is_near_to_none(door: Door, log: Log, route: str | int) -> None:
    door.ask(route)
    assert log.text() == f"{route}: no such route"


def test_a_route_can_not_forge_a_line_of_the_log(door: Door, log: Log) -> None:
    door.ask("a\n\x1b[2J{b}")
    assert log.text() == r"'a\n\x1b[2J{b}': no such route"


def test_only_so_many_unknown_routes_are_logged(door: Door, log: Log) -> None:
    for number in range(2 * MOST_REFUSALS):
        door.ask(f"route{number}")
    assert len(log.events) == MOST_REFUSALS
    assert door.counters.requests_refused == len(door.replies) == 2 * MOST_REFUSALS
    door.ask("counter.countHandler.add")  # has a limit of its own
    assert len(log.events) == MOST_REFUSALS + 1


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (LookupError("the session has no 'room'"), "LookupError: the session has no 'room'"),
        (KeyError("room"), "KeyError: 'room'"),
        (NoSuchServer("counter-9", "enter"), "NoSuchServer: enter on counter-9: no such server"),
    ],
)
def test_a_route_function_that_finds_nobody(
    door: Door, log: Log, problem: Exception, said: str
) -> None:
    door.problem = problem
    for _ in range(3):
        door.ask("counter.countHandler.add")
    (event,) = log.events
    assert event["log_level"].name == "warn"
    assert log.text().startswith(f"The route to counter: {said}")
    assert len(door.replies) == door.counters.requests_refused == 3
    door.ask("stock.stockHandler.add")
    assert len(log.events) == 2


def test_only_so_many_failures_of_route_functions_are_logged(door: Door, log: Log) -> None:
    for number in range(2 * MOST_REFUSALS):
        door.problem = LookupError(f"nobody has {number}")
        door.ask("counter.countHandler.add")
    assert len(log.events) == MOST_REFUSALS
