"""Pomelo's messages on socket.io, alone and beside Pomelo's own connector."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from npm import missing_node

from chatcore.errors import BodyError, MessageError
from chatcore.wire.composed import (
    Request,
    decode,
    encode_batch,
    encode_kick,
    encode_push,
    encode_response,
)

from .pomelo_codecs import TEXTS, PomeloCodecs

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def composed(number: int, route: str, body: str) -> str:
    """A request as Pomelo's client writes it."""
    head = number.to_bytes(4, "big") + bytes((units(route),))
    return head.decode("latin-1") + route + body


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        (
            '\0\0\0\2\x19gate.gateHandler.queryEnt{"uid":"a"}',
            Request(2, "gate.gateHandler.queryEnt", b'{"uid":"a"}'),
        ),
        ('\0\0\1\xff\3a.b{"c":"中😀"}', Request(511, "a.b", '{"c":"中😀"}'.encode())),
        ("\xff\xff\xff\xff\1a1", Request(2**32 - 1, "a", b"1")),
        ("\0\0\0\0\3a.b", Request(0, "a.b", b"")),
        ("\u0100\u4e00\uff00\u0105\u0201ab", Request(5, "a", b"b")),
        ("\0\0\0\1\2中文{}", Request(1, "中文", b"{}")),
        ("\0\0\0\1\3中😀{}", Request(1, "中😀", b"{}")),
        ("\U00010101\0\1\1a{}", Request(0x00010001, "a", b"{}")),
    ],
)
def test_requests(text: str, request_: Request) -> None:
    assert decode(text) == request_


@given(number=st.integers(0, 2**32 - 1), route=TEXT.filter(bool), body=TEXT)
def test_round_trips(number: int, route: str, body: str) -> None:
    assert decode(composed(number, route, body)) == Request(number, route, body.encode())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "inside its head"),
        ("\0\0\0\1", "inside its head"),
        ("\U00010101\0\1", "inside its head"),
        ("\0\0\0\1\0{}", "without a route"),
        ("\0\0\0\1\5a.b{", "inside its route"),
        ("\0\0\0\1\5中文{}", "inside its route"),
        ("\0\0\0\1\1😀{}", "half a surrogate pair"),
        ("\0\0\0\1\1a\ud83d", "half a surrogate pair"),
        ("\0\0\0\1\1\ud83d{}", "half a surrogate pair"),
        ("\ud83d\0\0\1\1a{}", "half a surrogate pair"),
    ],
)
def test_what_is_refused(text: str, problem: str) -> None:
    with pytest.raises(MessageError, match=problem):
        decode(text)


@given(st.text(max_size=20) | st.text("\0\1\2a中😀\ud83d", max_size=10))
def test_garbage_is_read_or_refused(text: str) -> None:
    try:
        request = decode(text)
    except MessageError:
        return
    assert request.route and units(text) == 5 + units(request.route) + units(request.body.decode())


def test_what_a_server_says() -> None:
    response, push = encode_response(7, b'{"code":200}'), encode_push("onChat", b'{"msg":"a"}')
    assert response == b'{"id":7,"body":{"code":200}}'
    assert push == b'{"route":"onChat","body":{"msg":"a"}}'
    assert encode_kick('a "b"') == rb'{"route":"onKick","reason":"a \"b\""}'
    assert encode_batch([response, push]) == b"[" + response + b"," + push + b"]"
    assert encode_batch([]) == b"[]"
    assert json.loads(encode_push("中😀", b"null")) == {"route": "中😀", "body": None}
    with pytest.raises(BodyError):
        encode_push("\ud83d", b"{}")


@pytest.fixture(scope="module")
def pomelo() -> Iterator[PomeloCodecs]:
    """Pomelo's codecs."""
    codecs = PomeloCodecs()
    yield codecs
    codecs.close()


@pytest.mark.skipif(missing_node() is not None, reason=str(missing_node()))
def test_requests_beside_pomelo(pomelo: PomeloCodecs) -> None:
    random = Random(7)
    for _ in range(500):
        number = random.choice([0, 1, 2, 255, 256, 65_535, 2**31 - 1, random.randrange(2**31)])
        route = random.choice(["chat.chatHandler.send", "a", "中.文", "x" * 255, "a😀"])
        body = json.dumps({"content": random.choice(TEXTS)}, ensure_ascii=random.random() < 0.5)
        text = composed(number, route, body)
        if random.random() < 0.3:  # only the low bytes of the head count
            text = (
                "".join(chr(ord(one) | random.randrange(1, 8) << 8) for one in text[:5]) + text[5:]
            )
        theirs = pomelo.ask("decodeComposed", text=text)["message"]
        assert theirs == {"id": number, "route": route, "body": json.loads(body)}
        assert decode(text) == Request(number, route, body.encode())


@pytest.mark.skipif(missing_node() is not None, reason=str(missing_node()))
def test_what_pomelo_says(pomelo: PomeloCodecs) -> None:
    said = []
    for text in TEXTS:
        value = {"msg": text, "n": [1, None]}
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        asked = pomelo.ask("encodeComposed", id=9, route="r", body=value)["text"]
        assert encode_response(9, body).decode() == asked
        asked = pomelo.ask("encodeComposed", id=0, route="onChat", body=value)["text"]
        assert encode_push("onChat", body).decode() == asked
        said.append(asked)
    batch = pomelo.ask("encodeComposedBatch", messages=said)["text"]
    assert encode_batch([one.encode() for one in said]).decode() == batch
