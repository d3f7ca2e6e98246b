"""The protobuf of chatcore.js beside that of Python: the same bytes, values and refusals."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import chatcore
from chatcore.errors import BodyError
from chatcore.wire.protobuf import Protos
from chatcore.wire.protobuf_decoder import MAX_DEPTH

from .pomelo_codecs import PINUS, Codecs, Inventor, the_same

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None, reason="needs Node: install the Debian package nodejs"
)

LIBRARY = Path(chatcore.__file__).parent / "static" / "chatcore.js"
SCHEMAS = range(200)


@pytest.fixture(scope="module")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Codecs]:
    """The codec of chatcore.js."""
    library = tmp_path_factory.mktemp("library") / "chatcore.mjs"
    shutil.copy(LIBRARY, library)
    codecs = Codecs(Path(__file__).with_name("chatcore_codecs.mjs"), library)
    yield codecs
    codecs.close()


def given(javascript: Codecs, schema: dict[str, Any]) -> Protos:
    """The schema, as a server has it, after the client was told it."""
    protos = Protos(schema, schema)
    assert javascript.ask("schema", parsed=protos.server.parsed) == {}
    return protos


def invented(javascript: Codecs, inventor: Inventor) -> Iterator[tuple[Protos, str, Any, Any]]:
    """A schema, given to both, and values for its messages, with what is to be read."""
    schema = inventor.schema()
    protos = given(javascript, schema)
    for route in schema:
        for _ in range(3):
            yield protos, route, *inventor.value(schema, route)


def reason(message: str) -> str:
    """The field and what is wrong with it; JavaScript rounds the largest numbers."""
    return re.sub(r"\d{15,}", "many", message.partition(": ")[2])


def test_invented_schemas_and_values(javascript: Codecs) -> None:
    """It writes Python's bytes, and reads them, also those that are meant for JavaScript."""
    count = 0
    for seed in SCHEMAS:
        for protos, route, value, expected in invented(javascript, Inventor(seed, PINUS)):
            data, cesu = protos.encode(value, route), protos.encode(value, route, cesu=True)
            written = javascript.ask("encode", route=route, value=value)
            assert written == {"hex": data.hex()}, (route, value)
            for sent in {data, cesu}:
                read = javascript.ask("decode", route=route, hex=sent.hex())
                assert read == {"value": expected}, (route, value)
            count += 1
    assert count > 1000


def test_broken_bytes(javascript: Codecs) -> None:
    """What Python refuses it refuses; what Python reads it reads."""
    read = refused = 0
    for seed in SCHEMAS:
        random = Random(seed)
        for protos, route, value, _ in invented(javascript, Inventor(seed, PINUS)):
            data = bytearray(protos.encode(value, route, cesu=random.random() < 0.5)[:300])
            for _ in range(min(4, len(data))):
                data[random.randrange(len(data))] = random.choice([0, 1, 8, 10, 127, 128, 255, 77])
                answer = javascript.ask("decode", route=route, hex=data.hex())
                try:
                    ours = protos.decode(bytes(data), route)
                except BodyError as problem:
                    assert answer["code"] == "protocol", (route, data.hex())
                    assert reason(answer["refused"]) == reason(str(problem))
                    refused += 1
                else:
                    assert the_same(answer.get("value"), ours), (route, data.hex())
                    read += 1
    assert read > 500 and refused > 500


VALUES = [
    *(None, True, False, 0, -0.0, 1, -1, 1.9, -1.9, 5e-7, 1e21, 3.5e38, -3.5e38, 1e308),
    *(2**31, 2**32, 2**53 - 1, 2**53, -(2**52), -(2**52) - 1, math.nan, math.inf, -math.inf),
    *("", "a", "7", " 12.9 ", "-5", "+3", "12abc", "0x10", "1e3", ".5", "1.", "5\n", "٣", "NaN"),
    *(
        "9007199254740993",
        "-4503599627370497",
        "9" * 401,
        "1e999",
        "Infinity",
        "a\ud800",
        "\ufeffa",
    ),
    *([], [1], ["a", "b"], [None], [[1]], [{}], {}, {"a": 1}, {"a": None}, {"b": 1}, {"a": [1]}),
]


@pytest.mark.parametrize("option", ["required", "optional", "repeated"])
@pytest.mark.parametrize("type", [*PINUS, "P", "O"])
def test_values_of_any_kind(javascript: Codecs, option: str, type: str) -> None:
    """What doesn't fit its field is refused, and names it; what may be taken for it is taken."""
    others = {"message P": {"required uInt32 a": 1}, "message O": {"optional string b": 1}}
    protos = given(javascript, {"r": {f"{option} {type} x": 1}, **others})
    for item in VALUES:
        for value in ({"x": item}, {"x": [item, item]}):
            answer = javascript.ask("encode", route="r", value=value)
            try:
                data = protos.encode(value, "r")
            except BodyError as problem:
                assert answer["code"] == "usage", value
                field = reason(str(problem)).split("'")[1]
                assert answer["refused"].startswith(f"can't be sent to r: '{field}' "), value
            else:
                assert answer == {"hex": data.hex()}, value


def test_what_is_missing(javascript: Codecs) -> None:
    given(javascript, {"r": {"repeated P x": 1}, "message P": {"required uInt32 a": 1}})
    answer = javascript.ask("encode", route="r", value={"x": [{"a": 1}, {}]})
    assert answer["refused"] == "can't be sent to r: 'x[1].a' is required, and missing"
    answer = javascript.ask("encode", route="r", value=5)
    assert answer["refused"] == "can't be sent to r: the message is 5, where an object was expected"


@pytest.mark.parametrize(
    "data",
    [
        "18feffffffffffff1f",  # the largest and the smallest number that a reader takes,
        "18fdffffffffffff1f",
        "18ffffffffffffff1f",  # and those beyond
        "188080808080808020",
        "188180808080808020",
        "10ffffffffffffff0f",
        "10" + "80" * 9 + "01",
        "10" + "80" * 10 + "01",
        "10" + "80" * 6 + "00",
        "0a01ff",
        "0a03eda080",
        "0a06edb080eda080",
        "0a06eda080edb080",
        "0a07f09f9880eda080",
        "0a0cf09f9880eda080edb0806161",
        "0a03efbbbf",
        "0a06eda0bdedb8",
        "3005",
        "30ffffffffffffff7f",
        "3902" + "00" * 15,
        "3000",
        "4203080a",
        "4202080101",
        "00",
        "a306",
        "a206ff",
        "a106",
        "a506000000",
        "ffffffffffffffffff0100",
        "f8ffffffffffffffff0100",
        "a00601a2060161a506" + "00" * 4 + "a106" + "00" * 8 + "1005",
    ],
)
def test_bounds(javascript: Codecs, data: str) -> None:
    """Numbers, texts, counts and what the schema doesn't know, at their limits."""
    fields = ("optional string s", "optional uInt32 n", "optional int32 i", "optional float f")
    more = ("optional double d", "repeated uInt32 many", "repeated double reals", "optional M m")
    schema = {
        "r": {field: tag for tag, field in enumerate((*fields, *more), 1)},
        "message M": {"optional uInt32 a": 1},
    }
    protos = given(javascript, schema)
    answer = javascript.ask("decode", route="r", hex=data)
    try:
        expected = protos.decode(bytes.fromhex(data), "r")
    except BodyError as problem:
        assert answer["code"] == "protocol"
        assert reason(answer["refused"]) == reason(str(problem))
    else:
        assert answer == {"value": expected}


def test_messages_in_themselves(javascript: Codecs) -> None:
    """As deep as servers read them, and no deeper."""
    protos = given(javascript, {"message N": {"optional N n": 1}})
    value: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        value = {"n": value}
    data = protos.encode(value, "message N")
    assert javascript.ask("encode", route="message N", value=value) == {"hex": data.hex()}
    assert javascript.ask("decode", route="message N", hex=data.hex()) == {"value": value}
    data = protos.encode({"n": value}, "message N")
    for answer in (
        javascript.ask("encode", route="message N", value={"n": value}),
        javascript.ask("decode", route="message N", hex=data.hex()),
    ):
        assert answer["refused"].endswith(f"' is nested in more than {MAX_DEPTH} messages")


@pytest.mark.parametrize(
    "parsed",
    [
        [],
        {"r": 1},
        {"r": {"x": 1}},
        {"r": {"x": None}},
        {"r": {"x": {"option": "required", "type": "Nobody", "tag": 1}}},
        {"r": {"x": {"option": "required", "type": "toString", "tag": 1}}},
        {"r": {"x": {"option": "map", "type": "string", "tag": 1}}},
        {"r": {"x": {"option": "required", "type": "string", "tag": 0}}},
        {"r": {"x": {"option": "required", "type": "string", "tag": 2**28}}},
        {"r": {"x": {"option": "required", "type": "string", "tag": "1"}}},
        {"r": {"__messages": {"P": 1}}},
        {"r": {"__messages": 1}},
    ],
)
def test_schemas_that_are_none(javascript: Codecs, parsed: Any) -> None:
    answer = javascript.ask("schema", parsed=parsed)
    assert answer["code"] == "protocol" and "can't be used" in answer["refused"]


def test_names_that_every_object_has(javascript: Codecs) -> None:
    fields = ("optional string constructor", "optional string toString", "repeated P valueOf")
    schema = {"r": {field: tag for tag, field in enumerate(fields, 1)}, "message P": {}}
    protos = given(javascript, schema)
    for value in ({}, {"toString": "a", "constructor": "b", "valueOf": [{}]}):
        data = protos.encode(value, "r").hex()
        written = javascript.ask("encode", route="r", value=json.loads(json.dumps(value)))
        assert written == {"hex": data}
        assert javascript.ask("decode", route="r", hex=data) == {"value": value}
