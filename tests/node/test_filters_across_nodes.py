"""Filters and error handlers around requests that are answered here or forwarded."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from running import short_folder
from small_cluster import Cluster, until
from twisted.internet.defer import Deferred

from chatcore.client import Client
from chatcore.wire import message, package

FAILED = {"code": 500}
HERE, THERE = "front.workHandler.work", "back.workHandler.work"

called: list[Any] = []
gates: dict[str, Deferred[None]] = {}

APP = """
    from test_filters_across_nodes import called, gates
    from chatcore.application import time_log, too_busy
    from chatcore.errors import ClientError

    class Notes:
        def __init__(self, name):
            self.name = name

        def before(self, request):
            called.append(f"{self.name} before")

        async def after(self, request, reply, problem):
            called.append((f"{self.name} after", reply, type(problem).__name__))

    async def act(request):
        what = request.msg.get("what") if request.msg else None
        if what == "refuse":
            raise ClientError(401)
        elif what == "fail":
            raise ValueError("in a global filter")
        elif what == "change":
            request.msg = {"long": 2**70}
        elif what == "mutate":
            request.msg["more"] = [1]
        elif what == "spoil":
            request.msg = object()
        elif what == "session":
            request.session.set("colour", "red")
            request.session.set("at", "back-2")
        elif what == "wait":
            await gates["before"]

    def configure(app):
        app.route("back", lambda session, type, servers: session.get("at", "back-1"))
        app.set("limits.handler_seconds", 0.5)
        app.filter(Notes("inner"))
        app.filter(too_busy(60))
        app.global_filter(Notes("outer"))
        app.global_filter(time_log(slow=60))

        @app.configure(type="front")
        def fronts():
            app.global_before(act)

            @app.global_after
            async def last(request, reply, problem):
                if gates.get("after"):
                    await gates["after"]

            @app.global_error_handler
            def explain(problem, request):
                called.append(("global error handler", type(problem).__name__))
                if type(problem).__name__ != "BodyError" and request.msg.get("explain"):
                    return {"code": 503}

        @app.configure(type="back")
        def backs():
            @app.error_handler
            async def explain(problem, request):
                return {"code": 500, "back": str(problem)}
"""

HANDLERS = """
    from zope.interface import implementer
    from test_filters_across_nodes import called
    from chatcore.interfaces import IHandler

    class IWorkHandler(IHandler):
        async def work(msg, session): ""
        async def fail(msg, session): ""

    @implementer(IWorkHandler)
    class WorkHandler:
        def __init__(self, app):
            self.app = app

        async def work(self, msg, session):
            called.append(("handler", self.app.server_type))
            if "long" in msg:
                msg["long"] = str(msg["long"])
            return {"got": msg, "colour": session.get("colour"), "at": self.app.server_id}

        async def fail(self, msg, session):
            raise ValueError("in a handler")
"""


@pytest_twisted.async_yield_fixture
async def cluster() -> AsyncIterator[Cluster]:
    called.clear()
    gates.clear()
    with short_folder() as folder:
        cluster = Cluster(
            folder,
            servers={"front": ["front-1"], "back": ["back-1", "back-2"]},
            files={
                "app.py": APP,
                "servers/front/handlers.py": HANDLERS,
                "servers/back/handlers.py": HANDLERS,
            },
        )
        await cluster.start()
        yield cluster
        await cluster.close()


@pytest_twisted.async_yield_fixture
async def client(cluster: Cluster) -> Client:
    yield await cluster.client("front-1")


@pytest.mark.parametrize("route", [HERE, THERE])
async def test_the_order(client: Client, route: str) -> None:
    """Global before, before, the handler, after, the answer, global after."""
    reply = await client.request(route, {"a": 1})
    type = route.partition(".")[0]
    assert reply == {"got": {"a": 1}, "colour": None, "at": f"{type}-1"}
    assert called == [
        "outer before",
        "inner before",
        ("handler", type),
        ("inner after", reply, "NoneType"),
        ("outer after", reply, "NoneType"),
    ]


@pytest.mark.parametrize("route", [HERE, THERE])
async def test_notifies_pass_too(client: Client, route: str) -> None:
    client.notify(route, {"a": 1})
    await until(lambda: any("inner after" in each for each in called), "the handler")
    names = [each if isinstance(each, str) else each[0] for each in called]
    assert sorted(names) == sorted(
        ["outer before", "inner before", "handler", "inner after", "outer after"]
    )


@pytest.mark.parametrize("route", [HERE, THERE])
async def test_the_client_does_not_wait_for_what_comes_after(client: Client, route: str) -> None:
    gates["after"] = Deferred()
    reply = await client.request(route, {"what": "hang after"})
    assert reply["got"] == {"what": "hang after"}
    gates["after"].callback(None)


@pytest.mark.parametrize("route", [HERE, THERE])
async def test_the_handler_gets_what_filters_make_of_a_message(client: Client, route: str) -> None:
    async def got(msg: Any) -> Any:
        return (await client.request(route, msg))["got"]

    plain = {"a": [1, 2.5, None, "é😀"], "long": 2**70}
    assert await got(plain) == plain | {"long": str(2**70)}
    assert await got({"what": "mutate"}) == {"what": "mutate", "more": [1]}
    assert await got({"what": "change"}) == {"long": str(2**70)}


async def test_what_filters_set_in_the_session_travels(client: Client) -> None:
    """The route and the handler see it; the session itself does not change."""
    reply = await client.request(THERE, {"what": "session"})
    assert (reply["colour"], reply["at"]) == ("red", "back-2")
    assert (await client.request(THERE, {}))["colour"] is None


@pytest.mark.parametrize("route", [HERE, THERE])
async def test_a_global_filter_answers_early(client: Client, route: str) -> None:
    assert await client.request(route, {"what": "refuse"}) == {"code": 401}
    assert called == ["outer before", ("outer after", {"code": 401}, "ClientError")]


@pytest.mark.parametrize("what", ["fail", "wait"])
async def test_a_global_filter_fails(cluster: Cluster, client: Client, what: str) -> None:
    gates["before"] = Deferred()
    assert await client.request(THERE, {"what": what}) == FAILED
    gates["before"] = Deferred()
    assert await client.request(THERE, {"what": what, "explain": True}) == {"code": 503}
    assert not any("handler" in each for each in called)
    problem = "ValueError" if what == "fail" else "DeadlinePassed"
    assert ("global error handler", problem) in called
    assert cluster.nodes["front-1"].counters.requests_failed == 2


async def test_what_can_not_travel_is_a_failure(client: Client) -> None:
    assert await client.request(THERE, {"what": "spoil"}) == FAILED
    assert (await client.request(THERE, {}))["at"] == "back-1"


async def test_who_answers_for_a_failed_handler(client: Client) -> None:
    """Its own server; for the frontend that is an answer like any other."""
    failed = await client.request("back.workHandler.fail", {"explain": True})
    assert failed == {"code": 500, "back": "in a handler"}
    assert await client.request("front.workHandler.fail", {"explain": True}) == FAILED
    assert not any("global error handler" in each for each in called)


async def test_who_answers_for_a_server_that_is_away(cluster: Cluster, client: Client) -> None:
    await cluster.stop("back-1")
    assert await client.request(THERE, {"explain": True}) == {"code": 503}
    assert ("global error handler", "NotConnected") in called
    assert called[-1] == ("outer after", {"code": 503}, "NotConnected")
    await client.request(HERE, {"what": "session"})
    assert (await client.request(THERE, {"what": "session"}))["at"] == "back-2"


async def test_a_body_that_can_not_be_read(cluster: Cluster, client: Client) -> None:
    """It is refused when a filter asks for it; nobody logs that as a mistake."""
    for route in (HERE, THERE):
        bad = message.encode_request(1000, route, b'{"what":')
        client.send_raw(package.encode(package.DATA, bad))
    assert (await client.request(THERE, {}))["at"] == "back-1"
    counters = cluster.nodes["front-1"].counters
    assert (counters.requests_refused, counters.requests_failed) == (2, 0)
    assert called[1] == ("global error handler", "BodyError")


async def test_nobody_is_served_who_left_meanwhile(cluster: Cluster, client: Client) -> None:
    gates["before"] = Deferred()
    client.notify(THERE, {"what": "wait"})
    await until(lambda: called, "the filter")
    await client.disconnect()
    await until(lambda: not len(cluster.nodes["front-1"].sessions), "the end of the session")
    gates["before"].callback(None)
    assert not any("handler" in each for each in called)


async def test_the_lag_is_known(cluster: Cluster) -> None:
    assert 0 <= cluster.nodes["front-1"].application.lag < 60
