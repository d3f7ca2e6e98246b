"""The chat over real sockets, between real processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from people import Person, connect, pause
from running import RunningChat
from twisted.internet.defer import DeferredList
from twisted.internet.threads import deferToThread

CONNECTORS = [f"connector-server-{n}" for n in (1, 2, 3)]
FAILED = {"code": 500}
DUPLICATE = {"code": 500, "error": True}


class Visit:
    """Makes people, and sends them home."""

    def __init__(self, chat: RunningChat) -> None:
        self.chat = chat
        self.people: list[Person] = []

    async def to(self, server_id: str) -> Person:
        person = await connect(self.chat, server_id)
        self.people.append(person)
        return person

    async def enter(self, name: str, room: str, connector: int = 1) -> Person:
        person = await self.to(CONNECTORS[connector - 1])
        reply = await person.enter(name, room)
        assert name in reply.get("users", ()), reply
        return person


@pytest.fixture
def visit(chat: RunningChat) -> Iterator[Visit]:
    visit = Visit(chat)
    yield visit
    leaving = [person.client.disconnect() for person in visit.people]
    pytest_twisted.blockon(DeferredList(leaving, consumeErrors=True))


async def test_the_gate_names_a_connector(visit: Visit) -> None:
    gate = await visit.to("gate-server-1")
    replies = [
        await gate.client.request("gate.gateHandler.queryEntry", {"uid": f"user{n}"})
        for n in range(40)
    ]
    ports = {reply["port"] for reply in replies}
    assert {(r["code"], r["host"]) for r in replies} == {(200, "127.0.0.1")}
    assert ports == {visit.chat.port(connector) for connector in CONNECTORS}


@pytest.mark.parametrize("body", [{}, {"uid": ""}, {"uid": None}, {"uid": {}}, "alice", 3])
async def test_the_gate_answers_whatever_is_asked(visit: Visit, body: Any) -> None:
    gate = await visit.to("gate-server-1")
    assert await gate.client.request("gate.gateHandler.queryEntry", body) == FAILED


async def test_talking_across_connectors_and_rooms(visit: Visit) -> None:
    """Three in two rooms, on three connectors: each hears exactly what is said in their room."""
    alice = await visit.enter("alice", "attic", 1)
    bob = await visit.enter("bob", "attic", 2)
    carol = await visit.enter("carol", "cellar", 3)
    assert await alice.until("onAdd") == {"route": "onAdd", "user": "bob"}
    text = "hi 中文 😀 <b>&amp;</b>"
    assert await alice.say(text) == {}
    said = {"msg": text, "from": "alice", "target": "*"}
    assert await alice.until("onChat") == said
    assert await bob.until("onChat") == said
    assert await carol.say("anybody?") == {}
    await carol.until("onChat", msg="anybody?")
    assert [route for route, _ in carol.heard] == ["onChat"]
    assert [route for route, _ in bob.heard] == ["onChat"]


async def test_a_private_message_reaches_only_its_target(visit: Visit) -> None:
    alice, bob = await visit.enter("alice", "den", 1), await visit.enter("bob", "den", 2)
    carol = await visit.enter("carol", "den", 3)
    assert await alice.say("psst", "bob") == {}
    assert await bob.until("onChat") == {"msg": "psst", "from": "alice", "target": "bob"}
    await alice.say("to all")
    await carol.until("onChat", msg="to all")
    await alice.until("onChat", msg="to all")
    for other in (alice, carol):
        assert [msg["msg"] for route, msg in other.heard if route == "onChat"] == ["to all"]
    assert await alice.say("is anybody there", "nobody") == FAILED


@pytest.mark.parametrize("content", [5, None, ["a"], {"text": "a"}])
async def test_only_text_is_said(visit: Visit, content: Any) -> None:
    """Anything else would not fit the schema: its sender is told, and nobody hears of it."""
    alice = await visit.enter("alice", "pantry", 1)
    assert await alice.say(content) == FAILED
    assert await alice.say("hello") == {}
    assert await alice.until("onChat") == {"msg": "hello", "from": "alice", "target": "*"}


async def test_who_leaves_is_missed(visit: Visit) -> None:
    alice, bob = await visit.enter("alice", "porch", 1), await visit.enter("bob", "porch", 2)
    await bob.leave()
    assert await alice.until("onLeave") == {"route": "onLeave", "user": "bob"}
    again = await visit.to(CONNECTORS[2])
    assert await again.enter("bob", "porch") == {"users": ["alice", "bob"]}


@pytest.mark.parametrize("connector", [1, 2])
async def test_a_name_is_taken_once_in_a_room(visit: Visit, connector: int) -> None:
    """On the same connector or on another; whoever is refused may enter by another name."""
    await visit.enter("alice", "hall", 1)
    other = await visit.to(CONNECTORS[connector - 1])
    assert await other.enter("alice", "hall") == DUPLICATE
    assert await other.enter("alice2", "hall") == {"users": ["alice", "alice2"]}
    assert await other.enter("alice3", "hall") == DUPLICATE  # once is enough


@pytest.mark.parametrize(
    ("name", "room"), [("", "r"), ("a*b", "r"), ("a" * 21, "r"), ("alice", "a b"), ("<b>", "r")]
)
async def test_bad_names_are_refused(visit: Visit, name: str, room: str) -> None:
    person = await visit.to(CONNECTORS[0])
    assert await person.enter(name, room) == FAILED
    assert await person.say("hello?") == FAILED
    assert "alice" in (await person.enter("alice", "lounge"))["users"]


@pytest.mark.parametrize("body", [{}, {"username": "x"}, {"rid": 1}, 3, "x", None])
async def test_entering_with_anything_is_answered(visit: Visit, body: Any) -> None:
    person = await visit.to(CONNECTORS[0])
    assert await person.client.request("connector.entryHandler.enter", body) == FAILED


@pytest.mark.parametrize(
    "route",
    [
        *(
            "chat.chatHandler.nope",
            "chat.nope.send",
            "nope.chatHandler.send",
            "chat",
            "",
            "a.b.c.d",
        ),
        *("chat.chatHandler.constructor", "chat.chatHandler.__init__", "chat.chatHandler.app"),
        *("chat.chatRemote.add", "connector.entryHandler.__class__", "sys.sessions.kick"),
    ],
)
async def test_only_what_is_declared_can_be_called(visit: Visit, route: str) -> None:
    alice = await visit.enter("alice", "study", 1)
    assert await alice.client.request(route, {"target": "*", "content": "x"}) == FAILED


async def test_nobody_speaks_as_another(visit: Visit) -> None:
    """Not even in the moment between asking for a taken name and being refused it."""
    alice = await visit.enter("alice", "vault", 1)
    mallory = await visit.to(CONNECTORS[1])
    entering = mallory.client.request(
        "connector.entryHandler.enter", {"username": "alice", "rid": "vault"}
    )
    speaking = mallory.say("it is me")
    assert (await entering, await speaking) == (DUPLICATE, FAILED)
    assert await mallory.say("still me") == FAILED
    await alice.say("nobody else")
    await alice.until("onChat", msg="nobody else")
    assert [msg["msg"] for route, msg in alice.heard if route == "onChat"] == ["nobody else"]


async def test_a_gate_only_shows_the_way(visit: Visit) -> None:
    """What connectors and chat servers answer is not for who is connected to the gate."""
    alice = await visit.enter("alice", "yard", 1)
    bob = await visit.to("gate-server-1")
    assert await bob.enter("bob", "yard") == FAILED
    assert await bob.client.request("chat.chatHandler.send", {"content": "hi"}) == FAILED
    assert await alice.say("hello") == {}


async def test_a_failed_entry_can_be_tried_again(visit: Visit) -> None:
    """Entering while the chat server is away takes no name from anybody, oneself included."""
    person = await visit.to(CONNECTORS[0])
    for server_id in visit.chat.ids("chat"):
        await deferToThread(visit.chat.kill, server_id)
    reply = await person.enter("alice", "tower")
    while reply == FAILED:
        await pause()
        reply = await person.enter("alice", "tower")
    assert reply == {"users": ["alice"]}


async def test_a_reply_comes_after_nothing_is_lost(visit: Visit) -> None:
    """Many messages at once: every one answered, each heard once and in the order of its sender."""
    alice, bob = await visit.enter("alice", "gym", 1), await visit.enter("bob", "gym", 2)
    sent = [alice.say(str(n)) for n in range(50)]
    for each in sent:
        assert await each == {}
    await bob.until("onChat", msg="49")
    assert [msg["msg"] for route, msg in bob.heard if route == "onChat"] == [
        str(n) for n in range(50)
    ]


async def test_a_connector_is_killed(visit: Visit) -> None:
    """Its people are gone, the others are told, and the name is free again."""
    alice, bob = await visit.enter("alice", "barn", 1), await visit.enter("bob", "barn", 2)
    await deferToThread(visit.chat.kill, CONNECTORS[1])
    await alice.until("onLeave", user="bob")
    await bob.client.closed()
    again = await until_entered(visit, "bob", "barn", CONNECTORS[1])
    await again.say("back")
    await alice.until("onChat", msg="back")


async def test_a_chat_server_is_killed(visit: Visit) -> None:
    """Requests are answered 500 while it is away; then its rooms are as they were."""
    people = [await visit.enter(f"p{n}", f"room{n}", 1 + n % 3) for n in range(9)]
    guests = [await visit.enter(f"g{n}", f"room{n}", 1 + (n + 1) % 3) for n in range(9)]
    for server_id in visit.chat.ids("chat"):
        await deferToThread(visit.chat.kill, server_id)
    for n, (person, guest) in enumerate(zip(people, guests, strict=True)):
        await person.say_again_and_again(f"hello {n}")
        await guest.until("onChat", msg=f"hello {n}", **{"from": f"p{n}"})
        assert await (await visit.to(CONNECTORS[0])).enter(f"g{n}", f"room{n}") == DUPLICATE
        late = await visit.enter("late", f"room{n}", 2)
        await person.until("onAdd", user="late")
        await guest.leave()
        await late.until("onLeave", user=f"g{n}")


async def until_entered(visit: Visit, name: str, room: str, connector: str) -> Person:
    """Come back as a client would: connect again, and enter until the old name is free."""
    while True:
        with contextlib.suppress(Exception):
            person = await visit.to(connector)
            if "users" in await person.enter(name, room):
                return person
        await pause()
