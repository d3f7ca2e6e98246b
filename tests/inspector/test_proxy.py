"""A proxy between two peers changes nothing, delays nothing, and sees everything."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from certificates import make_certificate
from running import free_ports, short_folder
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IHalfCloseableProtocol,
    ISSLTransport,
)
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.internet.testing import StringTransport
from twisted.protocols import amp
from zope.interface import alsoProvides, implementer

from chatcore.errors import ConfigError
from chatcore.inspector.places import client_endpoint, server_endpoint

from .arithmetic import Arithmetic, Divide, Note, Sum
from .proxying import Between, Peer, connected, listening, until


@pytest_twisted.async_yield_fixture
async def arithmetic_port() -> AsyncIterator[Any]:
    port = await listening(Arithmetic)
    yield port
    await port.stopListening()


async def gone(protocol: Any) -> None:
    """End a connection from this side."""
    transport = protocol.transport
    transport.loseConnection()
    await until(lambda: not transport.connected)


@pytest_twisted.ensureDeferred
async def test_stock_amp(arithmetic_port: Any) -> None:
    between = await Between(arithmetic_port.place).start()
    client = await connected(between.place, amp.AMP())
    assert await client.callRemote(Sum, a=13, b=81) == {"total": 94}
    with pytest.raises(ZeroDivisionError):
        await client.callRemote(Divide, numerator=1234, denominator=0)
    client.callRemote(Note, text="hello")
    await gone(client)
    await between.proxy.until_closed()
    await between.close()
    watcher = between.watcher
    assert watcher.kinds() == [
        "open",
        "ask Sum",
        "answer Sum",
        "ask Divide",
        "error Divide",
        "tell Note",
        "end",
    ]
    _, ask, answer, _, error, tell, _ = watcher.seen
    assert (ask.body, answer.body) == ({"a": 13, "b": 81}, {"total": 94})
    assert tell.body == {"text": "hello"}
    assert (ask.direction, answer.direction) == ("in", "out")
    assert (ask.node, ask.peer[:10]) == (arithmetic_port.place, "127.0.0.1:")
    assert error.error == "ZERO_DIVISION"
    assert answer.ms is not None


@implementer(IHalfCloseableProtocol)
class Counting(Peer):
    """Answers with as many bytes of its own, once the other side has ended."""

    def __init__(self, reply: bytes) -> None:
        super().__init__()
        self._reply = reply

    def readConnectionLost(self) -> None:
        self.half_closed = True
        if not isinstance(self, Asking):
            self.transport.write(self._reply)  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]

    def writeConnectionLost(self) -> None:
        pass


class Asking(Counting):
    """The other side of it."""


@pytest_twisted.ensureDeferred
async def test_bytes_pass_untouched_and_each_direction_ends_on_its_own() -> None:
    rng = random.Random(5)
    question, reply = rng.randbytes(3_000_001), rng.randbytes(2_000_003)
    servers: list[Counting] = []

    def make() -> Counting:
        servers.append(Counting(reply))
        return servers[-1]

    port = await listening(make)
    between = await Between(port.place).start()
    client = await connected(between.place, Asking(b""))
    client.transport.write(question)
    client.transport.loseWriteConnection()
    assert isinstance(await client.ended, ConnectionDone)
    await servers[0].ended
    assert bytes(servers[0].came) == question
    assert bytes(client.came) == reply
    assert servers[0].half_closed
    await between.proxy.until_closed()
    await between.close()
    await port.stopListening()
    assert between.watcher.bytes("in") == question
    assert between.watcher.bytes("out") == reply
    assert between.proxy.passed == len(question) + len(reply)


def test_each_side_is_read_as_fast_as_the_other_takes_it() -> None:
    between = Between("127.0.0.1:1")
    dialled: Deferred[Any] = Deferred()
    between.proxy.dial = lambda connection: dialled  # type: ignore[method-assign]
    here, there = StringTransport(), StringTransport()
    client: Any = between.proxy.buildProtocol(None)
    client.makeConnection(here)
    assert here.producerState == "paused"  # nobody is there yet
    server = client._connection.server
    server.makeConnection(there)
    assert here.producerState == "producing"
    client.dataReceived(b"abc")
    assert there.value() == b"abc"
    there.producer.pauseProducing()
    assert (here.producerState, there.producerState) == ("paused", "producing")
    there.producer.resumeProducing()
    here.producer.pauseProducing()
    assert (here.producerState, there.producerState) == ("producing", "paused")


@pytest.mark.parametrize("encrypted", [True, False])
def test_what_is_encrypted_ends_as_a_whole(encrypted: bool) -> None:
    """And not the TCP below it, in whose half the end would not be said."""
    between = Between("127.0.0.1:1")
    between.proxy.dial = lambda connection: Deferred()  # type: ignore[method-assign]
    here, there = StringTransport(), StringTransport()
    halves: list[bool] = []
    vars(there)["loseWriteConnection"] = lambda: halves.append(True)
    if encrypted:
        alsoProvides(there, ISSLTransport)
    client: Any = between.proxy.buildProtocol(None)
    client.makeConnection(here)
    client._connection.server.makeConnection(there)
    client.readConnectionLost()
    assert (there.disconnecting, halves) == ((True, []) if encrypted else (False, [True]))


@pytest_twisted.ensureDeferred
async def test_nobody_is_at_the_target() -> None:
    with free_ports(1) as (port,):
        between = await Between(f"127.0.0.1:{port}").start()
        client = await connected(between.place, Peer())
        client.transport.write(b"anybody?")
        await client.ended
    (failed,) = between.watcher.seen
    assert failed.kind == "failed"
    assert failed.error.startswith(f"127.0.0.1:{port} can't be reached: Connection was refused")
    await between.close()


@pytest_twisted.ensureDeferred
async def test_an_end_that_is_no_clean_one_is_passed_on() -> None:
    servers: list[Peer] = []

    def make() -> Peer:
        servers.append(Peer())
        return servers[-1]

    port = await listening(make)
    between = await Between(port.place).start()
    client = await connected(between.place, Peer())
    await until(lambda: servers)
    client.transport.abortConnection()
    await servers[0].ended
    await client.ended
    await between.proxy.until_closed()
    await between.close()
    await port.stopListening()
    assert between.watcher.kinds() == ["open", "end"]


@pytest_twisted.ensureDeferred
async def test_many_at_once(arithmetic_port: Any) -> None:
    between = await Between(arithmetic_port.place, most=60).start()
    clients = [await connected(between.place, amp.AMP()) for _ in range(60)]
    for _ in range(3):
        answers = [client.callRemote(Sum, a=i, b=1) for i, client in enumerate(clients)]
        totals = [answer["total"] for answer in await gatherResults(answers)]
        assert totals == list(range(1, 61))
    refused = await connected(between.place, Peer())
    await refused.ended
    assert between.watcher.seen[-1].error == (
        "there are 60 connections already; this one was closed"
    )
    for client in clients:
        await gone(client)
    await between.proxy.until_closed()
    await between.close()
    for number in range(1, 61):
        assert between.watcher.kinds(number) == ["open", *["ask Sum", "answer Sum"] * 3, "end"]


@implementer(IFileDescriptorReceiver)
class Taking(Peer):
    """Takes file descriptors."""

    def fileDescriptorReceived(self, descriptor: int) -> None:
        self.descriptors.append(descriptor)


@pytest_twisted.ensureDeferred
async def test_unix_sockets_and_file_descriptors() -> None:
    servers: list[Taking] = []

    def make() -> Taking:
        servers.append(Taking())
        return servers[-1]

    with short_folder() as folder:
        port = await listening(make, str(folder / "target"))
        between = await Between(str(folder / "target"), str(folder / "proxy")).start()
        assert (folder / "proxy").stat().st_mode & 0o777 == 0o600
        client = await connected(folder / "proxy", Taking())
        reading, writing = os.pipe()
        client.transport.sendFileDescriptor(reading)
        client.transport.write(b"take this")
        await until(lambda: servers and servers[0].came == b"take this")
        os.write(writing, b"through")
        (taken,) = servers[0].descriptors
        assert os.read(taken, 100) == b"through"
        for descriptor in (reading, writing, taken):
            os.close(descriptor)
        await gone(client)
        await servers[0].ended
        await between.proxy.until_closed()
        await between.close()
        await port.stopListening()
    assert between.watcher.seen[0].peer == "client 1"


class Encrypting(Arithmetic):
    """A server that may be asked to encrypt."""

    certificate: Any

    @amp.StartTLS.responder
    def start_tls(self) -> dict[str, Any]:
        return {"tls_localCertificate": self.certificate, "tls_verifyAuthorities": None}


@pytest_twisted.ensureDeferred
async def test_amp_that_begins_to_encrypt(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    Encrypting.certificate = PrivateCertificate.loadPEM(
        Path(files.key).read_text() + Path(files.certificate).read_text()
    )
    port = await listening(Encrypting)
    between = await Between(port.place).start()
    client = await connected(between.place, amp.AMP())
    await client.callRemote(amp.StartTLS)
    assert await client.callRemote(Sum, a=1, b=2) == {"total": 3}
    await gone(client)
    await between.proxy.until_closed()
    await between.close()
    await port.stopListening()
    assert between.watcher.kinds() == [
        "open",
        "ask StartTLS",
        "answer StartTLS",
        "encrypted",
        "encrypted",
        "end",
    ]


class Saying(Peer):
    """Says what it has to say, and ends."""

    text = b"hello"

    def connectionMade(self) -> None:
        self.transport.write(self.text)  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]


@pytest_twisted.ensureDeferred
async def test_a_side_that_is_encrypted_for_the_proxy_itself(tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    port = await listening(Saying)
    listen = f"ssl:0:privateKey={files.key}:certKey={files.certificate}"
    between = await Between(port.place, listen).start()
    assert between.place.startswith("127.0.0.1:")
    client = await connected(between.place, Peer())
    client.transport.startTLS(CertificateOptions())
    assert isinstance(await client.ended, ConnectionDone)
    assert bytes(client.came) == Saying.text
    await between.proxy.until_closed()
    await between.close()
    await port.stopListening()


@pytest_twisted.ensureDeferred
async def test_what_speaks_no_amp_passes_all_the_same() -> None:
    servers: list[Peer] = []

    def make() -> Peer:
        servers.append(Peer())
        return servers[-1]

    port = await listening(make)
    between = await Between(port.place).start()
    client = await connected(between.place, Peer())
    client.transport.write(b"GET / HTTP/1.1\r\n\r\n")
    await until(lambda: servers and servers[0].came)
    await gone(client)
    await servers[0].ended
    await between.proxy.until_closed()
    await between.close()
    await port.stopListening()
    assert between.watcher.kinds() == ["open", "garbage", "end"]


@pytest.mark.parametrize(
    ("place", "interface"),
    [
        ("0", "127.0.0.1"),
        ("tcp:0", "127.0.0.1"),
        ("tcp:port=0", "127.0.0.1"),
        ("tcp6:0", "::1"),
        ("[::1]:0", "::1"),
        ("localhost:0", "127.0.0.1"),
        ("0.0.0.0:0", "0.0.0.0"),
        ("tcp:0:interface=0.0.0.0", "0.0.0.0"),
    ],
)
def test_listens_on_the_loopback_unless_told_otherwise(place: str, interface: str) -> None:
    from twisted.internet.testing import MemoryReactorClock

    memory = MemoryReactorClock()
    server_endpoint(memory, place).listen(Peer)  # type: ignore[arg-type]
    ((_, _, _, found),) = memory.tcpServers
    assert found.replace("localhost", "127.0.0.1") == interface


@pytest.mark.parametrize("place", ["", "nonsense", "99999", "tcp:x", "host:70000", "a:b:c"])
def test_places_that_can_not_be_understood(place: str) -> None:
    from twisted.internet.testing import MemoryReactorClock

    memory = MemoryReactorClock()
    with pytest.raises(ConfigError, match="Give a port, HOST:PORT"):
        server_endpoint(memory, place)
    with pytest.raises(ConfigError, match="Give a port, HOST:PORT"):
        client_endpoint(memory, place)


def test_the_path_of_a_socket(tmp_path: Path) -> None:
    from twisted.internet.testing import MemoryReactorClock

    memory = MemoryReactorClock()
    server_endpoint(memory, str(tmp_path / "a")).listen(Peer)  # type: ignore[arg-type]
    server_endpoint(memory, f"unix:{tmp_path}/b").listen(Peer)  # type: ignore[arg-type]
    assert [server[3] for server in memory.unixServers] == [0o600, 0o600]
