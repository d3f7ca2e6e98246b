"""The tutorials' chat answers with the very bytes that were captured from Pomelo 2.2.7."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import PATIENCE, RunningChat, short_folder

from pomelo.carriers import Package, WebSocketCarrier
from pomelo.raw_client import ACK, HANDSHAKE, HEARTBEAT, package, request

PROTOS = (
    '"protos":{"server":{"onChat":{"msg":{"option":"required","type":"string","tag":1},'
    '"from":{"option":"required","type":"string","tag":2},'
    '"target":{"option":"required","type":"string","tag":3},"__messages":{},'
    '"__tags":{"1":"msg","2":"from","3":"target"}}},"client":{},'
    '"version":"2zWPnSlRsRxjqgcU215Uxg=="},"useProto":true'
)
CODES = (
    '{"chat.chatHandler.send":1,"connector.entryHandler.enter":2,"gate.gateHandler.queryEntry":3}'
)
DICTIONARY = (
    f'"dict":{CODES},"routeToCode":{CODES},"codeToRoute":{{"1":"chat.chatHandler.send",'
    '"2":"connector.entryHandler.enter","3":"gate.gateHandler.queryEntry"},'
    '"dictVersion":"s2r1qfKDrbhWCkA6uf+PTA==","useDict":true'
)
VERSIONS = {"dictVersion": "s2r1qfKDrbhWCkA6uf+PTA==", "protoVersion": "2zWPnSlRsRxjqgcU215Uxg=="}


@pytest.fixture(scope="module")
def tutorial() -> Iterator[RunningChat]:
    """The example, with one server of each type."""

    def one_of_each(servers: dict[str, list[object]]) -> None:
        for entries in servers.values():
            del entries[1:]

    with short_folder() as folder:
        as_it_is = ("--set", "heartbeat.interval=3")
        chat = RunningChat(Path(folder), as_it_is, one_of_each)
        yield chat
        chat.close()


class Visitor:
    """A client that looks at bytes."""

    def __init__(self, chat: RunningChat, server_id: str) -> None:
        self._carrier = WebSocketCarrier(chat.port(server_id))
        self._waiting: list[Package] = []

    def send(self, data: bytes) -> None:
        self._carrier.send(data)

    def next(self) -> bytes:
        """The next package."""
        if not self._waiting:
            self._waiting += self._carrier.receive(PATIENCE)
        return package(*self._waiting.pop(0))

    def shake(self, sys: dict[str, str] | None = None) -> bytes:
        """Shake hands; the reply comes back."""
        self.send(package(HANDSHAKE, json.dumps({"sys": sys or {}}).encode()))
        reply = self.next()
        self.send(package(ACK))
        return reply

    def close(self) -> None:
        self._carrier.close()


@pytest.fixture
def gate(tutorial: RunningChat) -> Iterator[Visitor]:
    visitor = Visitor(tutorial, "gate-server-1")
    yield visitor
    visitor.close()


@pytest.fixture
def connector(tutorial: RunningChat) -> Iterator[Visitor]:
    visitor = Visitor(tutorial, "connector-server-1")
    yield visitor
    visitor.close()


def test_refused_handshake(gate: Visitor) -> None:
    gate.send(package(HANDSHAKE, b"{}"))
    assert gate.next() == bytes.fromhex("0100000c7b22636f6465223a3530307d")


def test_gate_reply(gate: Visitor) -> None:
    """But for the heartbeat, which the tutorials' gate doesn't have."""
    reply = gate.shake()
    body = reply[4:].replace(b'"heartbeat":3,', b"", 1)
    assert len(body) == 0x153 == len(reply) - 4 - len('"heartbeat":3,')
    assert body.decode() == f'{{"code":200,"sys":{{{PROTOS}}}}}'


def test_connector_reply(connector: Visitor) -> None:
    reply = connector.shake()
    assert reply[:4].hex() == "010002d9"
    assert reply[4:].decode() == f'{{"code":200,"sys":{{"heartbeat":3,{DICTIONARY},{PROTOS}}}}}'
    assert connector.next().hex() == "03000000"
    connector.send(package(HEARTBEAT))
    assert connector.next().hex() == "03000000"


def test_reply_with_both_versions_cached(connector: Visitor) -> None:
    body = b'{"code":200,"sys":{"heartbeat":3,"useDict":true,"useProto":true}}'
    assert connector.shake(VERSIONS) == package(HANDSHAKE, body)


def test_entry(gate: Visitor, tutorial: RunningChat) -> None:
    gate.shake()
    assert gate.next() == package(HEARTBEAT)
    gate.send(request(1, "gate.gateHandler.queryEntry", b'{"uid":"alice"}'))
    port = tutorial.port("connector-server-1")
    body = b'\x04\x01{"code":200,"host":"127.0.0.1","port":%d}' % port
    assert gate.next() == package(4, body)


def test_chat(connector: Visitor) -> None:
    connector.shake()
    connector.next()
    connector.send(request(1, 2, b'{"username":"alice","rid":"room"}'))
    assert connector.next() == package(4, b'\x04\x01{"users":["alice"]}')
    connector.send(request(2, 1, b'{"content":"hi all","target":"*"}'))
    assert {connector.next().hex(), connector.next().hex()} == {
        "0400000404027b7d",
        "0400001a06066f6e43686174" + "0a06686920616c6c" + "1205616c696365" + "1a012a",
    }
