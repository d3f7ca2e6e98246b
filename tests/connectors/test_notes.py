"""What is told of messages that wait for a client: left, or lost and why, and that it is true."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest

from chatcore.connectors.outbox import MOST_NOTES
from chatcore.connectors.udp import DatagramOutbox
from chatcore.wire.body import Body

from .clients import Connector
from .test_policies import ALL, MOST

WHOLE = re.compile(rb'"n":(\d+),"fill":"x*"\}')
"""A message that has come as a whole."""

Make = Callable[..., Connector]


class Note:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.before: int | None = None
        self.told: list[str] = []

    def waits(self, before: int) -> None:
        assert self.before is None and before >= 0
        self.before = before

    def left(self) -> None:
        self.told.append("left")

    def lost(self, reason: str, detail: str = "") -> None:
        self.told.append(reason)


class Noted:
    """A client, what is sent to it, and what is told of each message."""

    def __init__(self, connector: Connector) -> None:
        self.connector, self.client = connector, connector.enter()
        self.outbox = self.client.session.connection.outbox
        self.notes: dict[int, Note] = {}
        self.received: set[int] = set()
        self._at = 0

    def push(self, size: int, *, route: str = "onNews", droppable: bool = False) -> Note:
        number = len(self.notes)
        note = self.notes[number] = Note()
        encoding = self.client.session.connection.encoding
        data = encoding.push(route, Body({"n": number, "fill": "x" * size}))
        push = self.outbox.push_droppable if droppable else self.outbox.push
        push(data, route, note)
        return note

    def answer(self, size: int) -> None:
        number = len(self.notes)
        note = self.notes[number] = Note()
        encoding = self.client.session.connection.encoding
        self.outbox.send(encoding.push("onAnswer", Body({"n": number, "fill": "x" * size})))
        self.outbox.note(note)

    def look(self) -> None:
        """What was told until now is true."""
        self.connector.reactor.settle()
        for whole in WHOLE.finditer(self.client.socket.taken, self._at):
            self.received.add(int(whole[1]))
            self._at = whole.end()
        for number, note in self.notes.items():
            assert len(note.told) <= 1
            if note.told == ["left"]:
                assert number in self.received
            elif note.told:
                assert number not in self.received, note.told

    def of(self, *, told: str) -> set[int]:
        return {number for number, note in self.notes.items() if note.told == [told]}


def happen(it: Noted, dice: random.Random) -> None:
    """Something happens that often does."""
    what = dice.random()
    size = dice.choice([10, 500, 5_000, 30_000])
    if what < 0.5:
        it.push(size, route=f"on{dice.randrange(4)}")
    elif what < 0.6:
        it.push(size, droppable=True)
    elif what < 0.7:
        it.answer(min(size, 500))
    elif what < 0.9:
        it.client.socket.room = dice.choice([0, 10, 5_000, 100_000, 1 << 60])
    else:
        it.connector.reactor.advance(dice.choice([0.1, 3.0]))
    if dice.random() < 0.5:
        it.look()


@pytest.mark.parametrize("policy", ALL)
@pytest.mark.parametrize("seed", range(30))
def test_whatever_happens(make: Make, policy: str, seed: int) -> None:
    dice = random.Random(seed)
    connector = make(outbox={"policy": policy, "bytes": MOST, "seconds": 30})
    it = Noted(connector)
    for _ in range(150):
        happen(it, dice)
        if it.client.closed:
            break
    it.look()
    if it.client.closed:
        assert policy == "disconnect"
        # After that, nobody writes to it but who does not know it yet.
        ends = [it.of(told=what) for what in ("left", "slow", "dropped", "gone")]
        assert set(it.notes) == set().union(*ends)
        assert it.of(told="left") == it.received
        assert not it.of(told="slow") or min(it.of(told="slow")) > max(it.received, default=-1)
        return
    it.client.socket.room = 1 << 60
    it.look()
    assert it.of(told="left") == it.received
    assert set(it.notes) == it.received | it.of(told="dropped")


@pytest.mark.parametrize("policy", ALL)
def test_who_goes_meanwhile(make: Make, policy: str) -> None:
    it = Noted(make(outbox={"policy": policy, "bytes": MOST, "seconds": 30}))
    it.client.socket.room = 100
    first, second = it.push(5_000, route="onFirst"), it.push(500, route="onSecond")
    it.connector.reactor.settle()
    third = it.push(500, route="onThird")
    assert [note.told for note in (first, second, third)] == [[], [], []]
    assert third.before and third.before > 5_000
    it.client.hang_up()
    it.connector.reactor.settle()
    assert [note.told for note in (first, second, third)] == [["gone"]] * 3
    last = Note()
    it.outbox.note(last)
    assert last.told == ["gone"]


@pytest.mark.parametrize("policy", ALL)
def test_who_is_kicked_and_reads_all_before(make: Make, policy: str) -> None:
    it = Noted(make(outbox={"policy": policy, "bytes": MOST, "seconds": 30}))
    note = it.push(500)
    it.client.session.connection.kick("enough")
    assert note.told == ["left"]


def test_so_many_and_no_more(make: Make) -> None:
    it = Noted(make(outbox={"bytes": 10 * MOST, "seconds": 30}))
    it.client.socket.room = 0
    for _ in range(MOST_NOTES + 100):
        it.push(10)
    it.client.socket.room = 1 << 60
    it.look()
    assert len(it.of(told="left")) == MOST_NOTES
    assert len(it.received) == MOST_NOTES + 100


class TestDatagrams:
    def outbox(self, make: Make, transport: object) -> DatagramOutbox:
        parts = make().parts.outboxes
        return DatagramOutbox(parts=parts, transport=transport, where=("192.0.2.1", 1))

    def test_they_leave_at_once(self, make: Make) -> None:
        class Port:
            def write(self, data: bytes, where: object) -> None: ...

        outbox, notes = self.outbox(make, Port()), [Note(), Note(), Note()]
        outbox.push(b"x", "onNews", notes[0])
        outbox.push_droppable(b"x", "onNews", notes[1])
        outbox.note(notes[2])
        assert [note.told for note in notes] == [["left"]] * 3

    def test_the_system_does_not_take_one(self, make: Make) -> None:
        class Port:
            def write(self, data: bytes, where: object) -> None:
                raise OSError("too much")

        outbox, note, late = self.outbox(make, Port()), Note(), Note()
        outbox.push(b"x", "onNews", note)
        outbox.close()
        outbox.push(b"x", "onNews", late)
        assert (note.told, late.told) == (["failed"], ["gone"])
