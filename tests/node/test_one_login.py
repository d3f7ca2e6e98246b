"""One session of a uid in the whole cluster: real nodes, real links, a view that never changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_twisted
from running import short_folder
from small_cluster import Cluster, until
from twisted.internet.defer import Deferred, DeferredList

from chatcore.cluster.homes import Homes
from chatcore.errors import ConfigError
from chatcore.node.backend import DEEPEST

FRONTS = ["front-1", "front-2", "front-3"]

FRONT = """
    from zope.interface import implementer
    from chatcore.errors import SessionError
    from chatcore.interfaces import IHandler

    class IFrontHandler(IHandler):
        async def login(msg, session): ""
        async def logout(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app):
            pass

        async def login(self, msg, session):
            try:
                await session.bind(msg["uid"])
            except SessionError as problem:
                return {"code": 409, "why": str(problem)}
            return {"code": 200, "uid": session.uid}

        async def logout(self, msg, session):
            await session.unbind()
"""

REMOTE = """
    from zope.interface import implementer
    from chatcore.interfaces import IRemote

    class IFrontRemote(IRemote):
        async def kick(uid, depth): ""

    @implementer(IFrontRemote)
    class FrontRemote:
        def __init__(self, app):
            self.app = app

        def kick(self, uid, depth):
            if depth == 1:
                return self.app.sessions.kick(uid)
            return self.app.rpc.to(self.app.server_id).front.frontRemote.kick(uid, depth - 1)
"""

MakeCluster = Callable[..., Any]


@pytest_twisted.async_yield_fixture
async def make() -> AsyncIterator[MakeCluster]:
    """Starts a cluster with one session for each uid."""
    with short_folder() as folder:
        made: list[Cluster] = []

        async def start(per_uid: str, **settings: Any) -> Cluster:
            cluster = Cluster(
                folder,
                servers={"front": FRONTS, "back": ["back-1"]},
                files={
                    "servers/front/handlers.py": FRONT,
                    "servers/front/remotes.py": REMOTE,
                    "servers/back/handlers.py": FRONT.replace("Front", "Back"),
                },
                settings={"sessions.per_uid": per_uid, "sessions.scope": "cluster", **settings},
            )
            made.append(cluster)
            await cluster.start()
            return cluster

        yield start
        for cluster in made:
            await cluster.close()


class Visitor:
    """A client, and what it was told."""

    def __init__(self, client: Any, frontend: str) -> None:
        self.client, self.frontend = client, frontend
        self.kicks: list[Any] = []
        client.on("onKick", self.kicks.append)

    async def log_in(self, uid: str, by: str = "front.frontHandler") -> Any:
        return await self.client.request(f"{by}.login", {"uid": uid})


async def visit(cluster: Cluster, frontend: str) -> Visitor:
    return Visitor(await cluster.client(frontend), frontend)


def bound(cluster: Cluster, uid: str) -> list[str]:
    """The frontends on which a uid has a session, once for each."""
    return [
        id
        for id, node in cluster.nodes.items()
        for session in node.sessions.bound()
        if session.uid == uid
    ]


def kept(cluster: Cluster) -> int:
    """How many claims there are."""
    return sum(node.logins.at_home for node in cluster.nodes.values())


def uid_at(cluster: Cluster, home: str) -> str:
    """A uid whose claims that frontend keeps."""
    homes = Homes(next(iter(cluster.nodes.values())).servers.view)
    return next(uid for n in range(1000) if homes.of(uid := f"user {n}") == home)


async def all_at_once(cluster: Cluster, uid: str) -> list[Visitor]:
    """Log in with one uid on all frontends, and wait until one is left."""
    visitors = [await visit(cluster, id) for id in FRONTS]
    logins = [Deferred.fromCoroutine(visitor.log_in(uid)) for visitor in visitors]
    await DeferredList(logins, consumeErrors=True)
    await until(lambda: len(bound(cluster, uid)) == 1, "the last of the kicks")
    return visitors


@pytest.mark.parametrize("uid", ["alice", "bob", "carol"])
async def test_of_three_frontends_at_once_one_wins(make: MakeCluster, uid: str) -> None:
    """The others are kicked, and told why."""
    cluster = await make("takeover")
    visitors = await all_at_once(cluster, uid)
    (winner,) = [visitor for visitor in visitors if visitor.frontend in bound(cluster, uid)]
    losers = [visitor for visitor in visitors if visitor is not winner]
    await until(lambda: all(loser.kicks for loser in losers), "being told")
    assert [loser.kicks for loser in losers] == [[{"reason": "logged in elsewhere"}]] * 2
    assert winner.kicks == []
    assert await cluster.nodes["back-1"].application.sessions.where(uid) == winner.frontend
    assert kept(cluster) == 1


async def test_of_three_frontends_at_once_two_are_refused(make: MakeCluster) -> None:
    cluster = await make("refuse")
    visitors = [await visit(cluster, id) for id in FRONTS]
    waiting = DeferredList(
        [Deferred.fromCoroutine(visitor.log_in("alice")) for visitor in visitors]
    )
    answers = [answer for _, answer in await waiting]
    (winner,) = [
        visitor
        for visitor, answer in zip(visitors, answers, strict=True)
        if answer == {"code": 200, "uid": "alice"}
    ]
    why = f"'alice' has a session on {winner.frontend} already, and sessions.per_uid is refuse"
    assert sorted(answer.get("why", "") for answer in answers) == ["", why, why]
    assert bound(cluster, "alice") == [winner.frontend]
    refused = [node.counters.binds_refused for node in cluster.nodes.values()]
    assert sum(refused) == 2

    await winner.client.request("front.frontHandler.logout", {})
    (other, third) = [visitor for visitor in visitors if visitor is not winner]
    assert (await other.log_in("alice"))["code"] == 200
    await other.client.disconnect()
    await until(lambda: not kept(cluster), "the end of the claim")
    assert (await third.log_in("alice"))["code"] == 200


async def test_a_backend_binds_as_a_frontend_does(make: MakeCluster) -> None:
    cluster = await make("takeover")
    first, second = [await visit(cluster, id) for id in FRONTS[:2]]
    assert (await first.log_in("alice", "back.backHandler"))["code"] == 200
    assert (await first.log_in("alice", "back.backHandler"))["code"] == 200  # once more
    assert (await second.log_in("alice", "back.backHandler"))["code"] == 200
    await until(lambda: first.kicks, "the kick")
    assert bound(cluster, "alice") == ["front-2"]
    problem = await second.log_in("bob", "back.backHandler")
    assert "is bound to 'alice' already" in problem["why"]


@pytest.mark.parametrize("home", FRONTS)
async def test_a_uid_stays_in_its_channels_while_it_is_taken_over(
    make: MakeCluster, home: str
) -> None:
    """On one frontend: there it is never without a session."""
    cluster = await make("takeover")
    old, new = [await visit(cluster, "front-1") for _ in range(2)]
    channels = cluster.nodes["back-1"].channels
    left: list[str] = []
    channels.on_left(lambda channel, uid, sid, reason: left.append(uid))
    uid = uid_at(cluster, home)
    await old.log_in(uid)
    room = channels.get("den", create=True)
    room.add(uid, "front-1")
    await new.log_in(uid)
    await until(lambda: old.kicks, "the kick")
    assert await room.push("onNews", 1) == []
    assert (room.members(), left) == ([(uid, "front-1")], [])


async def test_who_cannot_be_looked_for_is_not_let_in(make: MakeCluster) -> None:
    """While the frontend that knows is away; when it is back, it knows again who is there."""
    cluster = await make("refuse", **{"limits.handler_seconds": 2.0})
    uid = uid_at(cluster, "front-3")
    first, second = [await visit(cluster, id) for id in FRONTS[:2]]
    assert (await first.log_in(uid))["code"] == 200
    await cluster.stop("front-3")
    answer = await second.log_in(uid)
    assert "can't be bound now, try again: front-3" in answer["why"]
    assert cluster.nodes["front-2"].counters.binds_failed == 1
    assert (await second.log_in(uid_at(cluster, "front-1")))["code"] == 200  # who is not its own
    await second.client.request("front.frontHandler.logout", {})

    await cluster.start("front-3")
    refused = await second.log_in(uid)
    assert "has a session on front-1 already" in refused["why"]


async def test_who_is_hard_to_reach_is_kicked_all_the_same(make: MakeCluster) -> None:
    """The frontend that knows lets the newer in, and does not forget to tell the older's."""
    cluster = await make("takeover")
    uid = uid_at(cluster, "front-3")
    old, new = [await visit(cluster, id) for id in FRONTS[:2]]
    await old.log_in(uid)
    link = cluster.nodes["front-3"].links.get("front-1")
    assert link is not None
    link.pauseProducing()
    assert (await new.log_in(uid))["code"] == 200
    assert sorted(bound(cluster, uid)) == ["front-1", "front-2"]
    link.resumeProducing()
    await until(lambda: old.kicks, "the kick")
    assert bound(cluster, uid) == ["front-2"]


async def test_a_claim_ends_however_deep_in_calls_its_session_does(make: MakeCluster) -> None:
    """Also at its own frontend, which may call itself no more there."""
    cluster = await make("takeover")
    one = await visit(cluster, "front-1")
    assert (await one.log_in(uid := uid_at(cluster, "front-1")))["code"] == 200
    front = cluster.nodes["front-1"].application.rpc.to("front-1").front.frontRemote
    assert await front.kick(uid, DEEPEST) == 1
    assert (bound(cluster, uid), kept(cluster)) == ([], 0)


async def test_links_come_and_go_while_people_log_in(make: MakeCluster) -> None:
    cluster = await make("takeover")
    links = [cluster.nodes[id].links for id in FRONTS]
    for _ in range(5):
        logging_in = Deferred.fromCoroutine(all_at_once(cluster, "alice"))
        cluster.cut("front-1", "front-2")
        cluster.cut("front-2", "front-3")
        await logging_in
        await until(lambda: all(each.complete for each in links), "the links")
    assert kept(cluster) == len(bound(cluster, "alice")) == 1


async def test_a_scope_for_nothing_is_refused() -> None:
    with short_folder() as folder:
        cluster = Cluster(
            folder,
            servers={"front": ["front-1"]},
            files={"servers/front/handlers.py": FRONT},
            settings={"sessions.scope": "cluster"},
        )
        with pytest.raises(ConfigError, match=r"sessions\.per_uid lets a uid have many"):
            await cluster.start()
