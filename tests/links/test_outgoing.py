"""An answer leaves after everything that was told others before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from chatcore.links.link import Link
from chatcore.links.outgoing import Outgoing
from chatcore.turn import Turn
from chatcore.wire.box import Box, item

from .wiring import Net, Node, note


class Queue:
    """Boxes for one node; each is a number, and an answer's is negative."""

    def __init__(self, outgoing: Outgoing, written: list[list[int]]) -> None:
        self.tells = self.answers = False
        self._outgoing, self._written = outgoing, written
        self._boxes: list[int] = []
        self.fails = False

    def put(self, box: int) -> None:
        if box < 0:
            self._outgoing.answer(self)
            self.answers = True
        else:
            self.tells = True
        if not self._boxes:
            self._outgoing.add(self)
        self._boxes.append(box)

    def flush(self) -> None:
        self.tells = self.answers = False
        if self._boxes:
            self._written.append(self._boxes)
        self._boxes = []
        if self.fails:
            raise OSError


class Outlet:
    """Some queues, and what was written, in order."""

    def __init__(self, count: int) -> None:
        self._clock = Clock()
        self.written: list[list[int]] = []
        outgoing = Outgoing(Turn(self._clock.callLater))
        self.queues = [Queue(outgoing, self.written) for _ in range(count)]

    def end_turn(self) -> None:
        self._clock.advance(0)


def test_each_is_written_once_and_the_answers_last() -> None:
    outlet = Outlet(3)
    one, two, three = outlet.queues
    for box in (1, 2, 3):
        for queue in (one, two, three):
            queue.put(box)
        two.put(-box)
    outlet.end_turn()
    assert outlet.written == [[1, 2, 3], [1, 2, 3], [1, -1, 2, -2, 3, -3]]


def test_answers_alone_wait_for_nothing() -> None:
    outlet = Outlet(2)
    one, two = outlet.queues
    for number in range(3):
        one.put(-1 - 2 * number)
        two.put(-2 - 2 * number)
    outlet.end_turn()
    assert outlet.written == [[-1, -3, -5], [-2, -4, -6]]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["tell", "answer", "end"]))))
def test_whatever_is_written_has_been_told_to_all(steps: list[tuple[int, str]]) -> None:
    outlet = Outlet(4)
    told: dict[int, set[int]] = {}
    expected: list[list[int]] = [[] for _ in outlet.queues]
    for number, (to, step) in enumerate(steps, 1):
        if step == "end":
            outlet.end_turn()
            continue
        if step == "answer":
            told[-number] = {box for boxes in expected for box in boxes if box > 0}
        box = -number if step == "answer" else number
        outlet.queues[to].put(box)
        expected[to].append(box)
    outlet.end_turn()
    left: set[int] = set()
    for boxes in outlet.written:
        left.update(boxes)
        for answer in (box for box in boxes if box < 0):
            assert told[answer] <= left
    flat = [box for boxes in outlet.written for box in boxes]
    for boxes in expected:
        assert [box for box in flat if box in boxes] == boxes


def test_a_queue_that_fails_costs_the_others_nothing() -> None:
    outlet = Outlet(3)
    outlet.queues[0].fails = True
    for queue in outlet.queues:
        queue.put(1)
    with pytest.raises(OSError):
        outlet.end_turn()
    outlet.end_turn()
    assert outlet.written == [[1], [1], [1]]


def test_links_write_an_answer_after_what_others_are_told(net: Net) -> None:
    """Whoever asks gets the answer with the last write of the turn, whichever link it is."""
    order: list[str] = []

    def tell_all(link: Link, box: Box, ask: bytes | None) -> None:
        for peer in ("b", "c", "d"):
            a.link(peer).write(note(b"news"))
        assert ask is not None
        link.answer(ask, b"")

    a = Node(net, "a", ["b", "c", "d"], responders={b"Tell": tell_all})
    others = [Node(net, each, ["a"]) for each in ("b", "c", "d")]
    a.table.startService()
    net.settle()
    for peer in ("b", "c", "d"):
        wire, write = a.wire(peer), a.wire(peer).write
        wire.write = lambda data, peer=peer, write=write: (order.append(peer), write(data))
    for node in others:
        order.clear()
        call = node.ask("a", item(b"_command", b"Tell"))
        net.settle()
        assert call.box and order[-1] == node.id and sorted(order) == ["b", "c", "d"]
    assert all(len(node.heard) == 3 for node in others)
