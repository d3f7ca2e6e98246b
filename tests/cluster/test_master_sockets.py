"""A master and its nodes over real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from identities import make_identities
from links.wiring import Log
from running import free_ports
from small_cluster import until
from twisted.internet import reactor

from chatcore.cluster.choosing import RegistryParts, make_registry
from chatcore.cluster.master_registry import master_server
from chatcore.cluster.registry import IRegistry
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import View
from chatcore.config.run_folder import RunFolder
from chatcore.errors import ConfigError
from chatcore.links.settings import LinkSettings
from chatcore.links.tls import link_tls
from chatcore.master.service import Master, make_master
from chatcore.node.network import Network
from chatcore.telemetry import Counters

from .registry_contract import FakeNode


class Here:
    """A master on a free port, and the nodes of a test."""

    def __init__(self, folder: Path, port: int, **links: Any) -> None:
        self.folder, self.port = folder, port
        self.run_folder = RunFolder.open(folder)
        self.links = LinkSettings(**links)
        self.nodes: list[FakeNode] = []
        self.master = self.start_master()

    def start_master(self) -> Master:
        self.master = make_master(
            master_server("127.0.0.1", self.port),
            registry=RegistrySettings(),
            links=self.links,
            learning=True,
            tls=link_tls(self.links, self.folder, "master", reactor),
            name="master",
            run_folder=self.run_folder,
            reactor=reactor,
        )
        self.master.startService()
        return self.master

    def registry(self, id: str, certificate_of: str | None = None) -> IRegistry:
        return make_registry(
            f"master://127.0.0.1:{self.port}",
            RegistryParts(
                view=View(0, ()),
                folder=self.folder,
                env="development",
                settings=RegistrySettings(),
                links=self.links,
                secret=self.run_folder.secret(),
                secret_file=self.run_folder.secret_path,
                link_endpoint=Network(self.run_folder, reactor).link_endpoint,
                counters=Counters(),
                reactor=reactor,
                tls=link_tls(self.links, self.folder, certificate_of or id, reactor),
            ),
        )

    def start(self, id: str, **registry: str) -> FakeNode:
        node = FakeNode(self.registry(id, **registry), id, "life 1", "up")
        self.nodes.append(node)
        node.start()
        return node

    async def close(self) -> None:
        for node in self.nodes:
            await node.registry.leave()
        await self.master.stopService()


@pytest.fixture
def here(tmp_path: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def begin(**links: Any) -> AsyncIterator[Here]:
        with free_ports(1) as ports:
            port = ports[0]
        here = Here(tmp_path, port, **links)
        try:
            yield here
        finally:
            await here.close()

    return begin


async def test_nodes_find_each_other_lose_their_master_and_find_it_again(here: Any) -> None:
    async with here() as stage:
        one, other = stage.start("chat-1"), stage.start("chat-2")
        await until(lambda: set(one.view) == set(other.view) == {"chat-1", "chat-2"}, "both")
        await stage.master.stopService()
        await until(lambda: one.told[-1] == other.told[-1] == "lost", "them to notice")
        stage.start_master()
        await until(lambda: "found" in one.told and "found" in other.told, "them to find it")
        third = stage.start("chat-3")
        await until(
            lambda: set(one.view) == set(third.view) == {"chat-1", "chat-2", "chat-3"}, "it"
        )
        await other.registry.leave()
        await until(lambda: set(one.view) == {"chat-1", "chat-3"}, "the other to be out")
        assert "removed" not in one.told + third.told


async def test_certificates_tell_who_is_who(here: Any, tmp_path: Path) -> None:
    make_identities(tmp_path / "tls", "master", "chat-1", "chat-2")
    async with here(tls="tls") as stage:
        one = stage.start("chat-1")
        await until(lambda: one.is_in, "it")
        false = stage.start("chat-3", certificate_of="chat-2")
        await until(lambda: "lost" in false.told, "it to be refused")
        assert set(stage.master.nodes.view.members) == set(one.views[-1].members)


async def test_a_master_says_that_a_node_speaks_tls_and_it_does_not(
    here: Any, tmp_path: Path
) -> None:
    """As when `links.tls` is set in `app.py`, which a master does not read."""
    make_identities(tmp_path / "tls", "chat-1")
    async with here() as stage:
        stage.links = LinkSettings(tls="tls")
        with Log() as log:
            node = stage.start("chat-1")
            await until(lambda: node.told == ["lost"], "it to be refused")
    assert any("It speaks TLS, and this side was started without --tls" in t for t in log.texts)


def test_a_port_in_use_is_told_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1"):
            Here(tmp_path, port)


@pytest.mark.parametrize(("host", "says"), [("0.0.0.0", "others may reach"), ("::", "others may")])
def test_without_encryption_it_listens_on_the_loopback_only(
    tmp_path: Path, host: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        make_master(
            master_server(host, 1),
            registry=RegistrySettings(),
            links=LinkSettings(),
            learning=True,
            name="master",
            run_folder=RunFolder.open(tmp_path),
            reactor=reactor,
        )
