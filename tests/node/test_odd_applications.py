"""Handlers, remotes, filters and routes that do what nobody should: it stays their own trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import short_folder
from small_cluster import Cluster, until
from twisted.logger import capturedLogs, formatEvent

from chatcore.client import Client
from chatcore.errors import RemoteRaised, RemoteRefused

FAILED = {"code": 500}

APP = """
    from chatcore.errors import ClientError

    TEAPOT = ClientError(418)

    def spoil(request, reply, problem):
        reply["spoilt"] = request.msg.get("by")

    def configure(app):
        app.global_after(spoil)
"""

HANDLERS = """
    from twisted.internet import reactor
    from twisted.internet.task import deferLater
    from zope.interface import implementer
    from chatcore.interfaces import IHandler
    from ...app import TEAPOT

    class Odd(BaseException):
        pass

    class IOddHandler(IHandler):
        async def fine(msg, session): ""
        async def empty(msg, session): ""
        async def fail(msg, session): ""
        async def teapot(msg, session): ""
        async def odd(msg, session): ""
        async def late(msg, session): ""
        async def close(msg, session): ""
        async def unawaited(msg, session): ""

    @implementer(IOddHandler)
    class OddHandler:
        def __init__(self, app):
            self.app = app

        async def fine(self, msg, session):
            return {"fine": True}

        async def empty(self, msg, session):
            pass

        async def fail(self, msg, session):
            raise ValueError("as ever")

        async def teapot(self, msg, session):
            raise TEAPOT

        async def odd(self, msg, session):
            raise Odd("neither an error nor an exit")

        async def late(self, msg, session):
            await deferLater(reactor, 0)
            raise Odd("neither an error nor an exit")

        def close(self, msg, session):
            raise GeneratorExit

        async def unawaited(self, msg, session):
            if msg.get("wait"):
                await deferLater(reactor, 0)
            return deferLater(reactor, 0, lambda: {"came": True})
"""

REMOTES = """
    from dataclasses import dataclass
    from zope.interface import implementer
    from chatcore.interfaces import IRemote

    @dataclass(frozen=True)
    class Place:
        x: int

    class IOddRemote(IRemote):
        async def echo(value): ""
        async def places(): ""
        async def itself(): ""

    @implementer(IOddRemote)
    class OddRemote:
        def __init__(self, app):
            self.app = app

        async def echo(self, value):
            return value

        async def places(self):
            return {Place(1): "packs, and can't be unpacked"}

        async def itself(self):
            return await self.app.rpc.to(self.app.server_id).back.oddRemote.itself()
"""


async def of(folder: Any, app: str) -> Cluster:
    cluster = Cluster(
        folder,
        servers={"front": ["front-1"], "back": ["back-1"]},
        files={
            "app.py": app,
            "servers/front/handlers.py": HANDLERS,
            "servers/back/handlers.py": HANDLERS,
            "servers/back/remotes.py": REMOTES,
        },
    )
    await cluster.start()
    return cluster


@pytest_twisted.async_yield_fixture(params=["", "app.before(lambda request: None)"])
async def cluster(request: Any) -> AsyncIterator[Cluster]:
    """Without filters, and with one."""
    with short_folder() as folder:
        app = f"TEAPOT = None\ndef configure(app):\n    {request.param or 'pass'}\n"
        cluster = await of(folder, app)
        yield cluster
        await cluster.close()


@pytest_twisted.async_yield_fixture
async def client(cluster: Cluster) -> Client:
    yield await cluster.client("front-1")


def remotes_of(cluster: Cluster, node: str) -> Any:
    return cluster.nodes[node].application.rpc.to("back-1").back.oddRemote


@pytest.mark.parametrize("method", ["odd", "late"])
@pytest.mark.parametrize("type", ["front", "back"])
async def test_whatever_a_handler_raises_hurts_nobody_else(
    cluster: Cluster, client: Client, type: str, method: str
) -> None:
    link = cluster.nodes["front-1"].links.get("back-1")
    assert await client.request(f"{type}.oddHandler.{method}", {}) == FAILED
    assert await client.request(f"{type}.oddHandler.fine", {}) == {"fine": True}
    assert cluster.nodes["front-1"].links.get("back-1") is link
    assert cluster.nodes[f"{type}-1"].counters.requests_failed == 1


@pytest.mark.logs_failures
async def test_not_even_what_closes_coroutines_costs_the_link(
    cluster: Cluster, client: Client
) -> None:
    link = cluster.nodes["front-1"].links.get("back-1")
    assert await client.request("back.oddHandler.close", {}) == FAILED
    assert cluster.nodes["front-1"].links.get("back-1") is link


@pytest.mark.parametrize("wait", [False, True])
async def test_what_a_handler_returns_and_did_not_await_is_waited_for(
    client: Client, wait: bool
) -> None:
    assert await client.request("back.oddHandler.unawaited", {"wait": wait}) == {"came": True}


@pytest.mark.parametrize("type", ["front", "back"])
@pytest.mark.parametrize("method", ["fail", "teapot", "empty", "nothing"])
async def test_a_filter_that_changes_a_reply_changes_no_other(method: str, type: str) -> None:
    with short_folder() as folder:
        cluster = await of(folder, APP)
        client, other = await cluster.client("front-1"), await cluster.client("front-1")
        first = await client.request(f"{type}.oddHandler.{method}", {"by": "client"})
        second = await other.request(f"{type}.oddHandler.{method}", {"by": "other"})
        await cluster.close()
    assert (
        first
        == second
        == {"fail": FAILED, "teapot": {"code": 418}, "empty": {}}.get(method, FAILED)
    )


@pytest.mark.parametrize("caller", ["front-1", "back-1"])
async def test_what_can_not_be_unpacked_ends_its_call(cluster: Cluster, caller: str) -> None:
    target = remotes_of(cluster, caller)
    with pytest.raises(RemoteRefused, match="a bad answer"):
        await target.places()
    key = make_dataclass("Place", ["x"], frozen=True)(1)
    with pytest.raises(RemoteRefused, match="its arguments can't be read") as refused:
        await target.echo({key: 1})
    assert refused.value.nothing_ran
    assert cluster.nodes[caller].application.servers.under_way("back-1") == 0


async def test_a_remote_that_calls_itself_for_ever(cluster: Cluster) -> None:
    """What each call is told about the next does not grow with every one of them."""
    with pytest.raises(RemoteRaised) as raised:
        await remotes_of(cluster, "front-1").itself()
    assert len(str(raised.value)) < 2000
    assert cluster.nodes["back-1"].application.servers.under_way("back-1") == 0


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("None", "the route chose None, which is no other server's id"),
        ("servers.of_type(type)[0]", "the route chose Server(id='back-1'"),
        ("session.frontend_id", "the route chose 'front-1', which is no other server's id"),
        ("'back-9'", "the route chose 'back-9', which is no other server's id"),
        (
            "'other-1'",
            "'back.oddHandler.fine' was forwarded to this server, which has no such handler",
        ),
    ],
)
async def test_a_route_that_chooses_badly_is_told_once(
    folder: Path, chosen: str, said: str
) -> None:
    cluster = Cluster(
        folder,
        servers={"front": ["front-1"], "back": ["back-1"], "other": ["other-1"]},
        files={
            "app.py": f"""
                TEAPOT = None
                def configure(app):
                    app.route("back", lambda session, type, servers: {chosen})
            """,
            "servers/front/handlers.py": HANDLERS,
            "servers/back/handlers.py": HANDLERS,
        },
    )
    await cluster.start()
    client = await cluster.client("front-1")
    with capturedLogs() as events:
        for _ in range(2):
            assert await client.request("back.oddHandler.fine", {}) == FAILED
    await cluster.close()
    assert len([event for event in events if said in formatEvent(event)]) == 1


async def test_what_still_waits_for_all_servers_is_cancelled_at_the_end(folder: Path) -> None:
    hooks = """
        from twisted.internet.defer import Deferred

        async def after_start_all(app):
            try:
                app.data["waits"] = True
                await Deferred()
            finally:
                app.data["cancelled"] = True
    """
    cluster = Cluster(
        folder,
        servers={"front": ["front-1"]},
        files={"servers/front/lifecycle.py": hooks},
    )
    await cluster.start()
    app = cluster.nodes["front-1"].application
    await until(lambda: app.data.get("waits"), "the hook")
    await cluster.close()
    assert app.data["cancelled"]
