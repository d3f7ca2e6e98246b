"""Links that go silent, are lost, come back, are replaced, and end."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from chatcore.errors import LinkLost
from chatcore.links import table
from chatcore.links.link import Link
from chatcore.wire.box import Box, item

from .wiring import NOTE, SECRET, Log, MemoryEndpoint, Net, Node, Raw, note


def pair(net: Net, **settings: Any) -> tuple[Node, Node]:
    """Two nodes with a link between them; a dials."""
    a, b = Node(net, "a", ["b"], **settings), Node(net, "b", ["a"], **settings)
    a.table.startService()
    b.table.startService()
    net.settle()
    assert a.table.complete
    assert b.table.complete
    return a, b


def works(net: Net, a: Node, b: Node) -> bool:
    calls = [a.ask(b.id, NOTE), b.ask(a.id, NOTE)]
    net.settle()
    return all(call.box for call in calls)


# Who links to whom.


def test_every_node_is_linked_to_every_other_once(net: Net) -> None:
    ids = [f"s{number}" for number in range(6)]
    nodes = [Node(net, id, [each for each in ids if each != id]) for id in ids]
    for node in nodes:
        assert not node.table.complete
        node.table.startService()
    net.settle()
    for node in nodes:
        assert node.table.missing() == []
        assert node.table.complete
        assert sorted(link.peer for link in node.ups) == [id for id in ids if id != node.id]
        assert node.counters.links_up == 5
    assert len(net.dialled) == 15  # of two, the one with the smaller id dials
    assert all(works(net, x, y) for x in nodes for y in nodes if x is not y)


def test_what_is_missing_is_named(net: Net) -> None:
    a = Node(net, "a", ["b", "c"])
    Node(net, "c", ["a"])
    a.table.startService()
    net.settle()
    assert a.table.missing() == ["b"]
    assert not a.table.complete
    assert a.table.get("b") is None


def test_a_node_alone_is_complete(net: Net) -> None:
    a = Node(net, "a", [])
    a.table.startService()
    assert a.table.complete
    a.table.stopService()
    assert net.clock.getDelayedCalls() == []


# Silence.


def test_a_link_that_is_used_by_nobody_stays(net: Net) -> None:
    a, b = pair(net)
    net.pass_time(120, step=1)
    assert a.downs == b.downs == []
    assert works(net, a, b)


def test_a_silent_link_is_given_up(net: Net, log: Log) -> None:
    a, b = pair(net, ping_interval=5, ping_timeout=12)
    net.freeze(a.wire("b"))
    net.pass_time(12)
    assert a.downs == b.downs == []
    net.pass_time(3)  # the next ping finds it
    assert [len(node.downs) for node in (a, b)] == [1, 1]
    assert sum("silent for too long" in text for text in log.texts) == 2


def test_what_is_heard_keeps_a_link(net: Net) -> None:
    a, b = pair(net, ping_interval=5, ping_timeout=12, call_timeout=1)
    link = a.link("b")
    for _ in range(10):
        b.link("a").write(note(b"I am here"))
        net.settle()
        net.freeze(a.wire("b"))
        net.pass_time(11)
        net.thaw()
        net.settle()
    assert a.link("b") is link


def test_the_round_trip_is_measured(net: Net) -> None:
    a, b = pair(net, ping_interval=5)
    assert a.link("b").round_trip is None
    net.pass_time(4.75)
    net.freeze(a.wire("b"))
    net.pass_time(0.75)  # the ping leaves at 5 s
    net.thaw()
    net.settle()
    assert a.link("b").round_trip == 0.5
    assert b.link("a").round_trip == 0.5


# Loss and return.


def drop(node: Node, peer: str) -> None:
    """Lose a connection, with both sides told."""
    node.wire(peer).abortConnection()
    node.net.settle()


def test_a_lost_link_comes_back(net: Net, log: Log) -> None:
    a, b = pair(net)
    first = a.link("b"), b.link("a")
    drop(b, "a")
    assert (a.downs, b.downs) == ([first[0]], [first[1]])
    assert a.table.get("b") is None
    assert not first[0].up
    assert sorted(log.texts) == ["Lost the link to a", "Lost the link to b"]
    net.pass_time(0.25)
    assert works(net, a, b)
    assert a.ups == [first[0], a.link("b")]
    assert b.ups == [first[1], b.link("a")]
    assert (a.counters.links_up, a.counters.links_lost) == (2, 1)
    assert (a.counters.links_rejected, b.counters.links_rejected) == (0, 0)


def test_nothing_is_sent_again_on_the_new_link(net: Net) -> None:
    a, b = pair(net)
    a.link("b").write(note(b"lost"))
    call = a.ask("b", NOTE)
    a.wire("b").abortConnection()
    net.pass_time(1)
    assert isinstance(call.problem, LinkLost)
    assert a.table.complete
    assert b.heard == []


@pytest.fixture
def jitter(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Take this jitter from now on; the bounds that were asked for are checked."""
    taken = [1.0]

    def uniform(low: float, high: float) -> float:
        assert (low, high) == (0.5, 1.5)
        return taken[-1]

    monkeypatch.setattr(random, "uniform", uniform)
    return taken.append


def gaps(net: Net) -> list[float]:
    times = [when for when, _ in net.dialled]
    return [round(b - a, 3) for a, b in pairwise(times)]


@pytest.mark.parametrize("share", [0.5, 1, 1.5])
def test_attempts_become_rarer(net: Net, jitter: Callable[[float], None], share: float) -> None:
    jitter(share)
    a = Node(net, "a", ["b"])
    a.table.startService()
    net.pass_time(20, step=0.01)
    expected = [share * each for each in (0.1, 0.2, 0.4, 0.8, 1.6, 3.0, 3.0, 3.0)]
    found = gaps(net)[: len(expected)]
    assert len(found) >= 7
    assert found == pytest.approx(expected[: len(found)], abs=0.02)


def test_attempts_that_are_rejected_become_rarer_too(
    net: Net, jitter: Callable[[float], None], log: Log
) -> None:
    a = Node(net, "a", ["b"])
    Node(net, "b", ["a"], secret=b"other")
    a.table.startService()
    net.pass_time(8, step=0.01)
    assert gaps(net) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.0], abs=0.02)


def test_after_success_they_begin_anew(net: Net, jitter: Callable[[float], None]) -> None:
    a = Node(net, "a", ["b"])
    a.table.startService()
    net.pass_time(10, step=0.01)
    b = Node(net, "b", ["a"])
    net.pass_time(3, step=0.01)
    assert a.table.complete
    net.dialled = [(net.clock.seconds(), "lost")]
    del net.listening["b"]
    drop(b, "a")
    net.pass_time(1, step=0.01)
    assert gaps(net)[:3] == pytest.approx([0.1, 0.2, 0.4], abs=0.02)


def test_the_jitter_is_real(net: Net) -> None:
    a = Node(net, "a", [f"b{number}" for number in range(20)])
    a.table.startService()
    net.pass_time(0.2, step=0.001)
    second: dict[str, float] = {}
    for when, peer in net.dialled[20:]:
        second.setdefault(peer, when)
    assert len(second) == 20
    assert len(set(second.values())) > 5
    assert all(0.049 <= when <= 0.151 for when in second.values())


def test_the_side_that_listens_does_not_dial(net: Net) -> None:
    b = Node(net, "b", ["a"])
    b.table.startService()
    net.pass_time(30)
    assert net.dialled == []


# A peer that dials anew.


def test_a_link_is_replaced_when_its_peer_dials_anew(net: Net) -> None:
    a, b = pair(net)
    old, old_wire = b.link("a"), b.wire("a")
    waiting = b.ask("a", NOTE)
    net.freeze(old_wire)
    a.wire("b").abortConnection()  # only a notices
    net.pass_time(0.5)
    new = b.link("a")
    assert new is not old
    assert b.ups == [old, new]
    assert b.downs == [old]
    assert old_wire.disconnected
    assert isinstance(waiting.problem, LinkLost)
    assert (b.counters.links_up, b.counters.links_lost) == (2, 1)
    assert works(net, a, b)


def test_a_node_that_started_anew_is_another_life_of_it(net: Net) -> None:
    a, b = pair(net)
    net.freeze(b.wire("a"))
    a.table.stopService()
    net.settle()
    again = Node(net, "a", ["b"], incarnation="life 2")
    again.table.startService()
    net.settle()
    assert b.link("a").peer_incarnation == "life 2"
    assert len(b.downs) == 1
    assert works(net, again, b)


def test_what_is_meant_for_a_node_that_has_just_come_waits_for_its_link(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not for ever, and not too much of it."""
    monkeypatch.setattr(table, "MOST_WAITING", 3)
    a = Node(net, "a", [])
    a.table.startService()
    a.table.follow({"b": table.Peer(MemoryEndpoint(net, "b"), "life 1")})
    told: list[Link | None] = []
    assert a.table.wait_for("b", told.append)
    net.pass_time(table.FIRST_LINK_SECONDS - 1)
    assert all(a.table.wait_for("b", lambda link: told.append(link)) for _ in range(2))
    assert not a.table.wait_for("b", lambda link: told.append(link))
    assert told == []
    net.pass_time(2)
    assert told == [None, None, None]
    assert not a.table.wait_for("b", told.append)


def follow(one: Node, other: str, *lives: str) -> None:
    """Views with these lives of another node, or without it."""
    for life in lives:
        peer = table.Peer(MemoryEndpoint(one.net, other), life)
        one.table.follow({other: peer} if life else {})


def test_a_life_that_is_back_in_the_view_at_once_keeps_its_link(net: Net) -> None:
    a, b = pair(net)
    links = a.link("b"), b.link("a")
    for node, other in ((a, "b"), (b, "a")):
        follow(node, other, "life 1", "")
    net.pass_time(table.LAST_WORDS_SECONDS / 2, step=0.05)
    for node, other in ((a, "b"), (b, "a")):
        follow(node, other, "life 1")
    dialled = len(net.dialled)
    net.pass_time(5)
    assert (a.link("b"), b.link("a")) == links
    assert len(net.dialled) == dialled
    assert not a.table.wait_for("b", lambda link: None), "it has not just come"
    drop(b, "a")
    net.pass_time(0.5)
    assert works(net, a, b), "it is dialled anew as ever"


def test_who_leaves_the_view_is_linked_to_a_moment_longer_and_no_more(net: Net) -> None:
    a, b = pair(net)
    follow(a, "b", "")
    net.pass_time(table.LAST_WORDS_SECONDS / 2, step=0.05)
    assert works(net, a, b)
    net.pass_time(table.LAST_WORDS_SECONDS)
    assert a.table.get("b") is None
    lost = [each for each in a.counters.journal.of_node() if each.what == "link lost"]
    assert [each.why for each in lost] == ["b was taken out of the view"]
    follow(a, "b", "life 1")
    net.pass_time(0.5)
    assert works(net, a, b)


def test_the_hooks_see_the_table_as_it_is(net: Net) -> None:
    seen: list[tuple[str, bool]] = []
    a = Node(net, "a", ["b"])
    b = Node(net, "b", ["a"])
    for node in (a, b):
        peer = "b" if node is a else "a"

        def up(link: Link, node: Node = node, peer: str = peer) -> None:
            seen.append(("up", node.table.get(peer) is link))

        def down(link: Link, node: Node = node, peer: str = peer) -> None:
            seen.append(("down", node.table.get(peer) is None))

        node.table.on_up(up)
        node.table.on_down(down)
    a.table.startService()
    net.settle()
    drop(a, "b")
    assert seen == [("up", True)] * 2 + [("down", True)] * 2


# The end.


def results(waiting: Deferred[None]) -> list[object]:
    told: list[object] = []
    waiting.addBoth(told.append)
    return told


def stopped(node: Node) -> list[object]:
    return results(node.table.stopService())


def test_stopping_waits_for_the_connections_to_be_gone(net: Net) -> None:
    a, b = pair(net)
    links = a.link("b"), b.link("a")
    fired = stopped(a)
    assert fired == []
    net.settle()
    assert fired == [None]
    assert a.table.get("b") is None
    assert a.downs == [links[0]]
    assert b.downs == [links[1]]
    fired = stopped(b)
    assert fired == [None]
    assert net.clock.getDelayedCalls() == []
    dialled = len(net.dialled)
    net.pass_time(30)
    assert len(net.dialled) == dialled


def test_what_was_written_before_is_sent(net: Net) -> None:
    a, b = pair(net)
    a.link("b").write(note(b"the last word"))
    stopped(a)
    net.settle()
    assert [box[b"text"] for box in b.heard] == [b"the last word"]


def test_it_is_known_when_all_that_was_written_has_been_read(net: Net) -> None:
    a, b = pair(net)
    c = Node(net, "c", ["a"])
    c.table.startService()
    for node in (a, b, c):
        others = {x.id: table.Peer(MemoryEndpoint(net, x.id)) for x in (a, b, c) if x is not node}
        node.table.follow(others)
    net.settle()
    net.freeze(a.wire("b"))
    a.link("b").write(note(b"for b"))
    read = results(a.table.all_read(10.0))
    net.pass_time(5)
    assert (b.heard, read) == ([], [])
    net.thaw()
    net.settle()
    assert [box[b"text"] for box in b.heard] == [b"for b"]
    assert read == [None]
    for node in (a, b, c):
        stopped(node)
    net.settle()
    assert net.clock.getDelayedCalls() == []
    assert results(a.table.all_read(10.0)) == [None], "there is nobody to read anything"


@pytest.mark.parametrize("how", ["too late", "lost", "cancelled"])
def test_nobody_waits_for_ever_until_all_is_read(net: Net, log: Log, how: str) -> None:
    a, b = pair(net)
    net.freeze(a.wire("b"))
    waiting = a.table.all_read(3.0)
    read = results(waiting)
    net.pass_time(2.5)
    assert read == []
    if how == "lost":
        a.wire("b").abortConnection()
        net.settle()
    elif how == "cancelled":
        waiting.cancel()
    else:
        net.pass_time(0.5)
    assert read == [None]
    if how != "lost":
        net.thaw()
    for node in (a, b):
        stopped(node)
    net.settle()
    assert net.clock.getDelayedCalls() == []


def test_stopping_is_no_loss_to_complain_of(net: Net, log: Log) -> None:
    a, _ = pair(net)
    stopped(a)
    net.settle()
    assert log.texts == ["Lost the link to a"]  # says b


def test_calls_under_way_end_when_the_node_stops(net: Net) -> None:
    kept: list[bytes | None] = []

    def keep(link: Link, box: Box, ask: bytes | None) -> None:
        kept.append(ask)

    a = Node(net, "a", ["b"])
    b = Node(net, "b", ["a"], responders={b"Keep": keep})
    a.table.startService()
    net.settle()
    call = a.ask("b", item(b"_command", b"Keep"))
    net.settle()
    assert len(kept) == 1
    stopped(a)
    net.settle()
    assert isinstance(call.problem, LinkLost)
    stopped(b)
    assert net.clock.getDelayedCalls() == []


@pytest.mark.parametrize("when", ["before", "dialling", "waiting", "greeting", "rejected"])
def test_stopping_at_any_time_leaves_nothing(net: Net, log: Log, when: str) -> None:
    a = Node(net, "a", ["b"])
    b = Node(net, "b", ["a"], secret=b"other" if when == "rejected" else SECRET)
    if when == "dialling":
        net.silent.add("b")
    elif when == "waiting":
        del net.listening["b"]
    if when != "before":
        a.table.startService()
        if when in ("waiting", "rejected"):
            net.settle()
    fired = stopped(a)
    net.settle()
    assert fired == [None]
    assert net.cancelled == (["b"] if when == "dialling" else [])
    stopped(b)
    assert net.clock.getDelayedCalls() == []
    dialled = len(net.dialled)
    net.pass_time(30)
    assert len(net.dialled) == dialled == (when != "before")
    assert a.table.get("b") is None


def test_unproven_connections_are_closed_as_well(net: Net) -> None:
    b = Node(net, "b", ["a"])
    b.table.startService()
    raw = net.dial("b", Raw())
    fired = stopped(b)
    net.settle()
    assert raw.closed
    assert fired == [None]
    assert net.clock.getDelayedCalls() == []


def test_a_peer_that_reads_nothing_does_not_hold_a_node_up(net: Net) -> None:
    a, b = pair(net)
    wire = a.wire("b")
    wire.block()
    a.link("b").write(note(bytes(100_000)))
    wire.loseConnection = lambda: None  # it never gets rid of it
    fired = stopped(a)
    net.pass_time(table.CLOSING_SECONDS - 0.5)
    assert fired == []
    net.pass_time(0.5)
    assert fired == [None]
    b.table.stopService()
    net.settle()
    assert net.clock.getDelayedCalls() == []


def test_a_stopped_node_can_start_again(net: Net) -> None:
    a, b = pair(net)
    stopped(a)
    net.settle()
    a.table.startService()
    net.settle()
    assert works(net, a, b)


def test_a_machine_that_slept_keeps_its_links(net: Net, log: Log) -> None:
    a, b = pair(net, ping_interval=5, ping_timeout=12)
    net.clock.advance(3600)  # nobody did anything meanwhile, the other side neither
    net.settle()
    net.pass_time(30)
    assert a.downs == b.downs == []
    assert works(net, a, b)


def test_after_sleeping_a_silent_link_is_still_given_up(net: Net, log: Log) -> None:
    a, b = pair(net, ping_interval=5, ping_timeout=12)
    net.freeze(a.wire("b"))
    net.clock.advance(3600)
    net.pass_time(20)
    assert [len(node.downs) for node in (a, b)] == [1, 1]


@pytest.mark.parametrize("begins", [b"GET / HTTP/1.1\r\n", b"\x01\0\0\x02{}", b"\x16\x03\x01"])
def test_a_client_at_the_link_port_is_called_one(net: Net, log: Log, begins: bytes) -> None:
    node = Node(net, "a", [])
    net.listening["a"] = node.table.factory
    net.dial("a", Raw()).send_bytes(begins)
    net.settle()
    (text,) = log.texts
    assert "a client, and this is the link port; a has no client port" in text
    assert ("--tls" in text) == (begins[0] == 0x16)


def test_who_leaves_loses_no_links(net: Net, log: Log) -> None:
    a, b = pair(net)
    b.table.leave()
    a.table.stopService()
    net.settle()
    assert log.texts == []
    b.table.stopService()


@pytest.mark.logs_failures
def test_a_hook_that_raises_keeps_nothing_from_the_others(net: Net) -> None:
    a, b = pair(net)
    told: list[str] = []

    def fail(link: Link) -> None:
        raise ValueError("a mistake")

    for hooks in (a.table.on_up, a.table.on_down):
        hooks(fail)
        hooks(lambda link: told.append(link.peer))
    drop(a, "b")
    assert told == ["b"]
    net.pass_time(5)
    assert told == ["b", "b"]
    assert works(net, a, b)
