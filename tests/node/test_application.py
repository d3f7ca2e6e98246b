"""What an application can do, on real nodes with real links, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from running import short_folder
from small_cluster import Cluster, until
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from chatcore.client import Kicked
from chatcore.config.servers import load_servers
from chatcore.errors import (
    ConfigError,
    NotConnected,
    RemoteRaised,
    RemoteRefused,
    SessionError,
)

FAILED = {"code": 500}

APP = """
    from chatcore.application import by_session

    def configure(app):
        app.route("back", lambda session, type, servers: session.get("at", "back-1"))
        app.set("limits.handler_seconds", 0.3)
        app.set("links.call_timeout", 5)

        @app.configure(env="development|test", type="front")
        def fronts():
            app.set("heartbeat.interval", 7)
"""

FRONT = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler
    from ..back.remotes import IBackRemote

    class IFrontHandler(IHandler):
        async def login(msg, session): ""
        async def ask(msg, session): ""
        async def everywhere(msg, session): ""
        async def room(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        closed = []

        def __init__(self, app):
            self.app = app

        async def login(self, msg, session):
            await session.bind(msg["uid"])
            await session.update(**msg.get("settings", {}))
            session.on_closed(lambda session, reason: self.closed.append((session.uid, reason)))
            return {"id": session.id, "frontend": session.frontend_id}

        async def ask(self, msg, session):
            remote = self.app.rpc.by(session)[IBackRemote]
            return {"got": await getattr(remote, msg["method"])(*msg.get("args", []))}

        async def everywhere(self, msg, session):
            answers = await self.app.rpc.to_all("back").back.backRemote.echo(msg["say"])
            one = await self.app.rpc.to("back-2").back.backRemote.echo("one")
            return {"all": {id: repr(answer) for id, answer in answers.items()}, "one": one}

        async def room(self, msg, session):
            room = self.app.channels.get("mine", create=True)
            room.add(session.uid, self.app.server_id)
            room.push("onRoom", room.uids())
"""

BACK_REMOTES = """
    from zope.interface import implementer
    from chatcore.interfaces import IRemote

    class IBackRemote(IRemote):
        async def echo(value, again=1): ""
        async def fail(): ""
        async def odd(): ""
        async def hang(): ""

    @implementer(IBackRemote)
    class BackRemote:
        def __init__(self, app):
            self.app = app

        async def echo(self, value, again=1):
            return [value] * again

        async def fail(self):
            raise ValueError("no")

        async def odd(self):
            return object()

        async def hang(self):
            from twisted.internet.defer import Deferred
            await Deferred()

        def helper(self):
            return "not for others"
"""

BACK_HANDLERS = """
    import threading
    from contextvars import ContextVar
    from zope.interface import implementer
    from twisted.internet.defer import Deferred
    from chatcore.errors import ClientError
    from chatcore.interfaces import IHandler

    SEEN = ContextVar("seen")

    class IBackHandler(IHandler):
        async def whoami(msg, session): ""
        async def update(msg, session): ""
        async def bind(msg, session): ""
        async def kick(msg, session): ""
        async def refuse(msg, session): ""
        async def fail(msg, session): ""
        async def hang(msg, session): ""
        async def odd(msg, session): ""
        async def nothing(msg, session): ""
        async def thread(msg, session): ""
        async def join(msg, session): ""
        async def leave(msg, session): ""
        async def push(msg, session): ""
        async def shout(msg, session): ""
        async def note(msg, session): ""
        async def context(msg, session): ""

    @implementer(IBackHandler)
    class BackHandler:
        noted = []

        def __init__(self, app):
            self.app = app

        async def whoami(self, msg, session):
            me = (session.id, session.frontend_id, session.uid, session.get("colour"))
            return {"me": list(me), "server": self.app.server_id}

        async def update(self, msg, session):
            session.set("local", True)
            await session.update(**msg)

        async def bind(self, msg, session):
            await session.bind(msg["uid"])

        async def kick(self, msg, session):
            await session.kick("rude")

        async def refuse(self, msg, session):
            raise ClientError(404, why="not today")

        async def fail(self, msg, session):
            raise ValueError("no")

        async def hang(self, msg, session):
            await Deferred()

        async def odd(self, msg, session):
            return {"odd": object()}

        async def nothing(self, msg, session):
            pass

        async def thread(self, msg, session):
            here = threading.get_ident()
            return {"other": await self.app.in_thread(threading.get_ident) != here}

        async def join(self, msg, session):
            self.app.channels.get(msg["room"], create=True).add(session.uid, session.frontend_id)

        async def leave(self, msg, session):
            self.app.channels.get(msg["room"]).leave(session.uid, session.frontend_id)

        async def push(self, msg, session):
            missed = await self.app.channels.get(msg["room"]).push("onRoom", msg)
            return {"missed": missed}

        async def shout(self, msg, session):
            return {"missed": await self.app.channels.broadcast("front", "onShout", msg)}

        async def note(self, msg, session):
            self.noted.append(msg)

        async def context(self, msg, session):
            before = SEEN.get(None)
            token = SEEN.set("mine")
            await self.app.in_thread(lambda: None)
            after = SEEN.get(None)
            SEEN.reset(token)
            return {"before": before, "after": after}
"""


@pytest_twisted.async_yield_fixture
async def cluster() -> AsyncIterator[Cluster]:
    with short_folder() as folder:
        cluster = Cluster(
            folder,
            servers={"front": ["front-1", "front-2"], "back": ["back-1", "back-2"]},
            files={
                "app.py": APP,
                "servers/front/handlers.py": FRONT,
                "servers/back/remotes.py": BACK_REMOTES,
                "servers/back/handlers.py": BACK_HANDLERS,
            },
        )
        await cluster.start()
        yield cluster
        await cluster.close()


async def ask(client: Any, method: str, msg: Any = None) -> Any:
    return await client.request(f"back.backHandler.{method}", msg or {})


async def login(cluster: Cluster, frontend: str, uid: str, **settings: Any) -> Any:
    client = await cluster.client(frontend)
    reply = await client.request("front.frontHandler.login", {"uid": uid, "settings": settings})
    assert reply["frontend"] == frontend
    return client


def pushes(client: Any, route: str) -> list[Any]:
    heard: list[Any] = []
    client.on(route, heard.append)
    return heard


async def test_a_session_is_seen_on_backends(cluster: Cluster) -> None:
    """Its uid and settings travel with each request; a backend's changes travel back."""
    client = await login(cluster, "front-1", "alice", colour="red")
    assert (await ask(client, "whoami"))["me"][1:] == ["front-1", "alice", "red"]
    assert await ask(client, "update", {"colour": "blue"}) == {}
    assert (await ask(client, "whoami"))["me"][3] == "blue"
    session = cluster.nodes["front-1"].application.sessions.by_uid("alice")[0]
    assert (session.get("colour"), session.get("local")) == ("blue", None)


async def test_routes_decide_where_requests_go(cluster: Cluster) -> None:
    client = await login(cluster, "front-2", "alice")
    assert (await ask(client, "whoami"))["server"] == "back-1"
    await ask(client, "update", {"at": "back-2"})
    assert (await ask(client, "whoami"))["server"] == "back-2"
    await ask(client, "update", {"at": "nowhere"})
    assert await ask(client, "whoami") == FAILED


async def test_a_backend_binds_and_kicks(cluster: Cluster) -> None:
    client = await cluster.client("front-1")
    assert await ask(client, "bind", {"uid": "bob"}) == {}
    assert (await ask(client, "whoami"))["me"][2] == "bob"
    assert await ask(client, "bind", {"uid": "carol"}) == FAILED  # bound already
    kicks = pushes(client, "onKick")
    with pytest.raises(Kicked):
        await ask(client, "kick")
    assert kicks == [{"reason": "rude"}]


async def test_every_request_is_answered(cluster: Cluster) -> None:
    client = await cluster.client("front-1")
    assert await ask(client, "nothing") == {}
    assert await ask(client, "refuse") == {"code": 404, "why": "not today"}
    for method in ("fail", "odd", "hang", "helper", "__init__"):
        assert await ask(client, method) == FAILED, method
    assert await ask(client, "thread") == {"other": True}


async def test_remotes_are_called_like_local_objects(cluster: Cluster) -> None:
    client = await cluster.client("front-1")

    async def call(method: str, *args: Any) -> Any:
        msg = {"method": method, "args": list(args)}
        return await client.request("front.frontHandler.ask", msg)

    big = "x" * 40_000
    assert await call("echo", {"a": [1, None, "é😀"]}) == {"got": [{"a": [1, None, "é😀"]}]}
    assert await call("echo", big, 3) == {"got": [big] * 3}  # more than one AMP value holds
    for method in ("fail", "odd", "helper", "hang"):
        assert await call(method) == FAILED, method
    assert await call("echo") == FAILED  # an argument is missing


async def test_what_a_failed_call_says(cluster: Cluster) -> None:
    rpc = cluster.nodes["front-1"].application.rpc
    with pytest.raises(RemoteRaised, match=r"backRemote\.fail on back-1.*ValueError") as raised:
        await rpc.to("back-1").back.backRemote.fail()
    assert raised.value.error_id
    with pytest.raises(RemoteRefused):
        await cluster.nodes["front-1"].backend.send("back-1", "backRemote", "helper", [])
    with pytest.raises(AttributeError, match="did you mean echo"):
        rpc.to("back-1").back.backRemote.ecko()
    with pytest.raises(TypeError, match="can't cross a link"):
        rpc.to("back-1").back.backRemote.echo(object())
    await cluster.stop("back-2")
    await until(lambda: cluster.nodes["front-1"].links.get("back-2") is None, "its end")
    with pytest.raises(NotConnected):
        await rpc.to("back-2").back.backRemote.echo(1)


async def test_calls_to_all_of_a_type(cluster: Cluster) -> None:
    client = await cluster.client("front-1")
    reply = await client.request("front.frontHandler.everywhere", {"say": "hi"})
    assert reply == {"all": {"back-1": "['hi']", "back-2": "['hi']"}, "one": ["one"]}
    await cluster.stop("back-1")
    await until(lambda: cluster.nodes["front-1"].links.get("back-1") is None, "its end")
    reply = await client.request("front.frontHandler.everywhere", {"say": "hi"})
    assert reply["all"]["back-2"] == "['hi']" and "NotConnected" in reply["all"]["back-1"]


async def test_pushes_to_a_channel_and_to_all(cluster: Cluster) -> None:
    """Across frontends, to each member once, also to two sessions of one uid."""
    clients = [
        await login(cluster, "front-1", "alice"),
        await login(cluster, "front-1", "alice"),
        await login(cluster, "front-2", "bob"),
        await login(cluster, "front-2", "stranger"),
    ]
    heard = [pushes(client, "onRoom") for client in clients]
    shouts = [pushes(client, "onShout") for client in clients]
    for client in clients[:3]:
        await ask(client, "join", {"room": "den"})
    assert await ask(clients[2], "push", {"room": "den", "n": 1}) == {"missed": []}
    assert await ask(clients[0], "shout", {"n": 2}) == {"missed": []}
    await until(lambda: all(shouts), "the shouts")
    assert heard == [[{"room": "den", "n": 1}]] * 3 + [[]]
    assert shouts == [[{"n": 2}]] * 4
    await ask(clients[2], "leave", {"room": "den"})
    await ask(clients[0], "push", {"room": "den", "n": 3})
    await ask(clients[0], "shout", {"n": 4})
    await until(lambda: len(shouts[2]) == 2, "the second shout")
    assert [len(each) for each in heard] == [2, 2, 1, 0]


async def test_a_frontend_may_own_channels(cluster: Cluster) -> None:
    client = await login(cluster, "front-1", "alice")
    heard = pushes(client, "onRoom")
    assert await client.request("front.frontHandler.room", {}) == {}
    await until(lambda: heard, "the push")
    assert heard == [["alice"]]
    await client.disconnect()
    channels = cluster.nodes["front-1"].channels
    await until(lambda: channels.names() == [], "the empty channel to go")


async def test_a_lost_link_restores_the_groups(cluster: Cluster) -> None:
    """What changed on either side while it was away is right afterwards."""
    stays = await login(cluster, "front-1", "stays")
    goes = await login(cluster, "front-1", "goes")
    heard = pushes(stays, "onRoom")
    for client in (stays, goes):
        await ask(client, "join", {"room": "den"})
    channel = cluster.nodes["back-1"].channels.get("den")
    left: list[Any] = []
    cluster.nodes["back-1"].channels.on_left(lambda c, uid, sid, why: left.append((uid, why)))
    for _ in range(3):
        cluster.cut("front-1", "back-1")
        if goes.connected:
            await goes.disconnect()
        await until(lambda: cluster.nodes["front-1"].links.get("back-1"), "the link")
        await until(lambda: cluster.nodes["back-1"].links.get("front-1"), "the link")
    await until(lambda: channel.uids() == ["stays"], "who went to be gone")
    assert left == [("goes", "closed")]
    reply = FAILED
    while reply == FAILED:
        await deferLater(reactor, 0.02)  # who asks without end is sent away
        reply = await ask(stays, "push", {"room": "den", "n": 1})
    await until(lambda: heard, "the push")
    assert heard == [{"room": "den", "n": 1}]


async def test_a_restarted_backend_gets_its_members_back(cluster: Cluster) -> None:
    alice, bob = await login(cluster, "front-1", "alice"), await login(cluster, "front-2", "bob")
    heard = pushes(bob, "onRoom")
    for client in (alice, bob):
        await ask(client, "join", {"room": "den"})
    await cluster.stop("back-1")
    assert await ask(alice, "whoami") == FAILED
    await cluster.start("back-1")
    assert sorted(cluster.nodes["back-1"].channels.get("den").uids()) == ["alice", "bob"]
    assert await ask(alice, "push", {"room": "den"}) == {"missed": []}
    await until(lambda: heard, "the push")


async def test_the_end_of_a_session(cluster: Cluster) -> None:
    client = await login(cluster, "front-1", "alice")
    await client.disconnect()
    service = cluster.nodes["front-1"].sessions
    await until(lambda: len(service) == 0, "the session to end")
    assert cluster.nodes["front-1"].counters.clients_now == 0


async def test_a_notify_has_no_answer(cluster: Cluster) -> None:
    client = await cluster.client("front-1")
    client.notify("back.backHandler.note", {"n": 1})
    client.notify("back.backHandler.fail", {})
    client.notify("nope.nope.nope", {})
    assert await ask(client, "nothing") == {}
    assert cluster.nodes["front-1"].counters.notifies == 3


async def test_who_leaves_while_a_backend_is_away_is_missed(cluster: Cluster) -> None:
    """The others are told once the backend is back, though it never saw who left."""
    alice, bob = await login(cluster, "front-1", "alice"), await login(cluster, "front-2", "bob")
    for client in (alice, bob):
        await ask(client, "join", {"room": "den"})
    await cluster.stop("back-1")
    await bob.disconnect()
    await until(lambda: len(cluster.nodes["front-2"].sessions) == 0, "bob's session to end")
    left: list[Any] = []
    starting = cluster.start("back-1")
    task = Deferred.fromCoroutine(starting)
    channels = cluster.nodes["back-1"].channels
    channels.on_left(lambda channel, uid, sid, why: left.append((channel.name, uid, sid)))
    await task
    await until(lambda: left, "bob's leaving")
    assert left == [("den", "bob", "front-2")]
    assert channels.get("den").uids() == ["alice"]


async def test_sessions_of_a_former_life_are_gone(cluster: Cluster) -> None:
    """A handler that still holds one must not act on whoever has its number now."""
    backend = cluster.nodes["back-1"].backend
    link = cluster.nodes["back-1"].links.get("front-1")
    assert link is not None
    home = backend._home(link)
    old = await login(cluster, "front-1", "old")
    await cluster.stop("front-1")
    await old.closed()
    await cluster.start("front-1")
    new = await cluster.client("front-1")
    assert (await ask(new, "whoami"))["me"][0] == 1
    with pytest.raises(SessionError, match="started anew"):
        await home.bind(1, "stranger")
    assert (await ask(new, "whoami"))["me"][2] is None


async def test_contexts_are_kept_apart(cluster: Cluster) -> None:
    client = await cluster.client("front-1")
    assert await ask(client, "context") == {"before": None, "after": "mine"}
    assert await ask(client, "context") == {"before": None, "after": "mine"}


async def test_links_stay_on_this_machine_unless_told_otherwise() -> None:
    """A link port that others may reach is refused, with the words that allow it."""
    with short_folder() as folder:
        cluster = Cluster(folder, servers={"back": ["back-1"]}, files={})
        file = folder / "servers.json"
        file.write_text(file.read_text().replace("}", ', "host": "192.0.2.1", "port": 4050}', 1))
        cluster.servers = load_servers(folder, "development")
        with pytest.raises(
            ConfigError, match=r"192\.0\.2\.1.*chatcore certs.*--tls.*--insecure-links"
        ):
            await cluster.start()
