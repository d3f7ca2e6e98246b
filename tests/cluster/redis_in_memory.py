"""Redis as a process in memory: as much of it as its registry uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from chatcore.cluster.redis_keys import BEAT, WRITE, keys_of
from chatcore.cluster.redis_registry import RedisRegistry, patience
from chatcore.cluster.seals import Seal
from chatcore.store.place import RedisPlace
from chatcore.store.redis import Redis
from chatcore.store.script import Script
from chatcore.telemetry import Counters

from .hosts import Host, Port, Way, World
from .registry_contract import FakeNode, Stage

Hash = dict[bytes, bytes]

SEAL = Seal(b"the secret", "it")
VIEW, BEATS, _, CHANNEL = keys_of("it", SEAL.mark)


class Data:
    """What a server keeps: hashes, by key. A copy of it is a snapshot."""

    def __init__(self) -> None:
        self.hashes: dict[bytes, Hash] = {}

    def copy(self) -> Data:
        copy = Data()
        copy.hashes = {key: dict(each) for key, each in self.hashes.items()}
        return copy

    def at(self, key: bytes) -> Hash:
        return self.hashes.setdefault(key, {})


class Server(Factory):
    """A Redis server; its scripts do what those in Lua do."""

    noisy = False

    def __init__(self, data: Data) -> None:
        self.data = data
        self.deaf = False
        """Whether it loses everything that is published."""
        self._scripts: dict[bytes, Callable[..., bytes]] = {}
        self.connections: list[Talk] = []

    def buildProtocol(self, addr: object) -> Talk:
        return Talk(self)

    def answer(self, talk: Talk, name: bytes, *words: bytes) -> bytes:
        if name == b"PING":
            return b"*2\r\n$4\r\npong\r\n$0\r\n\r\n" if talk.channel else b"+PONG\r\n"
        if name == b"SUBSCRIBE":
            talk.channel = words[0]
            return b"*3\r\n" + _bulk(b"subscribe") + _bulk(words[0]) + b":1\r\n"
        known = {script.sha: script for script in (BEAT, WRITE)}
        if name == b"EVAL":
            sha = Script(words[0].decode()).sha
            self._scripts[sha] = self._beat if known[sha] is BEAT else self._write
            words = (sha, *words[1:])
        if words[0] not in self._scripts:
            return b"-NOSCRIPT No matching script.\r\n"
        count = int(words[1])
        return self._scripts[words[0]](words[2 : 2 + count], *words[2 + count :])

    def _beat(
        self, keys: Any, life: bytes, beat: bytes, known: bytes, last: bytes, *ended: bytes
    ) -> bytes:
        for each in ended:
            self.data.at(keys[1]).pop(each, None)
        self.data.at(keys[1])[life] = beat
        view = self.data.at(keys[0])
        stamp = view.get(b"stamp", b"")
        lines = [stamp, view.get(b"view", b"") if stamp != known else b""]
        lines.append(self.data.at(keys[2]).get(b"last", b""))
        if last:
            self.data.at(keys[2])[b"last"] = last
        lines += [life + b" " + beat for life, beat in self.data.at(keys[1]).items()]
        return _bulk(b"\n".join(lines))

    def _write(self, keys: Any, old: bytes, new: bytes, view: bytes, *ended: bytes) -> bytes:
        if self.data.at(keys[0]).get(b"stamp", b"") != old:
            return b":0\r\n"
        self.data.at(keys[0]).update({b"stamp": new, b"view": view})
        for life in ended:
            self.data.at(keys[1]).pop(life, None)
        for talk in () if self.deaf else self.connections:
            if talk.channel == keys[3]:
                talk.say(b"*3\r\n" + _bulk(b"message") + _bulk(keys[3]) + _bulk(new))
        return b":1\r\n"


class Talk(Protocol):
    """One connection of a server."""

    channel = b""

    def __init__(self, server: Server) -> None:
        self._server = server

    def connectionMade(self) -> None:
        self._server.connections.append(self)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._server.connections.remove(self)

    def dataReceived(self, data: bytes) -> None:
        """Each write of a client is one command."""
        words = []
        count, rest = data[1:].split(b"\r\n", 1)
        for _ in range(int(count)):
            size, rest = rest[1:].split(b"\r\n", 1)
            words.append(rest[: int(size)])
            rest = rest[int(size) + 2 :]
        self.say(self._server.answer(self, *words))

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


def _bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


class RedisStage(Stage):
    """Redis with nodes around it, all of them processes in memory.

    Args:
        goes: what becomes of Redis when it is taken away: it crashes and has forgotten everything
            when it is back, or nothing, or it stands still for as long.
    """

    def __init__(self, goes: Literal["forgets", "keeps", "stands still"], lease: float) -> None:
        super().__init__()
        self.lease, self.detects = lease, lease + lease / 5
        self.goes, self.data = goes, Data()
        self.world = World()
        self.hosts: dict[object, Host] = {}
        self.counters: dict[object, Counters] = {}
        self.bring_up()

    def bring_up(self) -> None:
        self.host, self.server = Host(self.world), Server(self.data)
        Port(self.world, self.host, "redis").listen(None, self.server)

    def registry(self, id: str, seal: Seal = SEAL) -> RedisRegistry:
        host, counters, seconds = Host(self.world), Counters(), patience(self.lease)
        way = RedisPlace("memory"), Way(self.world, host, "redis")
        store = Redis(
            lambda: way,
            seconds=seconds,
            longest_retry=self.lease / 5,
            counters=counters,
            clock=host.clock,
        )
        registry = RedisRegistry(
            store=store,
            cluster="it",
            seal=seal,
            where="redis://memory:6379",
            secret_file="/cluster.secret",
            lease=self.lease,
            counters=counters,
            clock=host.clock,
        )
        self.hosts[registry], self.counters[registry] = host, counters
        return registry

    async def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    async def crash(self, node: FakeNode) -> None:
        node.gone = True
        self.hosts[node.registry].die()

    async def pause(self, node: FakeNode) -> None:
        self.hosts[node.registry].pause()

    async def wake(self, node: FakeNode) -> None:
        self.hosts[node.registry].wake()

    async def take_away(self) -> None:
        if self.goes == "stands still":
            self.host.pause()
            return
        self.host.die()
        if self.goes == "forgets":
            self.data = Data()

    async def bring_back(self) -> None:
        if self.goes == "stands still":
            self.host.wake()
        else:
            self.bring_up()
