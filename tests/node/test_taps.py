"""A node that is tapped: at once, within bounds, and whoever looks may stop reading."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from links.wiring import SECRET, MemoryEndpoint, Net, Node, note
from twisted.internet.defer import Deferred

from chatcore.admin.desk import IDLE_SECONDS, Desk
from chatcore.admin.visit import Visit, visit
from chatcore.config.tokens import Token
from chatcore.errors import AdminError
from chatcore.inspector.batches import Boxes, Ended, Happened, Lost, Opened, Told, decode
from chatcore.inspector.own import Declared
from chatcore.inspector.redaction import HIDDEN
from chatcore.links.link import Link
from chatcore.node import taps as taps_module
from chatcore.node import told_taps as told_taps_module
from chatcore.node.taps import KEPT_TAPS, MOST_TAPS, Taps, Wanted
from chatcore.node.told_taps import ToldTap
from chatcore.wire.box import END as BOX_END
from chatcore.wire.box import item
from chatcore.wire.values import pack

END = int(time.time()) + 100_000
TIME = 1_700_000_000_000_000


class Reader:
    """Somebody who looks.

    Args:
        net: the machine.
        reads: whether batches are read at once.
        token: what he shows; the cluster's secret unless given.
    """

    def __init__(self, net: Net, *, reads: bool = True, token: Token | None = None) -> None:
        self.net, self.reads = net, reads
        self.events: list[Happened] = []
        self.waiting: list[Any] = []
        self.visit: Visit = net.result(
            Deferred.fromCoroutine(
                visit(
                    MemoryEndpoint(net, "a"),
                    id="admin" if token is None else str(token.id),
                    secret=SECRET if token is None else token.key,
                    clock=net.clock,  # type: ignore[arg-type]
                    seconds=5.0,
                    to="a",
                )
            )
        )

    def tap(self, **given: Any) -> Any:
        return self.net.result(Deferred.fromCoroutine(self.visit.tap(given, 5.0, self.took)))

    def took(self, data: bytes, read: Any) -> None:
        self.waiting.append((data, read))
        if self.reads:
            self.read()

    def read(self) -> None:
        """Read what is there."""
        waiting, self.waiting = self.waiting, []
        for data, read in waiting:
            self.events += decode(data)
            read()

    def boxes(self) -> list[bytes]:
        return [each.data for each in self.events if isinstance(each, Boxes)]


class Tapped:
    """Two nodes with a link, one of which may be tapped."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.node, self.other = Node(net, "a", ["b"]), Node(net, "b", ["a"])
        self.taps = Taps(
            links=self.node.table,
            about=lambda: {"id": "a"},
            make_told=self.make_told,
            counters=self.node.counters,
            clock=net.clock,
            now=lambda: TIME,
        )
        host: Any = None
        self.desk = Desk(host=host, counters=self.node.counters, clock=net.clock, taps=self.taps)
        self.node.table.admit(self.desk)
        for node in (self.node, self.other):
            node.table.startService()
        net.settle()

    def make_told(self, to: Link, wanted: Wanted) -> ToldTap:
        return ToldTap(
            to,
            wanted,
            id="a",
            types=lambda: {"b": "chat"},
            declared={"chat.room.open": Declared(("door", "pin"), ("pin",))},
            counters=self.node.counters,
            clock=self.net.clock,
            now=lambda: TIME,
        )

    def say(self, text: bytes, count: int = 1) -> None:
        for _ in range(count):
            self.node.link("b").write(note(text))
        self.net.settle()


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.fixture
def tapped(net: Net) -> Iterator[Tapped]:
    made = Tapped(net)
    yield made
    made.desk.stop()


def test_it_is_tapped_as_soon_as_that_is_asked(net: Net, tapped: Tapped) -> None:
    reader = Reader(net)
    begun = net.clock.seconds()
    assert reader.tap() == {"id": "a", "told": False}
    assert net.clock.seconds() == begun
    tapped.say(b"hello")
    net.pass_time(taps_module.BATCH_SECONDS, 0.01)
    assert reader.events == [
        Opened(TIME, 1, "b", False),
        Boxes(TIME, 1, "out", note(b"hello")),
    ]


def test_much_is_sent_at_once(net: Net, tapped: Tapped) -> None:
    reader = Reader(net)
    reader.tap()
    tapped.say(b"x" * 70_000)
    assert reader.boxes() == [note(b"x" * 70_000)]


def test_what_is_not_meant_is_not_shown(net: Net, tapped: Tapped) -> None:
    reader = Reader(net)
    reader.tap(peers=["c"])
    tapped.say(b"1")
    reader.tap(peers=["b"])
    tapped.say(b"2")
    reader.tap(but=["b"])
    tapped.say(b"3")
    net.pass_time(1)
    assert reader.boxes() == [note(b"2")]


def test_links_come_and_go(net: Net, tapped: Tapped) -> None:
    reader = Reader(net)
    reader.tap()
    tapped.node.link("b").abort()
    net.pass_time(2)
    tapped.say(b"again")
    net.pass_time(1)
    assert [type(each) for each in reader.events] == [Opened, Ended, Opened, Boxes, Boxes]
    assert b"Remotes" in reader.boxes()[0]
    assert reader.boxes()[1] == note(b"again")
    assert reader.events[2] == Opened(TIME, 2, "b", True)


def test_who_does_not_read_loses_what_is_counted(
    net: Net, tapped: Tapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taps_module, "HELD_BYTES", 1_000_000)
    reader = Reader(net, reads=False)
    reader.tap()
    (tap,) = tapped.taps._taps.values()
    count, size = 500, len(note(b"x" * 10_000))
    for number in range(count):
        tapped.say(b"x" * 10_000)
        call = tapped.node.ask("b", note(b"")[:-2])
        net.settle()
        assert call.box, "the node serves others as before"
        assert tap.held <= 1_000_000, number
    lost = tap.lost_bytes
    assert lost > 3_000_000
    assert tapped.node.counters.tapped_boxes_lost == tap.lost_boxes
    while reader.waiting:
        reader.read()
        net.pass_time(0.1)
    gaps = [each for each in reader.events if isinstance(each, Lost)]
    assert sum(each.bytes for each in gaps) == lost
    assert sum(each.boxes for each in gaps) == tap.lost_boxes
    seen = [each for each in reader.boxes() if len(each) == size]
    small = [each for each in gaps if each.direction == "in"]
    assert small, "answers were lost, too"
    out = sum(each.boxes for each in gaps if each.direction == "out")
    shown = sum(isinstance(each, Boxes) and each.direction == "out" for each in reader.events)
    assert out + shown == 2 * count
    assert seen
    assert tap.held == 0
    reader.events.clear()
    tapped.say(b"at last")
    net.pass_time(1)
    reader.read()
    assert reader.boxes() == [note(b"at last")]


def test_who_goes_is_shown_nothing_more(net: Net, tapped: Tapped) -> None:
    reader = Reader(net)
    reader.tap()
    tapped.say(b"1")
    reader.visit.close()
    net.settle()
    assert tapped.node.link("b").tap is None
    assert tapped.node.counters.taps_now == 0
    tapped.say(b"2")
    net.pass_time(1)
    assert tapped.taps._taps == {}


def test_who_only_looks_is_not_idle(net: Net, tapped: Tapped) -> None:
    reader = Reader(net)
    reader.tap()
    net.pass_time(2 * IDLE_SECONDS, 5.0)
    tapped.say(b"still")
    net.pass_time(1)
    assert reader.boxes()[-1] == note(b"still")


def test_there_are_few(net: Net, tapped: Tapped) -> None:
    readers = [Reader(net) for _ in range(MOST_TAPS + 1)]
    for reader in readers[:-1]:
        reader.tap()
    with pytest.raises(AdminError, match=f"a is tapped by {MOST_TAPS} already"):
        readers[-1].tap()
    assert tapped.node.counters.taps_now == MOST_TAPS
    assert tapped.node.counters.taps_refused == 1
    readers[0].visit.close()
    net.settle()
    readers[-1].tap()


def test_viewers_leave_some_to_administrators(net: Net, tapped: Tapped) -> None:
    for _ in range(MOST_TAPS - KEPT_TAPS):
        viewer(net).tap()
    with pytest.raises(AdminError, match=f"a is tapped by {MOST_TAPS - KEPT_TAPS} already"):
        viewer(net).tap()
    for _ in range(KEPT_TAPS):
        Reader(net).tap()


@pytest.mark.parametrize("given", [{"peers": 5}, {"but": [1]}, {"peers": "b"}])
def test_nonsense_is_refused(net: Net, tapped: Tapped, given: Any) -> None:
    reader = Reader(net)
    with pytest.raises(AdminError, match="nothing can be shown like that"):
        reader.tap(**given)
    assert tapped.node.link("b").tap is None


@pytest.mark.logs_failures
def test_a_tap_that_breaks_costs_nobody_anything(
    net: Net, tapped: Tapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(net)
    reader.tap()
    (tap,) = tapped.taps._taps.values()
    monkeypatch.setattr(tap, "took", lambda *args: 1 / 0)
    tapped.say(b"all the same")
    assert [box[b"text"] for box in tapped.other.heard] == [b"all the same"]
    assert tapped.node.link("b").tap is None
    assert reader.visit.is_over


def viewer(net: Net) -> Reader:
    return Reader(net, token=Token.make(SECRET, "viewer", "ann", END))


def call(*args: Any) -> bytes:
    """A call of a remote of the other node's."""
    return (
        item(b"_command", b"Call")
        + item(b"service", b"room")
        + item(b"method", b"open")
        + item(b"args", pack(args))
    )


def messages(reader: Reader) -> list[Any]:
    return [each.seen for each in reader.events if isinstance(each, Told)]


def test_a_viewer_sees_no_bytes(net: Net, tapped: Tapped) -> None:
    reader = viewer(net)
    assert reader.tap(bodies=True, told=False) == {"id": "a", "told": True}
    tapped.node.ask("b", call("front", "hush hush"))
    tapped.say(b"password=1234")
    net.pass_time(1)
    ask, tell, error = messages(reader)
    assert reader.boxes() == []
    assert (ask.kind, ask.node, ask.peer, ask.route) == ("ask", "a", "b", "chat.room.open")
    assert ask.body == {
        "service": "room",
        "method": "open",
        "args": {"door": "front", "pin": HIDDEN},
    }
    assert (error.kind, error.error, error.route) == ("error", "UNHANDLED", "chat.room.open")
    assert tell.body == {"text": HIDDEN}
    reader.tap(bodies=True, told=False)
    tapped.say(b"more")
    net.pass_time(1)
    assert reader.boxes() == [], "asking again makes no administrator of him"


def test_what_a_viewer_costs_is_bounded(
    net: Net, tapped: Tapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_taps_module, "MOST_MESSAGES", 50)
    monkeypatch.setattr(told_taps_module, "MOST_BODIES", 20)
    reader = viewer(net)
    reader.tap(bodies=True)
    net.pass_time(1)
    for _ in range(8):
        tapped.say(b"x", 10)
    net.pass_time(1)
    tapped.say(b"y")
    net.pass_time(1)
    seen = messages(reader)
    assert len(seen) == 51
    assert sum(each.body == {"text": "x"} for each in seen) == 20
    (lost,) = [each for each in reader.events if isinstance(each, Lost)]
    assert (lost.boxes, lost.bytes) == (30, 30 * len(note(b"x")))
    assert len(tapped.other.heard) == 81


def test_several_viewers_cost_no_more_than_one(
    net: Net, tapped: Tapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_taps_module, "MOST_MESSAGES", 60)
    readers = [viewer(net) for _ in range(3)]
    for reader in readers:
        reader.tap()
    net.pass_time(1)
    for _ in range(8):
        tapped.say(b"x", 10)
    net.pass_time(1)
    assert [len(messages(reader)) for reader in readers] == [20, 20, 20]


def test_what_is_long_costs_no_more(
    net: Net, tapped: Tapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told_taps_module, "MOST_BYTES", 100_000)
    monkeypatch.setattr(told_taps_module, "LONGEST_BODY", 50_000)
    reader = viewer(net)
    reader.tap(bodies=True)
    net.pass_time(1)
    for size in (10_000, 60_000, 90_000):
        tapped.say(b"x" * size)
    net.pass_time(1)
    short, long = messages(reader)
    assert short.body == {"text": "x" * 10_000}
    assert long.body == told_taps_module.NOT_READ
    tapped.say(b"y")
    net.pass_time(1)
    (lost,) = [each for each in reader.events if isinstance(each, Lost)]
    assert lost.bytes > 90_000


def test_a_viewer_is_shown_what_he_asks_for(net: Net, tapped: Tapped) -> None:
    one, other, third = viewer(net), viewer(net), viewer(net)
    one.tap(routes=["chat.*"])
    other.tap(errors=True)
    third.tap(uid="bob")
    tapped.node.ask("b", call("bob"))
    tapped.node.ask("b", call("eve"))
    tapped.say(b"1")
    net.pass_time(1)
    assert [each.kind for each in messages(one)] == ["ask", "ask", "error", "error"]
    assert [each.kind for each in messages(other)] == ["error", "error"]
    assert [(each.kind, each.uids) for each in messages(third)] == [
        ("ask", {"bob"}),
        ("error", {"bob"}),
    ]


def test_whom_else_a_message_concerns_is_not_told(net: Net, tapped: Tapped) -> None:
    reader = viewer(net)
    reader.tap(uid="bob")
    tapped.node.ask("b", call("bob", "hush hush"))
    net.pass_time(1)
    assert [each.uids for each in messages(reader)] == [{"bob"}, {"bob"}]


def invoke(route: bytes, args: Any) -> bytes:
    """What an administrator wants to have called, as nodes pass it on."""
    return (
        item(b"_command", b"Invoke")
        + item(b"route", route)
        + item(b"id", b"b")
        + item(b"args", pack(args))
        + item(b"seconds", b"5")
    )


WITH_SECRETS = {
    "an answer to what was asked before": item(b"_answer", b"early")
    + item(b"result", pack("hush")),
    "a method that is not declared here": call("hush").replace(b"open", b"shut"),
    "an argument that is not declared": call("front", "hush", "hush"),
    "a call of an administrator": invoke(b"chat.room.open", ["front", "hush"]),
    "the same by names": invoke(b"chat.room.open", {"door": "front", "pin": "hush"}),
    "what a channel takes along": (
        item(b"_command", b"HandOver")
        + item(b"epoch", b"5")
        + item(b"channel", b"attic")
        + item(b"members", pack([]))
        + item(b"state", pack({"door": "hush"}))
    ),
    "one of a method that is not declared": invoke(b"chat.room.shut", {"door": "hush"}),
}


@pytest.mark.parametrize("box", WITH_SECRETS.values(), ids=WITH_SECRETS.keys())
def test_a_viewer_sees_nothing_of_what_may_be_secret(net: Net, tapped: Tapped, box: bytes) -> None:
    reader = viewer(net)
    reader.tap(bodies=True)
    tapped.node.link("b").write(box + BOX_END)
    net.pass_time(1)
    (seen,) = messages(reader)
    assert seen.body
    assert "hush" not in str(seen.body)
    assert HIDDEN in str(seen.body)
