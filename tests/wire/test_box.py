"""AMP boxes, held to `twisted.protocols.amp`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import StringTransport
from twisted.protocols import amp

from chatcore.errors import BoxError
from chatcore.wire import box
from chatcore.wire.box import END, BoxParser, item, join, split

from .splits import CUTS, cut

KEYS = st.binary(min_size=1, max_size=255)
BOXES = st.dictionaries(KEYS, st.binary(max_size=200), min_size=1, max_size=6)
SIZES = [0, 1, 65_534, 65_535, 65_536, 131_069, 131_070, 131_071, 1_000_000, 65_535 * 16]


def blob(size: int) -> bytes:
    """Bytes in which a part that is lost, doubled or moved shows."""
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4 + 1))[:size]


class StockReceiver:
    """Collects what stock AMP reads."""

    def __init__(self) -> None:
        self.boxes: list[dict[bytes, bytes]] = []

    def startReceivingBoxes(self, sender: object) -> None:
        pass

    def ampBoxReceived(self, box: amp.AmpBox) -> None:
        self.boxes.append(dict(box))

    def stopReceivingBoxes(self, reason: object) -> None:
        pass


@given(pairs=BOXES)
def test_stock_amp_writes_what_this_writes(pairs: dict[bytes, bytes]) -> None:
    assert box.encode(sorted(pairs.items())) == amp.Box(pairs).serialize()


@given(pairs=BOXES)
def test_stock_amp_reads_what_this_writes(pairs: dict[bytes, bytes]) -> None:
    assert [dict(each) for each in amp.parseString(box.encode(pairs.items()))] == [pairs]


@given(boxes=st.lists(BOXES, max_size=5), cuts=CUTS)
def test_this_reads_what_stock_amp_writes(boxes: list[dict[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(amp.Box(each).serialize() for each in boxes)
    parser = BoxParser(10_000)
    assert [each for piece in cut(stream, cuts) for each in parser.feed(piece)] == boxes
    assert parser.waiting == 0


@given(boxes=st.lists(BOXES, min_size=1, max_size=4), cuts=CUTS)
def test_both_read_the_same_from_any_split(
    boxes: list[dict[bytes, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(box.encode(each.items()) for each in boxes)
    receiver = StockReceiver()
    stock = amp.BinaryBoxProtocol(receiver)
    stock.makeConnection(StringTransport())
    parser = BoxParser(10_000)
    for piece in cut(stream, cuts):
        before = len(receiver.boxes)
        stock.dataReceived(piece)
        assert parser.feed(piece) == receiver.boxes[before:]
    assert receiver.boxes == boxes


@given(stream=BOXES.map(lambda pairs: box.encode(pairs.items())), missing=st.integers(1, 5))
def test_what_waits_is_counted(stream: bytes, missing: int) -> None:
    parser = BoxParser(10_000)
    assert parser.feed(stream[:-missing]) == []
    assert parser.waiting == len(stream[:-missing])
    assert len(parser.feed(stream[-missing:])) == 1
    assert parser.waiting == 0


@given(garbage=st.binary(max_size=300), cuts=CUTS)
def test_garbage_gives_boxes_or_the_typed_error(garbage: bytes, cuts: list[int]) -> None:
    parser = BoxParser(100)
    try:
        for piece in cut(garbage, cuts):
            for each in parser.feed(piece):
                assert each
                assert all(1 <= len(key) <= 255 for key in each)
    except BoxError:
        pass


@pytest.mark.parametrize("size", SIZES)
def test_values_of_every_length_come_back(size: int) -> None:
    value = blob(size)
    stream = item(b"before", b"1") + item(b"args", value) + item(b"after", b"2") + END
    (found,) = BoxParser(2_000_000).feed(stream)
    assert join(found, b"args") == value
    assert (found[b"before"], found[b"after"]) == (b"1", b"2")
    assert {key: value for key, value in found.items() if key.startswith(b"args")} == dict(
        split(b"args", value)
    )


@pytest.mark.parametrize("size", SIZES)
def test_stock_amp_carries_values_of_every_length(size: int) -> None:
    value = blob(size)
    (found,) = amp.parseString(amp.Box(split(b"args", value)).serialize())
    assert join(found, b"args") == value


@pytest.mark.parametrize(
    ("size", "keys"),
    [
        (0, [b"args"]),
        (65_535, [b"args"]),
        (65_536, [b"args", b"args.1"]),
        (131_070, [b"args", b"args.1"]),
        (131_071, [b"args", b"args.1", b"args.2"]),
    ],
)
def test_the_keys_of_a_long_value(size: int, keys: list[bytes]) -> None:
    assert [key for key, _ in split(b"args", blob(size))] == keys


@settings(max_examples=30)
@given(size=st.integers(0, 300_000), key=st.binary(min_size=1, max_size=20))
def test_split_and_join_are_inverse(size: int, key: bytes) -> None:
    value = blob(size)
    assert join(dict(split(key, value)), key) == value


def test_a_neighbour_with_a_number_is_no_part_of_a_short_value() -> None:
    assert join({b"args": b"short", b"args.1": b"other"}, b"args") == b"short"


def test_a_missing_value_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        join({b"args.1": b"x"}, b"args")


def test_a_key_twice_is_refused() -> None:
    with pytest.raises(BoxError, match="twice"):
        BoxParser(1000).feed(item(b"a", b"1") + item(b"b", b"1") + item(b"a", b"2") + END)
    # … but of course not in the next box.
    assert len(BoxParser(1000).feed((item(b"a", b"1") + END) * 2)) == 2


@pytest.mark.parametrize("before", [b"", item(b"a", b"1") + END])
def test_an_empty_box_is_refused(before: bytes) -> None:
    with pytest.raises(BoxError, match="empty"):
        BoxParser(1000).feed(before + END)


@pytest.mark.parametrize("size", [256, 300, 0xFFFF])
def test_a_long_key_is_refused_with_its_length(size: int) -> None:
    with pytest.raises(BoxError, match=f"key of {size} bytes"):
        BoxParser(100_000).feed(size.to_bytes(2, "big"))


@pytest.mark.parametrize("key", [b"", b"k" * 256, b"k" * 1000])
def test_a_key_that_no_box_can_hold_is_not_written(key: bytes) -> None:
    with pytest.raises(BoxError, match=f"key of {len(key)} bytes"):
        item(key, b"value")


def test_a_long_value_whose_further_keys_would_be_too_long_is_not_written() -> None:
    assert item(b"k" * 255, b"value")
    with pytest.raises(BoxError, match="key of 256 bytes"):
        item(b"k" * 254, blob(65_536))


@pytest.mark.parametrize("size", [99, 100])
def test_a_box_as_long_as_the_limit_passes(size: int) -> None:
    stream = item(b"key", bytes(size - 7))
    assert len(stream) == size
    assert len(BoxParser(100).feed(stream + END)) == 1


def test_a_long_box_is_refused() -> None:
    with pytest.raises(BoxError, match="more than 100 bytes"):
        BoxParser(100).feed(item(b"key", bytes(94)) + END)
    with pytest.raises(BoxError, match="more than 100 bytes"):
        BoxParser(100).feed(b"".join(item(b"%d" % number, b"") for number in range(30)))


def test_the_limit_is_each_boxs_own() -> None:
    stream = (item(b"key", bytes(90)) + END) * 20
    assert len(BoxParser(100).feed(stream)) == 20
    parser = BoxParser(100)
    assert sum(len(parser.feed(bytes((byte,)))) for byte in stream) == 20


def test_a_long_value_is_refused_before_any_of_it_came() -> None:
    parser = BoxParser(100)
    with pytest.raises(BoxError, match="more than 100 bytes"):
        parser.feed(b"\0\x03key" + b"\xff\xff")


@given(cuts=CUTS)
def test_a_long_box_is_refused_wherever_it_is_cut(cuts: list[int]) -> None:
    parser = BoxParser(100)
    stream = item(b"a", bytes(50)) + item(b"b", bytes(50)) + END
    with pytest.raises(BoxError, match="more than 100 bytes"):
        for piece in cut(stream, cuts):
            parser.feed(piece)
            assert parser.waiting <= 100 + 2
