"""What somebody is shown of a link: whole boxes, exactly as they are on the wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.links.link import Link
from chatcore.wire.box import END, BoxParser, item

from .wiring import NOTE, Net, Node, Raw, note

TEXTS = [b"", b"a", b"b" * 300, b"c" * 70_000, b"d" * 40, b"e" * 200_000, b"f"]


class Shown:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.left: list[tuple[str, bytes, int]] = []
        self.arrived: list[tuple[str, bytes, int]] = []

    def sent(self, link: Link, data: bytes, boxes: int) -> None:
        self.left.append((link.peer, data, boxes))

    def came(self, link: Link, data: bytes, boxes: int) -> None:
        self.arrived.append((link.peer, data, boxes))


def pair(net: Net) -> tuple[Node, Node]:
    """Two nodes with a link."""
    one, other = Node(net, "a", ["b"]), Node(net, "b", ["a"])
    for node in (one, other):
        node.table.startService()
    net.settle()
    return one, other


def box(text: bytes) -> bytes:
    return NOTE + item(b"text", text) + END


def test_both_ends_show_the_same_bytes(net: Net) -> None:
    one, other = pair(net)
    here, there = Shown(), Shown()
    one.table.show(here)
    other.table.show(there)
    for text in TEXTS:
        one.link("b").write(box(text))
    call = one.ask("b", NOTE)
    net.settle()
    assert call.box
    left = b"".join(data for _, data, _ in here.left)
    assert left == b"".join(data for _, data, _ in there.arrived)
    assert BoxParser(1 << 24).feed(left)[:-1] == [
        BoxParser(1 << 24).feed(box(text))[0] for text in TEXTS
    ]
    assert sum(boxes for *_, boxes in here.left) == len(TEXTS) + 1
    assert sum(boxes for *_, boxes in there.arrived) == len(TEXTS) + 1
    assert {peer for peer, *_ in here.left} == {"b"}
    ((_, answer, count),) = there.left
    assert [(data, boxes) for _, data, boxes in here.arrived] == [(answer, count)]


@given(st.lists(st.integers(1, 90_000), max_size=12), st.integers(0, 12))
def test_boxes_are_whole_however_they_come(cuts: list[int], begin: int) -> None:
    net = Net()
    _one, other = pair(net)
    link = other.link("a")
    data = b"".join(map(box, TEXTS))
    pieces, rest = [], data
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    pieces.append(rest)
    shown, parser = Shown(), BoxParser(1 << 24)
    unseen = 0
    for number, piece in enumerate(pieces):
        if number == begin:
            other.table.show(shown)
        found = len(parser.feed(piece))
        unseen += found if number < begin else 0
        link.dataReceived(piece)
    seen = b"".join(data for _, data, _ in shown.arrived)
    assert seen == (b"".join(map(box, TEXTS[unseen:])) if begin < len(pieces) else b"")
    for _, each, count in shown.arrived:
        whole = BoxParser(1 << 24)
        assert len(whole.feed(each)) == count
        assert not whole.waiting


def test_links_that_come_and_go(net: Net) -> None:
    one, _other = pair(net)
    shown = Shown()
    one.table.show(shown)
    one.link("b").abort()
    net.settle()
    net.pass_time(1)
    one.link("b").write(note(b"again"))
    net.settle()
    assert shown.left[-1] == ("b", note(b"again"), 1)
    one.table.show(None)
    before = len(shown.left)
    one.link("b").write(note(b"unseen"))
    net.settle()
    assert len(shown.left) == before
    assert one.link("b").tap is None


@pytest.mark.parametrize("side", ["dials", "listens"])
def test_a_hello_is_not_shown(net: Net, side: str) -> None:
    one, other = Node(net, "a", ["b"]), Node(net, "b", ["a"])
    shown = Shown()
    (one if side == "dials" else other).table.show(shown)
    for node in (one, other):
        node.table.startService()
    net.settle()
    one.link("b").write(note(b"hello"))
    net.settle()
    seen = b"".join(data for _, data, _ in [*shown.left, *shown.arrived])
    assert note(b"hello") in seen
    assert b"proof" not in seen
    assert b"nonce" not in seen


def test_nobody_is_shown_what_is_no_node(net: Net) -> None:
    one = Node(net, "a", [])
    one.table.startService()
    shown = Shown()
    one.table.show(shown)
    stranger = net.dial("a", Raw())
    stranger.send({b"_command": b"Note"})
    net.settle()
    assert shown.left == shown.arrived == []
