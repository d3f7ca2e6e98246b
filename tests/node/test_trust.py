"""Nodes that know each other by certificates, in one process."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from identities import make_identities
from links.tls_nodes import TlsNode
from links.wiring import Log
from running import free_ports, short_folder
from small_cluster import Cluster, until
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint

from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server
from chatcore.errors import ConfigError
from chatcore.node.network import Network

REMOTE = """
    from zope.interface import implementer
    from chatcore.interfaces import IRemote

    class IBackRemote(IRemote):
        async def twice(text: str) -> str: ""

    @implementer(IBackRemote)
    class BackRemote:
        def __init__(self, app): pass
        def twice(self, text): return text * 2
"""

HANDLER = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IFrontHandler(IHandler):
        async def twice(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app): self.app = app
        async def twice(self, msg, session):
            return {"all": await self.app.rpc.to("back_1").back.backRemote.twice(msg["text"])}
"""

FILES = {"servers/back/remotes.py": REMOTE, "servers/front/handlers.py": HANDLER}
SERVERS = {"front": ["Front-1"], "back": ["back_1"]}


@pytest.mark.parametrize("place", ["port", "socket"])
async def test_nodes_with_certificates_work_together(place: str) -> None:
    """Over TCP, and over the sockets in the run folder: all of it is encrypted."""
    with free_ports(2) as ports:
        keys = {
            id: {"port": port} if place == "port" else {}
            for id, port in zip(("Front-1", "back_1"), ports, strict=True)
        }
    with short_folder() as folder:
        cluster = Cluster(
            folder, servers=SERVERS, files=FILES, settings={"links.tls": "tls"}, keys=keys
        )
        make_identities(folder / "tls", "Front-1", "back_1")
        try:
            await cluster.start()
            link: Any = cluster.nodes["Front-1"].links.get("back_1")
            assert link.transport.getPeerCertificate() is not None
            client = await cluster.client("Front-1")
            assert await client.request("front.frontHandler.twice", {"text": "ab"}) == {
                "all": "abab"
            }
        finally:
            await cluster.close()


async def test_a_node_without_its_certificate_does_not_start() -> None:
    with short_folder() as folder:
        cluster = Cluster(folder, servers=SERVERS, files=FILES, settings={"links.tls": "tls"})
        make_identities(folder / "tls", "back_1")
        with pytest.raises(ConfigError, match=r"tls/Front-1\.pem: there is no such file"):
            await cluster.start()
        await cluster.close()


async def test_link_ports_listen_on_their_host_only() -> None:
    with free_ports(1) as (port,):
        keys = {"back-1": {"host": "127.0.0.2", "port": port}}
    with short_folder() as folder:
        cluster = Cluster(folder, servers={"back": ["back-1"]}, files=FILES, keys=keys)
        try:
            await cluster.start()
            (listening,) = cluster.nodes["back-1"].listening
            where: Any = listening.getHost()
            assert (where.host, where.port) == ("127.0.0.2", port)
            with socket.socket() as one:
                assert one.connect_ex(("127.0.0.1", port)) != 0
        finally:
            await cluster.close()


async def test_links_that_would_leave_the_machine_in_clear_are_not_made() -> None:
    """Where a node is, is told by the registry, too, after everything was checked at start."""
    with short_folder() as folder:
        run = RunFolder.open(folder)
        far = Server(id="z", type="back", host="192.0.2.1", port=4000)
        near = Server(id="z", type="back", host="127.0.0.1", port=4000)
        with Log() as log:
            a = TlsNode("a", {"z": Network(run, reactor, may_leave=False).link_endpoint(far)}, None)
            a.table.startService()
            await until(lambda: log.texts, "what is told")
            await a.table.stopService()
        (text,) = log.texts
        assert text.startswith("z can't be linked to: 192.0.2.1 is on another machine")
        assert "--tls DIR" in text
        for network in (Network(run, reactor), Network(run, reactor, may_leave=False)):
            assert isinstance(network.link_endpoint(near), TCP4ClientEndpoint)
        assert isinstance(Network(run, reactor).link_endpoint(far), TCP4ClientEndpoint)
