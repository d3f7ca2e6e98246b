"""What a client makes of the codes and schemas that a server names."""

from __future__ import annotations

from json import dumps, loads
from typing import Any

import pytest

from chatcore.client.dialect import Dialect
from chatcore.client.kept import Kept
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


SAYS = loads(encode_reply(dictionary=DICTIONARY, protos=PROTOS))["sys"]
VERSIONS = {"dictVersion": DICTIONARY.version, "protoVersion": PROTOS.version}
SHORT = {"useDict": True, "useProto": True}


def test_what_a_server_said_is_kept_for_the_next_client() -> None:
    """As JSON holds it; a server elsewhere is not taken for this one."""
    cache: dict[str, Any] = {}
    first = Kept(cache, "ws://a:1/")
    assert first.offer() == {}
    first.agree(SAYS)
    second = Kept(loads(dumps(cache)), "ws://a:1/")
    assert second.offer() == VERSIONS
    assert loads(encode_reply(dictionary=DICTIONARY, protos=PROTOS, sys=VERSIONS))["sys"] == SHORT
    dialect = second.agree(SHORT)
    assert dialect.encode("a.b.c", {"n": 5}) == (1, b"\x08\x05")
    assert dialect.decode(dialect.route(2), b"\x0a\x02hi") == {"text": "hi"}
    assert Kept(cache, "ws://a:2/").offer() == {}


def test_what_is_kept_is_used_only_where_it_is_wanted() -> None:
    cache: dict[str, Any] = {}
    Kept(cache, "a").agree(SAYS)
    again = Kept(cache, "a")
    again.offer()
    assert again.agree({}).encode("a.b.c", {"n": 5}) == ("a.b.c", b'{"n":5}')
    assert again.agree({"useDict": True}).encode("a.b.c", {"n": 5}) == (1, b'{"n":5}')


def test_a_server_that_changed_is_believed() -> None:
    cache: dict[str, Any] = {}
    Kept(cache, "a").agree(SAYS)
    changed = Dictionary(["x.y.z"])
    again = Kept(cache, "a")
    again.offer()
    reply = loads(encode_reply(dictionary=changed, protos=PROTOS, sys=VERSIONS))
    assert again.agree(reply["sys"]).encode("x.y.z", {}) == (1, b"{}")
    assert Kept(cache, "a").offer() == {**VERSIONS, "dictVersion": changed.version}


@pytest.mark.parametrize("flag", ["useDict", "useProto"])
def test_a_server_that_says_too_little(flag: str) -> None:
    with pytest.raises(HandshakeError, match=f"{flag} without what is used"):
        Kept({}, "a").agree({flag: True})


@pytest.mark.parametrize(
    "junk", [None, 5, [], "x", {"routeToCode": 5}, {"protos": {"server": 5}}, {"protos": None}]
)
def test_what_else_is_found_in_a_cache_is_no_hindrance(junk: Any) -> None:
    cache = {"a": junk}
    kept = Kept(cache, "a")
    assert kept.offer() == {}
    kept.agree(SAYS)
    assert Kept(cache, "a").offer() == VERSIONS
