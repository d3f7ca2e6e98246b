"""Boxes and garbage are found in streams, wherever they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire.splits import CUTS, cut

from chatcore.inspector.stream import READ_AGAIN, Boxed, BoxStream, Strange

from .boxes import BOXES, GARBAGE, box, flattened, told

SUM = box(_ask="1", _command="Sum", a="13", b="81")
ANSWER = box(_answer="1", total="94")


@given(st.lists(st.one_of(BOXES, GARBAGE), max_size=12).map(b"".join), CUTS)
def test_the_same_however_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    assert flattened(told(BoxStream(), cut(stream, cuts))) == flattened(told(BoxStream(), [stream]))


@given(st.lists(st.one_of(BOXES, GARBAGE), max_size=12).map(b"".join), CUTS)
def test_nothing_is_left_out_or_told_twice(stream: bytes, cuts: list[int]) -> None:
    pieces = told(BoxStream(), cut(stream, cuts))
    assert b"".join(piece.raw for piece in pieces) == stream
    at = 0
    for piece in pieces:
        assert piece.offset == at
        at += len(piece.raw)


@given(st.lists(BOXES, max_size=8), CUTS)
def test_boxes_of_stock_amp(boxes: list[bytes], cuts: list[int]) -> None:
    pieces = told(BoxStream(), cut(b"".join(boxes), cuts))
    assert [piece.raw for piece in pieces] == boxes
    assert all(isinstance(piece, Boxed) for piece in pieces)


@pytest.mark.parametrize(
    ("garbage", "why"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "a key of 18516 bytes at offset 40"),
        (b"\0\0", "an empty box"),
        (SUM[:20] + b"\xff" * 9, "the stream ends within this box, at offset 94"),
        (SUM[10:], "a key of "),
    ],
)
def test_goes_on_behind_garbage(garbage: bytes, why: str) -> None:
    pieces = told(BoxStream(), [SUM + garbage + ANSWER])
    assert [piece.raw for piece in pieces if isinstance(piece, Boxed)] == [SUM, ANSWER]
    first = next(piece for piece in pieces if isinstance(piece, Strange))
    assert first.offset == len(SUM)
    assert first.why.startswith(why)


def test_what_is_cut_at_the_end_is_said() -> None:
    pieces = told(BoxStream(), [SUM[:-1]])
    assert pieces[0] == Strange(0, b"", "the stream ends within this box, at offset 39")
    assert not any(isinstance(piece, Boxed) for piece in pieces)


def test_tls_ends_what_can_be_seen() -> None:
    hello = b"\x16\x03\x01\x02\0" + SUM
    assert flattened(told(BoxStream(), [SUM + hello])) == [
        ("box", 0, SUM),
        ("why", 40, "encrypted by TLS from here on"),
        ("raw", 40, hello),
    ]


def test_behind_bytes_that_nobody_has_seen() -> None:
    stream = BoxStream()
    assert stream.feed(SUM[:10]) == []
    (rest,) = stream.missed(1000)
    assert (rest.raw, rest.why) == (SUM[:10], "the rest of it was missed")  # type: ignore[union-attr]
    *garbage, last = stream.feed(SUM[25:] + ANSWER)
    assert b"".join(piece.raw for piece in garbage) == SUM[25:]
    assert last == Boxed(1010 + 15, ANSWER, {b"_answer": b"1", b"total": b"94"})


def test_a_box_that_never_ends_is_given_up() -> None:
    stream = BoxStream(limit=1000)
    endless = b"".join(b"\0\x03%03d\0\x64" % number + b"x" * 100 for number in range(50))
    pieces = stream.feed(b"\0\x04_ask\0\x011" + endless)
    assert "a box of more than 1000 bytes" in [getattr(piece, "why", "") for piece in pieces]
    assert stream.waiting < 1000


def test_bytes_made_to_be_read_again_and_again_are_not() -> None:
    """Beginnings of boxes, each of which only breaks far behind the next ones."""
    beginning = b"\0\x04_ask\0\x06"
    steps = 0

    class Counted(BoxStream):
        def _break(self, problem: str, pieces: list[Boxed | Strange]) -> None:
            nonlocal steps
            steps += self._items
            super()._break(problem, pieces)

    count = 5000
    told(Counted(), [beginning * count + b"\xff\xff"])
    assert steps <= (READ_AGAIN + 1) * count
