"""What a client makes of the codes and schemas that a server names."""

from __future__ import annotations

from json import loads
from typing import Any

import pytest

from chatcore.client.dialect import Dialect
from chatcore.errors import HandshakeError, MessageError
from chatcore.wire.dictionary import Dictionary
from chatcore.wire.handshake import encode_reply
from chatcore.wire.protobuf import Protos

DICTIONARY = Dictionary(["a.b.c"], ["onD"])
PROTOS = Protos({"onD": {"required string text": 1}}, {"a.b.c": {"required uInt32 n": 1}})


def test_what_a_server_says_is_used() -> None:
    reply = loads(encode_reply(dictionary=DICTIONARY, protos=PROTOS))
    dialect = Dialect.agreed(reply["sys"])
    assert dialect.encode("a.b.c", {"n": 5}) == (1, b"\x08\x05")
    assert dialect.encode("x.y.z", {"n": 5}) == ("x.y.z", b'{"n":5}')
    assert dialect.route(2) == "onD"
    assert dialect.decode("onD", b"\x0a\x02hi") == {"text": "hi"}
    assert dialect.decode("onE", b"[1]") == [1]


def test_a_code_that_stands_for_nothing() -> None:
    with pytest.raises(MessageError, match="the route code 7"):
        Dialect().route(7)


@pytest.mark.parametrize(
    "sys",
    [
        {"dict": []},
        {"dict": "a"},
        {"routeToCode": {"a": "1"}},
        {"routeToCode": {"a": 0}},
        {"routeToCode": {"a": 65536}},
        {"routeToCode": {"a": True}},
        {"protos": 5},
        {"protos": {"server": 5}},
        {"protos": {"client": {"a": {"b": {"type": "nothing"}}}}},
    ],
)
def test_what_can_not_be_used_is_refused(sys: dict[str, Any]) -> None:
    with pytest.raises(HandshakeError):
        Dialect.agreed(sys)
