"""Links over real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    connectProtocol,
)
from twisted.protocols import amp

from chatcore.errors import LinkLost
from chatcore.links import hello
from chatcore.links.commands import VERSION, Call, Hello, Ping, Prove, Push, Remotes
from chatcore.links.dialler import Peer
from chatcore.links.hello import DIALLER, Party
from chatcore.links.link import Link, LinkParts
from chatcore.links.settings import LinkSettings
from chatcore.links.table import LinkTable
from chatcore.telemetry import Counters
from chatcore.turn import Turn
from chatcore.wire.box import END, Box, item, join

from .wiring import NONCE, SECRET

CALL = item(b"_command", b"Call")


class RealNode:
    """A table of links on the real reactor, which echoes calls and keeps pushes."""

    def __init__(self, reactor: Any, id: str, peers: dict[str, Any]) -> None:
        self.pushed: list[int] = []
        self.up: Deferred[Link] = Deferred()
        self.down: Deferred[Link] = Deferred()
        self.table = LinkTable(
            id=id,
            incarnation="life 1",
            secret=SECRET,
            remotes={},
            parts=LinkParts(
                turn=Turn(reactor.callLater),
                clock=reactor,
                settings=LinkSettings(),
                counters=Counters(),
                responders={b"Call": self.call, b"Push": self.push},
            ),
        )
        self.table.follow({id: Peer(endpoint) for id, endpoint in peers.items()})
        self.table.on_up(lambda link: self.up.called or self.up.callback(link))
        self.table.on_down(lambda link: self.down.called or self.down.callback(link))

    def call(self, link: Link, box: Box, ask: bytes | None) -> None:
        if box[b"method"] != b"never" and ask is not None:
            link.answer(ask, item(b"result", join(box, b"args")))

    def push(self, link: Link, box: Box, ask: bytes | None) -> None:
        self.pushed.append(int(box[b"route"]))

    async def ask(self, link: Link, method: bytes, args: bytes) -> bytes:
        answered: Deferred[Box] = Deferred()

        def done(box: Any, problem: Any) -> None:
            if problem is None:
                answered.callback(box)
            else:
                answered.errback(problem)

        link.ask(
            CALL + item(b"service", b"s") + item(b"method", method) + item(b"args", args),
            done,
            "a call",
        )
        return join(await answered, b"result")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket's."""
    with TemporaryDirectory() as name:
        yield Path(name)


@asynccontextmanager
async def linked(kind: str, folder: Path) -> AsyncIterator[tuple[RealNode, RealNode]]:
    """Two nodes with a link between them."""
    from twisted.internet import reactor

    there: Any = object()
    b = RealNode(reactor, "b", {"a": there})
    if kind == "tcp":
        server: Any = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        port = await server.listen(b.table.factory)
        endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    else:
        server = UNIXServerEndpoint(reactor, str(folder / "b"))
        port = await server.listen(b.table.factory)
        endpoint = UNIXClientEndpoint(reactor, str(folder / "b"))
    a = RealNode(reactor, "a", {"b": endpoint})
    a.table.startService()
    b.table.startService()
    try:
        await DeferredList([a.up, b.up], fireOnOneErrback=True)
        yield a, b
    finally:
        await port.stopListening()
        await a.table.stopService()
        await b.table.stopService()


def link_of(node: RealNode, peer: str) -> Link:
    link = node.table.get(peer)
    assert link is not None
    return link


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest_twisted.ensureDeferred
async def test_two_nodes_talk(kind: str, folder: Path) -> None:
    async with linked(kind, folder) as (a, b):
        big = b"".join(b"%07d\n" % number for number in range(1_000_000 // 8))
        to_b, to_a = link_of(a, "b"), link_of(b, "a")
        calls = [Deferred.fromCoroutine(a.ask(to_b, b"echo", b"%d" % n)) for n in range(50)]
        calls.append(Deferred.fromCoroutine(a.ask(to_b, b"echo", big)))
        calls.append(Deferred.fromCoroutine(b.ask(to_a, b"echo", big)))
        for number in range(2000):
            to_b.write(
                item(b"_command", b"Push")
                + item(b"route", b"%d" % number)
                + item(b"x", big[:999])
                + END
            )
        calls.append(Deferred.fromCoroutine(a.ask(to_b, b"echo", b"last")))
        answers = [await call for call in calls]
        assert answers == [*(b"%d" % n for n in range(50)), big, big, b"last"]
        assert b.pushed == list(range(2000))


@pytest.mark.parametrize("kind", ["tcp", "unix"])
@pytest_twisted.ensureDeferred
async def test_a_killed_connection_ends_its_calls(kind: str, folder: Path) -> None:
    async with linked(kind, folder) as (a, b):
        call = Deferred.fromCoroutine(a.ask(link_of(a, "b"), b"never", b""))
        old = link_of(a, "b")
        link_of(b, "a").abort()
        with pytest.raises(LinkLost):
            await call
        assert await a.down is old
        assert await b.down


@pytest_twisted.ensureDeferred
async def test_links_do_not_wait_to_fill_packets(folder: Path) -> None:
    async with linked("tcp", folder) as (a, b):
        for link in (link_of(a, "b"), link_of(b, "a")):
            handle: Any = link.transport.getHandle()  # type: ignore[union-attr, attr-defined]
            assert handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@pytest_twisted.ensureDeferred
async def test_a_stock_amp_peer_over_tcp() -> None:
    from twisted.internet import reactor

    there: Any = object()
    b = RealNode(reactor, "b", {"a": there})
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(b.table.factory)
    b.table.startService()
    stock = amp.AMP()
    gone: Deferred[None] = Deferred()
    lost = stock.connectionLost
    stock.connectionLost = lambda reason: (lost(reason), gone.callback(None))  # type: ignore
    await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), stock)
    try:
        me = Party("a", "stock", NONCE)
        said = await stock.callRemote(
            Hello, version=VERSION, id="a", to="b", incarnation="stock", nonce=NONCE
        )
        it = Party(said["id"], said["incarnation"], said["nonce"])
        await stock.callRemote(Prove, proof=hello.proof(SECRET, DIALLER, VERSION, me, it))
        stock.callRemote(Remotes, remotes={})
        assert await stock.callRemote(Ping) == {}
        args = ["中😀", b"x" * 1_000_000, {"a": [1, None]}]
        found = await stock.callRemote(Call, service="s", method="echo", args=args)
        assert found == {"result": args}
        for number in range(10):
            stock.callRemote(Push, channel="c", route=str(number), body="x" * 70_000)
        await stock.callRemote(Ping)
        assert b.pushed == list(range(10))
    finally:
        await port.stopListening()
        await b.table.stopService()
        await gone
