"""Servers that are no use, and what is said of them; passwords and certificates that change."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from certificates import make_certificate
from small_cluster import until
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from valkey_server import PASSWORD, QUOTED, Valkey

from chatcore.errors import ConfigError, StoreAway, StoreLost, StoreRefused
from chatcore.store.place import RedisPlace
from chatcore.store.script import Script
from chatcore.telemetry import Counters

Make = Callable[..., Any]


class Talker(Protocol):
    """A server that says something to whoever comes, and again when it is asked something."""

    greeting = b""
    answers: tuple[bytes, ...] = ()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self._left = list(self.answers)
        self.transport.write(self.greeting)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        if not self._left:
            return
        answer = self._left.pop(0)
        if answer == b"":
            self.transport.loseConnection()
        self.transport.write(answer)


@pytest_twisted.async_yield_fixture
async def talker() -> AsyncIterator[Callable[..., Any]]:
    """Makes such servers; the URL comes back."""
    from twisted.internet import reactor

    ports = []

    async def make(greeting: bytes, *answers: bytes) -> str:
        factory = Factory.forProtocol(
            type("Said", (Talker,), {"greeting": greeting, "answers": answers})
        )
        factory.noisy = False
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        ports.append(await endpoint.listen(factory))
        return f"redis://127.0.0.1:{ports[-1].getHost().port}"

    yield make
    for port in ports:
        await port.stopListening()


NO_REDIS = "what answers there is no Redis"


@pytest.mark.parametrize(
    ("greeting", "answers", "message"),
    [
        (b"J\0\0\0\n8.0.36\0\xff\xfe\n\r\n", (), NO_REDIS),  # as MySQL
        (b"220 mail.example ESMTP\r\n", (), NO_REDIS),
        (b"", (b"HTTP/1.1 400 Bad Request\r\n\r\n",), NO_REDIS),
        (b"+asked for by nobody\r\n", (), NO_REDIS),
        (b"", (b"$many\r\n",), NO_REDIS),
        (b"", (b"",), "closed the connection without an answer; if it speaks TLS"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_no_redis_is_called_that(
    talker: Any, client: Make, greeting: bytes, answers: tuple[bytes, ...], message: str
) -> None:
    redis = client(await talker(greeting, *answers), seconds=1.0)
    with pytest.raises(StoreAway, match=message):
        await redis.command(b"PING")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (b"MOVED 3999 127.0.0.1:6381", "it belongs to a Redis Cluster.*MOVED 3999 127.0.0.1:6381"),
        (b"CLUSTERDOWN Hash slot not served", "it belongs to a Redis Cluster"),
        (b"ERR unknown command 'EVALSHA', with args beginning with: 'abc'", "as a Sentinel does"),
        (
            b"ERR Error running script (call to f_1): @user_script:2: @user_script: 2: -READONLY"
            b" You can't write against a read only replica.",  # as before Redis 7
            "it is a replica.*READONLY You can't",
        ),
        (b"OOM command not allowed when used memory > 'maxmemory'.", "^OOM command not allowed"),
        (b"NOPERM User chat has no permissions", "^NOPERM User chat has no permissions"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_server_of_the_wrong_kind_is_told(
    talker: Any, client: Make, error: bytes, message: str
) -> None:
    redis = client(await talker(b"", b"+PONG\r\n", b"-" + error + b"\r\n"), seconds=1.0)
    with pytest.raises(StoreRefused, match=message):
        await redis.run(Script("return 1"), [])
    assert redis._counters.store_failed == 1


LONG = "x" * 150 + PASSWORD


@pytest.mark.parametrize(
    "refusal",
    [
        b"ERR unknown command 'AUTH', with args beginning with: 'chat' '" + LONG[:128].encode(),
        b"ERR unknown command `AUTH`, with args beginning with: `" + LONG[:128].encode(),
        b"ERR " + LONG.encode() + b" is no password",
        b"WRONGPASS invalid username-password pair or user is disabled.",
    ],
)
@pytest_twisted.ensureDeferred
async def test_whoever_quotes_the_password_it_is_not_told(
    talker: Any, client: Make, refusal: bytes
) -> None:
    url = await talker(b"", b"-" + refusal + b"\r\n")
    quoted = f"{'x' * 150}{QUOTED}"
    redis = client(url.replace("//", f"//chat:{quoted}@"), seconds=1.0)
    with pytest.raises(StoreAway, match=r"the login was refused: [a-zA-Z*]+") as told:
        await redis.command(b"PING")
    assert "xxx" not in str(told.value) and PASSWORD not in str(told.value)


@pytest.mark.parametrize("written", ["p\udce4ss", "p%E4ss"])
@pytest_twisted.ensureDeferred
async def test_a_password_may_be_any_bytes(
    guarded: Valkey, client: Make, logged: list[str], written: str
) -> None:
    """As those in an environment variable, where somebody's letters are not UTF-8."""
    with socket.create_connection(("127.0.0.1", guarded.port)) as raw:
        for words in (("AUTH", PASSWORD), ("CONFIG", "SET", "requirepass", "p\udce4ss")):
            sent = [each.encode("utf-8", "surrogateescape") for each in words]
            parts = [b"$%d\r\n%s\r\n" % (len(each), each) for each in sent]
            raw.sendall(b"*%d\r\n%s" % (len(parts), b"".join(parts)))
            assert raw.recv(100) == b"+OK\r\n"
    redis = client(f"redis://:{written}@127.0.0.1:{guarded.port}", seconds=2.0)
    assert await redis.command(b"PING") == b"PONG"
    assert logged == []


@pytest.mark.logs_failures
@pytest_twisted.ensureDeferred
async def test_a_mistake_of_our_own_is_told_once_and_without_the_password(
    guarded: Valkey, client: Make, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(self: object, *parts: bytes) -> None:
        raise ValueError(parts)

    monkeypatch.setattr("chatcore.store.protocol.RedisProtocol.command", mistaken)
    redis = client(f"redis://:{QUOTED}@127.0.0.1:{guarded.port}", seconds=1.5)
    with pytest.raises(StoreAway, match="a mistake of chatcore's: ValueError"):
        await redis.command(b"PING")
    assert sum("can't be used" in line for line in logged) == 1
    assert not any(PASSWORD in line for line in logged)


@pytest_twisted.ensureDeferred
async def test_a_name_with_an_underscore_is_looked_up(client: Make) -> None:
    """As containers have: it is no host name to some, and everybody's system knows it."""
    redis = client("redis://no_such_redis.invalid", seconds=1.5)
    with pytest.raises(StoreAway) as told:
        await redis.command(b"PING")
    assert "invalid hostname" not in str(told.value)


@pytest.mark.parametrize("garbage", [b"$nonsense\r\n+2\r\n", b"nonsense\r\n+2\r\n"])
@pytest_twisted.ensureDeferred
async def test_nothing_behind_garbage_is_taken_for_an_answer(
    talker: Any, client: Make, garbage: bytes
) -> None:
    redis = client(await talker(b"", b"+PONG\r\n", garbage), seconds=1.0)
    await until(lambda: redis.connections, "it to be up")
    ended: list[Any] = []
    for number in (b"1", b"2"):
        redis.command(b"ECHO", number).addBoth(ended.append)
    await until(lambda: len(ended) == 2, "both to end")
    assert all(isinstance(each.value, StoreLost) for each in ended)


@pytest_twisted.ensureDeferred
async def test_an_answer_has_an_end(
    valkey: Valkey, client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatcore.store.protocol.ANSWER_BYTES", 100_000)
    redis = client(valkey.url)
    for script in ("return string.rep('x', 90000)", "return {1, string.rep('x', 50000)}"):
        assert await redis.run(Script(script), [])
    many = "local all = {} for i = 1, 200 do all[i] = string.rep('x', 1000) end return all"
    for script in ("return string.rep('x', 200000)", many):
        with pytest.raises(StoreLost):
            await redis.run(Script(script), [])
        assert "more than 100000 bytes" in redis._main.problem
    assert await redis.command(b"PING") == b"PONG"


@pytest_twisted.ensureDeferred
async def test_a_replica_is_told_and_dialled_anew(
    valkey: Valkey, client: Make, tmp_path: Path
) -> None:
    """Who fails over gives the primary's name to another server; this one has been demoted."""
    script = Script("return redis.call('SET', KEYS[1], '1')")
    redis = client(valkey.url, seconds=1.5)
    assert await redis.run(script, [b"key"])
    connections = redis.connections
    valkey.ask("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(StoreRefused, match=r"it is a replica.*READONLY"):
        await redis.run(script, [b"key"])
    await until(lambda: redis.connections > connections, "it to be dialled anew")
    valkey.ask("REPLICAOF", "NO", "ONE")
    done = None
    while not done:
        done = await answer_or_none(redis.run(script, [b"key"]))
    assert done == b"OK"


async def answer_or_none(coroutine: Any) -> Any:
    try:
        return await coroutine
    except StoreRefused:
        return None


class Written:
    """A place that is written down, and may be written anew; as a file with a URL in it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def read(self) -> RedisPlace:
        return RedisPlace.parse(self.url, self.folder)


@pytest_twisted.async_yield_fixture
async def follow() -> AsyncIterator[Callable[..., Any]]:
    """Makes a client that goes by what is written down."""
    from twisted.internet import reactor

    from chatcore.store.endpoint import Approach
    from chatcore.store.redis import Redis

    made = []

    def make(written: Written) -> Redis:
        way = Approach(written.read, 5.0, reactor)
        redis = Redis(way, seconds=10.0, longest_retry=0.1, counters=Counters(), clock=reactor)
        made.append(redis)
        redis.start()
        return redis

    yield make
    for redis in made:
        await redis.close()


async def cut(valkey: Valkey, redis: Any) -> None:
    """End its connections, and wait until it has noticed."""
    connections = redis.connections
    valkey.ask("CLIENT", "KILL", "SKIPME", "yes")
    await until(lambda: redis.connections > connections or not redis._main.is_up, "it")


@pytest_twisted.ensureDeferred
async def test_a_password_that_is_written_anew_is_used(
    guarded: Valkey, follow: Any, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{guarded.port}"
    written = Written(f"redis://:{QUOTED}@{address}", tmp_path)
    redis = follow(written)
    assert await redis.command(b"PING") == b"PONG"
    guarded.ask("CONFIG", "SET", "requirepass", "next")
    guarded.password = "next"
    await cut(guarded, redis)
    await until(lambda: "the login was refused" in redis._main.problem, "it to be refused")
    written.url = f"redis://:next@{address}"
    assert await redis.command(b"PING") == b"PONG"


@pytest.mark.parametrize(
    ("written_anew", "says"),
    [
        ("redis://:{password}@localhost:{port}", "the registry is redis://localhost:"),
        ("redis://:{password}@127.0.0.1:{port}/2", "by now, which takes a restart"),
        ("rediss://:{password}@127.0.0.1:{port}", "by now, which takes a restart"),
        ("redis://:ge@heim@127.0.0.1", "there is more than one '@'"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_can_not_be_gone_by_is_told_once_and_changes_nothing(
    guarded: Valkey,
    follow: Any,
    tmp_path: Path,
    logged: list[str],
    written_anew: str,
    says: str,
) -> None:
    written = Written(f"redis://:{QUOTED}@127.0.0.1:{guarded.port}", tmp_path)
    redis = follow(written)
    assert await redis.command(b"PING") == b"PONG"
    written.url = written_anew.format(password=QUOTED, port=guarded.port)
    for _ in range(3):
        await cut(guarded, redis)
        assert await redis.command(b"PING") == b"PONG"
    told = [line for line in logged if "what was read before is used" in line]
    assert len(told) == 1 and says in told[0]
    assert not any(PASSWORD in line or QUOTED in line or "heim" in line for line in told)


@pytest_twisted.ensureDeferred
async def test_certificates_that_are_changed_are_used(
    tmp_path: Path, follow: Any, logged: list[str]
) -> None:
    files = make_certificate(tmp_path)
    server = Valkey(tmp_path, tls=files)
    try:
        ca = tmp_path / "ca.pem"
        ca.write_bytes(files.certificate.read_bytes())
        written = Written(server.url.replace(str(files.certificate), str(ca)), tmp_path)
        redis = follow(written)
        assert await redis.command(b"PING") == b"PONG"
        ca.write_text("half of it")
        await cut(server, redis)
        assert await redis.command(b"PING") == b"PONG"
        assert sum("ca.pem" in line for line in logged) == 1
        ca.write_bytes(make_certificate(tmp_path, "another").certificate.read_bytes())
        await cut(server, redis)
        await until(lambda: "TLS failed" in redis._main.problem, "it to be refused")
        ca.write_bytes(files.certificate.read_bytes())
        assert await redis.command(b"PING") == b"PONG"
        await redis.close()
    finally:
        server.stop()


def test_what_can_not_be_used_from_the_beginning_is_told_at_once(tmp_path: Path) -> None:
    from twisted.internet import reactor

    from chatcore.store.endpoint import Approach

    with pytest.raises(ConfigError, match=r"none\.pem"):
        Approach(Written("rediss://h?ca=none.pem", tmp_path).read, 1.0, reactor)
