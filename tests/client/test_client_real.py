"""The client over real sockets."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import UNIXClientEndpoint

from chatcore.client import Client, ConnectFailed, Disconnected, TimedOut

from .servers import ScriptedFactory, echo


@pytest.fixture
def reactor() -> Any:
    from twisted.internet import reactor

    return reactor


@pytest.fixture(autouse=True)
def nothing_left_behind(reactor: Any) -> Iterator[None]:
    """Fail a test that leaves a delayed call, a port or a connection behind."""

    def present() -> set[Any]:
        sockets = {*reactor.getReaders(), *reactor.getWriters()} - reactor._internalReaders
        return {*reactor.getDelayedCalls(), *sockets}

    before = present()
    yield
    assert present() - before == set()


class Server:
    """A scripted server on a port of its own."""

    def __init__(self, reactor: Any) -> None:
        self.factory = ScriptedFactory(
            reactor, reply={"code": 200, "sys": {"heartbeat": 3}}, answer=echo
        )
        self._listening = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.port: int = self._listening.getHost().port

    async def stop(self) -> None:
        await self._listening.stopListening()
        for connection in self.factory.connections:
            connection.transport.abortConnection()
        await self.factory.empty()


@pytest_twisted.async_yield_fixture
async def server(reactor: Any) -> AsyncIterator[Server]:
    running = Server(reactor)
    yield running
    await running.stop()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest_twisted.ensureDeferred
async def test_a_conversation(reactor: Any, server: Server, host: str) -> None:
    client = Client(reactor=reactor)
    pushed: Deferred[Any] = Deferred()
    client.on("onChat", pushed.callback)
    assert await client.init(host=host, port=server.port, user="me") is None
    replies = await gatherResults(
        [client.request("a.b.c", {"number": number}) for number in range(100)]
    )
    assert replies == [["a.b.c", {"number": number}] for number in range(100)]
    large = {"text": "é" * 100_000}
    assert await client.request("a.b.c", large) == ["a.b.c", large]
    server.factory.connections[0].push("onChat", {"msg": "hi"})
    assert await pushed == {"msg": "hi"}
    await client.disconnect()
    await server.factory.empty()
    assert not client.connected


@pytest_twisted.ensureDeferred
async def test_from_one_server_to_another(reactor: Any, server: Server) -> None:
    other = Server(reactor)
    client = Client(reactor=reactor)
    await client.init(port=server.port)
    await client.disconnect()
    await client.init(port=other.port)
    assert len(other.factory.connections) == 1
    await client.disconnect()
    await other.stop()


@pytest_twisted.ensureDeferred
async def test_the_server_cuts_the_connection(reactor: Any, server: Server) -> None:
    client = Client(reactor=reactor)
    server.factory.answer = lambda server, came: server.transport.abortConnection()
    await client.init(port=server.port)
    gone: Deferred[Any] = Deferred()
    client.on("disconnect", gone.callback)
    with pytest.raises(Disconnected, match="the connection ended"):
        await client.request("a.b.c")
    assert isinstance(await gone, Disconnected)
    await client.closed()


@pytest_twisted.ensureDeferred
async def test_nobody_listens(reactor: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectFailed, match=r"can't connect: .*refused"):
            await Client(reactor=reactor).init(port=unused.getsockname()[1])


@pytest_twisted.ensureDeferred
async def test_a_server_that_accepts_and_says_nothing(reactor: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(reactor=reactor)
        with pytest.raises(TimedOut):
            await client.init(port=silent.getsockname()[1], timeout=0.05)
        await client.closed()


@pytest_twisted.ensureDeferred
async def test_another_transport(reactor: Any, tmp_path: Any) -> None:
    factory = ScriptedFactory(reactor, reply={"code": 200}, answer=echo)
    listening = reactor.listenUNIX(str(tmp_path / "socket"), factory)
    client = Client(reactor=reactor)
    await client.init(endpoint=UNIXClientEndpoint(reactor, str(tmp_path / "socket")))
    assert await client.request("a.b.c", 1) == ["a.b.c", 1]
    await client.disconnect()
    await factory.empty()
    await listening.stopListening()
