"""socket.io 0.9: packets, payloads and the handshake's answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import EngineError, SocketioError
from chatcore.wire import socketio0
from chatcore.wire.arguments import LONGEST_PLACE
from chatcore.wire.socketio0 import (
    ACK,
    CONNECT,
    DISCONNECT,
    ENCODED_HEARTBEAT,
    ENCODED_NOOP,
    ERROR,
    EVENT,
    HEARTBEAT,
    JSON,
    MESSAGE,
    NOOP,
    OldPacket,
    decode_payload,
    encode_ack,
    encode_connect,
    encode_disconnect,
    encode_error,
    encode_event,
    encode_handshake,
    encode_json_message,
    encode_message,
    encode_payload,
)

LIMIT, MOST = 1000, 20
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def plain(packet: OldPacket) -> OldPacket:
    """With arguments that can be compared."""
    return packet._replace(arguments=tuple(map(bytes, packet.arguments)))


def decode(text: str | bytes) -> OldPacket:
    data = text.encode() if isinstance(text, str) else text
    return plain(socketio0.decode(data, limit=LIMIT))


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0::/test", OldPacket(DISCONNECT, endpoint="/test")),
        ("0", OldPacket(DISCONNECT)),
        ("0::", OldPacket(DISCONNECT)),
        ("1::", OldPacket(CONNECT)),
        ("1::/test", OldPacket(CONNECT, endpoint="/test")),
        ("1::/test?my=param", OldPacket(CONNECT, endpoint="/test", query="my=param")),
        ("1::/test:?my=a:b?c", OldPacket(CONNECT, endpoint="/test", query="my=a:b?c")),
        ("2::", OldPacket(HEARTBEAT)),
        ("3:1::blabla", OldPacket(MESSAGE, 1, data=b"blabla")),
        ("3:1+:/a:b:c\n:d", OldPacket(MESSAGE, 1, True, "/a", data=b"b:c\n:d")),
        ("3:::中😀", OldPacket(MESSAGE, data="中😀".encode())),
        ("3:::", OldPacket(MESSAGE)),
        ('4:1::{"a":"b"}', OldPacket(JSON, 1, data=b'{"a":"b"}')),
        ("4:::1", OldPacket(JSON, data=b"1")),
        ('5:::{"name":"a"}', OldPacket(EVENT, name="a")),
        ('5:::{"name":"a","args":null}', OldPacket(EVENT, name="a")),
        (
            '5:1+:/b:{"args":[1, "x"],"name":"a","more":{}}',
            OldPacket(EVENT, 1, True, "/b", name="a", arguments=(b"1", b'"x"')),
        ),
        ("6:::4", OldPacket(ACK, acknowledged=4)),
        ("6:::4+", OldPacket(ACK, acknowledged=4)),
        ('6:::4+["A","B"]', OldPacket(ACK, acknowledged=4, arguments=(b'"A"', b'"B"'))),
        ('6::/a:4+["A"]', OldPacket(ACK, endpoint="/a", acknowledged=4, arguments=(b'"A"',))),
        ("7::/a:2+0", OldPacket(ERROR, endpoint="/a", data=b"2+0")),
        ("8::", OldPacket(NOOP)),
    ],
)
def test_packets_of_the_document(text: str, packet: OldPacket) -> None:
    assert decode(text) == packet


def test_what_a_server_says() -> None:
    assert encode_connect() == b"1::"
    assert encode_connect(endpoint="/test") == b"1::/test"
    assert encode_disconnect() == b"0::"
    assert encode_disconnect(endpoint="/test") == b"0::/test"
    assert (ENCODED_HEARTBEAT, ENCODED_NOOP) == (b"2::", b"8::")
    assert encode_message(b"blabla", id=1) == b"3:1::blabla"
    assert encode_message(b"") == b"3::"
    assert encode_json_message(b'{"a":"b"}', endpoint="/c", id=1) == b'4:1:/c:{"a":"b"}'
    assert encode_event("a") == b'5:::{"name":"a"}'
    assert encode_event("a", [b"1", b"{}"], endpoint="/b", id=2, answers=True) == (
        b'5:2+:/b:{"name":"a","args":[1,{}]}'
    )
    assert encode_ack(4) == b"6:::4"
    assert encode_ack(4, [b'"A"', b'"B"'], endpoint="/a") == b'6::/a:4+["A","B"]'
    assert encode_error() == b"7::"
    assert encode_error(2, 0, endpoint="/a") == b"7::/a:2+0"
    assert encode_error(advice=0) == b"7:::+0"
    assert encode_error(1) == b"7:::1"


def test_handshakes() -> None:
    """The document's example, and one of socket.io 0.9 without heartbeats."""
    transports = ["websocket", "xhr-polling"]
    assert encode_handshake("4d4f185e96a7b", 15, 10, transports) == (
        b"4d4f185e96a7b:15:10:websocket,xhr-polling"
    )
    assert encode_handshake("a", None, None, transports[1:]) == b"a:::xhr-polling"


def test_payloads() -> None:
    assert encode_payload([b"2::"]) == b"2::"
    two = [encode_message("é😀".encode()), ENCODED_HEARTBEAT]
    payload = "\ufffd7\ufffd3:::é😀\ufffd3\ufffd2::".encode()
    assert encode_payload(two) == payload
    packets = [OldPacket(MESSAGE, data="é😀".encode()), OldPacket(HEARTBEAT)]
    assert decode_payload(payload, limit=LIMIT, most=2) == packets
    assert decode_payload(two[0], limit=LIMIT, most=1) == packets[:1]


@given(st.lists(TEXT, min_size=1, max_size=MOST))
def test_round_trips_of_payloads(texts: list[str]) -> None:
    payload = encode_payload([encode_message(text.encode()) for text in texts])
    packets = [OldPacket(MESSAGE, data=text.encode()) for text in texts]
    assert decode_payload(payload, limit=LIMIT, most=MOST) == packets


@given(name=TEXT, values=st.lists(TEXT | st.integers(-5, 5)), number=st.none() | st.integers(0, 9))
def test_round_trips_of_events(name: str, values: list[Any], number: int | None) -> None:
    arguments = [json.dumps(value).encode() for value in values]
    packet = decode(encode_event(name, arguments, id=number, answers=number is not None))
    assert packet == OldPacket(
        EVENT, number, number is not None, name=name, arguments=tuple(arguments)
    )


def test_half_an_emoji_becomes_one_character() -> None:
    assert decode(r'4:::"\ud83d"').data == rb'"\ufffd"'
    packet = decode(r'5:::{"name":"a\ud83d","args":["\ude00"]}')
    assert packet == OldPacket(EVENT, name="a\ufffd", arguments=(rb'"\ufffd"',))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "without kind, id and endpoint"),
        (b"9::", "without kind, id and endpoint"),
        (b"3", "without kind, id and endpoint"),
        (b"2:", "without kind, id and endpoint"),
        (b"22::", "without kind, id and endpoint"),
        (b"message", "without kind, id and endpoint"),
        (b"3:+1::a", "without kind, id and endpoint"),
        (b"3:-1::a", "without kind, id and endpoint"),
        (b"3::/a\0:a", "without kind, id and endpoint"),
        (b"3:01::a", "id that is no number"),
        (b"3:" + b"9" * 500 + b"::a", "id that is no number"),
        (b"3::/\xff:a", "an endpoint that is not UTF-8"),
        (b"4:::", "a JSON message that can't be read"),
        (b"4:::{", "a JSON message that can't be read"),
        (b"5:::", "an event that can't be read"),
        (b"5:::{}", "an event that can't be read"),
        (b'5:::["a"]', "an event that can't be read"),
        (b'5:::{"name":1}', "an event that can't be read"),
        (b'5:::{"name":"a","args":{}}', "an event that can't be read"),
        (b'5:::{"name":"\xff"}', "an event that can't be read"),
        (b'5:::{"name":"a","args":' + b"[" * 900, "an event that can't be read"),
        (b"6:::", "without an id"),
        (b"6:::a", "without an id"),
        (b"6:::4a", "without an id"),
        (b"6:::04", "id that is no number"),
        (b"6:::4+{}", "an acknowledgement that can't be read"),
        (b"3:::" + b"a" * LIMIT, "a packet of 1004 bytes; 1000 at most"),
    ],
)
def test_packets_that_are_refused(text: bytes, problem: str) -> None:
    with pytest.raises(SocketioError) as caught:
        decode(text)
    assert problem in str(caught.value)


def test_endpoints_that_are_too_long() -> None:
    for text in (b"3::/" + b"a" * LONGEST_PLACE, b"1::/a?" + b"a" * LONGEST_PLACE):
        with pytest.raises(SocketioError, match=f"an endpoint of more than {LONGEST_PLACE} bytes"):
            socketio0.decode(text, limit=10_000)


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        ("\ufffd3\ufffd2::3", "without a length where one should be, at 6"),
        ("\ufffd3\ufffd2::\ufffd", "without a length where one should be, at 6"),
        ("\ufffd03\ufffd2::", "without a length where one should be, at 0"),
        ("\ufffd\ufffd2::", "without a length"),
        ("\ufffd4\ufffd2::", "ends beyond it, at 0"),
        ("\ufffd" + "9" * 5000 + "\ufffd2::", "without a length"),
        ("\ufffd3\ufffd2::" * 3, "more than 2 packets"),
    ],
)
def test_payloads_that_are_refused(payload: str, problem: str) -> None:
    with pytest.raises(EngineError) as caught:
        decode_payload(payload.encode(), limit=LIMIT, most=2)
    assert problem in str(caught.value)


@pytest.mark.parametrize("payload", [b"3:::\xff", "\ufffd5\ufffd3:::".encode() + b"\xff"])
def test_payloads_that_are_not_utf_8(payload: bytes) -> None:
    with pytest.raises(EngineError, match="not UTF-8"):
        decode_payload(payload, limit=LIMIT, most=2)


PIECES = [
    *(
        "0",
        "1",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        ":",
        "::",
        "+",
        "/a",
        "?a=b",
        "\ufffd",
        "\ufffd3\ufffd",
    ),
    *('{"name":"a"}', '{"name":"a","args":[]}', "[]", "12", "é", "😀", "\\ud83d", "\0", "2::"),
]


@given(st.binary(max_size=40) | st.lists(st.sampled_from(PIECES)).map("".join).map(str.encode))
def test_garbage_is_read_or_refused(payload: bytes) -> None:
    try:
        packets = decode_payload(payload, limit=30, most=3)
    except (EngineError, SocketioError):
        return
    assert 1 <= len(packets) <= 3
    assert all(DISCONNECT <= packet.kind <= NOOP for packet in packets)
