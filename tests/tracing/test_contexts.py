"""Traces that come from elsewhere and go elsewhere, and what belongs to which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_cluster import until
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.protocols import amp

from chatcore.client import Client
from chatcore.tracing import Tracer, trace_item
from chatcore.tracing.traceparent import TraceParent, new_span, new_trace, read
from chatcore.wire.box import END, item

from .rooms import Rooms

SEND, SLOWLY = "chat.chatHandler.send", "chat.chatHandler.slowly"


def spans_of(rooms: Rooms, trace: str) -> list[Any]:
    kept = [node.tracer.store.get(trace) for node in rooms.nodes.values()]
    return [span for each in kept if each is not None for span in each.spans]


async def come(rooms: Rooms, name: str, **user: Any) -> Client:
    """Somebody whose handshake says so."""
    from twisted.internet import reactor

    client = Client(reactor=reactor)
    port = rooms.servers.by_id("front-1").client_port
    await client.init(host="127.0.0.1", port=port, user=user)
    rooms._clients.append(client)
    await client.request("front.doorHandler.enter", {"name": name})
    return client


class TestHandlersAtTheSameTime:
    async def test_what_they_send_belongs_to_each(self, rooms: Rooms) -> None:
        ann, bob = await rooms.enter("ann"), await rooms.enter("bob")
        chat = rooms.nodes["chat-1"]
        gates: dict[str, Deferred[None]] = {name: Deferred() for name in ("ann", "bob", "cleo")}
        chat.application.data.update(gates)
        for name in ("ann", "bob"):
            for node in rooms.nodes.values():
                node.tracer.arm(id=name, word=name, to="", count=1, seconds=60)
        cleo = await rooms.enter("cleo")
        asked = [
            client.request(SLOWLY, {"gate": name})
            for name, client in (("ann", ann), ("bob", bob), ("cleo", cleo))
        ]
        await until(lambda: chat.counters.requests_now == 3, "the handlers")

        for name in ("bob", "cleo", "ann"):
            gates[name].callback(None)
        told = [(await each)["traceparent"] for each in asked]

        assert told[2] is None  # nobody follows cleo
        for name, text in zip(("ann", "bob"), told, strict=False):
            named = read(text)
            assert named is not None
            spans = spans_of(rooms, named.trace)
            (handler,) = [span for span in spans if span.kind == "handler"]
            (push,) = [span for span in spans if span.kind == "push"]
            assert (handler.id, handler.attributes["uid"]) == (named.span, name)
            assert push.parent == handler.id
        assert len(chat.tracer.store) == 2

    async def test_what_is_begun_and_left_to_itself(self, rooms: Rooms) -> None:
        ann = await rooms.enter("ann")
        route = "chat.chatHandler.later"
        gate: Deferred[None] = Deferred()
        rooms.nodes["chat-1"].application.data["gate"] = gate

        async def act() -> None:
            await ann.request(route, {"gate": "gate"})
            gate.callback(None)

        story = await rooms.story_of(route, act)

        assert [member["outcome"] for member in story["members"]] == ["written"]
        spans = {span["kind"]: span for span in story["spans"]}
        assert spans["push"]["parent"] == spans["handler"]["span"]


class TestTracesOfClients:
    async def test_they_go_on(self, rooms: Rooms) -> None:
        mine = TraceParent(new_trace(), new_span())
        ann = await come(rooms, "ann", traceparent=str(mine))

        await ann.request(SEND, {"text": "hi"})

        spans = spans_of(rooms, mine.trace)
        messages = [span for span in spans if span.kind == "message"]
        assert [span.name for span in messages] == ["front.doorHandler.enter", SEND]
        assert {span.parent for span in messages} == {mine.span}
        assert {span.node for span in spans} == {"front-1", "chat-1"}
        # Told one by one all the same.
        story = (await rooms.look_for(SEND, "--recent", "--json")).json["traces"]
        assert [(each["route"], each["delivered"]) for each in story] == [(SEND, 1)]

        await ann.disconnect()
        front = rooms.nodes["front-1"].tracer
        await until(lambda: front._followed == 0, "the end of the session")

    @pytest.mark.parametrize("text", ["nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01", 7])
    async def test_what_names_none_is_passed_over(self, rooms: Rooms, text: Any) -> None:
        ann = await come(rooms, "ann", traceparent=text)
        await ann.request(SEND, {"text": "hi"})
        assert not any(len(node.tracer.store) for node in rooms.nodes.values())

    async def test_one_that_is_not_recorded(self, rooms: Rooms) -> None:
        mine = TraceParent(new_trace(), new_span())
        await come(rooms, "ann", traceparent=f"{str(mine)[:-2]}00")
        assert not any(node.tracer.active for node in rooms.nodes.values())

    async def test_where_they_are_not_continued(self, folder: Path) -> None:
        rooms = Rooms(folder, {"tracing.continues": False})
        await rooms.start()
        try:
            mine = TraceParent(new_trace(), new_span())
            await come(rooms, "ann", traceparent=str(mine))
            assert not any(node.tracer.active for node in rooms.nodes.values())
        finally:
            await rooms.close()


class TestOldAndNew:
    async def test_servers_that_know_no_traces(self, rooms: Rooms, folder: Path) -> None:
        ann = await rooms.enter("ann")
        await rooms.enter("bob", "front-2")
        deaf(rooms.nodes["chat-1"].tracer)

        story = await rooms.story_of(SEND, lambda: ann.request(SEND, {"text": "hi"}))

        assert (story["outcome"], story["complete"]) == ("answered", False)
        assert {span["node"] for span in story["spans"]} == {"front-1"}
        assert story["members"] == []

    async def test_frontends_that_know_no_traces(self, rooms: Rooms) -> None:
        ann = await rooms.enter("ann")
        await rooms.enter("bob", "front-2")
        deaf(rooms.nodes["front-2"].tracer)
        heard: list[Any] = []
        rooms.people["bob"].on("onChat", heard.append)

        story = await rooms.story_of(SEND, lambda: ann.request(SEND, {"text": "hi"}))

        assert heard == [{"text": "hi"}]
        found = {member["uid"]: (member["outcome"], member["why"]) for member in story["members"]}
        assert found == {
            "ann": ("written", None),
            "bob": ("unknown", "front-2 has not told of it"),
        }


class OldPush(amp.Command):
    """What an older node, or another program, knows of a push."""

    commandName = b"Push"
    arguments = [
        (b"channel", amp.Unicode()),
        (b"route", amp.Unicode()),
        (b"body", amp.String()),
    ]


def test_those_who_know_no_such_key() -> None:
    tracer = Tracer(node="chat-1")
    tracer.arm(id="a", word="*", to="", count=1, seconds=1)
    span = tracer.message(SEND, "ann", None)
    sent = item(b"_command", b"Push") + item(b"channel", b"attic") + item(b"route", b"onChat")
    (box,) = amp.parseString(sent + trace_item(span) + item(b"body", b"{}") + END)

    assert OldPush.parseArguments(box, amp.AMP()) == {
        "channel": "attic",
        "route": "onChat",
        "body": b"{}",
    }
    assert read(box[b"trace"]) is not None


def deaf(tracer: Tracer) -> None:
    """Have a node not know of traces that come over links."""
    tracer._off = True


class TestSampling:
    async def test_messages_that_nobody_asks_for(self, folder: Path) -> None:
        rooms = Rooms(folder, {"tracing.sample": 1.0})
        await rooms.start()
        try:
            ann = await rooms.enter("ann")
            for number in range(3):
                await ann.request(SEND, {"text": str(number)})
            ran = await rooms.look_for(SEND, "--recent", "--count", "2", "--json")
            told = ran.json["traces"]
            assert [(each["route"], each["outcome"]) for each in told] == [(SEND, "answered")] * 2
            assert told[0]["start"] < told[1]["start"]
        finally:
            await rooms.close()


class Raw(Protocol):
    """A connection that says what a test says."""

    def __init__(self, said: bytes) -> None:
        self.said, self.heard = said, b""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.said)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


def request(path: str, *headers: str, upgrade: bool = True) -> bytes:
    """A request that names a trace."""
    fields = ["Host: here", *headers]
    if upgrade:
        fields += [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
    return "\r\n".join([f"GET {path} HTTP/1.1", *fields, "", ""]).encode()


def framed(package: bytes) -> bytes:
    """A package of Pomelo's in a client's frame."""
    return b"\x82%c\0\0\0\0%b" % (0x80 | len(package), package)


POMELO = framed(b'\x01\0\0\x0a{"sys":{}}') + framed(b"\x02\0\0\0")


class TestTracesInHeaders:
    @pytest.mark.parametrize(
        ("path", "after", "upgrade"),
        [
            ("/", POMELO, True),
            ("/socket.io/?EIO=3&transport=websocket", b"", True),
            ("/socket.io/?EIO=3&transport=polling", b"", False),
        ],
        ids=["websocket", "socket.io", "polling"],
    )
    async def test_they_are_heard(
        self, folder: Path, path: str, after: bytes, upgrade: bool
    ) -> None:
        from twisted.internet import reactor

        rooms = Rooms(folder, {"connector.socketio": True})
        await rooms.start()
        mine = TraceParent(new_trace(), new_span())
        said = request(path, f"traceparent: {mine}", upgrade=upgrade)
        port = rooms.servers.by_id("front-1").client_port
        assert port is not None
        there = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        raw = await connectProtocol(there, Raw(said))
        try:
            if after:
                await until(lambda: b"101" in raw.heard, "the upgrade")
                raw.transport.write(after)
            front = rooms.nodes["front-1"]
            await until(lambda: front.tracer._followed, "the session")
            assert [session.trace for session in front.sessions] == [mine]
        finally:
            raw.transport.abortConnection()
            await rooms.close()
