"""How many requests and notifies may wait on a node, whoever sent them, and whether they stayed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from small_cluster import Cluster, until
from twisted.internet.defer import Deferred

FAILED = {"code": 500}

HANDLER = """
    from twisted.internet.defer import Deferred
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class ISlowHandler(IHandler):
        async def wait(msg, session): ""
        async def free(msg, session): ""

    @implementer(ISlowHandler)
    class SlowHandler:
        def __init__(self, app):
            self.waiting = app.data["waiting"] = []

        async def wait(self, msg, session):
            self.waiting.append(Deferred())
            return await self.waiting[-1]

        async def free(self, msg, session):
            return {"free": True}
"""

FILTER = """
    async def look(request):
        request.session

    def configure(app):
        app.global_before(look)
        app.before(look)
"""


@pytest_twisted.async_yield_fixture(params=[False, True], ids=["plain", "filtered"])
async def cluster(folder: Path, request: pytest.FixtureRequest) -> AsyncIterator[Cluster]:
    files = {"servers/front/handlers.py": HANDLER, "servers/back/handlers.py": HANDLER}
    if request.param:
        files["app.py"] = FILTER
    cluster = Cluster(
        folder,
        servers={"front": ["front-1", "front-2"], "back": ["back-1"]},
        files=files,
        settings={"limits.requests_under_way_in_all": 2},
    )
    await cluster.start()
    yield cluster
    await cluster.close()


@pytest.mark.parametrize("where", ["front", "back"])
@pytest.mark.parametrize("notify", [False, True])
@pytest_twisted.ensureDeferred
async def test_one_too_many_is_refused(cluster: Cluster, where: str, notify: bool) -> None:
    node = cluster.nodes[f"{where}-1"]
    counters, waiting = node.counters, node.application.data["waiting"]
    for number in range(2):
        client = await cluster.client("front-1")
        if notify:
            client.notify(f"{where}.slowHandler.wait")
        else:
            client.request(f"{where}.slowHandler.wait").addErrback(lambda _: None)
        await until(lambda number=number: len(waiting) > number, "the handler")
        await client.disconnect()
    assert counters.requests_now == 2

    other = await cluster.client("front-2" if where == "back" else "front-1")
    assert await other.request(f"{where}.slowHandler.free") == FAILED
    assert counters.requests_refused == 1
    release(waiting)
    await until(lambda: not counters.requests_now, "room")
    assert await other.request(f"{where}.slowHandler.free") == {"free": True}
    assert all(node.counters.requests_now == 0 for node in cluster.nodes.values())


def release(waiting: list[Deferred[None]]) -> None:
    while waiting:
        waiting.pop().callback(None)


@pytest_twisted.ensureDeferred
async def test_what_waits_on_another_node_counts_too(cluster: Cluster) -> None:
    front, waiting = cluster.nodes["front-1"], cluster.nodes["back-1"].application.data["waiting"]
    client = await cluster.client("front-1")
    asked = [client.request("back.slowHandler.wait") for _ in range(2)]
    await until(lambda: len(waiting) == 2, "the handlers")
    assert front.counters.requests_now == 2
    assert await client.request("front.slowHandler.free") == FAILED
    cluster.cut("front-1", "back-1")
    for each in asked:
        assert await each == FAILED
    assert front.counters.requests_now == 0
    release(waiting)
