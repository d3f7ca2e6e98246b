"""Pomelo's protobuf: captured bytes, what is refused, and that nothing else happens."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.config import dictionary as routes
from chatcore.config import protos as words
from chatcore.errors import BodyError, HandshakeError
from chatcore.wire import dictionary, message, schema
from chatcore.wire.protobuf import Protos, Schema
from chatcore.wire.protobuf_decoder import MAX_DEPTH

CHAT = {
    "onChat": {"required string msg": 1, "required string from": 2, "required string target": 3}
}
PERSON = {
    "r": {
        "message P": {"required uInt32 a": 1, "optional string b": 2},
        "required P x": 1,
        "repeated P y": 2,
    }
}
TREE = {
    "r": {"optional Node top": 1},
    "message Node": {"optional uInt32 n": 1, "repeated Node in": 2},
}


def both(declared: dict[str, Any], **others: Any) -> Protos:
    """The message ``r`` with these fields, for both directions."""
    whole = {"r": declared, **others}
    return Protos(whole, whole)


def one(type: str, option: str = "required") -> Protos:
    return both({f"{option} {type} x": 1})


# The bytes were captured from pomelo-protobuf 0.4.0: its server's encoder, and its JavaScript
# client's, which writes the wire type 2 for 0.
VECTORS = [
    ("uInt32", 0, "0800", "0a00"),
    ("uInt32", 300, "08ac02", "0aac02"),
    ("uInt32", 4294967295, "08ffffffff0f", "0affffffff0f"),
    ("uInt32", 4294967296, "088080808010", "0a8080808010"),
    ("int32", -1, "0801", "0a01"),
    ("int32", 150, "08ac02", "0aac02"),
    ("int32", 2147483647, "08feffffff0f", "0afeffffff0f"),
    ("int32", -2147483648, "08ffffffff0f", "0affffffff0f"),
    ("sInt32", -3, "0805", "0a05"),
    ("float", 1.5, "0d0000c03f", "0d0000c03f"),
    ("double", 0.1, "099a9999999999b93f", "099a9999999999b93f"),
    ("string", "hé中", "0a0668c3a9e4b8ad", "0a0668c3a9e4b8ad"),
    ("string", "", "0a00", "0a00"),
    ("string", "\U0001f600", "0a04f09f9880", "0a06eda0bdedb880"),
]


@pytest.mark.parametrize(("type", "value", "server", "client"), VECTORS)
def test_a_field(type: str, value: Any, server: str, client: str) -> None:
    protos = one(type)
    assert protos.encode({"x": value}, "r").hex() == server
    for written in (server, client):
        read = protos.decode(bytes.fromhex(written), "r")["x"]
        assert read == value and isinstance(read, value.__class__)


def test_messages_in_messages() -> None:
    protos = Protos(PERSON, PERSON)
    value = {"x": {"a": 5, "b": "q"}, "y": [{"a": 1}, {"a": 2, "b": "zz"}]}
    data = bytes.fromhex("0a050805120171 12020801 1206080212027a7a")
    assert protos.encode(value, "r") == data
    assert protos.decode(data, "r") == value
    client = bytes.fromhex("0a050a05120171 12020a01 12060a0212027a7a")
    assert protos.decode(client, "r") == value


def test_repeated_fields() -> None:
    """Numbers are counted, which is not Google's way; text has a head for each."""
    numbers, texts = one("uInt32", "repeated"), one("string", "repeated")
    assert numbers.encode({"x": [1, 2, 300]}, "r").hex() == "08030102ac02"
    assert numbers.decode(bytes.fromhex("0a030102ac02"), "r") == {"x": [1, 2, 300]}
    assert numbers.decode(bytes.fromhex("08010108020203"), "r") == {"x": [1, 2, 3]}
    assert texts.encode({"x": ("a", "bc")}, "r").hex() == "0a01610a026263"
    assert texts.decode(bytes.fromhex("0a01610a026263"), "r") == {"x": ["a", "bc"]}
    for protos in (numbers, texts):
        assert protos.encode({"x": []}, "r") == b""


def test_heads_of_two_bytes_and_the_order_of_keys() -> None:
    protos = both({"optional uInt32 x": 16, "optional string y": 17, "optional bool z": 1})
    assert protos.encode({"x": 1, "y": "a"}, "r").hex() == "8001018a010161"
    assert protos.encode({"y": "a", "x": 1}, "r").hex() == "8a010161800101"
    assert protos.decode(bytes.fromhex("8201018a010161"), "r") == {"x": 1, "y": "a"}


def test_absent_unknown_and_none() -> None:
    """No field, no bytes. What the schema doesn't know is left out, and so is None."""
    protos = both({"optional uInt32 x": 1, "repeated string y": 2})
    assert protos.encode({}, "r") == protos.encode({"x": None, "y": None, "z": 1}, "r") == b""
    assert protos.decode(b"", "r") == {}
    assert protos.encode({"z": {}, "x": 0}, "r").hex() == "0800"


def test_the_last_of_a_field_counts() -> None:
    assert one("uInt32").decode(bytes.fromhex("08010802"), "r") == {"x": 2}


def test_javascript_clients_get_text_that_they_can_read() -> None:
    protos = one("string")
    data = protos.encode({"x": "a😀中"}, "r", cesu=True)
    assert data.hex() == "0a0a61eda0bdedb880e4b8ad"
    assert protos.decode(data, "r") == {"x": "a😀中"}
    nested = Protos({"r": {"repeated M m": 1}, "message M": {"required string x": 1}})
    assert b"\xed\xa0\xbd\xed\xb8\x80" in nested.encode({"m": [{"x": "😀"}]}, "r", cesu=True)
    assert protos.encode({"x": "é"}, "r", cesu=True) == protos.encode({"x": "é"}, "r")


def test_types_of_pinus() -> None:
    """``bool``, and two names for what 32 bits never bounded."""
    protos = both({"optional bool b": 1, "optional uInt64 u": 2, "optional sInt64 s": 3})
    value = {"b": True, "u": 2**53 - 1, "s": -(2**52)}
    data = protos.encode(value, "r")
    assert data.hex() == "080110ffffffffffffff0f18ffffffffffffff0f"
    assert protos.decode(data, "r") == value
    assert protos.encode({"b": 0}, "r").hex() == "0800"


class Mood(Enum):
    GOOD = "good"


class Point(msgspec.Struct):
    x: int


@pytest.mark.parametrize(
    ("type", "value", "same_as"),
    [
        ("uInt32", 1.9, 1),
        ("uInt32", "12", 12),
        ("uInt32", " 12.9 ", 12),
        ("uInt32", True, 1),
        ("uInt32", 5e-7, 0),
        ("uInt32", Decimal("7"), 7),
        ("int32", -1.9, -1),
        ("sInt32", "-5", -5),
        ("double", 3, 3.0),
        ("double", "1.5e3", 1500.0),
        ("double", False, 0.0),
        ("float", ".5", 0.5),
        ("float", 1e39, math.inf),
        ("float", -1e39, -math.inf),
        ("double", 2**60, float(2**60)),
        ("string", Mood.GOOD, "good"),
        ("string", datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
    ],
)
def test_values_of_other_types(type: str, value: Any, same_as: Any) -> None:
    """What JSON would write as well is written here, too."""
    protos = one(type)
    assert protos.encode({"x": value}, "r") == protos.encode({"x": same_as}, "r")


def test_objects_of_other_types() -> None:
    assert one("uInt32").encode(Point(5), "r").hex() == "0805"
    nested = both({"required P p": 1, "message P": {"required uInt32 x": 1}})
    assert nested.encode({"p": Point(5)}, "r").hex() == "0a020805"


@pytest.mark.parametrize(
    ("type", "value", "problem"),
    [
        ("uInt32", -1, "is -1, where a whole number from 0 to 9007199254740991"),
        ("uInt32", 2**53, "is 9007199254740992, where"),
        ("uInt32", 10**100, "is too large, where"),
        ("uInt32", math.nan, "is nan, where a whole number"),
        ("uInt32", math.inf, "is inf, where a whole number"),
        ("uInt32", "12abc", "is '12abc', where a whole number"),
        ("uInt32", "1e3", "where a whole number"),
        ("uInt32", "9" * 1000, "where a whole number"),
        ("uInt32", None, "is None, where"),
        ("uInt32", [1], "is list, where"),
        ("int32", 2**53, "where a whole number from -4503599627370496 to 9007199254740991"),
        ("int32", -(2**52) - 1, "where a whole number from"),
        ("float", "x", "is 'x', where a number"),
        ("double", 10**400, "is too large, where a number"),
        ("double", {}, "is dict, where a number"),
        ("string", 5, "is 5, where text"),
        ("string", "a\ud800", "holds half of a surrogate pair"),
        ("bool", "false", "is 'false', where true or false"),
        ("P", 5, "is 5, where an object"),
        ("P", {"a": {}}, "is dict, where a whole number"),
    ],
)
def test_what_can_not_be_written_names_its_field(type: str, value: Any, problem: str) -> None:
    protos = both({f"required {type} x": 1}, **{"message P": {"required uInt32 a": 1}})
    for cesu in (False, True):
        with pytest.raises(BodyError) as caught:
            protos.encode({"x": value}, "r", cesu=cesu)
        field = "x.a" if isinstance(value, dict) and type == "P" else "x"
        assert str(caught.value).startswith(f"can't be sent as 'r': '{field}' ")
        assert problem in str(caught.value)


def test_what_is_missing_names_its_field() -> None:
    protos = Protos(PERSON)
    with pytest.raises(BodyError, match="'x' is required, and missing"):
        protos.encode({}, "r")
    with pytest.raises(BodyError, match="'x' is None, where an object was expected"):
        protos.encode({"x": None}, "r")
    with pytest.raises(BodyError, match=r"'y\[1\].a' is required, and missing"):
        protos.encode({"x": {"a": 1}, "y": [{"a": 1}, {}]}, "r")
    with pytest.raises(BodyError, match=r"'y' is 'ab', where a list was expected"):
        protos.encode({"x": {"a": 1}, "y": "ab"}, "r")
    with pytest.raises(BodyError, match="the message is 5, where an object was expected"):
        protos.encode(5, "r")
    for attempt in (lambda: protos.encode({}, "s"), lambda: protos.decode(b"", "s")):
        with pytest.raises(BodyError, match="no protobuf message 's'"):
            attempt()


def test_a_message_that_contains_itself() -> None:
    protos = Protos(TREE, TREE)
    value = {"top": {"n": 1, "in": [{"n": 2, "in": [{"n": 3}]}, {}]}}
    assert protos.decode(protos.encode(value, "r"), "r") == value
    endless: dict[str, Any] = {}
    endless["in"] = [endless]
    with pytest.raises(BodyError, match="nested too deeply"):
        protos.encode({"top": endless}, "r")


def test_nesting_is_bounded() -> None:
    protos = Protos(TREE, TREE)
    value: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        value = {"in": [value]}
    read = protos.decode(protos.encode(value, "message Node"), "message Node")
    assert read == value
    with pytest.raises(BodyError, match="nested in more than 64 messages"):
        protos.decode(protos.encode({"in": [value]}, "message Node"), "message Node")


def test_a_type_is_looked_up_inside_the_message_then_at_the_root() -> None:
    nested = {
        "r": {
            "required P x": 1,
            "message P": {"required Q q": 1, "message Q": {"required uInt32 a": 1}},
        },
        "s": {"required P x": 1},
        "message P": {"required string b": 1},
    }
    protos = Protos(nested)
    assert protos.encode({"x": {"q": {"a": 1}}}, "r").hex() == "0a040a020801"
    assert protos.encode({"x": {"b": "q"}}, "s").hex() == "0a030a0171"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("0a", "'s' ends inside a number"),
        ("0a05616263", "'s' goes 2 bytes beyond the end"),
        ("0affffffff0f", "bytes beyond the end"),
        ("0a0180", "'s' is not text in UTF-8"),
        ("0a03eda080", "'s' is not text in UTF-8"),
        ("0a04f5808080", "'s' is not text in UTF-8"),
        ("10", "'n' ends inside a number"),
        ("1080", "'n' ends inside a number"),
        ("10" + "80" * 9 + "01", "'n' is larger than"),
        ("10" + "80" * 30 + "01", "'n' has an endless number"),
        ("108080808080808010", "'n' is larger than"),
        ("18ffffffffffffff1f", "'i' is larger than"),
        ("25000000", "'f' goes 1 bytes beyond the end"),
        ("2900", "'d' goes 7 bytes beyond the end"),
        ("3005", "'many' is said to have 5 values"),
        ("30ffffffffffffff7f", "'many' is said to have"),
        ("3902" + "00" * 15, "'reals' is said to have 2 values"),
        ("420108", "'m.a' ends inside a number"),
        ("4202080101", "the message has the unknown tag 0"),
        ("4203080a", "'m' goes 1 bytes beyond the end"),
        ("80", "the message ends inside a number"),
        ("00", "the message has the unknown tag 0"),
        ("a306", "the message has the unknown tag 100 of wire type 3"),
        ("a206ff", "the message ends inside a number"),
        ("a2060501", "goes 4 bytes beyond the end"),
        ("a106", "goes 8 bytes beyond the end"),
    ],
)
def test_broken_bytes(data: str, problem: str) -> None:
    protos = both(
        {
            "optional string s": 1,
            "optional uInt32 n": 2,
            "optional int32 i": 3,
            "optional float f": 4,
            "optional double d": 5,
            "repeated uInt32 many": 6,
            "repeated double reals": 7,
            "optional M m": 8,
        },
        **{"message M": {"optional uInt32 a": 1}},
    )
    with pytest.raises(BodyError) as caught:
        protos.decode(bytes.fromhex(data), "r")
    assert problem in str(caught.value)


def test_unknown_tags_are_passed_over() -> None:
    unknown = "a00601a2060161a506" + "00" * 4 + "a106" + "00" * 8
    assert one("uInt32").decode(bytes.fromhex(unknown + "0805" + unknown), "r") == {"x": 5}


def test_the_version_of_chat_of_pomelo() -> None:
    """Captured from Pomelo 2.2.7; without any file it has no version."""
    protos = Protos(CHAT)
    assert protos.version == "2zWPnSlRsRxjqgcU215Uxg=="
    assert Protos(CHAT, {}).version == protos.version
    assert Protos().version == ""
    assert "onChat" in protos.server and "onChat" not in protos.client


def test_the_parsed_form_has_javascripts_order() -> None:
    """Keys that look like an index come first, and so do tags."""
    declared = {"b": {"required string x": 10, "required string 7": 2}, "10": {}, "9": {}}
    assert list(schema.parse(declared)) == ["9", "10", "b"]
    parsed = schema.parse(declared)["b"]
    assert list(parsed) == ["7", "x", "__messages", "__tags"]
    assert list(parsed["__tags"]) == ["2", "10"]
    # A value's keys are in that order in JavaScript, too, and so are its fields.
    assert Protos(declared).encode({"x": "a", "7": "b"}, "b").hex() == "120162520161"


def test_a_schema_as_a_client_receives_it() -> None:
    server = Protos(PERSON, PERSON)
    client = Schema.received(msgspec.json.decode(msgspec.json.encode(server.server.parsed)))
    value = {"x": {"a": 5}}
    assert client.decode(server.encode(value, "r"), "r") == value
    field = {"option": "required", "type": "Nobody", "tag": 1}
    for broken in (
        None,
        [],
        {"r": 1},
        {"r": {"x": 1}},
        {"r": {"x": field}},
        {"r": {"x": {**field, "type": []}}},
        {"r": {"x": {**field, "type": "string", "option": []}}},
        {"r": {"x": {**field, "type": "string", "tag": 0}}},
        {"r": {"x": {**field, "type": "string", "tag": "1"}}},
        {"r": {"__messages": {"P": 1}}},
        {"r": {"__messages": 1}},
    ):
        with pytest.raises(HandshakeError, match="protobuf schema"):
            Schema.received(broken)
    deep: Any = {}
    for _ in range(10_000):
        deep = {"__messages": {"P": deep}}
    with pytest.raises(HandshakeError, match="nested too deeply"):
        Schema.received({"r": deep})


def test_files_and_codecs_know_the_same_words() -> None:
    """The configuration can't import the codecs, and says itself what may stand in a file."""
    assert set(words.TYPES) == set(schema.WIRE_TYPES)
    assert words.OPTIONS == schema.OPTIONS
    assert words.LARGEST_TAG == schema.LARGEST_TAG
    assert routes.MOST_ROUTES == dictionary.MOST_ROUTES
    assert routes.LONGEST_ROUTE == message.LONGEST_ROUTE


EVERYTHING = {
    "r": {
        f"{option} {type} {option[0]}{type}": tag
        for tag, (option, type) in enumerate(
            ((option, type) for option in ("optional", "repeated") for type in words.TYPES), 1
        )
    }
    | {"repeated Node nodes": 30, "optional Node node": 31},
    "message Node": {"optional uInt32 n": 1, "repeated Node in": 2, "optional string s": 3},
}
EVERY = Protos(EVERYTHING, EVERYTHING)
NODES = st.recursive(
    st.fixed_dictionaries({}, optional={"n": st.integers(0, 2**53 - 1), "s": st.text()}),
    lambda inner: st.fixed_dictionaries({}, optional={"in": st.lists(inner, min_size=1)}),
    max_leaves=5,
)
SIMPLE = {
    "uInt32": st.integers(0, 2**53 - 1),
    "int32": st.integers(-(2**52), 2**53 - 1),
    "bool": st.booleans(),
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "string": st.text(),
}
SIMPLE |= {"uInt64": SIMPLE["uInt32"], "sInt32": SIMPLE["int32"], "sInt64": SIMPLE["int32"]}
VALUES = st.fixed_dictionaries(
    {},
    optional={
        **{f"o{type}": values for type, values in SIMPLE.items()},
        **{f"r{type}": st.lists(values, min_size=1) for type, values in SIMPLE.items()},
        "node": NODES,
        "nodes": st.lists(NODES, min_size=1, max_size=3),
    },
)


@given(value=VALUES, cesu=st.booleans())
def test_what_is_written_is_read(value: dict[str, Any], cesu: bool) -> None:
    data = EVERY.encode(value, "r", cesu=cesu)
    assert EVERY.decode(data, "r") == value
    assert list(EVERY.decode(data, "r")) == list(value)


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    try:
        value = EVERY.decode(data, "r")
    except BodyError:
        return
    assert EVERY.decode(EVERY.encode(value, "r"), "r").keys() == {
        key for key, item in value.items() if item != []
    }


@given(value=VALUES, place=st.integers(0, 300), byte=st.integers(0, 255))
def test_a_byte_that_changed_does_no_harm(value: dict[str, Any], place: int, byte: int) -> None:
    data = bytearray(EVERY.encode(value, "r"))
    if data:
        data[place % len(data)] = byte
    with suppress(BodyError):
        EVERY.decode(bytes(data), "r")
