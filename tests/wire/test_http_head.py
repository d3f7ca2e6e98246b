"""The head of an HTTP request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.errors import HttpError
from chatcore.wire.http import LONGEST_HEAD, Head, read_head

UPGRADE = b"GET /chat?room=1 HTTP/1.1\r\nUPGRADE: h2c, WebSocket\r\nConnection: Upgrade\r\n\r\n"


def test_what_is_in_it() -> None:
    data = b"PUT /a%20b?c=d HTTP/1.0\r\nA:1\r\nb-C: \t two  words \r\na: 3\r\nE:\r\n\r\nrest"
    head = Head("PUT", "/a%20b?c=d", "1.0", {"a": "1, 3", "b-c": "two  words", "e": ""})
    assert read_head(data) == (head, len(data) - 4)


@pytest.mark.parametrize(
    ("data", "asks"),
    [
        (UPGRADE, True),
        (UPGRADE.replace(b"GET", b"POST"), False),
        (UPGRADE.replace(b"1.1", b"1.0"), False),
        (UPGRADE.replace(b"WebSocket", b"websockets"), False),
        (UPGRADE.replace(b"UPGRADE", b"Upgraded"), False),
    ],
)
def test_who_asks_for_a_websocket(data: bytes, asks: bool) -> None:
    found = read_head(data)
    assert found is not None
    assert found[0].asks_for_websocket is asks


@pytest.mark.parametrize(
    ("field", "has"),
    [
        (b"X: 1", False),
        (b"Content-Length: 0", False),
        (b"Content-Length: 5", True),
        (b"Transfer-Encoding: chunked", True),
    ],
)
def test_who_has_a_body(field: bytes, has: bool) -> None:
    found = read_head(b"POST / HTTP/1.1\r\n" + field + b"\r\n\r\n")
    assert found is not None
    assert found[0].has_body is has


def test_it_is_read_when_all_of_it_came() -> None:
    whole = read_head(UPGRADE)
    for length in range(len(UPGRADE)):
        assert read_head(UPGRADE[:length]) is None, length
    assert read_head(UPGRADE + b"\x82\x80") == whole


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /\r\n", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET  / HTTP/1.1\r\n", 400),
        (b"GET / HTTP/1.1 \r\n", 400),
        (b"GET /\0 HTTP/1.1\r\n", 400),
        (b"G@T / HTTP/1.1\r\n", 400),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n", 400),
        (b"GET / HTTP/11\r\n", 400),
        (b"PRI * HTTP/2.0\r\n", 505),
        (b"GET / HTTP/1.2\r\n", 505),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n folded: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na : 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: \0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\na: 1\nb: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\xfe: 1\r\n\r\n", 400),
        (b"GET /" + b"x" * LONGEST_HEAD, 431),
        (b"GET / HTTP/1.1\r\na: " + b"x" * LONGEST_HEAD + b"\r\n\r\n", 431),
        (b"A" * LONGEST_HEAD, 431),
    ],
)
def test_what_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(HttpError) as caught:
        read_head(data)
    assert caught.value.status == status


@given(st.binary(max_size=300))
def test_garbage_is_refused_or_waited_for(garbage: bytes) -> None:
    for data in (garbage, b"GET / HTTP/1.1\r\n" + garbage):
        try:
            found = read_head(data)
        except HttpError:
            continue
        if found is not None:
            assert data[: found[1]].endswith(b"\r\n\r\n")


def test_the_longest() -> None:
    data = b"GET / HTTP/1.1\r\na: "
    data += b" " * (LONGEST_HEAD - len(data) - 4) + b"\r\n\r\n"
    found = read_head(data)
    assert found is not None
    assert found[1] == LONGEST_HEAD
    with pytest.raises(HttpError):
        read_head(data.replace(b": ", b":  "))
