"""Engine.IO: packets, frames, payloads of both revisions, JSONP."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import EngineError
from chatcore.wire import engineio, engineio3, engineio4, jsonp
from chatcore.wire.engineio import (
    CLOSE,
    MESSAGE,
    NOOP,
    OPEN,
    PING,
    PONG,
    UPGRADE,
    EnginePacket,
    decode_frame,
    encode_frame,
    encode_text,
)

LIMIT, MOST = 1000, 50
PLENTY = {"limit": LIMIT, "most": MOST}

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1e"), max_size=40)
KINDS = st.integers(OPEN, NOOP)


def packets(
    kinds: st.SearchStrategy[int], data: st.SearchStrategy[bytes], binary: bool
) -> st.SearchStrategy[EnginePacket]:
    return st.tuples(kinds, data).map(lambda pair: EnginePacket(*pair, binary))


TEXTS = packets(KINDS, TEXT.map(str.encode), False)
JSON = TEXT.map(lambda text: json.dumps(text, ensure_ascii=False).encode())
JSON_TEXTS = packets(KINDS, JSON, False)
BYTES3 = packets(KINDS, st.binary(max_size=40), True)
BYTES4 = packets(st.just(MESSAGE), st.binary(max_size=40), True)


def some(*kinds: st.SearchStrategy[EnginePacket]) -> st.SearchStrategy[list[EnginePacket]]:
    return st.lists(st.one_of(*kinds), min_size=1, max_size=MOST)


def message(text: str) -> EnginePacket:
    return EnginePacket(MESSAGE, text.encode())


def twice(text: str) -> bytes:
    """In UTF-8, and its bytes taken for characters in UTF-8 again, as socket.io 1.x does."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1").encode()


SESSION = b'{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,'
HELLO = SESSION + b'"pingTimeout":5000}'


@pytest.mark.parametrize(
    ("packet", "frame"),
    [
        (EnginePacket(OPEN, HELLO), b"0" + HELLO),
        (EnginePacket(PING, b"probe"), b"2probe"),
        (EnginePacket(PONG, b"probe"), b"3probe"),
        (message("HelloWorld"), b"4HelloWorld"),
        (message("€"), b"4\xe2\x82\xac"),
        (EnginePacket(UPGRADE), b"5"),
        (EnginePacket(CLOSE), b"1"),
        (EnginePacket(PING), b"2"),
        (EnginePacket(NOOP), b"6"),
    ],
)
@pytest.mark.parametrize("revision", [3, 4])
def test_frames_of_the_documents(packet: EnginePacket, frame: bytes, revision: int) -> None:
    assert encode_frame(packet, revision) == encode_text(packet, revision) == frame
    assert decode_frame(frame, False, revision, limit=LIMIT) == packet


@pytest.mark.parametrize(
    ("revision", "frame", "text"),
    [(3, b"\4\1\2\3\4", b"b4AQIDBA=="), (4, b"\1\2\3\4", b"bAQIDBA==")],
)
def test_frames_with_bytes(revision: int, frame: bytes, text: bytes) -> None:
    packet = EnginePacket(MESSAGE, b"\1\2\3\4", True)
    assert encode_frame(packet, revision) == frame
    assert encode_text(packet, revision) == text
    assert decode_frame(frame, True, revision, limit=LIMIT) == packet
    assert decode_frame(text, False, revision, limit=LIMIT) == packet


def test_only_messages_are_binary_in_4() -> None:
    packet = EnginePacket(PING, b"probe", True)
    assert decode_frame(encode_frame(packet, 3), True, 3, limit=LIMIT) == packet
    with pytest.raises(EngineError, match="kind ping"):
        encode_frame(packet, 4)
    with pytest.raises(EngineError, match="kind ping"):
        encode_text(packet, 4)


@pytest.mark.parametrize(
    ("payload", "packets"),
    [
        (b"4hello\x1e2\x1e4world", [message("hello"), EnginePacket(PING), message("world")]),
        (
            b"4hello\x1ebAQIDBA==",
            [message("hello"), EnginePacket(MESSAGE, b"\1\2\3\4", True)],
        ),
        ("4€".encode(), [message("€")]),
        (b'42["hello"]\x1e42["world"]', [message('2["hello"]'), message('2["world"]')]),
    ],
)
def test_payloads_of_the_document_of_4(payload: bytes, packets: list[EnginePacket]) -> None:
    assert engineio4.encode(packets) == payload
    assert engineio4.decode(payload, **PLENTY) == packets


@pytest.mark.parametrize(
    ("payload", "packets"),
    [
        (b"96:0" + HELLO + b"2:40", [EnginePacket(OPEN, HELLO), message("0")]),
        (b"4:4hey", [message("hey")]),
        (b"6:4hello6:4world", [message("hello"), message("world")]),
        (b"10:b4AQIDBA==", [EnginePacket(MESSAGE, b"\1\2\3\4", True)]),
        (b"0:", []),
    ],
)
def test_payloads_of_the_document_of_3(payload: bytes, packets: list[EnginePacket]) -> None:
    assert engineio3.encode_texts(packets) == payload
    assert engineio3.decode_texts(payload, **PLENTY) == packets


BOTH = [message("€"), EnginePacket(MESSAGE, b"\1\2\3\4", True)]


def test_texts_of_3_that_are_not_ascii() -> None:
    """They are read in both ways, and written so that both can read them."""
    assert engineio3.decode_texts("6:4hello2:4€".encode(), **PLENTY) == [message("hello"), BOTH[0]]
    assert engineio3.decode_texts("2:4€10:b4AQIDBA==".encode(), **PLENTY) == BOTH
    doubled = b"4:" + twice("4€") + b"10:b4AQIDBA=="
    assert engineio3.decode_texts(doubled, **PLENTY) == BOTH
    sent = engineio3.encode_texts([message('2["m","hé中😀"]')])
    assert sent == rb'35:42["m","h\u00e9\u4e2d\ud83d\ude00"]'


def test_bytes_of_3() -> None:
    """The document gives 4 bytes for the second packet and leaves out its kind; nobody does."""
    payload = b"\0\4\xff4\xe2\x82\xac\1\5\xff\4\1\2\3\4"
    assert engineio3.encode_bytes(BOTH) == payload
    assert engineio3.decode_bytes(payload, **PLENTY) == BOTH
    long = [message("x" * 129)]
    assert engineio3.encode_bytes(long)[:6] == b"\0\1\3\0\xff4"
    assert engineio3.decode_bytes(engineio3.encode_bytes(long), **PLENTY) == long
    assert engineio3.decode_bytes(b"\0\1\0\xffb4AQIDBA==", **PLENTY) == BOTH[1:]


@pytest.mark.parametrize("text", ["é", "über »Größe«", "naïve Ã", "😀", "中文", "a\x80b", "Ÿ"])
def test_once_or_twice_in_utf_8(text: str) -> None:
    """Whatever the text, a client's generation is found from its bytes."""
    units = len(("4" + text).encode("utf-16-le")) // 2
    once = f"{units}:4{text}".encode()
    doubled = b"%d:" % len(("4" + text).encode()) + twice("4" + text)
    assert engineio3.decode_texts(once, **PLENTY) == [message(text)]
    assert engineio3.decode_texts(doubled, **PLENTY) == [message(text)]


def test_text_that_is_utf_8_taken_for_characters_already() -> None:
    """The one mistake that nobody can avoid; a single other character gives it away."""
    assert engineio3.decode_texts("3:4Ã©".encode(), **PLENTY) == [message("é")]
    payload = "3:4Ã©2:4€".encode()
    assert engineio3.decode_texts(payload, **PLENTY) == [message("Ã©"), message("€")]


def test_half_an_emoji_becomes_one_character() -> None:
    """socket.io 1.x sends what somebody cut off."""
    assert engineio3.decode_texts(b"5:" + twice("4a\ud83d"), **PLENTY) == [message("a\ufffd")]
    half = "4\ude00b".encode("utf-8", "surrogatepass")
    assert engineio3.decode_bytes(b"\0\5\xff" + half, **PLENTY) == [message("\ufffdb")]
    pair = "4\ud83d\ude00".encode("utf-8", "surrogatepass")
    assert engineio3.decode_bytes(b"\0\7\xff" + pair, **PLENTY) == [message("😀")]


@given(packets=some(TEXTS, BYTES4))
def test_round_trips_of_4(packets: list[EnginePacket]) -> None:
    assert engineio4.decode(engineio4.encode(packets), **PLENTY) == packets
    for packet in packets:
        frame = encode_frame(packet, 4)
        assert decode_frame(frame, packet.binary, 4, limit=LIMIT) == packet


@given(packets=some(TEXTS, BYTES3))
def test_round_trips_of_3(packets: list[EnginePacket]) -> None:
    assert engineio3.decode_bytes(engineio3.encode_bytes(packets), **PLENTY) == packets
    for packet in packets:
        frame = encode_frame(packet, 3)
        assert decode_frame(frame, packet.binary, 3, limit=LIMIT) == packet


@given(packets=some(JSON_TEXTS, BYTES3))
def test_texts_of_3_are_ascii_and_the_same_json(packets: list[EnginePacket]) -> None:
    payload = engineio3.encode_texts(packets)
    assert payload.isascii()
    back = engineio3.decode_texts(payload, **PLENTY)
    assert [(kind, binary) for kind, _, binary in back] == [
        (kind, binary) for kind, _, binary in packets
    ]
    for read, packet in zip(back, packets, strict=True):
        if packet.binary:
            assert read.data == packet.data
        else:
            assert json.loads(read.data) == json.loads(packet.data)


@given(texts=st.lists(TEXT, min_size=1, max_size=5))
def test_what_clients_of_3_write_is_read(texts: list[str]) -> None:
    packets = [message(text) for text in texts]
    doubled = b"".join(b"%d:%b" % (len(text.encode()) + 1, b"4" + twice(text)) for text in texts)
    assert engineio3.decode_texts(doubled, **PLENTY) == packets
    texts.append("€")  # so that it can't be taken for the other
    units = [len(text.encode("utf-16-le")) // 2 + 1 for text in texts]
    once = "".join(f"{size}:4{text}" for size, text in zip(units, texts, strict=True))
    assert engineio3.decode_texts(once.encode(), **PLENTY) == [*packets, message("€")]


Decode = Callable[[bytes], Any]

DECODERS: dict[str, Decode] = {
    "texts of 3": lambda data: engineio3.decode_texts(data, **PLENTY),
    "bytes of 3": lambda data: engineio3.decode_bytes(data, **PLENTY),
    "payload of 4": lambda data: engineio4.decode(data, **PLENTY),
    "text frame of 3": lambda data: decode_frame(data, False, 3, limit=LIMIT),
    "binary frame of 3": lambda data: decode_frame(data, True, 3, limit=LIMIT),
    "text frame of 4": lambda data: decode_frame(data, False, 4, limit=LIMIT),
    "form": lambda data: jsonp.decode_form(data, limit=LIMIT),
    "string": jsonp.string,
}


@pytest.mark.parametrize(
    ("decoder", "data", "problem"),
    [
        ("texts of 3", b"", "an empty payload"),
        ("texts of 3", b"4hey", "without a length where one should be, at 0"),
        ("texts of 3", b":4hey", "without a length where one should be, at 0"),
        ("texts of 3", b"04:4hey", "without a length where one should be, at 0"),
        ("texts of 3", b"00:", "without a length"),
        ("texts of 3", b"+4:4hey", "without a length"),
        ("texts of 3", b"-1:4", "without a length"),
        ("texts of 3", b" 4:4hey", "without a length"),
        ("texts of 3", b"4e0:4hey", "without a length"),
        ("texts of 3", "٤:4hey".encode(), "without a length"),
        ("texts of 3", b"1000000000:4", "without a length"),
        ("texts of 3", b"9" * 5000 + b":4", "without a length"),
        ("texts of 3", b"999999999:4", "ends beyond it, at 0"),
        ("texts of 3", b"4:4hey5", "without a length where one should be, at 6"),
        ("texts of 3", b"4:4hey2:4", "ends beyond it, at 6"),
        ("texts of 3", "9:4€€2:4".encode(), "ends beyond it, at 0"),
        ("texts of 3", "2:4€3:4😀2:4".encode(), "ends beyond it, at 9"),
        ("texts of 3", "2:4😀1:4".encode(), "without a length where one should be, at 4"),
        ("texts of 3", b"3:" + twice("4€") + b"1:4", "without a length where one should be, at 5"),
        ("texts of 3", b"2:4\xff", "not UTF-8 from byte 3"),
        ("texts of 3", b"4:4\xed\xa0\xbd", "not UTF-8 from byte 3"),
        ("texts of 3", b"1:7", "unknown kind b'7', at 2"),
        ("texts of 3", b"1::", "unknown kind b':', at 2"),
        ("texts of 3", b"1:41:/", "unknown kind b'/', at 5"),
        ("texts of 3", b"1:b", "unknown kind b'b', at 2"),
        ("texts of 3", b"2:b7", "unknown kind b'b7', at 2"),
        ("texts of 3", b"4:b4A=", "not base64: .*, at 2"),
        ("texts of 3", b"6:b4A=AA", "not base64"),
        ("texts of 3", b"6:b4-_==", "not base64"),
        ("bytes of 3", b"", "an empty payload"),
        ("bytes of 3", b"\0", "without a length where one should be, at 1"),
        ("bytes of 3", b"\2\1\xff4", "0x02 where text or binary begins, at 0"),
        ("bytes of 3", b"\0\xff4", "without a length"),
        ("bytes of 3", b"\0\1", "without a length"),
        ("bytes of 3", b"\0001\xff4", "without a length"),
        ("bytes of 3", b"\0\0\1\xff4", "without a length"),
        ("bytes of 3", b"\0\x0a\xff4", "without a length"),
        ("bytes of 3", b"\0" + b"\x09" * 400 + b"\xff4", "without a length"),
        ("bytes of 3", b"\0" + b"\x09" * 9 + b"\xff4", "ends beyond it, at 1"),
        ("bytes of 3", b"\0\2\xff4", "ends beyond it, at 1"),
        ("bytes of 3", b"\0\1\xff4\1", "without a length where one should be, at 5"),
        ("bytes of 3", b"\0\0\xff", "an empty packet, at 3"),
        ("bytes of 3", b"\1\0\xff", "an empty packet, at 3"),
        ("bytes of 3", b"\1\1\xff\7", "unknown kind 7, at 3"),
        ("bytes of 3", b"\1\1\xff4", "unknown kind 52, at 3"),
        ("bytes of 3", b"\0\1\xff\4", "unknown kind b'\\\\x04', at 3"),
        ("bytes of 3", b"\0\2\xff4\xff", "not UTF-8, at 3"),
        ("payload of 4", b"", "an empty packet, at 0"),
        ("payload of 4", b"4a\x1e", "an empty packet, at 3"),
        ("payload of 4", b"\x1e4a", "an empty packet, at 0"),
        ("payload of 4", b"4a\x1e\x1e4a", "an empty packet, at 3"),
        ("payload of 4", b"4a\x1e7", "unknown kind b'7', at 3"),
        ("payload of 4", b"4a\x1eb4A", "not base64"),
        ("payload of 4", b"4a\x1e4\xc3", "not UTF-8, at 4"),
        ("payload of 4", b"4\xed\xa0\xbd", "not UTF-8, at 1"),
        ("text frame of 3", b"", "an empty packet"),
        ("text frame of 3", b"x", "unknown kind b'x'"),
        ("binary frame of 3", b"", "an empty packet"),
        ("binary frame of 3", b"4", "unknown kind 52"),
        ("text frame of 4", b"", "an empty packet"),
        ("text frame of 4", b"\x04", "unknown kind"),
        ("form", b"", "0 fields d"),
        ("form", b"D=4", "0 fields d"),
        ("form", b"d=4&d=4", "2 fields d"),
        ("form", b"d=a%4", "broken escape, at 1"),
        ("form", b"d=a%4g", "broken escape, at 1"),
        ("form", b"d=%", "broken escape, at 0"),
        ("string", b"", "no string in JSON"),
        ("string", b"4", "no string in JSON"),
        ("string", b'"a', "no string in JSON"),
        ("string", b'"\xff"', "no string in JSON"),
    ],
)
def test_what_is_refused(decoder: str, data: bytes, problem: str) -> None:
    with pytest.raises(EngineError) as caught:
        DECODERS[decoder](data)
    assert re.search(problem, str(caught.value))


ALPHABET = [
    *(b"0", b"1", b"4", b"12:", b":", b"b", b"AQ==", b"\0", b"\1", b"\4", b"\xff", b"\x1e"),
    *(b"d=", b"&", b"%", b'"', b"\\n", "é".encode(), "😀".encode(), b"\xed\xa0\xbd"),
]


@given(garbage=st.binary(max_size=60) | st.lists(st.sampled_from(ALPHABET)).map(b"".join))
def test_garbage_is_read_or_refused(garbage: bytes) -> None:
    for decode in DECODERS.values():
        try:
            found = decode(garbage)
        except EngineError:
            continue
        for packet in found if isinstance(found, list) else []:
            assert OPEN <= packet.kind <= NOOP
            assert packet.binary or packet.data.decode() is not None


@pytest.mark.parametrize(
    ("decode", "encode"),
    [
        (engineio3.decode_texts, engineio3.encode_texts),
        (engineio3.decode_bytes, engineio3.encode_bytes),
        (engineio4.decode, engineio4.encode),
    ],
)
def test_limits_of_payloads(decode: Any, encode: Any) -> None:
    """They count what is left after base64 and UTF-8, without the kind."""
    for binary in (False, True):
        packets = [EnginePacket(MESSAGE, b"x" * 10, binary)] * 3
        assert decode(encode(packets), limit=10, most=3) == packets
        with pytest.raises(EngineError, match="a packet of 10 bytes; 9 at most"):
            decode(encode(packets), limit=9, most=3)
        with pytest.raises(EngineError, match="more than 2 packets"):
            decode(encode(packets), limit=10, most=2)
    doubled = b"3:" + twice("4é")
    assert engineio3.decode_texts(doubled, limit=2, most=1) == [message("é")]
    with pytest.raises(EngineError, match="a packet of 2 bytes; 1 at most"):
        engineio3.decode_texts(doubled, limit=1, most=1)
    with pytest.raises(EngineError, match="more than 2 packets"):
        engineio3.decode_texts(b"0:0:0:", limit=10, most=2)


@pytest.mark.parametrize("revision", [3, 4])
@pytest.mark.parametrize("binary", [False, True])
def test_limits_of_frames(revision: int, binary: bool) -> None:
    packet = EnginePacket(MESSAGE, b"x" * 10, binary)
    for frame, as_binary in (
        (encode_frame(packet, revision), binary),
        (encode_text(packet, revision), False),
    ):
        assert engineio.decode_frame(frame, as_binary, revision, limit=10) == packet
        with pytest.raises(EngineError, match="a packet of 10 bytes; 9 at most"):
            decode_frame(frame, as_binary, revision, limit=9)


def test_jsonp_of_the_document() -> None:
    assert (
        jsonp.encode(jsonp.function("___eio", "4"), b"packet data") == b'___eio[4]("packet data");'
    )
    assert jsonp.encode(jsonp.function("io.j", "0"), b'5:::{"a":"\\n"}') == (
        rb'io.j[0]("5:::{\"a\":\"\\n\"}");'
    )
    assert jsonp.encode(b"f", "\u2028\u2029é".encode()) == rb'f("\u2028\u2029' + 'é");'.encode()


@pytest.mark.parametrize("index", ["", "-1", "1.5", "0x1", "1]", "1234567890", "٤", "1\n"])
def test_only_a_number_is_called(index: str) -> None:
    with pytest.raises(EngineError, match="index is not a number"):
        jsonp.function("___eio", index)


@given(text=TEXT)
def test_forms(text: str) -> None:
    """A client escapes what browsers would change, and the browser the rest."""
    text = re.sub(r"\\+\n", "\n", text)  # that is lost, and in no JSON
    escaped = re.sub(r"\\n", "\\\\\n", text).replace("\n", "\\n")
    body = urlencode({"t": "d=1", "d": escaped, "dd": "x"}).encode()
    assert jsonp.newlines(jsonp.decode_form(body, limit=LIMIT)) == text.encode()
    body = urlencode({"d": json.dumps(text)}).encode()
    assert jsonp.string(jsonp.decode_form(body, limit=LIMIT)) == text.encode()


def test_limits_of_forms() -> None:
    assert jsonp.decode_form(b"d=%41+bc%2b", limit=5) == b"A bc+"
    for body in (b"d=%41+bc%2b", b"d=" + b"%41" * 5, b"d=" + b"a" * 13):
        with pytest.raises(EngineError, match="longer than 4 bytes"):
            jsonp.decode_form(body, limit=4)


@given(
    st.lists(st.one_of(st.binary(max_size=5), st.sampled_from([b"=", b"%3d", b"%0A", b"\n", b"+"])))
)
def test_the_field_of_a_form_is_read_as_others_do(pieces: list[bytes]) -> None:
    field = re.sub(rb"%(?![0-9A-Fa-f]{2})|&", b"_", b"".join(pieces))
    expected = unquote_to_bytes(field.replace(b"+", b" "))
    assert jsonp.decode_form(b"d=" + field, limit=100) == expected


@given(st.lists(st.sampled_from(["\\", "n", "\\n", "x", "\n"]), max_size=12).map("".join))
def test_newlines_are_read_as_engine_io_does(text: str) -> None:
    expected = re.sub(r"(\\)?\\n", lambda match: match[0][1:] if match[1] else "\n", text)
    assert jsonp.newlines(text.encode()).decode() == expected
