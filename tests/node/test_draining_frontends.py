"""A frontend drains in a cluster: where its clients go, and what still works meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from npm import missing_node, npm_packages
from one_registry import OneRegistry
from pomelo.javascript_client import PACKAGES, bundle
from running import short_folder
from small_cluster import Cluster, until
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from chatcore.client import Client, ClientFailure, Kicked, Moved

FRONT = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler
    from ..back.remotes import IRoomRemote

    class IDoorHandler(IHandler):
        async def enter(msg, session): ""
        async def wait(msg, session): ""

    @implementer(IDoorHandler)
    class DoorHandler:
        def __init__(self, app):
            self.app = app

        async def enter(self, msg, session):
            session.on_closed(lambda s, why: self.app.data.setdefault("closed", []).append(why))
            await session.bind(msg["uid"])
            await self.app.rpc.to("back-1")[IRoomRemote].add(msg["uid"], session.frontend_id)
            return {"at": session.frontend_id}

        async def wait(self, msg, session):
            await self.app.data["waiting"]
            return {"waited": True}
"""

REMOTES = """
    from zope.interface import implementer
    from chatcore.interfaces import IRemote

    class IRoomRemote(IRemote):
        async def add(uid: str, sid: str) -> None: ""

    @implementer(IRoomRemote)
    class RoomRemote:
        def __init__(self, app):
            self.app = app
            app.channels.on_left(lambda room, *who: app.data.setdefault("left", []).append(who))

        async def add(self, uid, sid):
            self.app.channels.get("room", create=True).add(uid, sid)
"""

FILES = {
    "servers/front/handlers.py": FRONT,
    "servers/back/remotes.py": REMOTES,
    "servers/gate/handlers.py": "",
}
ENTER, WAIT = "front.doorHandler.enter", "front.doorHandler.wait"


class Drained(Cluster):
    """A cluster, and people in its room."""

    def data(self, id: str) -> dict[str, Any]:
        return self.nodes[id].application.data

    @property
    def room(self) -> Any:
        return self.nodes["back-1"].application.channels.get("room")

    async def enter(self, uid: str, front: str = "front-1") -> Person:
        person = Person(uid, await self.client(front))
        assert await person.client.request(ENTER, {"uid": uid}) == {"at": front}
        return person

    def place(self, id: str) -> dict[str, Any]:
        server = self.servers.by_id(id)
        return {"reason": "moved", "host": server.listen_host, "port": server.client_port}


class Person:
    """Somebody, and what they are told."""

    def __init__(self, uid: str, client: Client) -> None:
        self.uid, self.client = uid, client
        self.kicks: list[Any] = []
        self.heard: list[Any] = []
        client.on("onKick", self.kicks.append)
        client.on("onWord", lambda body: self.heard.append(body["n"]))


@pytest_twisted.async_yield_fixture
async def make() -> AsyncIterator[Any]:
    """Starts a cluster of fronts and a back."""
    made: list[Drained] = []
    with short_folder() as folder:

        async def make(fronts: int = 3, **how: Any) -> Drained:
            names = [f"front-{n + 1}" for n in range(fronts)]
            servers = {"front": names, "back": ["back-1"], **how.pop("servers", {})}
            settings = {"drain.grace_seconds": 0, **how.pop("settings", {})}
            made.append(Drained(folder, servers=servers, files=FILES, settings=settings, **how))
            await made[-1].start()
            return made[-1]

        yield make
        for cluster in made:
            await cluster.close()


async def test_everybody_goes_where_a_gate_would_send_them_now(make: Any) -> None:
    cluster = await make(settings={"drain.batch": 7})
    people = [await cluster.enter(f"user-{n}") for n in range(20)]
    stays = await cluster.enter("stays", "front-2")
    await cluster.nodes["front-1"].drain()
    servers = cluster.nodes["back-1"].servers.without(["front-1"])
    for person in people:
        assert person.kicks == [cluster.place(servers.pick("front", person.uid).id)]
        assert not person.client.connected
    assert len({kick["port"] for person in people for kick in person.kicks}) == 2
    await until(lambda: cluster.room.uids() == ["stays"], "the members to have left")
    assert cluster.data("front-1")["closed"] == ["moved"] * 20
    expected = [(person.uid, "front-1", "closed") for person in people]
    assert sorted(cluster.data("back-1")["left"]) == sorted(expected)
    assert stays.client.connected
    with pytest.raises(ClientFailure):
        await cluster.client("front-1")
    counters = cluster.nodes["front-1"].counters
    assert (counters.clients_now, counters.sessions_now, counters.clients_moved) == (0, 0, 20)


async def test_the_host_is_the_one_that_clients_are_told(make: Any) -> None:
    keys = {"front-2": {"host": "127.0.0.2", "clientHost": "127.0.0.3", "port": 31997}}
    cluster = await make(2, keys=keys)
    person = await cluster.enter("alice")
    await cluster.nodes["front-1"].drain()
    assert person.kicks == [cluster.place("front-2")]
    assert person.kicks[0]["host"] == "127.0.0.3"


async def test_the_host_need_not_be_an_address_of_the_machine(make: Any) -> None:
    """As behind NAT, where clients know it by another."""
    keys = {"front-2": {"clientHost": "chat.example.org", "clientBind": "127.0.0.1"}}
    cluster = await make(2, keys=keys)
    person, there = await cluster.enter("alice"), await cluster.enter("bob", "front-2")
    await cluster.nodes["front-1"].drain()
    (kick,) = person.kicks
    port = cluster.servers.by_id("front-2").client_port
    assert kick == {"reason": "moved", "host": "chat.example.org", "port": port}
    assert there.client.connected


async def test_nobody_is_named_where_all_come_by_one_address(make: Any) -> None:
    """A load balancer, say: clients come by it again."""
    cluster = await make(2, settings={"drain.name_places": False})
    person = await cluster.enter("alice")
    await cluster.nodes["front-1"].drain()
    assert person.kicks == [{"reason": "moved"}]


async def test_only_frontends_that_are_up_are_named(make: Any) -> None:
    """By the registry; it does so, too, for one whose clients are told after it has changed."""
    registry = OneRegistry(reactor.callLater)
    cluster = await make(4, registry=registry)
    people = [await cluster.enter(f"user-{n}") for n in range(10)]
    await cluster.nodes["front-2"].drain()
    registry.members["front-3"] = replace(registry.members["front-3"], state="starting")
    registry.tell()
    front = cluster.nodes["front-1"]
    await until(lambda: len(front.servers.of_type("front")) == 2, "the view")
    await front.drain()
    assert [person.kicks for person in people] == [[cluster.place("front-4")]] * 10
    assert [each.id for each in cluster.nodes["back-1"].servers.of_type("front")] == ["front-4"]


async def test_one_that_answers_is_named_rather_than_one_that_does_not(make: Any) -> None:
    cluster = await make(3)
    people = [await cluster.enter(f"user-{n}") for n in range(10)]
    await cluster.stop("front-2")
    links = cluster.nodes["front-1"].links
    await until(lambda: links.get("front-2") is None, "the link to be down")
    await cluster.nodes["front-1"].drain()
    assert [person.kicks for person in people] == [[cluster.place("front-3")]] * 10


async def test_where_there_is_no_other(make: Any) -> None:
    """Frontends of another type are no place to go on."""
    cluster = await make(1, servers={"gate": ["gate-1"]}, frontends=("front", "gate"))
    person = await cluster.enter("alice")
    await cluster.nodes["front-1"].drain()
    assert person.kicks == [{"reason": "moved"}]


@pytest.mark.parametrize("known", [True, False])
async def test_until_the_kick_everything_works(make: Any, known: bool) -> None:
    """Pushes, sessions and kicks from other nodes; and what was asked is answered.

    Whether the others know that it drains, or there is nobody to tell them.
    """
    cluster = await make(registry=OneRegistry(reactor.callLater) if known else None)
    cluster.data("front-1")["waiting"] = waiting = Deferred()
    alice, bob = await cluster.enter("alice"), await cluster.enter("bob")
    answers = [person.client.request(WAIT) for person in (alice, bob)]
    await until(lambda: cluster.nodes["front-1"].counters.requests_now == 2, "the requests")
    drained = cluster.nodes["front-1"].drain()
    back = cluster.nodes["back-1"].application
    view = cluster.nodes["back-1"].servers
    await until(lambda: len(view.of_type("front")) == (2 if known else 3), "the view")
    for n in range(3):
        assert await cluster.room.push("onWord", {"n": n}) == []
    assert await back.channels.push_to_uids("onWord", {"n": 3}, ["alice"]) == []
    assert await back.channels.broadcast("front", "onWord", {"n": 4}) == []
    found = await back.sessions.find("bob")
    assert [session.frontend_id for session in found.sessions] == ["front-1"]
    assert (await back.sessions.kick_everywhere("bob", "be nice")).kicked == 1
    with pytest.raises(Kicked):
        await answers[1]
    await until(lambda: len(alice.heard) == 5, "the pushes")
    assert alice.kicks == []
    waiting.callback(None)
    assert await answers[0] == {"waited": True}
    await drained
    assert (alice.heard, alice.kicks[0]["reason"]) == ([0, 1, 2, 3, 4], "moved")
    assert (bob.heard, bob.kicks) == ([0, 1, 2, 4], [{"reason": "be nice"}])


async def test_what_was_pushed_before_the_kick_arrives(make: Any) -> None:
    """As long as they are members; nothing is missing in between, and nothing comes twice."""
    cluster = await make(settings={"drain.batch": 2, "drain.interval_seconds": 0.02})
    people = [await cluster.enter(f"user-{n}") for n in range(20)]
    drained = cluster.nodes["front-1"].drain()
    ended = []
    drained.addCallback(ended.append)
    number = 0
    while not ended:
        if cluster.room is not None:
            cluster.room.push("onWord", {"n": number})
            number += 1
        await cluster.nodes["back-1"].application.sleep(0.001)
    for person in people:
        assert person.heard == list(range(len(person.heard)))
    counts = [len(person.heard) for person in people]
    assert counts == sorted(counts) and counts[0] < counts[-1]


async def test_twice_is_once(make: Any) -> None:
    cluster = await make()
    person = await cluster.enter("alice")
    first, second = (cluster.nodes["front-1"].drain() for _ in range(2))
    await first
    await second
    await cluster.nodes["front-1"].drain()
    assert len(person.kicks) == 1
    await cluster.stop("front-1")


async def test_a_stop_does_not_wait_for_a_drain(make: Any) -> None:
    cluster = await make()
    cluster.data("front-1")["waiting"] = waiting = Deferred()
    person = await cluster.enter("alice")
    asked = person.client.request(WAIT)
    await until(lambda: cluster.nodes["front-1"].counters.requests_now, "the request")
    drained = cluster.nodes["front-1"].drain()
    await cluster.stop("front-1")
    await drained
    with pytest.raises(ClientFailure):
        await asked
    assert person.kicks == []
    assert waiting.called


@pytest.mark.parametrize("on_term", [True, False])
async def test_a_stop_may_drain_first(make: Any, on_term: bool) -> None:
    cluster = await make(settings={"drain.on_term": on_term})
    person = await cluster.enter("alice")
    await cluster.stop("front-1")
    expected = [cluster.place(cluster.nodes["back-1"].servers.pick("front", "alice").id)]
    assert person.kicks == (expected if on_term else [])


async def test_a_backend_may_as_well(make: Any) -> None:
    """It hands its channels over first."""
    registry = OneRegistry(reactor.callLater)
    settings = {"drain.on_term": True}
    cluster = await make(
        1, servers={"back": ["back-1", "back-2"]}, registry=registry, settings=settings
    )
    person = await cluster.enter("alice")
    states = []
    announce = registry.tell

    def tell() -> None:
        states.append(registry.members["back-1"].state if "back-1" in registry.members else "gone")
        announce()

    registry.tell = tell  # type: ignore[method-assign]
    await cluster.stop("back-1")
    assert states == ["draining", "gone"]
    assert (person.kicks, person.client.connected) == ([], True)


async def test_one_that_is_told_to_drain_before_it_serves(make: Any) -> None:
    registry = OneRegistry(reactor.callLater)
    cluster = await make(2, registry=registry)
    await cluster.stop("front-2")
    starting = Deferred.fromCoroutine(cluster.start("front-2"))
    await cluster.nodes["front-2"].drain()
    await starting
    assert registry.members["front-2"].state == "draining"
    with pytest.raises(ClientFailure):
        await cluster.client("front-2")


async def test_a_stop_gives_up_whoever_waits_for_a_drain(make: Any) -> None:
    registry = OneRegistry(reactor.callLater)
    cluster = await make(2, registry=registry)
    person = await cluster.enter("alice")
    registry.tell = lambda: None  # type: ignore[method-assign]
    drained = cluster.nodes["front-1"].drain()
    await until(lambda: person.kicks, "the kick")
    await cluster.stop("front-1")
    await drained


async def test_who_comes_too_late_is_sent_on(make: Any) -> None:
    """A gate may not have heard of it when it named this frontend."""
    cluster = await make(settings={"drain.grace_seconds": 60})
    drained = cluster.nodes["front-1"].drain()
    late = await cluster.client("front-1")
    kicks: list[Any] = []
    late.on("onKick", kicks.append)
    with pytest.raises(Kicked):
        await late.request(ENTER, {"uid": "late"})
    assert kicks[0]["port"] in [cluster.place(id)["port"] for id in ("front-2", "front-3")]
    assert cluster.room is None
    await cluster.stop("front-1")
    await drained


class Follower:
    """A client that follows by itself, and what it tells."""

    def __init__(self, cluster: Drained) -> None:
        self.cluster = cluster
        self.client = Client(reactor=reactor, chance=lambda: 0.0)
        self.told: list[Any] = []
        for event in ("moved", "reconnect", "disconnect"):
            self.client.on(event, lambda data, event=event: self.told.append((event, data)))
        cluster._clients.append(self.client)

    async def init(self, **how: Any) -> None:
        place = self.cluster.place("front-1")
        await self.client.init(url=f"ws://{place['host']}:{place['port']}", **how)

    async def hear(self, event: str) -> Any:
        def heard() -> Any:
            return next((data for name, data in self.told if name == event), None)

        return await until(heard, event)


class TestFollowing:
    async def test_by_itself(self, make: Any) -> None:
        cluster = await make(2)
        follower = Follower(cluster)
        await follower.init(follow=True)
        asked = follower.client.request(WAIT)
        cluster.data("front-1")["waiting"] = waiting = Deferred()
        await until(lambda: cluster.nodes["front-1"].counters.requests_now, "the request")
        drained = cluster.nodes["front-1"].drain()
        waiting.callback(None)
        assert await asked == {"waited": True}
        await drained
        there = cluster.place("front-2")
        reached = await follower.hear("reconnect")
        assert reached == {"host": there["host"], "port": there["port"], "user": None}
        assert await follower.client.request(ENTER, {"uid": "alice"}) == {"at": "front-2"}
        assert [event for event, _ in follower.told] == ["moved", "reconnect"]

    async def test_to_its_own_host_where_the_named_one_is_none(self, make: Any) -> None:
        cluster = await make(2, keys={"front-2": {"clientHost": "0.0.0.0"}})
        follower = Follower(cluster)
        await follower.init(follow=True)
        await cluster.nodes["front-1"].drain()
        reached = await follower.hear("reconnect")
        there = cluster.place("front-2")
        assert follower.told[0] == ("moved", {"host": "0.0.0.0", "port": there["port"]})
        assert (reached["host"], reached["port"]) == ("127.0.0.1", there["port"])

    async def test_when_it_is_asked_to_only(self, make: Any) -> None:
        cluster = await make(2)
        follower = Follower(cluster)
        await follower.init()
        await cluster.nodes["front-1"].drain()
        why = await follower.hear("disconnect")
        there = cluster.place("front-2")
        assert follower.told[0] == ("moved", {"host": there["host"], "port": there["port"]})
        assert isinstance(why, Moved) and why.place == (there["host"], there["port"])

    async def test_by_the_gate(self, make: Any) -> None:
        """Where none is named, or where the one that is named is gone meanwhile."""
        cluster = await make(1, servers={"gate": ["gate-1"]}, frontends=("front", "gate"))
        follower = Follower(cluster)
        asked = []

        async def find() -> tuple[str, int]:
            asked.append("gate")
            place = cluster.place("gate-1")
            return place["host"], place["port"]

        await follower.init(follow=find)
        await cluster.nodes["front-1"].drain()
        reached = await follower.hear("reconnect")
        assert (reached["port"], asked) == (cluster.place("gate-1")["port"], ["gate"])
        assert follower.told[0] == ("moved", {"host": None, "port": None})

    async def test_the_same_server_when_it_is_back(self, make: Any) -> None:
        cluster = await make(1)
        follower = Follower(cluster)
        await follower.init(follow=True)
        await cluster.nodes["front-1"].drain()
        await cluster.stop("front-1")
        await cluster.start("front-1")
        reached = await follower.hear("reconnect")
        assert reached["port"] == cluster.place("front-1")["port"]

    async def test_until_it_is_disconnected(self, make: Any) -> None:
        cluster = await make(1)
        follower = Follower(cluster)
        await follower.init(follow=True)
        await cluster.nodes["front-1"].drain()
        await follower.client.disconnect()
        assert [event for event, _ in follower.told] == ["moved"]

    async def test_unless_it_is_told_to_go_elsewhere(self, make: Any) -> None:
        cluster = await make(1, servers={"gate": ["gate-1"]}, frontends=("front", "gate"))
        follower = Follower(cluster)
        begun: list[Any] = []
        gate = cluster.place("gate-1")
        follower.client.on("moved", lambda _: begun.append(follower.client.init(port=gate["port"])))
        await follower.init(follow=True)
        await cluster.nodes["front-1"].drain()
        await begun[0]
        assert [event for event, _ in follower.told] == ["moved"]
        assert cluster.nodes["gate-1"].counters.sessions_now == 1


@pytest.mark.skipif(missing_node() is not None, reason=str(missing_node()))
async def test_pomelos_own_client_is_told_where_to_go(make: Any, tmp_path: Path) -> None:
    """As it was published: host and port are in what `onKick` is given."""
    (tmp_path / "bundle.js").write_text(bundle())
    cluster = await make(2)
    script = Path(__file__).with_name("moved.js")
    ended = deferToThread(
        subprocess.run,
        ["node", script, tmp_path / "bundle.js", str(cluster.place("front-1")["port"])],
        env={**os.environ, "NODE_PATH": str(npm_packages(PACKAGES))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    await until(lambda: cluster.room is not None and "alice" in cluster.room, "alice")
    await cluster.nodes["front-1"].drain()
    result = await ended
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout) == [
        ["entered", {"at": "front-1"}],
        ["onKick", cluster.place("front-2")],
        ["disconnect", 1001],
        ["entered", {"at": "front-2"}],
    ]
