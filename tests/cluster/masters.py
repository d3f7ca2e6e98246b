"""A master and its nodes, as processes in memory."""

from __future__ import annotations

from typing import Any

from links.wiring import SECRET

from chatcore.cluster.master_registry import MasterRegistry
from chatcore.cluster.settings import RegistrySettings
from chatcore.links.settings import LinkSettings
from chatcore.master.service import Master
from chatcore.telemetry import Counters

from .hosts import Host, Port, Way, World
from .registry_contract import FakeNode, Stage


class MasterStage(Stage):
    """A master with its nodes.

    Args:
        world: where they are; one of their own unless given.
        port: where the master listens in it.
        settings: those of the registry.
    """

    def __init__(
        self, *, world: World | None = None, port: str = "master", **settings: Any
    ) -> None:
        super().__init__()
        self.port = port
        self.settings = RegistrySettings(**settings)
        self.lease = self.settings.lease_seconds
        self.detects = self.lease + 2.0
        self.world = world or World()
        self.hosts: dict[object, Host] = {}
        self.counters: dict[object, Counters] = {}
        self.start_master(learning=False)

    def start_master(self, *, learning: bool) -> None:
        self.master_host = Host(self.world)
        self.world.masters += 1
        self.master = Master(
            place=Port(self.world, self.master_host, self.port),
            secret=SECRET,
            registry=self.settings,
            links=LinkSettings(),
            learning=learning,
            epoch=100_000 * self.world.masters,
            reactor=self.master_host.clock,
        )
        self.master.startService()

    def registry(self, id: str, secret: bytes = SECRET) -> MasterRegistry:
        host, counters = Host(self.world), Counters()
        registry = MasterRegistry(
            endpoint=Way(self.world, host, self.port),
            secret=secret,
            settings=self.settings,
            links=LinkSettings(),
            counters=counters,
            clock=host.clock,
            where="master://memory",
            secret_file="/cluster.secret",
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
        self.master_host.die()

    async def bring_back(self) -> None:
        self.start_master(learning=True)
