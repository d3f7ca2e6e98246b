"""Acting on recorded boxes: which ones, for whom, and with whose sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import short_folder
from small_cluster import Cluster, until
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from chatcore.errors import AdminError
from chatcore.node import replaying as replaying_module
from chatcore.node.looking.why import Why
from chatcore.node.replaying import Replays
from chatcore.wire.box import BoxParser, encode
from chatcore.wire.values import pack, unpack

FILES = {
    "servers/chat/remotes.py": """
        from zope.interface import implementer
        from twisted.internet.defer import Deferred
        from chatcore.interfaces import IRemote

        class IRoomRemote(IRemote):
            async def add(uid: str, sid: str, room: str) -> list[str]: ...
            async def fail(why: str) -> bool: ...
            async def wait() -> bool: ...

        @implementer(IRoomRemote)
        class RoomRemote:
            def __init__(self, app):
                self.app = app

            async def add(self, uid: str, sid: str, room: str) -> list[str]:
                channel = self.app.channels.get(room, create=True)
                channel.add(uid, sid)
                return channel.uids()

            async def fail(self, why: str) -> bool:
                raise ValueError(why)

            async def wait(self) -> bool:
                await Deferred()
        """,
    "servers/chat/handlers.py": """
        from typing import Any
        from zope.interface import implementer
        from chatcore.interfaces import IHandler, ISession, access

        class IRoomHandler(IHandler):
            async def who(msg: Any, session: ISession) -> Any: ...

        @implementer(IRoomHandler)
        class RoomHandler:
            def __init__(self, app):
                self.app = app

            async def who(self, msg: Any, session: ISession) -> Any:
                await session.update(asked=msg["number"])
                return {"who": session.uid, "from": session.frontend_id}
        """,
}

BY: Any = object()
"""The link over which somebody replays something."""


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


def made(folder: Path, scope: str = "node", *, fronts: int = 1) -> Cluster:
    return Cluster(
        folder,
        servers={"front": [f"front-{n + 1}" for n in range(fronts)], "chat": ["chat-1"]},
        files=FILES,
        settings={
            "sessions.scope": scope,
            "sessions.per_uid": "many" if scope == "node" else "refuse",
        },
    )


@pytest_twisted.async_yield_fixture
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    cluster = made(folder)
    await cluster.start()
    yield cluster
    await cluster.close()


def replays(cluster: Cluster, id: str) -> Replays:
    made = cluster.nodes[id]._administration._desk._replays
    assert isinstance(made, Replays)
    return made


async def played(cluster: Cluster, box: dict[bytes, bytes], sender: str = "front-1") -> Any:
    """What a backend answers to a box."""
    given = {"data": encode(box.items()), "sender": sender}
    said = await replays(cluster, "chat-1").act(BY, "box", given, 5.0)
    if not said:
        return None
    (answer,) = BoxParser(1 << 20).feed(said["reply"])
    return answer


def call(method: str, *args: Any) -> dict[bytes, bytes]:
    return {
        b"_ask": b"77",
        b"_command": b"Call",
        b"service": b"roomRemote",
        b"method": method.encode(),
        b"args": pack(args),
        b"epoch": b"999999",
        b"key": b"somebody",
    }


@pytest_twisted.ensureDeferred
async def test_members_with_stand_ins_stay(cluster: Cluster) -> None:
    await stand_ins(cluster)


@pytest_twisted.ensureDeferred
async def test_stand_ins_where_a_uid_has_one_session_in_the_cluster(folder: Path) -> None:
    cluster = made(folder, "cluster")
    await cluster.start()
    await stand_ins(cluster)
    await cluster.close()


async def stand_ins(cluster: Cluster) -> None:
    front = replays(cluster, "front-1")
    sessions = cluster.nodes["front-1"].sessions
    numbers = (await front.act(BY, "come", {"uids": ["bob", "eve"]}, 5.0))["sessions"]
    assert [session.uid for session in sessions] == ["bob", "eve"]
    await played(cluster, call("add", "bob", "front-1", "attic"))
    answer = await played(cluster, call("add", "eve", "front-1", "attic"))
    assert unpack(answer[b"result"]) == ["bob", "eve"]
    channel = cluster.nodes["chat-1"].channels.get("attic")
    assert channel is not None
    channel.push("onChat", {"to": "nobody"})
    assert await front.act(BY, "go", {"uids": ["bob", "joe"]}, 5.0) == {"gone": 1}
    assert channel.uids() == ["eve"]
    forward = {
        b"_ask": b"5",
        b"_command": b"Forward",
        b"route": b"chat.roomHandler.who",
        b"body": b'{"number": 5}',
        b"session": pack((numbers["eve"], "eve", {}, ("10.0.0.1", 5), None)),
    }
    answer = await played(cluster, forward)
    assert unpack(answer[b"reply"]) == {"who": "eve", "from": "front-1"}
    (session,) = sessions
    assert session.get("asked") == 5
    front.end(BY)
    assert list(sessions) == []
    await until(lambda: not channel.uids(), "the last to leave")
    assert await front.act(BY, "go", {"uids": ["eve"]}, 5.0) == {"gone": 0}
    assert cluster.nodes["chat-1"].counters.boxes_replayed == 3


@pytest_twisted.ensureDeferred
async def test_who_is_kicked_is_gone(cluster: Cluster) -> None:
    front = replays(cluster, "front-1")
    await front.act(BY, "come", {"uids": ["bob"]}, 5.0)
    assert cluster.nodes["front-1"].sessions.kick_uid("bob", "enough") == 1
    assert not cluster.nodes["front-1"].sessions.has_uid("bob")
    front.end(BY)


@pytest.mark.logs_failures
@pytest_twisted.ensureDeferred
async def test_what_is_raised_and_what_takes_too_long(cluster: Cluster) -> None:
    answer = await played(cluster, call("fail", "that is why"))
    assert answer[b"_error_code"] == b"RAISED"
    assert b"that is why" in answer[b"_error_description"]
    answer = await played(cluster, call("nothing"))
    assert answer[b"_error_code"] == b"REFUSED"
    given = {"data": encode(call("wait").items()), "sender": "front-1"}
    waiting = Deferred.fromCoroutine(replays(cluster, "chat-1").act(BY, "box", given, 0.01))
    (answer,) = BoxParser(1 << 20).feed((await waiting)["reply"])
    assert answer[b"_error_code"] == b"LATE"
    notify = call("add", "x", "front-1", "cellar") | {b"_command": b"CallNotify"}
    assert await played(cluster, notify) is None
    assert cluster.nodes["chat-1"].channels.get("cellar") is not None


REFUSED = [
    ({}, "that is not one whole box"),
    ({"data": 5, "sender": "a"}, "that is not one whole box"),
    ({"data": b"\0", "sender": "a"}, "that is not one whole box"),
    ({"data": b"\xff\xff\xff\xff", "sender": "a"}, "no box: "),
    ({"data": encode(call("add").items()) * 2, "sender": "a"}, "that is not one whole box"),
    ({"data": encode(call("add").items())}, "a box has a sender"),
    (
        {"data": encode((call("add") | {b"service": b"sys.sessions"}).items()), "sender": "a"},
        "chatcore's own services",
    ),
    *(
        ({"data": encode([(b"_command", command)]), "sender": "a"}, "only messages of clients")
        for command in (b"GroupJoin", b"HandOver", b"Announce", b"Order", b"Push")
    ),
]


@pytest_twisted.ensureDeferred
async def test_what_is_not_replayed(cluster: Cluster) -> None:
    for given, why in REFUSED:
        with pytest.raises(AdminError, match=why):
            await replays(cluster, "chat-1").act(BY, "box", given, 5.0)
    for what, uids, why in (
        ("come", ["a"], "sessions are at frontends alone"),
        ("go", "a", "a list of uids"),
        ("dance", ["a"], "nobody here knows how to replay 'dance'"),
    ):
        with pytest.raises(AdminError, match=why):
            await replays(cluster, "chat-1").act(BY, what, {"uids": uids}, 5.0)


@pytest_twisted.ensureDeferred
async def test_who_has_gone_leaves_no_stand_in_that_was_on_its_way(folder: Path) -> None:
    cluster = made(folder, "cluster", fronts=2)
    await cluster.start()
    front, node = replays(cluster, "front-1"), cluster.nodes["front-1"]
    uids = [f"u{n}" for n in range(20)]
    coming = Deferred.fromCoroutine(front.act(BY, "come", {"uids": uids}, 5.0))
    assert not coming.called, "other servers are asked"
    front.end(BY)
    with pytest.raises(AdminError, match=r"no stand-in for|is gone already"):
        await coming
    assert node.counters.sessions_now == 0
    await front.act(BY, "come", {"uids": uids}, 5.0)
    front.end(BY)
    await cluster.close()


@pytest_twisted.ensureDeferred
async def test_stand_ins_can_be_looked_at_and_followed(cluster: Cluster) -> None:
    front, node = replays(cluster, "front-1"), cluster.nodes["front-1"]
    await front.act(BY, "come", {"uids": ["bob"]}, 5.0)
    (told,) = Why(node, reactor)({"uid": "bob"})["sessions"]
    assert (told["waiting"], told["unread"], told["encoding"]) == (0, 0.0, "replay")
    assert node.tracer.arm(id="a", word="", to="bob", count=1, seconds=10) is None
    node.application.channels.push_to_uids("onChat", {}, [("bob", "front-1")])
    (kept,) = node.tracer.store.newest(1)
    (delivery,) = (span.to_value() for span in kept.spans if span.kind == "deliver")
    assert [fate[2] for fate in delivery["members"]] == ["written"]
    front.end(BY)


@pytest_twisted.ensureDeferred
async def test_stand_ins_are_bounded(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying_module, "MOST_STANDINS", 2)
    front = replays(cluster, "front-1")
    await front.act(BY, "come", {"uids": ["a", "b"]}, 5.0)
    with pytest.raises(AdminError, match="2 stand-ins at most"):
        await front.act(BY, "come", {"uids": ["c"]}, 5.0)
    with pytest.raises(AdminError, match="no stand-in for ''"):
        monkeypatch.setattr(replaying_module, "MOST_STANDINS", 9)
        await front.act(BY, "come", {"uids": [""]}, 5.0)
    front.end(BY)
    assert cluster.nodes["front-1"].counters.sessions_now == 0
