"""Several nodes of a small application in one process, joined by real links."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from one_registry import OneRegistry
from running import PATIENCE, free_ports
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater

from chatcore.client import Client
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import load_servers
from chatcore.config.settings import Assignment
from chatcore.node import Node


class Nodes:
    """Nodes of the application in a folder, and clients of them.

    Args:
        folder: the application's, with a short path.
        registry: what tells them of each other; servers.json does, unless given.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, object] = {},
        registry: OneRegistry | None = None,
    ) -> None:
        self.folder, self.registry = folder, registry
        self.servers = load_servers(folder, "development")
        self.run_folder = RunFolder.open(folder)
        self.nodes: dict[str, Node] = {}
        self._assignments = [
            Assignment(key=key, value=value, source="test") for key, value in settings.items()
        ]
        self._clients: list[Client] = []

    def change(self, settings: Mapping[str, object]) -> None:
        """Have the nodes that are started from now on have these settings, too."""
        self._assignments += [
            Assignment(key=key, value=value, source="test") for key, value in settings.items()
        ]

    async def start(self, *ids: str) -> None:
        """Start these servers, or all, and wait until they are ready."""
        waiting = []
        for server in self.servers:
            if server.id in (ids or [each.id for each in self.servers]):
                ready: Deferred[None] = Deferred()
                node = Node(
                    folder=self.folder,
                    server=server,
                    servers=self.servers,
                    run_folder=self.run_folder,
                    assignments=self._assignments,
                    reactor=reactor,
                    registry=None if self.registry is None else self.registry.of(server.id),
                    ready=lambda ready=ready: ready.callback(None),
                    failed=ready.errback,
                    **self.surroundings(server.id),
                )
                self.nodes[server.id] = node
                node.startService()
                waiting.append(ready)
        for each in waiting:
            await each.addTimeout(PATIENCE, reactor)

    def surroundings(self, server_id: str) -> dict[str, Any]:
        """What else a node is given."""
        return {}

    async def stop(self, *ids: str) -> None:
        """Stop these servers, or all."""
        stopping = [self.nodes.pop(id).stopService() for id in (ids or list(self.nodes))]
        await DeferredList(stopping)

    async def client(self, server_id: str, **options: Any) -> Client:
        client = Client(reactor=reactor, **options)
        server = self.servers.by_id(server_id)
        assert server.client_port is not None
        await client.init(host="127.0.0.1", port=server.client_port)
        self._clients.append(client)
        return client

    async def close(self) -> None:
        await DeferredList([client.disconnect() for client in self._clients], consumeErrors=True)
        await self.stop()

    def cut(self, one: str, other: str) -> None:
        """Cut the link between two nodes; it is dialled anew."""
        link = self.nodes[one].links.get(other)
        assert link is not None
        link.abort()


class Cluster(Nodes):
    """Nodes of an application that a test writes.

    Args:
        folder: an empty folder with a short path.
        servers: the ids of the servers, by type; those of the types in ``frontends`` get a port.
        files: the application's files, by path.
    """

    def __init__(
        self,
        folder: Path,
        *,
        servers: Mapping[str, list[str]],
        frontends: tuple[str, ...] = ("front",),
        files: Mapping[str, str],
        settings: Mapping[str, object] = {},
        keys: Mapping[str, Mapping[str, object]] = {},
        registry: OneRegistry | None = None,
    ) -> None:
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(textwrap.dedent(text))
        count = sum(len(servers.get(each, ())) for each in frontends)
        with free_ports(count) as ports:
            free = iter(ports)
            entries = {
                server_type: [
                    {"id": id}
                    | ({"clientPort": next(free)} if server_type in frontends else {})
                    | dict(keys.get(id, {}))
                    for id in ids
                ]
                for server_type, ids in servers.items()
            }
        (folder / "servers.json").write_text(json.dumps({"development": entries}))
        super().__init__(folder, settings, registry)


async def until(condition: Any, what: str) -> Any:
    """Wait for something that other parts of this process bring about."""
    end = reactor.seconds() + PATIENCE
    while not (value := condition()):
        assert reactor.seconds() < end, f"waited {PATIENCE} s for {what}"
        await deferLater(reactor, 0.005, lambda: None)
    return value
