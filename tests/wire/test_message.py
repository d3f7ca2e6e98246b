"""Pomelo's message layer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import MessageError
from chatcore.wire import message
from chatcore.wire.message import NOTIFY, PUSH, REQUEST, RESPONSE, Message

IDS = st.integers(1, 0xFFFFFFFF)
ROUTES = st.one_of(
    st.integers(0, 0xFFFF),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80).filter(
        lambda text: len(text.encode()) <= 255
    ),
)
BODIES = st.binary(max_size=40)


def encode(told: Message) -> bytes:
    if told.kind == REQUEST:
        return message.encode_request(told.id, told.route, told.body)
    if told.kind == NOTIFY:
        return message.encode_notify(told.route, told.body)
    if told.kind == PUSH:
        return message.encode_push(told.route, told.body)
    return message.encode_response(told.id, told.body)


@pytest.mark.parametrize(
    ("told", "wire"),
    [
        (Message(RESPONSE, 2, "", b"{}"), "04027b7d"),
        (Message(RESPONSE, 1, "", b'{"a":1}'), "04017b2261223a317d"),
        (Message(PUSH, 0, "onChat", b""), "06066f6e43686174"),
        (
            Message(PUSH, 0, "onChat", bytes.fromhex("0a06686920616c6c1205616c6963651a012a")),
            "06066f6e436861740a06686920616c6c1205616c6963651a012a",
        ),
        (Message(REQUEST, 1, "a", b"x"), "0001016178"),
        (Message(REQUEST, 127, "a", b""), "007f0161"),
        (Message(REQUEST, 128, "a", b""), "0080010161"),
        (Message(REQUEST, 300, "a", b""), "00ac020161"),
        (Message(REQUEST, 300, 3, b"x"), "01ac02000378"),
        (Message(NOTIFY, 0, "a", b"x"), "02016178"),
        (Message(NOTIFY, 0, 0xFFFF, b""), "03ffff"),
        (Message(PUSH, 0, 258, b"x"), "07010278"),
        (Message(NOTIFY, 0, "", b"x"), "020078"),
        (Message(REQUEST, 0xFFFFFFFF, "a", b""), "00ffffffff0f0161"),
    ],
)
def test_vectors(told: Message, wire: str) -> None:
    assert encode(told).hex() == wire
    assert message.decode(bytes.fromhex(wire)) == told


@given(number=IDS, route=ROUTES, body=BODIES)
def test_round_trips(number: int, route: str | int, body: bytes) -> None:
    for told in (
        Message(REQUEST, number, route, body),
        Message(NOTIFY, 0, route, body),
        Message(PUSH, 0, route, body),
        Message(RESPONSE, number, "", body),
    ):
        assert message.decode(encode(told)) == told


@given(garbage=st.binary(max_size=300))
def test_garbage_gives_a_message_or_the_typed_error(garbage: bytes) -> None:
    try:
        told = message.decode(garbage)
    except MessageError:
        return
    assert told.kind in (REQUEST, NOTIFY, RESPONSE, PUSH)
    assert 0 <= told.id <= 0xFFFFFFFF
    assert garbage.endswith(told.body)


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        ("", "empty"),
        ("00", "inside its id"),
        ("0080", "inside its id"),
        ("00808080808001", "longer than 5"),
        ("00" + "ff" * 50, "longer than 5"),
        ("00ffffffff1f0161", "32 bits"),
        ("0001", "without a route"),
        ("02", "without a route"),
        ("020561", "inside its route"),
        ("02ff61", "inside its route"),
        ("0300", "inside its route code"),
        ("03", "inside its route code"),
        ("0202ff41", "not UTF-8"),
        ("08", "flag 0x08"),
        ("0e0161", "flag 0x0e"),
        ("120161", "flag 0x12"),
        ("220161", "flag 0x22"),
        ("820161", "flag 0x82"),
    ],
)
def test_what_is_refused(wire: str, why: str) -> None:
    with pytest.raises(MessageError, match=why):
        message.decode(bytes.fromhex(wire))


def test_a_client_may_send_the_id_zero() -> None:
    assert message.decode(bytes.fromhex("00000161")) == Message(REQUEST, 0, "a", b"")


@pytest.mark.parametrize("number", [0, -1, 1 << 32])
def test_ids_that_cannot_be_sent(number: int) -> None:
    with pytest.raises(MessageError, match="no message id"):
        message.encode_request(number, "a", b"")
    with pytest.raises(MessageError, match="no message id"):
        message.encode_response(number, b"")


@pytest.mark.parametrize("code", [-1, 0x10000])
def test_codes_that_cannot_be_sent(code: int) -> None:
    with pytest.raises(MessageError, match="route code"):
        message.encode_push(code, b"")


def test_routes_are_counted_in_bytes() -> None:
    assert message.decode(message.encode_push("中" * 85, b"x")).route == "中" * 85
    with pytest.raises(MessageError, match="258 bytes"):
        message.encode_push("中" * 86, b"x")
