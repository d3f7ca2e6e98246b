"""Calls between real nodes in one process: to others, to oneself, and what stands in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_twisted
from running import short_folder
from small_cluster import Cluster, until
from twisted.internet.defer import Deferred

from chatcore.errors import (
    CallRefused,
    CallTimedOut,
    LinkLost,
    NotConnected,
    RemoteRaised,
    RemoteRefused,
    RpcError,
)

APP = """
    from chatcore.application import round_robin

    SEEN = []

    class Noting:
        def __init__(self, side):
            self.side = side

        def before(self, call):
            if call.args == ["stop"]:
                call.refuse("stopped on the way " + self.side)
            if call.args == ["break"]:
                raise KeyError(self.side)
            if call.args == ["change"]:
                call.args[0] = "changed " + self.side
            call.context["began"] = True

        def after(self, call, result, problem):
            outcome = result if problem is None else type(problem).__name__
            SEEN.append((self.side, call.server_id, call.peer, call.route, call.notify, outcome))

    def handle(error, call):
        if call.method == "replaced":
            return "instead of " + type(error).__name__

    def configure(app):
        turns = round_robin()

        def choose(session, server_type, servers):
            if session is None:
                return turns(session, server_type, servers)
            return servers.owner(server_type, session).id

        app.route("default", choose)
"""

FILTERED = (
    APP
    + """
        app.rpc_filter(Noting("out"))
        app.remote_filter(Noting("in"))
        app.rpc_error_handler(handle)
"""
)

REMOTES = """
    from twisted.internet.defer import Deferred
    from zope.interface import implementer
    from chatcore.errors import SessionError
    from chatcore.interfaces import IRemote, idempotent
    from ...app import SEEN

    class IBaseRemote(IRemote):
        async def inherited(): ""

    class IBackRemote(IBaseRemote):
        async def echo(value): ""
        async def where(): ""
        async def change(value): ""
        async def replaced(value): ""
        async def odd(): ""
        async def session(): ""
        async def fail(): ""
        async def hang(): ""

        @idempotent
        async def hang_once(): ""

        async def seen(): ""

    class Helper:
        def from_a_base(self):
            return "not for others"

    @implementer(IBackRemote)
    class BackRemote(Helper):
        attribute = "not for others"

        def __init__(self, app):
            self.app = app
            self.calls = []
            self.waiting = []
            self.once = 0

        def inherited(self):
            return "declared by a base interface"

        def echo(self, value):
            self.calls.append(value)
            return value

        def where(self):
            return self.app.server_id

        def change(self, value):
            value.append("changed")
            self.kept = value
            return value

        def replaced(self, value):
            return value

        def odd(self):
            return {1: object()}

        def session(self):
            raise SessionError("no such session")

        def fail(self):
            raise ValueError("no")

        async def hang(self):
            self.waiting.append(Deferred())
            await self.waiting[-1]

        async def hang_once(self):
            self.once += 1
            if self.once == 1:
                await Deferred()
            return self.once

        def seen(self):
            return SEEN

        def _private(self):
            return "not for others"
"""

BACKS = ["back-1", "back-2", "back-3"]


def cluster_of(folder: Any, **settings: object) -> Cluster:
    return Cluster(
        folder,
        servers={"front": ["front-1"], "back": BACKS},
        files={"app.py": APP, "servers/back/remotes.py": REMOTES},
        settings={key.replace("__", "."): value for key, value in settings.items()},
    )


@pytest_twisted.async_yield_fixture
async def cluster() -> AsyncIterator[Cluster]:
    with short_folder() as folder:
        cluster = cluster_of(folder, links__retries=50, links__retry_seconds=0.05)
        await cluster.start()
        yield cluster
        await cluster.close()


def rpc(cluster: Cluster, node: str = "front-1") -> Any:
    return cluster.nodes[node].application.rpc


def remote(cluster: Cluster, node: str) -> Any:
    """The remote itself."""
    bound = cluster.nodes[node].backend._dispatcher._remotes["backRemote", "echo"]
    return bound.method.__self__


async def away(cluster: Cluster, *ids: str) -> None:
    await cluster.stop(*ids)
    links = cluster.nodes["front-1"].links
    for id in ids:
        await until(lambda id=id: links.get(id) is None, "its end")


async def test_selectors(cluster: Cluster) -> None:
    view = cluster.nodes["front-1"].application.servers
    for key in ("lobby", "den"):
        assert await rpc(cluster).by_key(key).back.backRemote.where() == view.owner("back", key).id
    for how in ("round_robin", "weighted", "least_active"):
        found = [await rpc(cluster).any(how).back.backRemote.where() for _ in range(3)]
        assert sorted(found) == BACKS
    assert await rpc(cluster).any("random").back.backRemote.where() in BACKS
    assert await rpc(cluster).call("back-2", "back.backRemote.where") == "back-2"
    session: Any = None  # the default route asks nothing of it
    found = [await rpc(cluster).by(session).back.backRemote.where() for _ in range(3)]
    assert found == BACKS


async def test_least_active_counts_what_is_under_way(cluster: Cluster) -> None:
    target = rpc(cluster).any("least_active").back.backRemote
    hanging = [target.hang() for _ in range(2)]
    view = cluster.nodes["front-1"].application.servers
    assert [view.under_way(id) for id in BACKS] == [1, 1, 0]
    assert {await target.where() for _ in range(4)} == {"back-3"}
    for id in BACKS[:2]:
        await until(lambda id=id: remote(cluster, id).waiting, "the call to arrive")
        remote(cluster, id).waiting[0].callback(None)
    for each in hanging:
        await each
    assert [view.under_way(id) for id in BACKS] == [0, 0, 0]
    assert {await target.where() for _ in range(3)} == set(BACKS)


async def test_notifies(cluster: Cluster) -> None:
    """They arrive in order with calls, and nobody hears how they ended."""
    target = rpc(cluster).to("back-1", notify=True).back.backRemote
    for number in range(3):
        assert await target.echo(number) is None
    assert await rpc(cluster).to("back-1").back.backRemote.echo(3) == 3
    assert remote(cluster, "back-1").calls == [0, 1, 2, 3]
    assert await rpc(cluster).to_all("back", notify=True).back.backRemote.echo(4) is None
    await until(lambda: all(remote(cluster, id).calls[-1:] == [4] for id in BACKS), "the notifies")
    assert await target.fail() is None
    with pytest.raises(TypeError, match="can't cross a link"):
        target.echo(object())
    await away(cluster, "back-1")
    counters = cluster.nodes["front-1"].counters
    failed = counters.calls_failed
    assert await target.echo(5) is None
    assert counters.calls_failed == failed + 1
    over = rpc(cluster).by_key("any", notify=True, failure="over").back.backRemote
    assert await over.echo(6) is None


async def test_what_is_refused_of_a_notify_is_counted(cluster: Cluster) -> None:
    send = cluster.nodes["front-1"].backend.send_packed
    await send("back-1", "backRemote", "nonsense", b"\x90", notify=True)
    await send("back-1", "backRemote", "echo", b"\x90", notify=True)
    counters = cluster.nodes["back-1"].counters
    await until(lambda: counters.calls_refused == 2, "the refusals")
    assert await rpc(cluster).to("back-1").back.backRemote.echo(1) == 1


async def test_fail_over_where_nothing_was_executed(cluster: Cluster) -> None:
    view = cluster.nodes["front-1"].application.servers
    owner = view.owner("back", "lobby").id
    following = view.without([owner]).owner("back", "lobby").id
    await away(cluster, owner)
    with pytest.raises(NotConnected):
        await rpc(cluster).by_key("lobby").back.backRemote.where()
    over = rpc(cluster).by_key("lobby", failure="over").back.backRemote
    assert await over.where() == following
    session: Any = "lobby"  # which the route takes for a key
    with pytest.raises(NotConnected):
        await rpc(cluster).by(session).back.backRemote.where()
    by_session = rpc(cluster).by(session, failure="over").back.backRemote
    assert await by_session.where() == following
    await away(cluster, *(id for id in BACKS if id != owner))
    with pytest.raises(NotConnected, match="the last of 3 tries"):
        await over.where()


async def test_a_lost_call_is_made_again_only_where_that_does_no_harm(cluster: Cluster) -> None:
    target = rpc(cluster).to("back-1", failure="retry", timeout=60).back.backRemote
    again = target.hang_once()
    fast = rpc(cluster).to("back-1").back.backRemote.hang()
    with pytest.raises(TypeError, match="not marked @idempotent"):
        target.hang()
    instance = remote(cluster, "back-1")
    await until(lambda: instance.once and instance.waiting, "the calls to arrive")
    cluster.cut("front-1", "back-1")
    with pytest.raises(LinkLost):
        await fast
    assert await again == 2
    assert cluster.nodes["front-1"].counters.calls_retried >= 1


async def test_a_blocked_link_fails_at_once(cluster: Cluster) -> None:
    """Or goes elsewhere; what waits there already is sent when it can be."""
    node = cluster.nodes["front-1"]
    owner = node.application.servers.owner("back", "lobby").id
    link = node.links.get(owner)
    assert link is not None
    link.pauseProducing()
    size = link._parts.settings.queue_bytes
    waiting = rpc(cluster).to(owner).back.backRemote.echo(bytes(size))
    with pytest.raises(NotConnected, match="the link is blocked"):
        await rpc(cluster).by_key("lobby").back.backRemote.where()
    failed = node.counters.calls_failed
    assert await rpc(cluster).by_key("lobby", notify=True).back.backRemote.echo(1) is None
    assert node.counters.calls_failed == failed + 1
    over = rpc(cluster).by_key("lobby", failure="over").back.backRemote
    assert await over.where() != owner
    link.resumeProducing()
    assert len(await waiting) == size
    assert remote(cluster, owner).calls == [bytes(size)]


@pytest.mark.parametrize("caller", ["front-1", "back-1"])
async def test_a_call_to_oneself_is_like_any_other(cluster: Cluster, caller: str) -> None:
    target = rpc(cluster, caller).to("back-1").back.backRemote
    mine = ["kept"]
    result = await target.change(mine)
    kept = remote(cluster, "back-1").kept
    assert (mine, result, kept) == (["kept"], ["kept", "changed"], ["kept", "changed"])
    assert result is not kept
    assert await target.echo((1, 2)) == [1, 2]  # a tuple crosses as a list
    for method, text in [
        ("fail", r"backRemote\.fail on back-1: the remote raised ValueError\('no'\)"),
        ("odd", "backRemote.odd on back-1: the remote raised TypeError"),
        ("session", r"the remote raised SessionError\('no such session'\)"),
    ]:
        with pytest.raises(RemoteRaised, match=text) as raised:
            await getattr(target, method)()
        assert (raised.value.error_id == "-") == (method == "session")
    with pytest.raises(RemoteRefused, match=r"refused \(REFUSED\): there is no backRemote\.nope"):
        await cluster.nodes[caller].backend.send("back-1", "backRemote", "nope", [])
    with pytest.raises(RemoteRefused, match="missing a required argument") as refused:
        await cluster.nodes[caller].backend.send("back-1", "backRemote", "echo", [])
    assert refused.value.nothing_ran
    with pytest.raises(RemoteRefused, match="too many for a box"):
        await target.echo(bytes(17 * 1024 * 1024))
    with pytest.raises(CallTimedOut, match=r"backRemote\.hang on back-1: no answer within"):
        await rpc(cluster, caller).to("back-1", timeout=0.02).back.backRemote.hang()
    notify = rpc(cluster, caller).to("back-1", notify=True).back.backRemote
    assert await notify.fail() is None
    assert cluster.nodes[caller].application.servers.under_way("back-1") == 0
    remote(cluster, "back-1").waiting[-1].callback(None)  # too late for anybody
    assert await target.echo(1) == 1


@pytest.mark.parametrize("caller", ["front-1", "back-1"])
async def test_only_what_is_declared_can_be_called(cluster: Cluster, caller: str) -> None:
    backend = cluster.nodes[caller].backend
    for name in (
        "constructor", "__init__", "__class__", "__dict__", "__getattribute__", "from_a_base",
        "attribute", "_private", "app", "calls", "", "echo.__call__",
    ):  # fmt: skip
        with pytest.raises(RemoteRefused, match="there is no"):
            await backend.send("back-1", "backRemote", name, [])
    for service in ("", "BackRemote", "back.backRemote", "frontHandler", "sys", "sys.nothing"):
        with pytest.raises(RemoteRefused, match="there is no"):
            await backend.send("back-1", service, "echo", [1])
    target = rpc(cluster, caller).to("back-1").back.backRemote
    assert await target.inherited() == "declared by a base interface"
    for name in ("constructor", "from_a_base", "_private", "attribute"):
        with pytest.raises(AttributeError, match="declares no method"):
            getattr(target, name)


# Filters and the handler of errors.


@pytest_twisted.async_yield_fixture
async def filtered() -> AsyncIterator[Cluster]:
    with short_folder() as folder:
        cluster = Cluster(
            folder,
            servers={"front": ["front-1"], "back": ["back-1"]},
            files={
                "app.py": FILTERED,
                "servers/back/remotes.py": REMOTES,
            },
        )
        await cluster.start()
        yield cluster
        await cluster.close()


async def test_filters_on_both_sides(filtered: Cluster) -> None:
    target = rpc(filtered).to("back-1").back.backRemote
    assert await target.echo("change") == "changed out"
    with pytest.raises(CallRefused, match="on back-1: stopped on the way out"):
        await target.echo("stop")
    with pytest.raises(CallRefused, match=r"a filter raised KeyError\('out'\)"):
        await target.echo("break")
    with pytest.raises(RemoteRaised):
        await target.fail()
    route = "back.backRemote"
    assert remote(filtered, "back-1").seen() == [
        ("in", "back-1", "front-1", f"{route}.echo", False, "changed out"),
        ("in", "back-1", "front-1", f"{route}.fail", False, "ValueError"),
    ]


async def test_what_a_filter_does_where_a_call_arrives(filtered: Cluster) -> None:
    send = filtered.nodes["front-1"].backend.send  # past the filters of this side
    with pytest.raises(RemoteRefused, match=r"refused \(REFUSED\): stopped on the way in") as one:
        await send("back-1", "backRemote", "echo", ["stop"])
    assert one.value.nothing_ran
    with pytest.raises(RemoteRaised, match=r"the remote raised KeyError\('in'\)"):
        await send("back-1", "backRemote", "echo", ["break"])
    assert await send("back-1", "backRemote", "echo", ["change"]) == "changed in"
    assert remote(filtered, "back-1").calls == ["changed in"]
    with pytest.raises(RemoteRefused, match="missing a required argument"):
        await send("back-1", "backRemote", "echo", [])
    outcomes = [outcome for *_, outcome in remote(filtered, "back-1").seen()]
    assert outcomes == ["CallRefused", "KeyError", "changed in", "CallRefused"]


@pytest.mark.parametrize("caller", ["front-1", "back-1"])
async def test_filters_are_told_that_nobody_waits(filtered: Cluster, caller: str) -> None:
    target = rpc(filtered, caller).to("back-1", notify=True).back.backRemote
    await target.echo("x")
    await rpc(filtered, caller).to("back-1").back.backRemote.echo("y")
    seen = remote(filtered, "back-1").seen()
    told = {each[-1]: each[-2] for each in seen if each[0] == "in"}
    assert told == {"x": True, "y": False}


async def test_a_node_that_is_too_busy_refuses_calls() -> None:
    """And says that nothing ran, so that they may go elsewhere."""
    with short_folder() as folder:
        busy = """
            from chatcore.application import too_busy

            SEEN = []

            def configure(app):
                app.remote_filter(too_busy(1))
        """
        cluster = Cluster(
            folder,
            servers={"front": ["front-1"], "back": ["back-1", "back-2"]},
            files={
                "app.py": busy,
                "servers/back/remotes.py": REMOTES,
            },
        )
        await cluster.start()
        lag = cluster.nodes["back-1"].lag
        lag._seconds = 1e9
        target = rpc(cluster).to("back-1").back.backRemote
        with pytest.raises(RemoteRefused, match=r"the reactor is .* s late") as raised:
            await target.where()
        assert raised.value.nothing_ran
        over = rpc(cluster).any(failure="over").back.backRemote
        assert [await over.where() for _ in range(3)] == ["back-2"] * 3
        await cluster.close()


async def test_the_handler_of_errors(filtered: Cluster) -> None:
    target = rpc(filtered).to("back-1").back.backRemote
    assert await target.replaced("stop") == "instead of CallRefused"
    with pytest.raises(RpcError):
        await target.echo("stop")
    everywhere = rpc(filtered).to_all("back").back.backRemote
    assert await everywhere.replaced("stop") == {"back-1": "instead of CallRefused"}


async def test_a_node_stops_while_its_calls_wait() -> None:
    """Nothing is left behind, on either side of a call to oneself."""
    with short_folder() as folder:
        cluster = cluster_of(folder, links__retry_seconds=3)
        await cluster.start("back-1")
        ended: list[Any] = []
        calls = [
            rpc(cluster, "back-1").to("back-1").back.backRemote.hang(),
            rpc(cluster, "back-1").to("back-1", timeout=3.3).back.backRemote.hang(),
            rpc(cluster, "back-1").to("back-2", failure="retry").back.backRemote.hang_once(),
        ]
        for call in calls:
            assert isinstance(call, Deferred)
            call.addErrback(lambda failure: ended.append(failure.type))
        await cluster.close()
        assert ended == [NotConnected]
