"""The tutorials' chat."""

from __future__ import annotations

import struct
from typing import Any

from pomelo.scripts.playing import each, script
from pomelo.stage import Actor, Stage


def enter(one: Actor, name: str, room: str, count: int = 1) -> None:
    one.ask(1, "connector.entryHandler.enter", {"username": name, "rid": room}, count)


def say(one: Actor, number: int, text: str, target: str = "*") -> None:
    body = {"content": text, "target": target, "from": "somebody", "rid": "elsewhere"}
    one.ask(number, "chat.chatHandler.send", body, count=0)


@script("gate")
def gate(stage: Stage) -> None:
    one = stage.at_work("gate")
    for number, uid in enumerate(("alice", "中文", "é", 17), 1):
        one.ask(number, "gate.gateHandler.queryEntry", {"uid": uid})
    one.ask(5, "gate.gateHandler.queryEntry", {"uid": ""})
    one.ask(6, "gate.gateHandler.queryEntry", {})


@each("chat", {"on one connector": (1, 1), "on two connectors": (1, 2)})
def chat(stage: Stage, numbers: Any) -> None:
    room = stage.unique(f"chat {numbers}")
    alice = stage.at_work("connector", "alice", numbers[0])
    bob = stage.at_work("connector", "bob", numbers[1])
    enter(alice, "alice", room)
    enter(bob, "bob", room)
    alice.take()
    for number, text in enumerate(("hello", "你好", "", "a\nb<i>&"), 2):
        say(alice, number, text)
        alice.gather(2)
        bob.take()
    say(bob, 10, "psst", "alice")
    bob.take()
    alice.take()
    say(bob, 11, "to myself", "bob")
    bob.gather(2)
    say(bob, 12, "hello?", "nobody")
    bob.take()
    bob.leave()
    alice.take()
    say(alice, 20, "still there?", "bob")
    alice.take()
    say(alice, 21, "alone")
    alice.gather(2)


@script("chat: emoji")
def emoji(stage: Stage) -> None:
    alice = stage.at_work("connector")
    enter(alice, "alice", stage.unique("emoji"))
    say(alice, 2, "😀")
    alice.gather(2)


@script("chat: the name is taken")
def taken(stage: Stage) -> None:
    room = stage.unique("taken")
    alice = stage.at_work("connector", "alice")
    other = stage.at_work("connector", "other")
    enter(alice, "alice", room)
    enter(other, "alice", room)
    enter(other, "carol", room)
    alice.take()


@script("chat: the name is taken on another connector")
def taken_elsewhere(stage: Stage) -> None:
    room = stage.unique("taken elsewhere")
    alice = stage.at_work("connector", "alice", 1)
    other = stage.at_work("connector", "other", 2)
    enter(alice, "alice", room)
    enter(other, "alice", room)
    say(alice, 2, "hello")
    alice.gather_until("push onChat", "response 2 ")  # what the room said before comes before


@script("chat: in another room already")
def enter_twice(stage: Stage) -> None:
    room, second = stage.unique("first"), stage.unique("second")
    alice = stage.at_work("connector")
    enter(alice, "alice", room)
    enter(alice, "alice", second)


@script("chat: before entering")
def before_entering(stage: Stage) -> None:
    one = stage.at_work("connector")
    say(one, 1, "hello")
    one.take()


@each(
    "chat: entering",
    {
        "without a room": {"username": "alice"},
        "without anything": {},
        "with a star in the name": {"username": "alice*x", "rid": "star"},
    },
    ["websocket"],  # Pomelo takes these names for ever, for all clients
)
def bad_entries(stage: Stage, body: Any) -> None:
    one = stage.at_work("connector")
    one.ask(1, "connector.entryHandler.enter", body)
    one.fence()


@script("chat: who leaves silently")
def vanishes(stage: Stage) -> None:
    room = stage.unique("vanishes")
    alice = stage.at_work("connector", "alice")
    bob = stage.at_work("connector", "bob", 2)
    enter(alice, "alice", room)
    enter(bob, "bob", room)
    alice.take()
    bob.send(struct.pack("!I", 9 << 24))
    bob.ended()
    alice.take()
