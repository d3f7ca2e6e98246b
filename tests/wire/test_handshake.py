"""The JSON of handshakes and kicks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import BodyError, HandshakeError
from chatcore.wire import handshake
from chatcore.wire.dictionary import Dictionary
from chatcore.wire.protobuf import Protos


def test_replies_are_pomelos() -> None:
    assert handshake.encode_reply() == b'{"code":200,"sys":{}}'
    assert handshake.encode_reply(heartbeat=3) == b'{"code":200,"sys":{"heartbeat":3}}'
    assert (
        handshake.encode_reply(heartbeat=3, user={"name": "中"})
        == '{"code":200,"sys":{"heartbeat":3},"user":{"name":"中"}}'.encode()
    )
    assert b"user" not in handshake.encode_reply(user={})


HANDLERS = (
    "gate.gateHandler.queryEntry",
    "connector.entryHandler.enter",
    "chat.chatHandler.send",
)
DICTIONARY = Dictionary(HANDLERS)
PROTOS = Protos(
    {"onChat": {"required string msg": 1, "required string from": 2, "required string target": 3}}
)


def test_gates_and_connectors_replies_are_pomelos() -> None:
    """Captured from the chat of Pomelo 2.2.7; its handshakes had these lengths, too."""
    protos = (
        '"protos":{"server":{"onChat":{"msg":{"option":"required","type":"string","tag":1},'
        '"from":{"option":"required","type":"string","tag":2},'
        '"target":{"option":"required","type":"string","tag":3},'
        '"__messages":{},"__tags":{"1":"msg","2":"from","3":"target"}}},'
        '"client":{},"version":"2zWPnSlRsRxjqgcU215Uxg=="},"useProto":true'
    )
    codes = (
        '{"chat.chatHandler.send":1,"connector.entryHandler.enter":2,'
        '"gate.gateHandler.queryEntry":3}'
    )
    routes = (
        '{"1":"chat.chatHandler.send","2":"connector.entryHandler.enter",'
        '"3":"gate.gateHandler.queryEntry"}'
    )
    gate = handshake.encode_reply(protos=PROTOS)
    assert gate.decode() == f'{{"code":200,"sys":{{{protos}}}}}'
    assert len(gate) == 0x153
    connector = handshake.encode_reply(heartbeat=3, dictionary=DICTIONARY, protos=PROTOS)
    assert connector.decode() == (
        f'{{"code":200,"sys":{{"heartbeat":3,"dict":{codes},"routeToCode":{codes},'
        f'"codeToRoute":{routes},"dictVersion":"s2r1qfKDrbhWCkA6uf+PTA==","useDict":true,'
        f"{protos}}}}}"
    )
    assert len(connector) == 0x2D9


@pytest.mark.parametrize("versions", [{}, {"dictVersion": 0, "protoVersion": None}, {"rsa": []}])
def test_clients_with_another_version_get_everything(versions: dict[str, Any]) -> None:
    everything = handshake.encode_reply(dictionary=DICTIONARY, protos=PROTOS)
    assert everything == handshake.encode_reply(dictionary=DICTIONARY, protos=PROTOS, sys=versions)


def test_clients_are_not_sent_what_they_keep() -> None:
    sys = {"dictVersion": DICTIONARY.version, "protoVersion": PROTOS.version}

    def reply(**sys: str) -> bytes:
        return handshake.encode_reply(heartbeat=3, dictionary=DICTIONARY, protos=PROTOS, sys=sys)

    assert reply(**sys) == b'{"code":200,"sys":{"heartbeat":3,"useDict":true,"useProto":true}}'
    only_protos = reply(dictVersion=DICTIONARY.version)
    assert b'"protos"' in only_protos and b'"dict"' not in only_protos
    only_dictionary = reply(protoVersion=PROTOS.version)
    assert b'"protos"' not in only_dictionary and b'"dict"' in only_dictionary


def test_protobuf_without_any_schema() -> None:
    """It has no version that a client could keep: Pomelo sends it each time."""
    assert (
        handshake.encode_reply(protos=Protos(), sys={"protoVersion": ""}, user=[1])
        == b'{"code":200,"sys":{"protos":{"server":{},"client":{},"version":""},"useProto":true},'
        b'"user":[1]}'
    )


def test_every_client_can_read_the_dictionary() -> None:
    """Pomelo's JavaScript clients can't read the four bytes of an emoji."""
    reply = handshake.encode_reply(dictionary=Dictionary(["on😀"]))
    assert b'"on\\ud83d\\ude00":1' in reply


def test_refusals_are_pomelos() -> None:
    assert handshake.encode_refusal() == b'{"code":500}'
    assert handshake.encode_refusal(501) == b'{"code":501}'


def test_kicks_are_pomelos() -> None:
    assert handshake.encode_kick("attack") == b'{"reason":"attack"}'
    with pytest.raises(BodyError):
        handshake.encode_kick("\ud800")


def test_the_javascript_clients_request() -> None:
    request = handshake.decode_request(
        b'{"sys":{"type":"js-websocket","version":"0.0.1","rsa":{},"protoVersion":0},"user":{}}'
    )
    assert request.sys["type"] == "js-websocket"
    assert request.sys["protoVersion"] == 0
    assert request.user == {}
    assert handshake.decode_request(b'{"sys":{}}').user is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b'{"sys":1}',
        b'{"sys":null}',
        b'{"sys":[]}',
        b"[]",
        b"1",
        b"x",
        b"\xff",
        b"[" * 100_000,
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_refused(data: bytes) -> None:
    with pytest.raises(HandshakeError):
        handshake.decode_request(data)


@given(garbage=st.binary(max_size=100))
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(HandshakeError):
        handshake.decode_request(b"!" + garbage)
