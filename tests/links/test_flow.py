"""A link whose other side does not read."""

from __future__ import annotations

import pytest

from chatcore.errors import LinkLost, NotConnected, RemoteRefused
from chatcore.wire.box import item

from .wiring import NOTE, Log, Net, Node, note

QUEUE = 100_000


@pytest.fixture
def b(net: Net) -> Node:
    return Node(net, "b", ["a"])


@pytest.fixture
def a(net: Net, b: Node) -> Node:
    a = Node(net, "a", ["b"], queue_bytes=QUEUE)
    a.table.startService()
    net.settle()
    return a


def test_nothing_is_written_while_it_is_blocked(net: Net, a: Node, b: Node) -> None:
    link, wire = a.link("b"), a.wire("b")
    wire.block()
    before = len(wire.writes)
    for number in range(10):
        link.write(note(b"%d" % number))
        net.settle()
    calls = [a.ask("b", NOTE + item(b"text", b"call"))]
    net.settle()
    assert len(wire.writes) == before
    assert not link.overloaded
    wire.unblock()
    net.settle()
    assert len(wire.writes) == before + 1
    assert [box[b"text"] for box in b.heard] == [*(b"%d" % n for n in range(10)), b"call"]
    assert calls[0].box


def test_blocked_within_a_turn(net: Net, a: Node, b: Node) -> None:
    a.link("b").write(note(b"1"))
    a.wire("b").block()
    net.settle()
    assert b.heard == []
    a.wire("b").unblock()
    a.link("b").write(note(b"2"))
    net.settle()
    assert [box[b"text"] for box in b.heard] == [b"1", b"2"]


def test_too_much_waits_only_while_it_is_blocked(net: Net, a: Node) -> None:
    link = a.link("b")
    link.write(note(bytes(QUEUE)))
    assert not link.overloaded  # it leaves at the end of the turn
    net.settle()
    a.wire("b").block()
    link.write(note(bytes(QUEUE - 1000)))
    assert not link.overloaded
    link.write(note(bytes(1000)))
    assert link.overloaded
    a.wire("b").unblock()
    assert not link.overloaded


def test_pushes_are_shed_before_calls_fail(net: Net, a: Node) -> None:
    link = a.link("b")
    link.write(note(bytes(QUEUE)))
    assert not link.crowded
    net.settle()
    a.wire("b").block()
    link.write(note(bytes(QUEUE // 2 - 1000)))
    assert not link.crowded
    link.write(note(bytes(1000)))
    assert link.crowded
    assert not link.overloaded
    a.wire("b").unblock()
    assert not link.crowded


def test_a_link_on_which_far_too_much_waits_is_given_up(
    net: Net, a: Node, b: Node, log: Log
) -> None:
    old, waiting = a.link("b"), b.heard
    a.wire("b").block()
    call = a.ask("b", NOTE)
    old.write(note(bytes(2 * QUEUE - 1000)))
    assert log.texts == []
    for _ in range(100):
        old.write(note(bytes(1000)))
    after = a.ask_on(old, NOTE)
    assert isinstance(after.problem, NotConnected)
    net.settle()
    old.write(note(bytes(3 * QUEUE)))
    assert log.texts.count("<link to b> has been blocked for too long") == 1
    assert isinstance(call.problem, LinkLost)
    assert waiting == []
    net.pass_time(1)
    assert a.link("b") is not old
    again = a.ask("b", NOTE)
    net.settle()
    assert again.box


def test_nothing_is_kept_for_a_link_that_is_gone(net: Net, a: Node) -> None:
    old = a.link("b")
    a.wire("b").abortConnection()
    net.settle()
    for _ in range(100):
        old.write(note(bytes(QUEUE)))
        old.answer(b"1", item(b"x", b"y"))
    net.settle()
    assert old._queue == []
    assert old._queued == 0


def test_calls_fail_at_once_when_too_much_waits(net: Net, a: Node, b: Node) -> None:
    a.wire("b").block()
    waiting = a.ask("b", NOTE)
    a.link("b").write(note(bytes(QUEUE)))
    call = a.ask("b", NOTE)
    assert isinstance(call.problem, NotConnected)
    assert "the link is blocked" in str(call.problem)
    assert waiting.ended == []
    assert a.counters.calls_failed == 1
    a.wire("b").unblock()
    net.settle()
    assert waiting.box
    assert len(b.heard) == 2  # what failed at once was never sent
    again = a.ask("b", NOTE)
    net.settle()
    assert again.box


def test_the_other_direction_goes_on(net: Net, a: Node, b: Node) -> None:
    a.wire("b").block()
    b.link("a").write(note(b"hello"))
    net.settle()
    assert [box[b"text"] for box in a.heard] == [b"hello"]


def test_what_waits_goes_with_the_link(net: Net, a: Node, b: Node) -> None:
    old = a.link("b")
    a.wire("b").block()
    old.write(note(bytes(QUEUE * 2)))
    assert old.overloaded
    a.wire("b").abortConnection()
    net.pass_time(1)
    assert not old.overloaded
    assert a.link("b") is not old
    assert not a.link("b").overloaded
    old.write(note(b"to nobody"))
    net.settle()
    assert b.heard == []  # nothing is sent later, and nothing twice


def test_closing_sends_what_waits(net: Net, a: Node, b: Node) -> None:
    link = a.link("b")
    a.wire("b").block()
    link.write(note(b"1"))
    link.write(note(b"2"))
    link.close()
    net.settle()
    assert [box[b"text"] for box in b.heard] == [b"1", b"2"]
    assert b.downs


def test_what_wants_no_answer_says_at_once_that_it_was_not_sent(net: Net, a: Node, b: Node) -> None:
    link, sent = a.link("b"), NOTE + item(b"text", b"x")
    assert link.tell(sent, "a note") is None
    net.settle()
    assert len(b.heard) == 1
    a.wire("b").block()
    link.write(note(bytes(QUEUE)))
    problem = link.tell(sent, "a note")
    assert isinstance(problem, NotConnected)
    assert str(problem) == "a note on b: the link is blocked"
    a.wire("b").unblock()
    net.settle()
    assert len(b.heard) == 2
    problem = link.tell(NOTE + item(b"text", bytes(17 * 1024 * 1024)), "a note")
    assert isinstance(problem, RemoteRefused)
    assert problem.nothing_ran
    a.wire("b").abortConnection()
    net.settle()
    assert isinstance(link.tell(sent, "a note"), NotConnected)
    assert a.counters.calls_failed == 3


def test_what_is_under_way(net: Net, a: Node, b: Node) -> None:
    link = a.link("b")
    a.wire("b").block()
    calls = [a.ask("b", NOTE) for _ in range(3)]
    link.tell(NOTE, "a note")
    assert link.under_way == 3
    a.wire("b").unblock()
    net.settle()
    assert all(call.box for call in calls)
    assert link.under_way == 0
    a.wire("b").block()
    a.ask("b", NOTE, 2)
    a.ask("b", NOTE, 60)
    net.pass_time(3)
    assert link.under_way == 1
    a.wire("b").abortConnection()
    net.settle()
    assert link.under_way == 0


def test_what_must_not_fail_is_asked_even_so(net: Net, a: Node, b: Node) -> None:
    link, read = a.link("b"), list[int]()
    a.wire("b").block()
    link.write(note(bytes(QUEUE)))
    assert link.overloaded
    link.when_read(lambda: read.append(len(b.heard)))
    net.settle()
    assert read == []
    a.wire("b").unblock()
    net.settle()
    assert read == [1]


def test_nobody_waits_for_what_a_link_that_is_lost_will_not_bring(net: Net, a: Node) -> None:
    link, ended = a.link("b"), list[str]()
    a.wire("b").block()
    link.when_read(lambda: ended.append("before"))
    link.abort()
    net.settle()
    link.when_read(lambda: ended.append("after"))
    assert ended == ["before", "after"]
