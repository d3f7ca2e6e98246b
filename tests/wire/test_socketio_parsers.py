"""Socket.IO's codecs beside its own parsers: of socket.io 0.9, 1.x, 2.x and 4.x."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from npm import missing_node

from chatcore.errors import EngineError, SocketioError
from chatcore.wire import socketio, socketio0
from chatcore.wire.socketio import (
    ACK,
    BINARY,
    BINARY_ACK,
    BINARY_EVENT,
    CONNECT,
    DISCONNECT,
    ERROR,
    EVENT,
    SocketPacket,
)
from chatcore.wire.socketio0 import OldPacket
from chatcore.wire.socketio_binary import SocketDecoder, encode_values

from .socketio_codecs import BYTES, TEXTS, SocketioCodecs, hexed, unhexed

pytestmark = pytest.mark.skipif(missing_node() is not None, reason=str(missing_node()))

PARSERS = {2: 4, 3: 4, 4: 5}
"""Versions of socket.io-parser, and of the protocol."""

SIDES = ("server", "client")
OLD_KINDS = (
    "disconnect",
    "connect",
    "heartbeat",
    "message",
    "json",
    "event",
    "ack",
    "error",
    "noop",
)
PLENTY = {"limit": 100_000, "most": 100}


@pytest.fixture(scope="module")
def parsers() -> Iterator[SocketioCodecs]:
    """The parsers."""
    codecs = SocketioCodecs()
    yield codecs
    codecs.close()


class Inventor:
    """Packets, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def value(self, depth: int = 0) -> Any:
        random = self.random
        if depth < 3 and random.random() < 0.3:
            return [self.value(depth + 1) for _ in range(random.randrange(4))]
        if depth < 3 and random.random() < 0.3:
            return {
                f"{random.choice(TEXTS)}k": self.value(depth + 1)
                for _ in range(random.randrange(4))
            }
        return random.choice([*TEXTS, 0, -1, 1.5, 2**53, True, False, None])

    def with_bytes(self, depth: int = 0) -> Any:
        random = self.random
        if depth < 2 and random.random() < 0.3:
            return [self.with_bytes(depth + 1) for _ in range(random.randrange(4))]
        if depth < 2 and random.random() < 0.3:
            return {f"k{at}": self.with_bytes(depth + 1) for at in range(random.randrange(4))}
        return random.choice(BYTES) if random.random() < 0.5 else self.value(2)

    def place(self) -> dict[str, Any]:
        namespace = self.random.choice(["/", "/admin", "/中文/a", "/a?b"])
        number = self.random.choice([None, 0, 7, 12_345, 2**53 - 1])
        return {"namespace": namespace, "id": number}


def theirs(kind: int, data: Any, place: dict[str, Any]) -> dict[str, Any]:
    """A packet as their parsers have it."""
    packet = {"type": kind, "nsp": place["namespace"], "data": hexed(data)}
    if place["id"] is not None:
        packet["id"] = place["id"]
    return packet


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def values(packet: SocketPacket) -> list[Any]:
    """The array of an event or acknowledgement."""
    if packet.kind in BINARY:
        found = list(packet.values)
    else:
        found = [json.loads(bytes(argument)) for argument in packet.arguments]
    return [packet.name, *found] if packet.kind in (EVENT, BINARY_EVENT) else found


@pytest.mark.parametrize("parser", PARSERS)
def test_events_and_acknowledgements(parsers: SocketioCodecs, parser: int) -> None:
    """They write the same bytes, and read them as they were meant."""
    inventor = Inventor(parser)
    for _ in range(400):
        kind = inventor.random.choice([EVENT, ACK])
        place = inventor.place()
        if kind == ACK and place["id"] is None:
            place["id"] = 1
        name = inventor.random.choice(TEXTS)
        arguments = [inventor.value() for _ in range(inventor.random.randrange(4))]
        data = [name, *arguments] if kind == EVENT else arguments
        encoded = [as_json(argument) for argument in arguments]
        if kind == EVENT:
            ours = socketio.encode_event(name, encoded, **place)
        else:
            ours = socketio.encode_ack(place["id"], encoded, namespace=place["namespace"])
        packet = theirs(kind, data, place)
        [sent] = parsers.ask("encodeSocket", parser=parser, packet=packet)["messages"]
        assert json.loads(ours[ours.index(b"[") :]) == data
        assert ours[: ours.index(b"[")].decode() == sent[: sent.index("[")]
        for text in (ours.decode(), sent):
            assert parsers.ask("decodeSocket", parser=parser, messages=[text]) == {
                "packets": [packet]
            }
            read = socketio.decode(text.encode(), PARSERS[parser], most=0)
            assert (read.kind, read.namespace, read.id) == (kind, place["namespace"], place["id"])
            assert values(read) == data


@pytest.mark.parametrize("parser", PARSERS)
def test_attachments(parsers: SocketioCodecs, parser: int) -> None:
    inventor = Inventor(parser)
    count = 0
    for _ in range(400):
        kind = inventor.random.choice([EVENT, ACK])
        place = inventor.place()
        if kind == ACK and place["id"] is None:
            place["id"] = 1
        data = [inventor.with_bytes() for _ in range(inventor.random.randrange(4))]
        if kind == EVENT:
            data.insert(0, inventor.random.choice(TEXTS))
        text, attachments = encode_values(kind, data, **place)
        if not attachments or len(attachments) > 10:
            continue
        count += 1
        as_binary = BINARY_EVENT if kind == EVENT else BINARY_ACK
        packet = theirs(as_binary if parser < 4 else kind, data, place)
        sent = unhexed(parsers.ask("encodeSocket", parser=parser, packet=packet)["messages"])
        assert sent[1:] == attachments
        messages = hexed([text.decode(), *attachments])
        read = parsers.ask("decodeSocket", parser=parser, messages=messages)
        assert read == {"packets": [packet]}
        for first in (text, sent[0].encode()):
            decoder = SocketDecoder(PARSERS[parser], most=10, limit=10_000)
            assert decoder.feed(first, False) is None
            found = [decoder.feed(attachment, True) for attachment in attachments]
            assert found[:-1] == [None] * (len(found) - 1)
            assert found[-1] is not None
            assert found[-1].kind == as_binary
            assert values(found[-1]) == data
    assert count > 100


@pytest.mark.parametrize("parser", PARSERS)
def test_what_a_server_says(parsers: SocketioCodecs, parser: int) -> None:
    """They read of it what was said, and write what is read here."""
    version = PARSERS[parser]
    for namespace in ("/", "/admin", "/中文"):
        sid = {"sid": "oSO0"} if version == 5 else None
        refused = {"message": "No 中"} if version == 5 else "No 中"
        said = [
            (socketio.encode_connect(version, "oSO0", namespace=namespace), CONNECT, sid),
            (socketio.encode_disconnect(namespace=namespace), DISCONNECT, None),
            (socketio.encode_error(version, "No 中", namespace=namespace), ERROR, refused),
        ]
        for ours, kind, data in said:
            packet = {"type": kind, "nsp": namespace} | ({"data": data} if data else {})
            messages = [ours.decode()]
            assert parsers.ask("decodeSocket", parser=parser, messages=messages) == {
                "packets": [packet]
            }
            [sent] = parsers.ask("encodeSocket", parser=parser, packet=packet)["messages"]
            # 1.x leaves the comma out where nothing follows.
            assert sent in (ours.decode(), ours.decode().removesuffix(","))
            read = socketio.decode(sent.encode(), version, most=0)
            assert (read.kind, read.namespace) == (kind, namespace)
            assert (json.loads(read.data) if read.data else None) == data


@pytest.mark.parametrize("parser", PARSERS)
def test_broken_packets_are_read_as_theirs_are_or_refused(
    parsers: SocketioCodecs, parser: int
) -> None:
    random = Random(parser)
    pieces = [
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "1-",
        "/a",
        ",",
        "?b",
        "12",
        '["a"]',
        '["a",1]',
        "{}",
    ]
    pieces += ['"x"', '["a",{"_placeholder":true,"num":0}]', "[]", '["connect"]', "null", "-"]
    read = 0
    for _ in range(5000):
        text = "".join(random.choices(pieces, k=random.randint(1, 4)))
        messages: list[Any] = [text, b"x"] if random.random() < 0.5 else [text]
        decoder = SocketDecoder(PARSERS[parser], most=10, limit=100)
        try:
            found = [
                decoder.feed(
                    one if isinstance(one, bytes) else one.encode(), isinstance(one, bytes)
                )
                for one in messages
            ]
        except SocketioError:
            continue
        answer = parsers.ask("decodeSocket", parser=parser, messages=hexed(messages))
        packets = [packet for packet in found if packet is not None]
        assert "packets" in answer, (text, answer)
        assert len(packets) == len(answer["packets"]), text
        for packet, other in zip(packets, answer["packets"], strict=True):
            kind = other["type"]
            if parser == 4 and packet.kind in BINARY:
                kind += BINARY_EVENT - EVENT
            place = packet.namespace + ("?" + packet.query if packet.query else "")
            assert (packet.kind, place) == (kind, other["nsp"].removesuffix("?")), text
            assert packet.id == other.get("id"), text
            if packet.kind in (EVENT, ACK, *BINARY):
                assert values(packet) == unhexed(other["data"]), text
            else:
                assert (json.loads(packet.data) if packet.data else None) == other.get("data"), text
            read += 1
    assert read > 150


def old(packet: OldPacket) -> dict[str, Any]:
    """A packet as the parsers of 0.9 have it."""
    said: dict[str, Any] = {"type": OLD_KINDS[packet.kind], "endpoint": packet.endpoint}
    if packet.id is not None:
        said |= {"id": str(packet.id), "ack": "data" if packet.answers else True}
    if packet.kind == socketio0.MESSAGE:
        said["data"] = packet.data.decode()
    elif packet.kind == socketio0.JSON:
        said["data"] = json.loads(packet.data)
    elif packet.kind == socketio0.CONNECT:
        said["qs"] = "?" + packet.query if packet.query else packet.data.decode()
    elif packet.kind in (socketio0.EVENT, socketio0.ACK):
        said["args"] = [json.loads(bytes(argument)) for argument in packet.arguments]
        if packet.kind == socketio0.EVENT:
            said["name"] = packet.name
        else:
            said["ackId"] = str(packet.acknowledged)
    elif packet.kind == socketio0.ERROR:
        reason, _, advice = packet.data.decode().partition("+")
        said["reason"] = socketio0.REASONS[int(reason)] if reason else ""
        said["advice"] = socketio0.ADVICE[int(advice)] if advice else ""
    return said


def old_packets() -> list[tuple[bytes, OldPacket]]:
    """Packets encoded, and what they are."""
    packets: list[tuple[bytes, OldPacket]] = [
        (socketio0.ENCODED_HEARTBEAT, OldPacket(socketio0.HEARTBEAT)),
        (socketio0.ENCODED_NOOP, OldPacket(socketio0.NOOP)),
        (socketio0.encode_error(), OldPacket(socketio0.ERROR)),
    ]
    for endpoint in ("", "/a", "/中文"):
        at: dict[str, Any] = {"endpoint": endpoint}
        packets += [
            (socketio0.encode_connect(**at), OldPacket(socketio0.CONNECT, **at)),
            (socketio0.encode_disconnect(**at), OldPacket(socketio0.DISCONNECT, **at)),
            (socketio0.encode_error(2, 0, **at), OldPacket(socketio0.ERROR, data=b"2+0", **at)),
            (socketio0.encode_ack(4, **at), OldPacket(socketio0.ACK, acknowledged=4, **at)),
        ]
        for number, text in enumerate(TEXTS):
            data, json_text = text.encode(), as_json(text)
            event = OldPacket(socketio0.EVENT, number, True, name=text, arguments=[json_text], **at)
            packets += [
                (
                    socketio0.encode_message(data, id=number or None, **at),
                    OldPacket(socketio0.MESSAGE, number or None, data=data, **at),
                ),
                (
                    socketio0.encode_json_message(json_text, id=number, **at),
                    OldPacket(socketio0.JSON, number, data=json_text, **at),
                ),
                (socketio0.encode_event(text, [json_text], id=number, answers=True, **at), event),
                (
                    socketio0.encode_ack(number, [json_text, b"{}"], **at),
                    OldPacket(
                        socketio0.ACK, acknowledged=number, arguments=[json_text, b"{}"], **at
                    ),
                ),
            ]
    return packets


@pytest.mark.parametrize("side", SIDES)
def test_packets_of_0(parsers: SocketioCodecs, side: str) -> None:
    for text, packet in old_packets():
        read = socketio0.decode(text, limit=10_000)
        assert old(read) == old(packet)
        assert parsers.ask("decodeOld", side=side, text=text.decode()) == {"packet": old(packet)}
        sent = parsers.ask("encodeOld", side=side, packet=old(packet))["text"]
        assert old(socketio0.decode(sent.encode(), limit=10_000)) == old(packet)
        # They have no id 0, and leave those characters as they are, to lose them when they read.
        if packet.id != 0 and packet.acknowledged != 0 and "\u2028" not in sent:
            assert sent.encode().split(b"{")[0] == text.split(b"{")[0]


@pytest.mark.parametrize("side", SIDES)
def test_payloads_of_0(parsers: SocketioCodecs, side: str) -> None:
    random = Random(9)
    every = old_packets()
    for _ in range(200):
        chosen = random.sample(every, random.randint(1, 6))
        texts = [text for text, _ in chosen]
        payload = socketio0.encode_payload(texts)
        asked = parsers.ask(
            "encodeOldPayload", side=side, packets=[text.decode() for text in texts]
        )
        assert asked == {"text": payload.decode()}
        read = parsers.ask("decodeOldPayload", side=side, text=payload.decode())["packets"]
        packets = [old(packet) for _, packet in chosen]
        assert read == packets
        assert [old(packet) for packet in socketio0.decode_payload(payload, **PLENTY)] == packets


def test_broken_payloads_of_0_are_read_as_theirs_are_or_refused(parsers: SocketioCodecs) -> None:
    random = Random(10)
    pieces = [
        "3:::a",
        "2::",
        "\ufffd",
        "3",
        "5",
        ":",
        "/a",
        "+",
        "1",
        '{"name":"x"}',
        "6:::4+[1]",
        "é😀",
    ]
    read = 0
    for _ in range(3000):
        text = "".join(random.choices(pieces, k=random.randint(1, 6)))
        try:
            found = socketio0.decode_payload(text.encode(), **PLENTY)
        except (EngineError, SocketioError):
            continue
        answer = parsers.ask("decodeOldPayload", side="server", text=text)["packets"]
        assert [old(packet) for packet in found] == answer, text
        read += 1
    assert read > 100
