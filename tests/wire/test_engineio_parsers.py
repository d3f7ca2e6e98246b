"""Engine.IO's codecs beside its own parsers: of engine.io 1.x, 2.x and 6.x."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any
from urllib.parse import urlencode

import pytest
from npm import missing_node

from chatcore.errors import EngineError
from chatcore.wire import engineio3, engineio4, jsonp
from chatcore.wire.engineio import CLOSE, MESSAGE, NAMES, EnginePacket, decode_frame, encode_frame

from .socketio_codecs import BYTES, TEXTS, SocketioCodecs, hexed, unhexed

pytestmark = pytest.mark.skipif(missing_node() is not None, reason=str(missing_node()))

PLENTY = {"limit": 100_000, "most": 100}
OLD, NEW = (1, 2), 5


@pytest.fixture(scope="module")
def parsers() -> Iterator[SocketioCodecs]:
    """The parsers."""
    codecs = SocketioCodecs()
    yield codecs
    codecs.close()


def theirs(packet: EnginePacket) -> dict[str, Any]:
    """A packet as their parsers have it."""
    kind, data, binary = packet
    said: dict[str, Any] = {"type": NAMES[kind]}
    if data or binary:
        said["data"] = {"hex": data.hex()} if binary else data.decode()
    return said


def ours(packet: dict[str, Any]) -> EnginePacket:
    """A packet of their parsers."""
    data = unhexed(packet.get("data", ""))
    kind = NAMES.index(packet["type"])
    return (
        EnginePacket(kind, data, True)
        if isinstance(data, bytes)
        else EnginePacket(kind, data.encode())
    )


def payloads(*, binary: bool, kinds: bool = False) -> list[list[EnginePacket]]:
    """Each text and each of the bytes alone, and many mixtures."""
    random = Random(5)
    every = [EnginePacket(MESSAGE, text.encode()) for text in TEXTS]
    every += [EnginePacket(kind, b"probe") for kind in range(len(NAMES))]
    if binary:
        every += [EnginePacket(MESSAGE, data, True) for data in BYTES]
    if kinds:
        every += [EnginePacket(kind, b"\1", True) for kind in range(len(NAMES))]
    mixtures = [random.sample(every, random.randint(2, 8)) for _ in range(200)]
    return [[packet] for packet in every] + mixtures


@pytest.mark.parametrize("parser", [*OLD, NEW])
@pytest.mark.parametrize("binary", [False, True])
def test_frames(parsers: SocketioCodecs, parser: int, binary: bool) -> None:
    revision = 4 if parser == NEW else 3
    for [packet] in payloads(binary=True, kinds=revision == 3)[: len(TEXTS) + len(BYTES) + 7]:
        asked = parsers.ask("encodePacket", parser=parser, packet=theirs(packet), binary=binary)
        sent = unhexed(asked["packet"])
        data = sent if isinstance(sent, bytes) else sent.encode()
        assert decode_frame(data, isinstance(sent, bytes), revision, limit=1000) == packet
        if packet.binary == isinstance(sent, bytes):
            assert encode_frame(packet, revision) == data
            read = parsers.ask("decodePacket", parser=parser, data=asked["packet"])["packet"]
            assert ours(read) == packet


def test_payloads_of_4(parsers: SocketioCodecs) -> None:
    for packets in payloads(binary=True):
        if any(b"\x1e" in packet.data and not packet.binary for packet in packets):
            continue
        said = [theirs(packet) for packet in packets]
        payload = unhexed(parsers.ask("encodePayload", parser=NEW, packets=said)["payload"])
        assert engineio4.encode(packets) == payload
        assert engineio4.decode(payload, **PLENTY) == packets
        assert parsers.ask("decodePayload", parser=NEW, payload={"hex": payload.hex()}) == {
            "packets": said
        }


@pytest.mark.parametrize("parser", OLD)
def test_binary_payloads_of_3(parsers: SocketioCodecs, parser: int) -> None:
    """The same bytes in both generations."""
    for packets in payloads(binary=True, kinds=True):
        said = [theirs(packet) for packet in packets]
        payload = unhexed(parsers.ask("encodeAsBinary", parser=parser, packets=said)["payload"])
        assert engineio3.encode_bytes(packets) == payload
        assert engineio3.decode_bytes(payload, **PLENTY) == packets
        read = parsers.ask(
            "decodePayload", parser=parser, payload={"hex": payload.hex()}, binary=True
        )
        assert [ours(packet) for packet in read["packets"]] == packets


@pytest.mark.parametrize("parser", OLD)
def test_what_clients_of_3_write_as_text(parsers: SocketioCodecs, parser: int) -> None:
    """Both generations are read, though the one writes UTF-8 twice."""
    count = 0
    for packets in payloads(binary=True, kinds=True):
        said = [theirs(packet) for packet in packets]
        asked = parsers.ask("encodePayload", parser=parser, packets=said, binary=False)
        payload = unhexed(asked["payload"])
        doubled = b"".join(packet.data for packet in packets if not packet.binary)
        if not doubled.isascii():
            assert (f"4{TEXTS[3]}".encode() in payload) == (
                parser == 2 and TEXTS[3].encode() in doubled
            )
            count += 1
        assert engineio3.decode_texts(payload, **PLENTY) == packets
    assert count > 100


@pytest.mark.parametrize("parser", OLD)
@pytest.mark.parametrize("encoding", ["utf8", "latin1"])
def test_what_clients_of_3_read_as_text(
    parsers: SocketioCodecs, parser: int, encoding: str
) -> None:
    """Browsers with 1.x take the bytes for characters where they can take binary."""
    for packets in payloads(binary=True):
        json_packets = [
            packet._replace(data=json.dumps(packet.data.decode(), ensure_ascii=False).encode())
            if not packet.binary
            else packet
            for packet in packets
        ]
        payload = engineio3.encode_texts(json_packets)
        read = parsers.ask(
            "decodePayload",
            parser=parser,
            payload={"hex": payload.hex()},
            encoding=encoding,
            binary=False,
        )
        for packet, back in zip(packets, map(ours, read["packets"]), strict=True):
            data = back.data if back.binary else json.loads(back.data).encode()
            assert back._replace(data=data) == packet


def test_broken_payloads_are_read_as_theirs_are_or_refused(parsers: SocketioCodecs) -> None:
    """What they read is what they would have written, or the difference is known."""
    random = Random(6)
    pieces = ["0", "1", "4", "2:", "6:4", "b4", "AQ==", ":", "é", "😀", "\x1e", "a", "12"]
    read = 0
    for _ in range(3000):
        text = "".join(random.choices(pieces, k=random.randint(1, 8)))
        for parser, decode in ((2, engineio3.decode_texts), (NEW, engineio4.decode)):
            try:
                found = decode(text.encode(), **PLENTY)
            except EngineError:
                continue
            answer = parsers.ask("decodePayload", parser=parser, payload=hexed(text.encode()))
            assert [ours(packet) for packet in answer["packets"]] == found, text
            read += 1
    assert read > 500


@pytest.mark.parametrize("engine", [1, 6])
def test_jsonp_scripts(parsers: SocketioCodecs, engine: int) -> None:
    for text in TEXTS:
        asked = parsers.ask("writeJsonp", engine=engine, index=7, text=text)
        script = jsonp.encode(jsonp.function("___eio", "7"), text.encode())
        assert asked == {"script": script.decode(), "runs": [text]}
    script = jsonp.encode(jsonp.function("io.j", "0"), b'5:::{"name":"a"}')
    asked = parsers.ask("runScript", script=script.decode())
    assert asked == {"runs": ['5:::{"name":"a"}']}


@pytest.mark.parametrize(("engine", "revision"), [(1, 3), (6, 3), (6, 4)])
def test_jsonp_forms(parsers: SocketioCodecs, engine: int, revision: int) -> None:
    """As engine.io-client writes them: newlines escaped, their escapes escaped too.

    A newline after a backslash is lost that way. In JSON there is none.
    """
    decode = engineio3.decode_texts if revision == 3 else engineio4.decode
    parser = {1: 1, 6: 2}[engine] if revision == 3 else NEW
    for packets in payloads(binary=True):
        if revision == 4 and any(b"\x1e" in packet.data for packet in packets):
            continue
        if any(packet.kind == CLOSE for packet in packets):
            continue  # they read no further
        said = [theirs(packet) for packet in packets]
        asked = parsers.ask("encodePayload", parser=parser, packets=said, binary=False)
        payload = unhexed(asked["payload"]).decode()
        escaped = re.sub(r"\\n", "\\\\\n", payload).replace("\n", "\\n")
        form = urlencode({"d": escaped})
        read = parsers.ask("readJsonp", engine=engine, form=form, revision=revision)
        field = jsonp.newlines(jsonp.decode_form(form.encode(), limit=100_000))
        if "\\\n" in payload:
            assert field.decode() == payload.replace("\\\n", "\\n")
            packets = [
                packet._replace(data=packet.data.replace(b"\\\n", b"\\n")) for packet in packets
            ]
            if revision == 3:  # and then no length fits
                continue
        assert [ours(packet) for packet in read["packets"]] == packets
        assert decode(field, **PLENTY) == packets
