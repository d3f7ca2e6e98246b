"""The JSON of handshakes and kicks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import BodyError, HandshakeError
from chatcore.wire import handshake


def test_replies_are_pomelos() -> None:
    assert handshake.encode_reply() == b'{"code":200,"sys":{}}'
    assert handshake.encode_reply(heartbeat=3) == b'{"code":200,"sys":{"heartbeat":3}}'
    assert handshake.encode_reply(heartbeat=3.0) == b'{"code":200,"sys":{"heartbeat":3}}'
    assert handshake.encode_reply(heartbeat=0.5) == b'{"code":200,"sys":{"heartbeat":0.5}}'
    assert (
        handshake.encode_reply(heartbeat=3, user={"name": "中"})
        == '{"code":200,"sys":{"heartbeat":3},"user":{"name":"中"}}'.encode()
    )
    assert b"user" not in handshake.encode_reply(user={})


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
