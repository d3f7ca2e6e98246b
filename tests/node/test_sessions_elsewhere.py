"""Sessions and broadcasts across nodes: small clusters with real links."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from running import short_folder
from small_cluster import Cluster, until

from chatcore.errors import NoSuchServer, NotConnected, SessionError

APP = """
    def configure(app):
        app.broadcast_filter(wanted)

    def wanted(session, msg, where):
        return session.get("colour") == where["colour"]
"""

FRONT = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IFrontHandler(IHandler):
        async def login(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app):
            pass

        async def login(self, msg, session):
            await session.bind(msg["uid"])
            await session.update(**msg["settings"])
            return {"id": session.id}
"""

BACK = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IBackHandler(IHandler):
        async def address(msg, session): ""

    @implementer(IBackHandler)
    class BackHandler:
        def __init__(self, app):
            pass

        async def address(self, msg, session):
            return session.as_dict()
"""


REMOTES = """
    from typing import Any
    from zope.interface import implementer
    from chatcore.interfaces import IRemote

    class IFrontRemote(IRemote):
        async def echo(value: Any) -> Any: ""

    @implementer(IFrontRemote)
    class FrontRemote:
        def __init__(self, app):
            pass

        def echo(self, value: Any) -> Any:
            return value
"""


async def make(settings: dict[str, Any] | None = None) -> AsyncIterator[Cluster]:
    with short_folder() as folder:
        cluster = Cluster(
            folder,
            servers={"front": ["front-1", "front-2"], "back": ["back-1"]},
            files={
                "app.py": APP,
                "servers/front/handlers.py": FRONT,
                "servers/front/remotes.py": REMOTES,
                "servers/back/handlers.py": BACK,
            },
            settings=settings or {},
        )
        await cluster.start()
        yield cluster
        await cluster.close()


@pytest_twisted.async_yield_fixture
async def cluster() -> AsyncIterator[Cluster]:
    async for each in make():
        yield each


@pytest_twisted.async_yield_fixture
async def single() -> AsyncIterator[Cluster]:
    """A cluster where a new session takes over from the old one."""
    async for each in make({"sessions.per_uid": "takeover"}):
        yield each


async def login(cluster: Cluster, frontend: str, uid: str, **settings: Any) -> Any:
    client = await cluster.client(frontend)
    msg = {"uid": uid, "settings": settings}
    client.session_id = (await client.request("front.frontHandler.login", msg))["id"]
    return client


def heard(client: Any, route: str) -> list[Any]:
    pushes: list[Any] = []
    client.on(route, pushes.append)
    return pushes


def sessions(cluster: Cluster, node: str = "back-1") -> Any:
    return cluster.nodes[node].application.sessions


async def away(cluster: Cluster, frontend: str) -> None:
    """Stop a frontend, and wait until the backend has noticed."""
    await cluster.stop(frontend)
    await until(lambda: cluster.nodes["back-1"].links.get(frontend) is None, "its end")


async def test_a_uid_is_found_wherever_it_is(cluster: Cluster) -> None:
    clients = [await login(cluster, id, "alice", colour="red") for id in ("front-1", "front-2")]
    found = await sessions(cluster).find("alice")
    assert [(s.frontend_id, s.uid, s.get("colour")) for s in found.sessions] == [
        ("front-1", "alice", "red"),
        ("front-2", "alice", "red"),
    ]
    assert found.unreached == {}
    await found.sessions[1].update(colour="blue")
    (there,) = await sessions(cluster).at("front-2").by_uid("alice")
    assert there.get("colour") == "blue"
    assert sessions(cluster, "front-2").get(clients[1].session_id).get("colour") == "blue"


async def test_of_several_sessions_the_newest_says_where_a_uid_is(cluster: Cluster) -> None:
    for frontend in ("front-2", "front-1"):
        await login(cluster, frontend, "alice")
        assert await sessions(cluster).where("alice") == frontend
    assert await sessions(cluster).where("bob") is None
    await away(cluster, "front-2")
    assert await sessions(cluster).where("alice") == "front-1"
    with pytest.raises(NotConnected):
        await sessions(cluster).where("bob")
    with pytest.raises(TypeError):
        await sessions(cluster).where("")


async def test_what_a_backend_does_with_sessions_elsewhere(cluster: Cluster) -> None:
    client = await login(cluster, "front-1", "alice")
    other = await login(cluster, "front-1", "alice")
    front = sessions(cluster).at("front-1")
    news, others = heard(client, "onNews"), heard(other, "onNews")
    assert await front.push(client.session_id, "onNews", 1) is True
    assert await front.push_to_uid("alice", "onNews", 2) == 2
    await until(lambda: others and len(news) == 2, "the pushes")
    assert (news, others) == ([1, 2], [2])
    await front.update(client.session_id, friends=["bob"])
    copy = await front.get(client.session_id)
    assert copy.get("friends") == ["bob"]
    statistics = await front.statistics()
    assert (statistics.server_id, statistics.sessions, statistics.logged_in) == ("front-1", 2, 2)
    assert statistics.logins[0].address[0] == "127.0.0.1"
    assert await front.count() == 2
    kicks = heard(client, "onKick")
    assert await front.kick_id(client.session_id, "rude") is True
    await until(lambda: kicks, "the kick")
    assert kicks == [{"reason": "rude"}]


async def test_a_session_that_is_gone(cluster: Cluster) -> None:
    """Says so in the same way wherever one asks from, and nothing is logged as a mistake."""
    client = await login(cluster, "front-1", "alice")
    for node in ("back-1", "front-1"):
        front = sessions(cluster, node).at("front-1")
        with pytest.raises(SessionError, match="session 99 of front-1 is gone"):
            await front.update(99, colour="red")
        assert await front.get(99) is None
        assert await front.push(99, "onNews", {}) is False
        assert await front.kick_id(99) is False
    copy = await sessions(cluster).at("front-1").get(client.session_id)
    await client.disconnect()
    await until(lambda: not len(cluster.nodes["front-1"].sessions), "the end")
    with pytest.raises(SessionError, match="is gone"):
        await copy.bind("bob")


async def test_a_frontend_asks_itself_as_it_asks_others(cluster: Cluster) -> None:
    """And what it is given knows when its client goes, which no other node does."""
    client = await login(cluster, "front-1", "alice")
    (here,) = await sessions(cluster, "front-1").at("front-1").by_uid("alice")
    (there,) = await sessions(cluster, "front-2").at("front-1").by_uid("alice")
    with pytest.raises(SessionError, match="only the frontend knows"):
        there.on_closed(lambda session, reason: None)
    closed: list[str] = []
    here.on_closed(lambda session, reason: closed.append(session.uid))
    await client.disconnect()
    await until(lambda: closed, "the end")


async def test_frontends_that_are_away_are_named(cluster: Cluster) -> None:
    client = await login(cluster, "front-1", "alice")
    kicks = heard(client, "onKick")
    await away(cluster, "front-2")
    found = await sessions(cluster).find("alice")
    assert [session.frontend_id for session in found.sessions] == ["front-1"]
    assert isinstance(found.unreached["front-2"], NotConnected)
    with pytest.raises(NotConnected):
        await sessions(cluster).at("front-2").count()
    with pytest.raises(NoSuchServer):
        await sessions(cluster).at("back-1").count()
    channels = cluster.nodes["back-1"].channels
    assert await channels.push_to_uids("onNews", 1, ["alice", "bob"]) == ["bob"]
    assert await channels.broadcast("front", "onNews", 2) == ["front-2"]
    kicked, unreached = await sessions(cluster).kick_everywhere("alice", "enough")
    assert (kicked, list(unreached)) == (1, ["front-2"])
    await until(lambda: kicks, "the kick")
    assert kicks == [{"reason": "enough"}]


async def test_pushing_to_uids_wherever_they_are(cluster: Cluster) -> None:
    """Also from a frontend, whose own clients are among them."""
    clients = [
        await login(cluster, "front-1", "alice"),
        await login(cluster, "front-2", "alice"),
        await login(cluster, "front-2", "bob"),
        await login(cluster, "front-2", "carol"),
    ]
    news = [heard(client, "onNews") for client in clients]
    for node in ("back-1", "front-1"):
        channels = cluster.nodes[node].channels
        assert await channels.push_to_uids("onNews", node, ["alice", "bob", "dave"]) == ["dave"]
    await until(lambda: all(len(each) == 2 for each in news[:3]), "the pushes")
    assert news == [["back-1", "front-1"]] * 3 + [[]]


@pytest.mark.parametrize("node", ["back-1", "front-1"])
async def test_broadcasts_to_some(cluster: Cluster, node: str) -> None:
    clients = [
        await login(cluster, "front-1", "alice", colour="red"),
        await login(cluster, "front-1", "alice", colour="blue"),
        await login(cluster, "front-2", "bob", colour="red"),
        await cluster.client("front-2"),
    ]
    await clients[3].request("back.backHandler.address", {})  # it is in when it is answered
    news = [heard(client, "onNews") for client in clients]
    channels = cluster.nodes[node].channels
    assert await channels.broadcast("front", "onNews", "bound", bound=True) == []
    assert await channels.broadcast("front", "onNews", "red", where={"colour": "red"}) == []
    assert await channels.broadcast("front", "onNews", "all") == []
    await until(lambda: all(each and each[-1] == "all" for each in news), "the last")
    assert news == [
        ["bound", "red", "all"],
        ["bound", "all"],
        ["bound", "red", "all"],
        ["all"],
    ]


@pytest.mark.parametrize("node", ["back-1", "front-1"])
async def test_what_may_be_missed_is_marked_on_the_way(
    cluster: Cluster, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await login(cluster, "front-1", "alice")
    (session,) = cluster.nodes["front-1"].sessions.by_uid("alice")
    given: list[tuple[str, str]] = []
    for how in ("push", "push_droppable"):

        def note(self: object, data: bytes, route: str, how: str = how) -> None:
            given.append((how, route))

        monkeypatch.setattr(type(session.connection.outbox), how, note)
    channels = cluster.nodes[node].channels
    room = channels.get("den", create=True)
    room.add("alice", "front-1")
    for droppable in (True, False):
        route = "onMove" if droppable else "onChat"
        room.push(route, 1, droppable=droppable)
        channels.push_to_uids(route, 1, [("alice", "front-1")], droppable=droppable)
        channels.broadcast("front", route, 1, droppable=droppable)
        await channels.push_to_uids(route, 1, ["alice"], droppable=droppable)
        front = sessions(cluster, node).at("front-1")
        await front.push(session.id, route, 1, droppable=droppable)
    assert given == [("push_droppable", "onMove")] * 5 + [("push", "onChat")] * 5


async def test_a_blocked_link_costs_pushes_and_nothing_else(cluster: Cluster) -> None:
    """Whoever pushes is told whom they did not reach; they are counted, and not sent later."""
    app, counters = cluster.nodes["back-1"].application, cluster.nodes["back-1"].counters
    near, far = await login(cluster, "front-1", "alice"), await login(cluster, "front-2", "bob")
    room = app.channels.get("room", create=True)
    for uid, frontend in (("alice", "front-1"), ("bob", "front-2")):
        room.add(uid, frontend)
    news, missed = heard(near, "onNews"), heard(far, "onNews")
    link = cluster.nodes["back-1"].links.get("front-2")
    assert link is not None
    link.pauseProducing()
    waiting = app.rpc.call("front-2", "front.frontRemote.echo", bytes(5 * 1024 * 1024))
    assert await room.push("onNews", 1) == ["bob"]
    assert await app.channels.push_to_uids("onNews", 2, [("bob", "front-2")]) == ["bob"]
    assert await app.channels.push_to_uids("onNews", 3, ["alice", "bob"]) == ["bob"]
    assert await app.channels.broadcast("front", "onNews", 4) == ["front-2"]
    assert counters.link_pushes_shed == 4
    link.resumeProducing()
    assert len(await waiting) == 5 * 1024 * 1024
    assert await room.push("onNews", 5) == []
    await until(lambda: missed and len(news) == 4, "the pushes")
    assert (news, missed) == ([1, 3, 4, 5], [5])


async def test_a_new_session_takes_over(single: Cluster) -> None:
    """The old client is told; the uid stays in its channels, and the new client hears them."""
    old = await login(single, "front-1", "alice")
    channels = single.nodes["back-1"].channels
    left: list[str] = []
    channels.on_left(lambda channel, uid, sid, reason: left.append(uid))
    room = channels.get("den", create=True)
    room.add("alice", "front-1")
    kicks = heard(old, "onKick")
    new = await login(single, "front-1", "alice")
    await until(lambda: kicks, "the kick")
    assert kicks == [{"reason": "logged in elsewhere"}]
    news = heard(new, "onNews")
    assert await room.push("onNews", 1) == []
    await until(lambda: news, "the push")
    assert (room.members(), left) == ([("alice", "front-1")], [])


async def test_backends_know_where_clients_are(cluster: Cluster) -> None:
    client = await login(cluster, "front-1", "alice", colour="red")
    seen = await client.request("back.backHandler.address", {})
    mine = sessions(cluster, "front-1").get(client.session_id)
    assert seen == {**mine.as_dict(), "address": list(mine.address)}
    assert (seen["uid"], seen["address"][0], seen["settings"]) == (
        "alice",
        "127.0.0.1",
        {"colour": "red"},
    )
