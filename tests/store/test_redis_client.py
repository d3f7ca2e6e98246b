"""The client of Redis, with a real server that goes away in every way it can."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import pytest_twisted
from small_cluster import until
from twisted.internet.defer import CancelledError, Deferred
from valkey_server import PASSWORD, QUOTED, Valkey

from chatcore.errors import StoreAway, StoreError, StoreLost, StoreRefused
from chatcore.store.script import Script

Make = Callable[..., Any]


@pytest_twisted.ensureDeferred
async def test_answers_come_as_the_bytes_that_were_sent(valkey: Valkey, client: Make) -> None:
    redis = client(valkey.url + "/3")
    for value in (b"007", b"1_000", b"+5", b"1.50", b"", b"\xff\x00\r\n", b"x" * 200_000):
        assert await redis.command(b"SET", b"key", value) == b"OK"
        assert await redis.command(b"GET", b"key") == value
    assert await redis.command(b"GET", b"none") is None
    assert await redis.command(b"INCR", b"counter") == 1
    assert await redis.command(b"MGET", b"counter", b"none") == [b"1", None]
    assert valkey.ask("EXISTS", "counter") == 0  # that is database 0


@pytest_twisted.ensureDeferred
async def test_answers_keep_their_order(valkey: Valkey, client: Make) -> None:
    redis = client(valkey.url)
    waiting = [redis.command(b"ECHO", b"%d" % n) for n in range(500)]
    assert [await each for each in waiting] == [b"%d" % n for n in range(500)]


@pytest_twisted.ensureDeferred
async def test_a_script_is_sent_once_and_again_when_it_was_forgotten(
    valkey: Valkey, client: Make
) -> None:
    redis = client(valkey.url)
    script = Script("redis.call('INCR', KEYS[1]) return ARGV[1] .. redis.call('GET', KEYS[1])")
    valkey.ask("CONFIG", "RESETSTAT")
    assert await redis.run(script, [b"n"], [b"a"]) == b"a1"
    assert await redis.run(script, [b"n"], [b"b"]) == b"b2"
    assert valkey.ask("INFO", "commandstats")["cmdstat_eval"]["calls"] == 1
    valkey.ask("SCRIPT", "FLUSH")
    assert await redis.run(script, [b"n"], [b"c"]) == b"c3"


@pytest_twisted.ensureDeferred
async def test_errors_are_told_and_hurt_nobody_else(valkey: Valkey, client: Make) -> None:
    redis = client(valkey.url)
    await redis.command(b"SET", b"text", b"a")
    wrong, right = redis.command(b"INCR", b"text"), redis.command(b"GET", b"text")
    with pytest.raises(StoreRefused, match="value is not an integer"):
        await wrong
    assert await right == b"a"
    with pytest.raises(StoreRefused, match="number of args"):
        await redis.run(Script("return redis.call('GET')"), [])


@pytest_twisted.ensureDeferred
async def test_it_comes_back_with_the_server(
    valkey: Valkey, client: Make, logged: list[str]
) -> None:
    redis = client(valkey.url)
    await redis.command(b"SET", b"key", b"kept")
    valkey.stop()
    await until(lambda: any("refused" in line for line in logged), "it to be missed")
    waiting = redis.command(b"GET", b"key")
    valkey.start()
    assert await waiting == b"kept"
    about = [line for line in logged if line.startswith(f"{redis.place} ")]
    assert about[-1].endswith("answers again")
    assert len(about) <= 3  # it closed the connection; it refuses connections; it is back


@pytest_twisted.ensureDeferred
async def test_no_command_waits_for_ever_for_a_connection(valkey: Valkey, client: Make) -> None:
    valkey.stop()
    redis = client(valkey.url, seconds=1.0)
    one, other = redis.command(b"PING"), redis.command(b"PING")
    other.cancel()
    with pytest.raises(CancelledError):
        await other
    with pytest.raises(StoreAway, match="refused") as caught:
        await one
    assert caught.value.nothing_ran
    assert not redis._waiting


@pytest_twisted.ensureDeferred
async def test_no_command_waits_for_ever_for_an_answer(valkey: Valkey, client: Make) -> None:
    redis = client(valkey.url, seconds=1.5)
    await redis.command(b"PING")
    valkey.freeze()
    with pytest.raises(StoreLost, match=r"no answer within 1\.5 s") as caught:
        await redis.command(b"INCR", b"n")
    assert not caught.value.nothing_ran
    with pytest.raises(StoreError):  # the next connection is taken, and nobody greets it
        await redis.command(b"PING")
    valkey.thaw()
    done = None
    while done is None:
        done = await redis.command(b"PING").addErrback(lambda failure: None)
    assert done == b"PONG"


@pytest_twisted.ensureDeferred
async def test_so_many_commands_may_wait(
    valkey: Valkey, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatcore.store.redis.COMMANDS_UNDER_WAY", 3)
    redis = client(valkey.url)
    waiting = [redis.command(b"PING") for _ in range(3)]
    with pytest.raises(StoreAway, match="3 commands are under way"):
        await redis.command(b"PING")
    assert redis._counters.store_failed == 1
    assert [await each for each in waiting] == [b"PONG"] * 3
    assert await redis.command(b"PING") == b"PONG"


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_told_and_may_be_put_right(
    guarded: Valkey, client: Make, logged: list[str]
) -> None:
    guarded.ask("CONFIG", "SET", "requirepass", "another")
    guarded.password = "another"
    redis = client(f"redis://:{QUOTED}@127.0.0.1:{guarded.port}", seconds=1.5)
    with pytest.raises(StoreAway, match="the login was refused: WRONGPASS"):
        await redis.command(b"PING")
    guarded.ask("CONFIG", "SET", "requirepass", PASSWORD)
    answer = None
    while answer is None:
        answer = await redis.command(b"PING").addErrback(lambda failure: None)
    assert answer == b"PONG"
    told = [line for line in logged if "is away" in line]
    assert len(told) == 1 and "WRONGPASS" in told[0]
    assert not any(PASSWORD in line or QUOTED in line or "another" in line for line in logged)


@pytest_twisted.ensureDeferred
async def test_a_user_of_the_servers_list(guarded: Valkey, client: Make) -> None:
    guarded.ask("ACL", "SETUSER", "chat", "on", ">pa ss", "~*", "+@all", "&*")
    redis = client(f"redis://chat:pa%20ss@127.0.0.1:{guarded.port}")
    assert await redis.command(b"ACL", b"WHOAMI") == b"chat"


class Heard:
    """What a client hears of a channel."""

    def __init__(self, redis: Any, channel: bytes) -> None:
        self.messages: list[bytes] = []
        self.begun = 0
        redis.subscribe(channel, heard=self.messages.append, begun=self._count)

    def _count(self) -> None:
        self.begun += 1


@pytest_twisted.ensureDeferred
async def test_it_listens_again_after_each_gap_and_says_so(valkey: Valkey, client: Make) -> None:
    redis = client(valkey.url, start=False)
    heard = Heard(redis, b"news")
    redis.start()
    await until(lambda: heard.begun == 1, "listening")
    assert await redis.command(b"PUBLISH", b"news", b"one") == 1
    await until(lambda: heard.messages == [b"one"], "the message")
    valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
    await until(lambda: heard.begun == 2, "listening again")
    await redis.command(b"PUBLISH", b"news", b"message")
    await until(lambda: heard.messages[1:] == [b"message"], "the message after the gap")
    valkey.ask("CLIENT", "KILL", "TYPE", "normal")
    valkey.stop()
    valkey.start()
    await until(lambda: heard.begun == 3, "listening to the new server")


@pytest_twisted.ensureDeferred
async def test_a_connection_that_died_silently_is_found_by_pings(
    valkey: Valkey, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatcore.store.connection.PING_SECONDS", 0.1)
    redis = client(valkey.url, seconds=1.0)
    await redis.command(b"PING")
    before = int(valkey.ask("INFO", "stats")["total_connections_received"])
    await until(lambda: int(valkey.ask("INFO", "commandstats")["cmdstat_ping"]["calls"]) > 4, "it")
    assert int(valkey.ask("INFO", "stats")["total_connections_received"]) < before + 50
    valkey.freeze()
    await until(lambda: not redis._main.is_up, "the silence to be noticed")
    valkey.thaw()
    await until(lambda: redis._main.is_up, "the server to be found again")


@pytest_twisted.ensureDeferred
async def test_what_is_under_way_ends_when_it_is_closed(valkey: Valkey, client: Make) -> None:
    redis = client(valkey.url)
    await redis.command(b"PING")
    waiting: Deferred[Any] = redis.command(b"BLPOP", b"list", b"0")
    await redis.close()
    with pytest.raises(StoreError):
        await waiting
    with pytest.raises(StoreAway, match="closed"):
        await redis.command(b"PING")


def test_nothing_imports_txredisapi_before_a_redis_is_asked_for() -> None:
    code = (
        "import sys, chatcore.tap, chatcore.cluster.choosing, chatcore.store.place;"
        "assert 'txredisapi' not in sys.modules;"
        "assert 'twisted.internet.reactor' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
