"""chatcore's codecs beside Pomelo's own: the same bytes, the same values, or a reason why not."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from npm import missing_node

from chatcore.config.dictionary import load_routes
from chatcore.config.protos import load_protos
from chatcore.errors import BodyError, MessageError, PackageError
from chatcore.wire import body, handshake, javascript, message, package
from chatcore.wire.dictionary import Dictionary
from chatcore.wire.protobuf import Protos

from .pomelo_codecs import PINUS, TEXTS, Inventor, PomeloCodecs, the_same

pytestmark = pytest.mark.skipif(missing_node() is not None, reason=str(missing_node()))

SCHEMAS = range(1000)
THROWS, NOTHING, REFUSED = "throws", "nothing", "refused"


@pytest.fixture(scope="module")
def pomelo() -> Iterator[PomeloCodecs]:
    """Pomelo's codecs."""
    codecs = PomeloCodecs()
    yield codecs
    codecs.close()


def invented(pomelo: PomeloCodecs, inventor: Inventor) -> Iterator[tuple[Protos, str, Any, Any]]:
    """A schema, given to both, and values for each of its messages, with what is to be read."""
    schema = inventor.schema()
    parsed = pomelo.ask("schema", protos=schema)["parsed"]
    protos = Protos(schema, schema)
    assert javascript.compact_json(protos.server.parsed) == parsed
    for route in schema:
        for _ in range(3):
            yield protos, route, *inventor.value(schema, route)


def test_bytes_and_values_of_invented_schemas(pomelo: PomeloCodecs) -> None:
    """Pomelo's server writes the same bytes; both its decoders read ours as they were meant."""
    count = 0
    for seed in SCHEMAS:
        for protos, route, value, expected in invented(pomelo, Inventor(seed)):
            data, cesu = protos.encode(value, route), protos.encode(value, route, cesu=True)
            written = pomelo.ask("encode", side="server", route=route, value=value)
            assert written == {"hex": data.hex() or None}, (route, value)
            for side, sent in (("server", data), ("browser", cesu)):
                read = pomelo.ask("decode", side=side, route=route, hex=sent.hex())
                assert read == {"value": expected}, (side, route, value)
            assert protos.decode(data, route) == protos.decode(cesu, route) == expected
            count += 1
    assert count > 7000


def test_what_browsers_write_is_read(pomelo: PomeloCodecs) -> None:
    """Wrong wire types, CESU-8 and all; where the client's buffer was too short it cut the end."""
    count = cut = 0
    for seed in SCHEMAS:
        for protos, route, value, expected in invented(pomelo, Inventor(seed)):
            written = pomelo.ask("encode", side="browser", route=route, value=value)["hex"] or ""
            if len(written) < 2 * len(protos.encode(value, route, cesu=True)):
                cut += 1
                continue
            assert protos.decode(bytes.fromhex(written), route) == expected, (route, value)
            count += 1
    assert count > 7000 and 0 < cut < count / 20


def test_types_of_pinus_are_pinuss(pomelo: PomeloCodecs) -> None:
    for seed in range(100):
        for protos, route, value, expected in invented(pomelo, Inventor(seed, PINUS)):
            data = protos.encode(value, route)
            written = pomelo.ask("encode", side="pinus", route=route, value=value)
            assert written == {"hex": data.hex() or None}, (route, value)
            read = pomelo.ask("decode", side="pinus", route=route, hex=data.hex())
            assert read == {"value": expected}, (route, value)


WHY_REFUSED = (
    "is not text in UTF-8",  # Pomelo puts U+FFFD for what it can't read
    "bytes beyond the end",  # Pomelo takes what is there, or reads on behind an inner message
    "ends inside a number",
    "more than there is room for",
    "is larger than",  # Pomelo rounds
    "an endless number",
)


def test_broken_bytes_are_read_as_pomelo_reads_them_or_refused(pomelo: PomeloCodecs) -> None:
    same = refused = 0
    for seed in SCHEMAS:
        random = Random(seed)
        for protos, route, value, _ in invented(pomelo, Inventor(seed)):
            data = bytearray(protos.encode(value, route)[:300])
            for _ in range(min(3, len(data))):
                data[random.randrange(len(data))] = random.choice([0, 1, 8, 10, 127, 128, 255, 77])
                theirs = pomelo.ask("decode", side="server", route=route, hex=data.hex())
                try:
                    ours = protos.decode(bytes(data), route)
                except BodyError as problem:
                    refused += 1
                    why = str(problem)
                    assert "thrown" in theirs or any(each in why for each in WHY_REFUSED), why
                    continue
                assert "thrown" in theirs or the_same(ours, theirs["value"]), (route, data.hex())
                same += "value" in theirs
    assert same > 500 and refused > 500


class Difference(NamedTuple):
    """A value that Pomelo's server writes differently, and why chatcore doesn't."""

    why: str
    field: str
    value: Any
    pomelo: str
    ours: str


WRITTEN_DIFFERENTLY = [
    Difference("a mistake names its field", "required uInt32", -1, THROWS, REFUSED),
    Difference("a mistake names its field", "required uInt32", math.nan, THROWS, REFUSED),
    Difference("a mistake names its field", "required int32", math.inf, THROWS, REFUSED),
    Difference("a mistake names its field", "required string", 5, THROWS, REFUSED),
    Difference("a mistake names its field", "required P", None, NOTHING, REFUSED),
    Difference("a mistake names its field", "required P", {}, NOTHING, REFUSED),
    Difference("a number is no object without fields", "required O", 5, "0a00", REFUSED),
    Difference("text is no list of characters", "repeated string", "ab", "0a01610a0162", REFUSED),
    Difference("an object is no empty list", "repeated uInt32", {}, NOTHING, REFUSED),
    Difference("1e+21 is not 1", "required uInt32", 1e21, "0801", REFUSED),
    Difference("5e-7 is not 5", "required uInt32", 5e-7, "0805", "0800"),
    Difference("12abc is no number", "required uInt32", "12abc", "080c", REFUSED),
    Difference("one way to write numbers", "required uInt32", "0x10", "0810", REFUSED),
    Difference("abc is no number", "required double", "abc", "09000000000000f87f", REFUSED),
    Difference("no text is no number", "required float", "", "0d00000000", REFUSED),
    Difference(
        "beyond 2**53 JavaScript rounds", "required uInt32", 2.0**53, "088080808080808010", REFUSED
    ),
    Difference(
        "the zig-zag form is rounded, to that of 2**53",
        "required int32",
        -(2.0**53),
        "088080808080808020",
        REFUSED,
    ),
    Difference("half a character is no text", "required string", "\ud800", "0a03efbfbd", REFUSED),
    Difference("true is 1, as in JSON's clients", "required uInt32", True, THROWS, "0801"),
    Difference("nothing is not sent", "optional uInt32", None, THROWS, NOTHING),
    Difference("nothing is not sent", "optional string", None, THROWS, NOTHING),
    Difference("nothing is not sent", "optional double", None, "09" + "00" * 8, NOTHING),
    Difference(
        "Pomelo's buffer is too short for it",
        "repeated double",
        [1, 2, 3, 4, 5],
        THROWS,
        "0905000000000000f03f0000000000000040000000000000084000000000000010400000000000001440",
    ),
    Difference("Pomelo writes a head without a value", "required uInt64", 5, "0a", "0805"),
    Difference("Pomelo writes a head without a value", "required bool", True, "0a", "0801"),
]


@pytest.mark.parametrize("difference", WRITTEN_DIFFERENTLY)
def test_what_is_written_differently(pomelo: PomeloCodecs, difference: Difference) -> None:
    _, field, value, theirs, ours = difference
    schema = {
        "r": {f"{field} x": 1},
        "message P": {"required uInt32 a": 1},
        "message O": {"optional uInt32 a": 1},
    }
    pomelo.ask("schema", protos=schema)
    answer = pomelo.ask("encode", side="server", route="r", value={"x": value})
    assert (THROWS if "thrown" in answer else answer["hex"] or NOTHING) == theirs
    try:
        written = Protos(schema).encode({"x": value}, "r").hex() or NOTHING
    except BodyError:
        written = REFUSED
    assert written == ours


READ_DIFFERENTLY = [
    ("an unknown tag is passed over", "optional uInt32", "10050807", THROWS, {"x": 7}),
    ("it is cut short", "required string", "0a056162", {"x": "ab"}, REFUSED),
    ("it is missing", "required string", "0a05", {"x": ""}, REFUSED),
    ("U+FFFD is not what was written", "required string", "0a01ff", {"x": "�"}, REFUSED),
    ("browsers write halves", "required string", "0a06eda0bdedb880", {"x": "�" * 6}, {"x": "😀"}),
    ("half a character is no text", "required string", "0a03eda080", {"x": "�" * 3}, REFUSED),
    ("it is rounded", "required uInt32", "08818080808080808001", {"x": 2.0**56}, REFUSED),
    ("it goes beyond its message", "required P", "0a010805", {"x": {"a": 5}}, REFUSED),
    ("there is no room for them", "repeated uInt32", "08ff0101", THROWS, REFUSED),
    ("objects have one", "repeated string constructor", "0a0161", THROWS, {"constructor": ["a"]}),
]


@pytest.mark.parametrize(("why", "field", "data", "theirs", "ours"), READ_DIFFERENTLY)
def test_what_is_read_differently(
    pomelo: PomeloCodecs, why: str, field: str, data: str, theirs: Any, ours: Any
) -> None:
    key = field if len(field.split()) == 3 else f"{field} x"
    schema = {"r": {key: 1}, "message P": {"required uInt32 a": 1}}
    pomelo.ask("schema", protos=schema)
    answer = pomelo.ask("decode", side="server", route="r", hex=data)
    assert (THROWS if "thrown" in answer else answer["value"]) == theirs, why
    try:
        read: Any = Protos(client=schema).decode(bytes.fromhex(data), "r")
    except BodyError:
        read = REFUSED
    assert read == ours


def write(file: Path, content: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)


NAMES = ["send", "enter", "Send", "$", "é", "名", "😀", "￿", "_1", "10", "2"]


@pytest.mark.parametrize("seed", range(8))
def test_dictionaries(pomelo: PomeloCodecs, seed: int, tmp_path: Path) -> None:
    """A Pomelo server with these handlers, and this file, has this dictionary and version."""
    random = Random(seed)
    routes = []
    for type in ("chat", "connector", "Gate"):
        for handler in random.sample(["chatHandler", "ahandler", "Handler2"], 2):
            methods = random.sample(NAMES, 4)
            routes += [f"{type}.{handler}.{method}" for method in methods]
            functions = dict.fromkeys(methods, "function() {}")
            source = ",".join(f"{json.dumps(name)}: {code}" for name, code in functions.items())
            file = tmp_path / f"app/servers/{type}/handler/{handler}.js"
            write(file, f"module.exports = {{{source}}};")
    if seed:
        extra = random.choices([*NAMES, "onChat", "0", "4294967294", "4294967295", routes[0]], k=9)
        write(tmp_path / "config/dictionary.json", json.dumps(extra))
    answer = pomelo.ask("dictionary", base=str(tmp_path), types=["chat", "connector", "Gate"])
    ours = Dictionary(routes, load_routes(tmp_path, "development", len(routes)))
    assert javascript.compact_json(dict(ours.codes)) == answer["codes"]
    assert {str(code): route for code, route in ours.routes.items()} == answer["routes"]
    assert ours.version == answer["version"]


@pytest.mark.parametrize("seed", range(12))
def test_protos_and_their_version(pomelo: PomeloCodecs, seed: int, tmp_path: Path) -> None:
    """A Pomelo server with these files, or without some of them, sends this."""
    for number, name in enumerate(("serverProtos", "clientProtos")):
        if seed >> number & 1:
            place = "config/development" if seed >> 2 & 1 else "config"
            schema = Inventor(2 * seed + number).schema()
            write(tmp_path / place / f"{name}.json", json.dumps(schema))
    answer = pomelo.ask("protos", base=str(tmp_path), env="development")
    ours = Protos(*load_protos(tmp_path, "development"))
    reply = handshake.encode_reply(protos=ours).decode()
    assert reply == f'{{"code":200,"sys":{{"protos":{answer["protos"]},"useProto":true}}}}'


ROUTES = ["", "onChat", "chat.chatHandler.send", "聊天", "on😀", "x" * 255]
IDS = [1, 2, 127, 128, 300, 16383, 16384, 2**21, 2**31 - 1]


def test_messages(pomelo: PomeloCodecs) -> None:
    """Every kind, with text and with codes."""
    kinds = {
        message.REQUEST: message.encode_request,
        message.RESPONSE: None,
        message.NOTIFY: message.encode_notify,
        message.PUSH: message.encode_push,
    }
    for kind, encode in kinds.items():
        for route in (*ROUTES, 1, 255, 256, 65535):
            for number in IDS if kind in (message.REQUEST, message.RESPONSE) else [0]:
                data = b"" if number == 2 else b'{"a":1}\x80\xff'
                if encode is None:
                    route = ""
                    ours = message.encode_response(number, data)
                elif encode is message.encode_request:
                    ours = encode(number, route, data)
                else:
                    ours = encode(route, data)
                theirs = pomelo.ask(
                    "encodeMessage",
                    id=number,
                    type=kind,
                    compressed=int(isinstance(route, int)),
                    route=route,
                    body=data.hex(),
                )
                assert theirs == {"hex": ours.hex()}
                read = pomelo.ask("decodeMessage", hex=ours.hex())
                assert message.decode(ours) == message.Message(
                    read["type"], read["id"], read["route"] or "", bytes.fromhex(read["body"])
                )


def test_broken_messages_are_read_as_pomelo_reads_them_or_refused(pomelo: PomeloCodecs) -> None:
    random = Random(1)
    same = 0
    for _ in range(2000):
        flag = random.choice([0, 1, 2, 3, 4, 6, 7])
        data = bytes([flag, *random.choices([0, 1, 5, 65, 127, 128, 129, 255], k=8)])
        data = data[: random.randrange(1, 10)]
        try:
            ours = message.decode(data)
        except MessageError:
            continue
        theirs = pomelo.ask("decodeMessage", hex=data.hex())
        number = theirs["id"] % 2**32  # JavaScript's shifts make the largest negative
        route = "" if theirs["route"] is None else theirs["route"]
        read = message.Message(theirs["type"], number, route, bytes.fromhex(theirs["body"]))
        assert ours == read, data.hex()
        same += 1
    assert same > 500


def test_packages(pomelo: PomeloCodecs) -> None:
    """One by one and several in one."""
    stream = b""
    expected = []
    for kind in (package.HANDSHAKE, package.ACK, package.HEARTBEAT, package.DATA, package.KICK):
        for size in (0, 1, 255, 256, 65_536):
            data = bytes(range(256)) * 256 if size > 255 else b"\x80" * size
            ours = package.encode(kind, data[:size])
            answer = pomelo.ask("encodePackage", type=kind, body=data[:size].hex())
            assert answer == {"hex": ours.hex()}
            stream += ours
            expected.append([kind, data[:size].hex()])
    assert pomelo.ask("decodePackages", hex=stream.hex()) == {"packages": expected}
    with pytest.raises(PackageError):
        package.encode(package.DATA, bytes(2**24))


@pytest.mark.parametrize("text", TEXTS)
def test_json_that_browsers_read_and_write(pomelo: PomeloCodecs, text: str) -> None:
    """Their UTF-8 has three bytes at most."""
    sent = body.encode({"msg": text})
    received = pomelo.ask("browserText", hex=sent.hex())["text"]
    assert json.loads(received) == {"msg": text}
    written = pomelo.ask("browserBytes", text=json.dumps({"msg": text}, ensure_ascii=False))
    assert body.decode(bytes.fromhex(written["hex"])) == {"msg": text}
