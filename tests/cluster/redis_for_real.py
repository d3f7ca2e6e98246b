"""A real Valkey, and nodes around it that share this process, but neither clock nor fate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from valkey_server import Valkey
from zope.interface import implementer

from chatcore.cluster.redis_registry import RedisRegistry, patience
from chatcore.store.place import RedisPlace
from chatcore.telemetry import Counters

from .redis_in_memory import SEAL
from .registry_contract import FakeNode, Stage

TICK = 0.01


class Process:
    """What a node has for itself: a clock, connections, and whether it does anything."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.awake, self.dead = True, False
        self.waiting: list[Callable[[], None]] = []
        self.connections: set[_Held] = set()
        self._missed = 0.0

    def tick(self, seconds: float) -> None:
        if self.awake:
            self.clock.advance(seconds)
        else:
            self._missed += seconds

    def happen(self, what: Callable[[], None]) -> None:
        """Let something happen to it, now or when it wakes."""
        if self.awake:
            what()
        elif not self.dead:
            self.waiting.append(what)

    def wake(self) -> None:
        self.awake = True
        missed, self._missed = self._missed, 0.0
        self.clock.advance(missed)
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each()

    def die(self) -> None:
        self.awake, self.dead = False, True
        for connection in list(self.connections):
            connection.abortConnection()


class _Held(ProtocolWrapper):
    """A connection of a process: nothing comes out of it while that is paused."""

    process: Process

    def connectionMade(self) -> None:
        self.process.connections.add(self)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        self.process.happen(lambda: ProtocolWrapper.dataReceived(self, data))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.process.connections.discard(self)
        self.process.happen(lambda: ProtocolWrapper.connectionLost(self, reason))


@implementer(IStreamClientEndpoint)
class _Way:
    def __init__(self, endpoint: IStreamClientEndpoint, process: Process) -> None:
        self._endpoint, self._process = endpoint, process

    def connect(self, factory: Any) -> Deferred[Any]:
        wrapping = WrappingFactory(factory)
        wrapping.noisy = Factory.noisy = False
        wrapping.protocol = type("Held", (_Held,), {"process": self._process})
        return self._endpoint.connect(wrapping)


class ValkeyStage(Stage):
    """A Valkey that is killed with all its data kept, or without; its nodes are in this process.

    Args:
        folder: where Valkey keeps its data.
        password: what it asks for.

    Attributes:
        forgets: whether it loses its data when it is taken away.
    """

    delay = 2.0  # it answers in a time that the test's clocks don't know

    def __init__(self, folder: Path, lease: float, *, password: str = "") -> None:
        super().__init__()
        self.lease, self.detects = lease, lease + lease / 5
        self.valkey, self.forgets = Valkey(folder, password=password), False
        self.processes: dict[object, Process] = {}
        self.counters: dict[object, Counters] = {}
        self.url = self.valkey.url

    def registry(self, id: str) -> RedisRegistry:
        from twisted.internet import reactor

        from chatcore.store.endpoint import redis_endpoint
        from chatcore.store.redis import Redis

        process, counters, seconds = Process(), Counters(), patience(self.lease)
        place = RedisPlace.parse(self.url, Path("/"))
        way = place, _Way(redis_endpoint(place, seconds / 2, reactor), process)
        store = Redis(
            lambda: way,
            seconds=seconds,
            longest_retry=self.lease / 5,
            counters=counters,
            clock=process.clock,
        )
        registry = RedisRegistry(
            store=store,
            cluster="it",
            seal=SEAL,
            where=str(place),
            secret_file="/cluster.secret",
            lease=self.lease,
            counters=counters,
            clock=process.clock,
        )
        self.processes[registry], self.counters[registry] = process, counters
        return registry

    async def pass_time(self, seconds: float) -> None:
        from twisted.internet import reactor

        end = reactor.seconds() + seconds
        while (before := reactor.seconds()) < end:
            await deferLater(reactor, TICK, lambda: None)
            for process in list(self.processes.values()):
                # Where this process was held up, so were they.
                process.tick(min(reactor.seconds() - before, 3 * TICK))

    async def crash(self, node: FakeNode) -> None:
        node.gone = True
        self.processes[node.registry].die()

    async def pause(self, node: FakeNode) -> None:
        self.processes[node.registry].awake = False

    async def wake(self, node: FakeNode) -> None:
        self.processes[node.registry].wake()

    async def take_away(self) -> None:
        self.valkey.stop()
        if self.forgets:
            self.valkey.forget()

    async def bring_back(self) -> None:
        self.valkey.start()

    async def close(self) -> None:
        """End all that is still there."""
        for process in self.processes.values():
            process.die()
        self.valkey.stop()
        await self.pass_time(0.05)
