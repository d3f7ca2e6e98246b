"""A node and a master with a port that strangers try, and those strangers."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from identities import NOW, make_identities
from links.wiring import REMOTES, SECRET, Raw, hello_box, prove_box
from OpenSSL import SSL
from running import free_ports, short_folder
from small_cluster import Cluster, until
from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory
from zope.interface import implementer

from chatcore.cluster.settings import RegistrySettings
from chatcore.config.tls_files import TlsFiles
from chatcore.errors import BoxError
from chatcore.links import hello
from chatcore.links.settings import LinkSettings
from chatcore.links.tls import LinkTls
from chatcore.master.service import Master
from chatcore.node import Node
from chatcore.node.ports import tcp_place
from chatcore.telemetry import Counters
from chatcore.wire.box import Box

reactor: Any = _reactor

TARGET, PEER, FRONT = "target", "a-peer", "z-front"
"""The node that is tried, one that may dial it, and a frontend."""

HANDLER = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IFrontHandler(IHandler):
        async def ask(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app): self.app = app
        async def ask(self, msg, session):
            return {"said": await self.app.rpc.to("target").back.backRemote.echo(msg["n"])}
"""

REMOTE = """
    from zope.interface import implementer
    from chatcore.interfaces import IRemote

    class IBackRemote(IRemote):
        async def echo(n: int) -> int: ""

    @implementer(IBackRemote)
    class BackRemote:
        def __init__(self, app): pass
        def echo(self, n): return n
"""

FILES = {"servers/front/handlers.py": HANDLER, "servers/back/remotes.py": REMOTE}


class Stranger(Raw):
    """Somebody who connects, and keeps all that comes."""

    transport: Any

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)
        super().send_bytes(data)

    def dataReceived(self, data: bytes) -> None:
        with suppress(BoxError):  # what TLS says is no box
            super().dataReceived(data)

    @property
    def channel(self) -> bytes:
        """What only both ends know of its connection, if that is encrypted."""
        handle = self.transport.getHandle()
        if not isinstance(handle, SSL.Connection):
            return b""
        return handle.export_keying_material(hello.CHANNEL, hello.CHANNEL_BYTES)

    @property
    def got_nothing(self) -> bool:
        """Whether it was told no more than who listens here, and that it is not wanted."""
        return all(b"_error" in box or b"nonce" in box for box in self.boxes)


@implementer(IOpenSSLClientConnectionCreator)
class Shows:
    """TLS that takes every certificate, and shows one or none."""

    def __init__(self, files: TlsFiles | None = None) -> None:
        self.context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if files is not None:
            self.context.use_certificate_file(str(files.certificate))
            self.context.use_privatekey_file(str(files.key))

    @classmethod
    def of(cls, tls: Path, id: str) -> Shows:
        """What is in a folder of certificates for an id."""
        return cls(TlsFiles(tls / f"{id}.pem", tls / f"{id}.key"))

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return SSL.Connection(self.context, None)


@dataclass(kw_only=True)
class Target:
    """Who is tried.

    Args:
        id: its id.
        port: where it listens for links.
        counters: its counters.
        tls: the folder of the certificates of its cluster; None where links are not encrypted.
        serve: asks it something in an honest way, and waits for the answer.
        cluster: that of a node; None for a master.
    """

    id: str
    port: int
    counters: Counters
    tls: Path | None
    serve: Callable[[], Awaitable[object]] = field(init=False)
    cluster: Cluster | None = None

    @property
    def node(self) -> Node:
        """The node itself."""
        assert self.cluster is not None
        return self.cluster.nodes[self.id]

    async def meet(self, shows: Shows | None = None) -> Stranger:
        """Connect to it, behind TLS where something is said to be shown there."""
        way: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        if shows is not None:
            way = wrapClientTLS(shows, way)
        stranger: Stranger = await way.connect(Factory.forProtocol(Stranger))
        return stranger

    async def greet(self, peer: Stranger, id: str = PEER) -> tuple[Mapping[bytes, bytes], Box]:
        """Say hello; what was said and answered comes back."""
        said = hello_box(id, self.id)
        peer.send(said)
        await until(lambda: peer.boxes or peer.closed, "an answer to the hello")
        return said, peer.boxes[0] if peer.boxes else {}

    async def come_in(self) -> Stranger:
        """Lead an honest peer through the hello."""
        peer = await self.meet(None if self.tls is None else Shows.of(self.tls, PEER))
        said, answer = await self.greet(peer)
        peer.send(prove_box(said, answer, channel=peer.channel), REMOTES)
        await until(lambda: len(peer.boxes) > 1, "the other side's remotes")
        assert b"remotes" in peer.boxes[1]
        return peer


def identities(folder: Path, id: str) -> Path:
    """Certificates of a cluster whose authority is not new."""
    make_identities(folder / "tls", now=NOW - datetime.timedelta(days=100))
    return make_identities(folder / "tls", PEER, FRONT, "admin", id)


@asynccontextmanager
async def attacked_node(encrypted: bool) -> AsyncIterator[Target]:
    """A node, linked to a frontend that has a client."""
    with free_ports(1) as (port,):
        keys = {TARGET: {"port": port}}
    with short_folder() as folder:
        cluster = Cluster(
            folder,
            servers={"back": [PEER, TARGET], "front": [FRONT]},
            files=FILES,
            keys=keys,
            settings={"links.tls": "tls"} if encrypted else {},
        )
        secret = cluster.run_folder.path / "secret"
        secret.write_bytes(SECRET)
        secret.chmod(0o600)
        tls = identities(folder, TARGET) if encrypted else None
        asked = 0

        async def serve() -> None:
            nonlocal asked
            asked += 1
            answer = await client.request("front.frontHandler.ask", {"n": asked})
            assert answer == {"said": asked}

        try:
            await cluster.start()
            await cluster.stop(PEER)
            client = await cluster.client(FRONT)
            counters = cluster.nodes[TARGET].counters
            target = Target(id=TARGET, port=port, counters=counters, tls=tls, cluster=cluster)
            target.serve = serve
            yield target
        finally:
            await cluster.close()


@asynccontextmanager
async def attacked_master(encrypted: bool) -> AsyncIterator[Target]:
    """A master, to which nodes come now and then."""
    with free_ports(1) as (port,):
        pass
    with short_folder() as folder:
        tls = identities(folder, "master") if encrypted else None
        master = Master(
            place=tcp_place("127.0.0.1", port, "a test"),
            secret=SECRET,
            registry=RegistrySettings(),
            links=LinkSettings(),
            learning=False,
            reactor=reactor,
            tls=None if tls is None else LinkTls(tls, "master", clock=reactor),
        )
        master.startService()
        target = Target(id="master", port=port, counters=master.counters, tls=tls)

        async def serve() -> None:
            (await target.come_in()).transport.abortConnection()

        target.serve = serve
        try:
            yield target
        finally:
            await master.stopService()


ATTACKED = {"node": attacked_node, "master": attacked_master}
