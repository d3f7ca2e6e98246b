"""The URL of a Redis server."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.config.tls_files import TlsFiles
from chatcore.errors import ConfigError
from chatcore.store.place import RedisPlace, Trust

FOLDER = Path("/app")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://redis.example", RedisPlace("redis.example")),
        ("redis://10.0.0.5:6380/3", RedisPlace("10.0.0.5", 6380, 3)),
        ("redis://[::1]:6380/", RedisPlace("::1", 6380)),
        ("redis://[::1]", RedisPlace("::1")),
        ("redis://my_redis", RedisPlace("my_redis")),
        ("redis://redis.example.", RedisPlace("redis.example.")),
        ("redis://:open@h", RedisPlace("h", user="", password="open")),
        ("redis://chat:a%3A%2F%40%3F%23b@h/1", RedisPlace("h", 6379, 1, "chat", "a:/@?#b")),
        ("rediss://h", RedisPlace("h", trust=Trust())),
        ("rediss://h:1/2?ca=tls/ca.pem", RedisPlace("h", 1, 2, trust=Trust(FOLDER / "tls/ca.pem"))),
        (
            "rediss://h?ca=/ca.pem&certificate=c.pem&key=k.pem",
            RedisPlace(
                "h", trust=Trust(Path("/ca.pem"), TlsFiles(FOLDER / "c.pem", FOLDER / "k.pem"))
            ),
        ),
    ],
)
def test_what_a_url_says(url: str, place: RedisPlace) -> None:
    assert RedisPlace.parse(url, FOLDER) == place


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://hush", "begins with neither redis:// nor rediss://"),
        ("redis:hush", "begins with neither"),
        ("redis://", "its host is missing"),
        ("redis://u:hush@", "its host is missing"),
        ("redis://u:hush@h:65536", "its port is no number from 1 to 65535"),
        ("redis://user:hush", "its port is no number"),
        ("redis://h/hush", "its database is no number"),
        ("redis://u:hu/sh@h", "write %2F for '/'"),
        ("redis://u:hu#sh@h", "%23 for '#'"),
        ("redis://u:hu?sh@h", "%3F for '?'"),
        ("redis://u:hu@sh@h", "write %40 for '@'"),
        ("redis://hush@h", "no password in front of it"),
        ("redis://u:hush@h?ca=x", "only rediss:// takes some"),
        ("rediss://u:hush@h?keys=x", "no option 'keys'. Did you mean 'key'?"),
        ("rediss://u:hush@h?key=x", "of certificate and key, one is missing"),
        ("redis://u:hush@[::1", "its host"),
        ("redis://u:hush@-x", "its host"),
        ("redis://u:hush@a..b", "its host"),
        (f"redis://u:hush@{'x' * 64}", "its host"),
    ],
)
def test_mistakes_are_told_without_the_password(url: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RedisPlace.parse(url, FOLDER)
    assert message in str(caught.value)
    assert "hu" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_a_place_or_a_mistake(text: str) -> None:
    for url in (text, f"redis://{text}", f"rediss://u:p@h?{text}"):
        try:
            place = RedisPlace.parse(url, FOLDER)
        except ConfigError:
            continue
        assert RedisPlace.parse(str(place), FOLDER).host == place.host


@given(user=st.text(min_size=1), password=st.text(min_size=8))
def test_a_place_is_shown_without_who_uses_it(user: str, password: str) -> None:
    place = RedisPlace("h", user=user, password=password)
    assert str(place) == "redis://h:6379"
    assert password not in repr(place)
