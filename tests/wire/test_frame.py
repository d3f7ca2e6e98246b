"""WebSocket frames, held to RFC 6455, section 5.2, and to Autobahn."""

from __future__ import annotations

import pytest
from autobahn.twisted.websocket import WebSocketServerFactory
from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from chatcore.wire import frame

BINARY, TEXT, CONTINUATION = 2, 1, 0


def autobahns(payload: bytes) -> bytes:
    factory = WebSocketServerFactory(reactor=Clock())
    return bytes(factory.prepareMessage(payload, isBinary=True).payloadHybi)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 255, 256, 65535, 65536, 100_000])
def test_written_as_autobahn_writes_it(size: int) -> None:
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert frame.head(len(payload)) + payload == autobahns(payload)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, "8200"),
        (125, "827d"),
        (126, "827e007e"),
        (65535, "827effff"),
        (65536, "827f0000000000010000"),
    ],
)
def test_the_three_forms_of_length(size: int, head: str) -> None:
    assert frame.head(size) == bytes.fromhex(head)


def written(
    payload: bytes,
    mask: bytes | None = b"\x01\x80\xff\x37",
    *,
    opcode: int = BINARY,
    final: bool = True,
    reserved: int = 0,
    form: int | None = None,
) -> bytes:
    """A client's frame, byte by byte; ``form`` is the number of bytes its length takes."""
    size = len(payload)
    if form is None:
        form = 0 if size < 126 else 2 if size < 65536 else 8
    first = final << 7 | reserved << 4 | opcode
    short = {0: size, 2: 126, 8: 127}[form]
    head = bytes((first, (mask is not None) << 7 | short)) + (
        size.to_bytes(form, "big") if form else b""
    )
    if mask is None:
        return head + payload
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return head + mask + masked


def read_slowly(data: bytes, limit: int) -> bytes | None:
    """What `frame.decode_lone` has to give, written for being obvious."""
    if len(data) < 2:
        return None
    final, reserved, opcode = data[0] >> 7, data[0] >> 4 & 7, data[0] & 15
    masked, short = data[1] >> 7, data[1] & 127
    if not final or reserved or opcode != BINARY or not masked or short == 127:
        return None
    rest = data[2:]
    size = short
    if short == 126:
        if len(rest) < 2:
            return None
        size, rest = int.from_bytes(rest[:2], "big"), rest[2:]
        if size < 126:
            return None
    if len(rest) != 4 + size or size > limit:
        return None
    return bytes(byte ^ rest[place % 4] for place, byte in enumerate(rest[4:]))


MASKS = st.binary(min_size=4, max_size=4)


@given(payload=st.binary(max_size=400), mask=MASKS)
@example(payload=b"\0" * 5, mask=b"\0\0\0\0")
@example(payload=b"", mask=b"abcd")
@example(payload=bytes(125), mask=b"abcd")
@example(payload=bytes(126), mask=b"abcd")
def test_a_lone_frame_is_read(payload: bytes, mask: bytes) -> None:
    assert frame.decode_lone(written(payload, mask), 400) == payload


@pytest.mark.parametrize("size", [124, 125, 126, 127, 65534, 65535])
def test_lengths_at_the_borders(size: int) -> None:
    payload = (bytes(range(251)) * (size // 251 + 1))[:size]
    assert frame.decode_lone(written(payload), 65535) == payload
    assert frame.decode_lone(written(payload), size) == payload
    assert frame.decode_lone(written(payload), size - 1) is None


def test_a_very_long_frame_is_left_to_autobahn() -> None:
    assert frame.decode_lone(written(bytes(65536)), 1 << 20) is None


@pytest.mark.parametrize(
    "data",
    [
        written(b"hello", None),
        written(b"hello", opcode=TEXT),
        written(b"hello", opcode=CONTINUATION),
        written(b"hello", opcode=8),
        written(b"hello", opcode=9),
        written(b"hello", opcode=3),
        written(b"hello", final=False),
        written(b"hello", reserved=4),
        written(b"hello", reserved=2),
        written(b"hello", reserved=1),
        written(b"hello", form=2),
        written(bytes(125), form=2),
        written(b"hello", form=8),
        written(bytes(300), form=8),
        written(b"hello")[:-1],
        written(b"hello") + b"\0",
        written(b"hello") * 2,
        written(bytes(300))[:3],
        written(bytes(300))[:7],
    ],
)
def test_everything_else_is_left_to_autobahn(data: bytes) -> None:
    assert frame.decode_lone(data, 1000) is None


@given(
    payload=st.binary(max_size=300), mask=MASKS, first=st.integers(0, 255), cut=st.integers(-3, 3)
)
def test_agrees_with_the_obvious_reader(payload: bytes, mask: bytes, first: int, cut: int) -> None:
    whole = written(payload, mask)
    for data in (
        bytes((first,)) + whole[1:],
        whole[:cut] if cut < 0 else whole + bytes(cut),
        whole[:1] + bytes((first,)) + whole[2:],
    ):
        assert frame.decode_lone(data, 200) == read_slowly(data, 200)


@given(garbage=st.binary(max_size=300))
def test_garbage_agrees_with_the_obvious_reader(garbage: bytes) -> None:
    for data in (garbage, b"\x82" + garbage, b"\x82\xfe" + garbage):
        assert frame.decode_lone(data, 250) == read_slowly(data, 250)
