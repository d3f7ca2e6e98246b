"""Socket.IO: packets of versions 4 and 5, and their attachments."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import BodyError, SocketioError
from chatcore.wire import socketio
from chatcore.wire.arguments import LARGEST_NUMBER, LONGEST_PLACE, quote_text, read_text
from chatcore.wire.socketio import (
    ACK,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    DISCONNECT,
    ERROR,
    EVENT,
    RESERVED,
    SocketPacket,
    encode_ack,
    encode_connect,
    encode_disconnect,
    encode_error,
    encode_event,
)
from chatcore.wire.socketio_binary import SocketDecoder, encode_values
from chatcore.wire.text import ascii_json, mend_json

MOST, LIMIT = 10, 1000
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
NAME = TEXT.filter(lambda name: name not in RESERVED)
PLACE = st.just("/") | st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=","), max_size=10
).map(lambda text: "/" + text)
NUMBER = st.none() | st.integers(0, LARGEST_NUMBER)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
WITH_BYTES = st.recursive(
    SCALARS | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
)


def decode(text: str | bytes, version: int = 5) -> SocketPacket:
    data = text.encode() if isinstance(text, str) else text
    return socketio.decode(data, version, most=MOST)


def plain(packet: SocketPacket) -> SocketPacket:
    """With arguments that can be compared."""
    return packet._replace(arguments=tuple(map(bytes, packet.arguments)))


def event(name: str, *arguments: bytes, **more: Any) -> SocketPacket:
    return SocketPacket(EVENT, name=name, arguments=arguments, **more)


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", SocketPacket(CONNECT)),
        ('0{"token":"123"}', SocketPacket(CONNECT, data=b'{"token":"123"}')),
        ('0/admin,{"sid":"oSO0"}', SocketPacket(CONNECT, "/admin", data=b'{"sid":"oSO0"}')),
        (
            '4{"message":"Not authorized"}',
            SocketPacket(ERROR, data=b'{"message":"Not authorized"}'),
        ),
        ('2["foo"]', event("foo")),
        ('2/admin,["bar"]', event("bar", namespace="/admin")),
        ('212["foo"]', event("foo", id=12)),
        ('20["foo"]', event("foo", id=0)),
        ('2/admin,1["tellme"]', event("tellme", namespace="/admin", id=1)),
        ('2["hey","Jude"]', event("hey", b'"Jude"')),
        ('3/admin,13["bar"]', SocketPacket(ACK, "/admin", 13, arguments=(b'"bar"',))),
        ("312[]", SocketPacket(ACK, id=12, arguments=())),
        ("1", SocketPacket(DISCONNECT)),
        ("1/admin,", SocketPacket(DISCONNECT, "/admin")),
    ],
)
def test_packets_of_the_document_of_5(text: str, packet: SocketPacket) -> None:
    assert plain(decode(text)) == packet


@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", SocketPacket(CONNECT)),
        ("0/admin,", SocketPacket(CONNECT, "/admin")),
        ("0/admin", SocketPacket(CONNECT, "/admin")),
        (
            "0/admin?token=1234&uid=abcd,",
            SocketPacket(CONNECT, "/admin", query="token=1234&uid=abcd"),
        ),
        ("0/admin?a=b?c", SocketPacket(CONNECT, "/admin", query="a=b?c")),
        ("1/admin,", SocketPacket(DISCONNECT, "/admin")),
        ('2["hello",1]', event("hello", b"1")),
        (
            '2/admin,456["project:delete",123]',
            event("project:delete", b"123", namespace="/admin", id=456),
        ),
        ("3/admin,456[]", SocketPacket(ACK, "/admin", 456, arguments=())),
        ('4/admin,"Not authorized"', SocketPacket(ERROR, "/admin", data=b'"Not authorized"')),
    ],
)
def test_packets_of_the_document_of_4(text: str, packet: SocketPacket) -> None:
    assert plain(decode(text, 4)) == packet


def test_a_query_is_one_in_4_only() -> None:
    assert decode("0/admin?token=1,", 5).namespace == "/admin?token=1"
    assert decode('2/admin?token=1,["a"]', 4).namespace == "/admin?token=1"


def test_what_a_server_says() -> None:
    assert encode_connect(5, "oSO0") == b'0{"sid":"oSO0"}'
    assert encode_connect(5, "oSO0", namespace="/admin") == b'0/admin,{"sid":"oSO0"}'
    assert encode_connect(4, "oSO0") == b"0"
    assert encode_connect(4, "oSO0", namespace="/admin") == b"0/admin,"
    assert encode_error(5, "Not authorized") == b'4{"message":"Not authorized"}'
    assert encode_error(5, "No", data=b'{"code":1}', namespace="/a") == (
        b'4/a,{"message":"No","data":{"code":1}}'
    )
    assert encode_error(4, "Not authorized", namespace="/admin") == b'4/admin,"Not authorized"'
    assert encode_error(4, "No", data=b'{"code":1}') == b'4{"code":1}'
    assert encode_disconnect() == b"1"
    assert encode_disconnect(namespace="/admin") == b"1/admin,"
    assert encode_event("foo") == b'2["foo"]'
    assert encode_event("hey", [b'"Jude"', b"{}"], namespace="/a") == b'2/a,["hey","Jude",{}]'
    assert encode_event("tellme", namespace="/admin", id=0) == b'2/admin,0["tellme"]'
    assert encode_ack(12) == b"312[]"
    assert encode_ack(13, [b'"bar"'], namespace="/admin") == b'3/admin,13["bar"]'
    with pytest.raises(BodyError):
        encode_event("\ud83d")


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names(name: str) -> None:
    for version in (4, 5):
        with pytest.raises(SocketioError, match=f"reserved name {name}"):
            decode(f'2["{name}"]', version)
        with pytest.raises(SocketioError, match=f"reserved name {name}"):
            decode(f'51-["\\u{ord(name[0]):04x}{name[1:]}"]', version)
    with pytest.raises(SocketioError, match=f"reserved name {name}"):
        encode_event(name)


@given(name=NAME, place=PLACE, number=NUMBER, values=st.lists(VALUES, max_size=3))
def test_round_trips_of_events(
    name: str, place: str, number: int | None, values: list[Any]
) -> None:
    arguments = [json.dumps(value, ensure_ascii=False).encode() for value in values]
    packet = decode(encode_event(name, arguments, namespace=place, id=number))
    assert plain(packet) == event(name, *arguments, namespace=place, id=number)
    assert [json.loads(bytes(argument)) for argument in packet.arguments] == values


def test_a_name_that_is_a_number() -> None:
    """socket.io takes it; JavaScript makes a text of it."""
    assert plain(decode('2[1,"a"]')) == event("1", b'"a"')


def test_arguments_are_as_they_came() -> None:
    [argument] = decode('2["a", {"b" : [1.50, "\\u4e2d", null]} ]').arguments
    assert bytes(argument) == b'{"b" : [1.50, "\\u4e2d", null]}'


def test_texts_in_texts() -> None:
    [argument] = decode(encode_event("message", [quote_text('a"\n中😀\0'.encode())])).arguments
    assert read_text(argument) == 'a"\n中😀\0'
    for broken in ("1", "null", '"\xff"'):
        [argument] = decode(f'2["message",{broken}]'.encode("latin-1")).arguments
        with pytest.raises(SocketioError, match="that is to be a text"):
            read_text(argument)


def test_half_an_emoji_becomes_one_character() -> None:
    """Browsers escape it, and nobody could read it."""
    packet = decode(r'2["\ud83d",{"a":"\ude00\\ud83d\\\uD83Db\uD83D\uDE00"},"\ud83d\ud83d\ude00"]')
    assert packet.name == "\ufffd"
    assert [json.loads(bytes(argument)) for argument in packet.arguments] == [
        {"a": "\ufffd\\ud83d\\\ufffdb😀"},
        "\ufffd😀",
    ]
    assert decode(r'0{"a":"\ud83d"}').data == rb'{"a":"\ufffd"}'


@given(st.text(max_size=20))
def test_mending_changes_halves_only(text: str) -> None:
    mended = json.loads(mend_json(json.dumps(text).encode()))
    assert mended == re.sub("[\ud800-\udfff]", "\ufffd", text)


@given(VALUES)
def test_json_in_ascii(value: Any) -> None:
    data = ascii_json(json.dumps(value, ensure_ascii=False).encode())
    assert data.isascii()
    assert json.loads(data) == value


@pytest.mark.parametrize(
    ("version", "text", "problem"),
    [
        (5, b"", "unknown kind b''"),
        (5, b"7", "unknown kind b'7'"),
        (5, b'[2,"a"]', "unknown kind"),
        (5, b"2", "an event that can't be read"),
        (5, b"2{}", "an event that can't be read"),
        (5, b'2"a"', "an event that can't be read"),
        (5, b"2[]", "without a name"),
        (5, b"2[{}]", "a name that can't be read"),
        (5, b"2[null]", "a name that can't be read"),
        (5, b"2[1.5]", "a name that can't be read"),
        (5, b'2["\xff"]', "a name that can't be read"),
        (5, b'2["a",]', "an event that can't be read"),
        (5, b'2["a"', "an event that can't be read"),
        (5, b'2["a"]]', "an event that can't be read"),
        (5, b'2["a","\x01"]', "an event that can't be read"),
        (5, b'2["a",' + b"[" * 100_000, "an event that can't be read"),
        (5, b'21-["a"]', "an event with attachments"),
        (5, b'2-1["a"]', "an event that can't be read"),
        (5, b'201["a"]', "id that is no number"),
        (5, b'29007199254740992["a"]', "id that is no number"),
        (5, b"2" + b"9" * 5000 + b'["a"]', "id that is no number"),
        (5, b'2/a["a"]', "an event that can't be read"),
        (5, b'2/a\x1e,["a"]', "an event that can't be read"),
        (5, b'2/a\xff,["a"]', "a namespace that is not UTF-8"),
        (5, b"0/" + b"a" * LONGEST_PLACE, f"a namespace of more than {LONGEST_PLACE} bytes"),
        (5, b"3[]", "an acknowledgement without an id"),
        (5, b"31", "an acknowledgement that can't be read"),
        (5, b"31{}", "an acknowledgement that can't be read"),
        (5, b"61-[]", "a binary acknowledgement without an id"),
        (5, b"1[]", "a disconnect with data"),
        (5, b'0"token"', "no object"),
        (5, b"0[]", "no object"),
        (5, b"0null", "no object"),
        (5, b'0{"a":}', "a connect with data that can't be read"),
        (5, b"0{}{}", "a connect with data that can't be read"),
        (5, b"4[]", "neither object nor text"),
        (4, b"4null", "neither object nor text"),
        (5, b"4nothing", "an error with data that can't be read"),
        (5, b'5["a"]', "a binary event without attachments"),
        (5, b'5-["a"]', "a binary event without attachments"),
        (5, b'50-["a"]', "a binary event without attachments"),
        (5, b'501-["a"]', "number of attachments that is no number"),
        (5, b'511-["a"]', "11 attachments; 10 at most"),
        (4, b'511-["a"]', "11 attachments; 10 at most"),
        (4, b"5" + b"9" * 5000 + b'-["a"]', "number of attachments that is no number"),
        (4, b'0"token"', "no object"),
    ],
)
def test_what_is_refused(version: int, text: bytes, problem: str) -> None:
    with pytest.raises(SocketioError) as caught:
        decode(text, version)
    assert problem in str(caught.value)


def feed(version: int, *messages: bytes) -> list[SocketPacket]:
    """What a decoder makes of a packet and attachments, if it says nothing before the end."""
    decoder = SocketDecoder(version, most=MOST, limit=LIMIT)
    found = [decoder.feed(data, bool(number)) for number, data in enumerate(messages)]
    assert found[:-1] == [None] * (len(messages) - 1)
    assert decoder.waiting == 0
    return [packet for packet in found if packet is not None]


@pytest.mark.parametrize(
    ("kind", "values", "more", "text", "attachments"),
    [
        (
            EVENT,
            ["baz", b"\1\2\3\4"],
            {},
            b'51-["baz",{"_placeholder":true,"num":0}]',
            [b"\1\2\3\4"],
        ),
        (
            EVENT,
            ["baz", b"\1\2", b"\3\4"],
            {"namespace": "/admin"},
            b'52-/admin,["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
            [b"\1\2", b"\3\4"],
        ),
        (
            EVENT,
            ["project:delete", b"\1\2\3"],
            {"namespace": "/admin", "id": 456},
            b'51-/admin,456["project:delete",{"_placeholder":true,"num":0}]',
            [b"\1\2\3"],
        ),
        (
            ACK,
            ["bar", b"\1\2\3\4"],
            {"id": 15},
            b'61-15["bar",{"_placeholder":true,"num":0}]',
            [b"\1\2\3\4"],
        ),
        (
            ACK,
            [b"\3\2\1"],
            {"namespace": "/admin", "id": 456},
            b'61-/admin,456[{"_placeholder":true,"num":0}]',
            [b"\3\2\1"],
        ),
    ],
)
def test_attachments_of_the_documents(
    kind: int, values: list[Any], more: Any, text: bytes, attachments: list[bytes]
) -> None:
    assert encode_values(kind, values, **more) == (text, attachments)
    for version in (4, 5):
        [packet] = feed(version, text, *attachments)
        assert packet.kind == (BINARY_EVENT if kind == EVENT else BINARY_ACK)
        assert packet.attachments == len(attachments)
        assert (packet.namespace, packet.id) == (more.get("namespace", "/"), more.get("id"))
        assert ([packet.name] if kind == EVENT else []) + list(packet.values) == values


@given(name=NAME, values=st.lists(WITH_BYTES, max_size=3), number=NUMBER, place=PLACE)
def test_round_trips_of_values(
    name: str, values: list[Any], number: int | None, place: str
) -> None:
    text, attachments = encode_values(EVENT, [name, *values], namespace=place, id=number)
    if len(attachments) > MOST:
        with pytest.raises(SocketioError, match="attachments; 10 at most"):
            feed(5, text, *attachments)
        return
    [packet] = feed(5, text, *attachments)
    assert (packet.name, packet.id, packet.namespace) == (name, number, place)
    assert packet.kind == (BINARY_EVENT if attachments else EVENT)
    if attachments:
        assert packet.values == values
    else:
        assert [json.loads(bytes(argument)) for argument in packet.arguments] == values


def test_bytes_of_every_kind() -> None:
    text, attachments = encode_values(ACK, ((bytearray(b"a"), memoryview(b"b")), {"c": b""}), id=1)
    assert attachments == [b"a", b"b", b""]
    assert json.loads(text[4:]) == [
        [{"_placeholder": True, "num": 0}, {"_placeholder": True, "num": 1}],
        {"c": {"_placeholder": True, "num": 2}},
    ]


def test_values_that_have_no_json() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in (object(), "\ud83d", endless, {1j: b""}):
        with pytest.raises(BodyError):
            encode_values(EVENT, ["a", value])


def test_places_without_attachments_are_values() -> None:
    """In a packet that is not binary they are just objects."""
    decoder = SocketDecoder(5, most=MOST, limit=LIMIT)
    packet = decoder.feed(b'2["a",{"_placeholder":true,"num":0}]', False)
    assert packet is not None
    assert plain(packet) == event("a", b'{"_placeholder":true,"num":0}')


def test_a_binary_packet_without_attachments() -> None:
    """socket.io 1.x and 2.x read it."""
    [packet] = feed(4, b'50-["a",1]')
    assert (packet.kind, packet.name, packet.values) == (BINARY_EVENT, "a", [1])


@pytest.mark.parametrize(
    "place",
    [
        b'{"_placeholder":true,"num":1}',
        b'{"_placeholder":true,"num":-1}',
        b'{"_placeholder":true,"num":0.0}',
        b'{"_placeholder":true,"num":false}',
        b'{"_placeholder":true,"num":"0"}',
        b'{"_placeholder":true}',
        b'{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}',
    ],
)
def test_attachments_that_are_not_there(place: bytes) -> None:
    with pytest.raises(SocketioError, match="an attachment that is not there"):
        feed(5, b'51-["a",[%b]]' % place, b"x")


def test_what_is_no_place() -> None:
    places = b'{"_placeholder":1,"num":0},{"_placeholder":false},{"num":0},"_placeholder"'
    [packet] = feed(5, b'51-["a",%b]' % places, b"x")
    assert packet.values == json.loads(b"[%b]" % places)


@pytest.mark.parametrize("argument", [b"1e999", b'"\xff"', b"9" * 5000])
def test_arguments_that_can_not_be_read(argument: bytes) -> None:
    with pytest.raises(SocketioError, match="an argument that can't be read"):
        feed(5, b'51-["a",%b]' % argument, b"x")


def test_arguments_that_are_too_deep() -> None:
    def nested(depth: int) -> list[SocketPacket]:
        return feed(5, b'51-["a",%b%b]' % (b"[" * depth, b"]" * depth), b"x")

    [packet] = nested(100)
    assert str(packet.values) == "[" * 101 + "]" * 101
    for depth in (1500, 5000, 50_000):
        with pytest.raises(SocketioError, match=r"too deep|can't be read"):
            nested(depth)


def test_attachments_out_of_order() -> None:
    decoder = SocketDecoder(5, most=MOST, limit=LIMIT)
    with pytest.raises(SocketioError, match="belongs to no packet"):
        decoder.feed(b"x", True)
    decoder = SocketDecoder(5, most=MOST, limit=LIMIT)
    assert decoder.feed(b'52-["a"]', False) is None
    assert decoder.feed(b"xyz", True) is None
    assert decoder.waiting == 3
    with pytest.raises(SocketioError, match="before the attachments"):
        decoder.feed(b'2["a"]', False)


def test_limits_of_attachments() -> None:
    decoder = SocketDecoder(5, most=2, limit=5)
    for _ in range(2):
        assert decoder.feed(b'52-["a"]', False) is None
        assert decoder.feed(b"xyz", True) is None
        assert decoder.feed(b"xy", True) is not None
    with pytest.raises(SocketioError, match="3 attachments; 2 at most"):
        decoder.feed(b'53-["a"]', False)
    assert decoder.feed(b'52-["a"]', False) is None
    assert decoder.feed(b"xyz", True) is None
    with pytest.raises(SocketioError, match="attachments of more than 5 bytes"):
        decoder.feed(b"xyz", True)


PIECES = [
    *(b"0", b"1", b"2", b"3", b"5", b"-", b"/a", b",", b"12", b"[", b"]", b'"a"', b"{}", b"null"),
    *(b'{"_placeholder":true,"num":0}', b"?", b"\\ud83d", b"\xff", b'["a",', '"é😀"'.encode()),
]


@given(
    st.integers(4, 5),
    st.lists(
        st.tuples(
            st.binary(max_size=30) | st.lists(st.sampled_from(PIECES)).map(b"".join), st.booleans()
        ),
        max_size=6,
    ),
)
def test_garbage_is_read_or_refused(version: int, messages: list[tuple[bytes, bool]]) -> None:
    decoder = SocketDecoder(version, most=2, limit=40)
    try:
        for data, binary in messages:
            decoder.feed(data, binary)
            assert decoder.waiting <= 40
    except SocketioError:
        pass
