"""Where a client connects to."""

from __future__ import annotations

import pytest

from chatcore.client.places import Place, parse_url


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("ws://localhost:3010", Place("ws", "localhost", 3010)),
        ("ws://localhost", Place("ws", "localhost", 80)),
        ("wss://chat.example.org/a/b?c=d", Place("wss", "chat.example.org", 443, "/a/b?c=d")),
        ("wss://[::1]:3010/", Place("wss", "::1", 3010)),
        ("tcp://192.0.2.1:3010", Place("tcp", "192.0.2.1", 3010)),
        ("TLS://Chat:3010", Place("tls", "chat", 3010)),
    ],
)
def test_urls(url: str, place: Place) -> None:
    assert parse_url(url) == place
    assert parse_url(place.url) == place


@pytest.mark.parametrize(
    "url", ["", "localhost:3010", "http://localhost", "tcp://localhost", "ws://:80", "ws://a:99999"]
)
def test_what_is_none(url: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_url(url)
