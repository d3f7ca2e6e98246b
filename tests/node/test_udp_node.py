"""Clients over UDP, on the port beside the client port, with real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import short_folder
from small_cluster import Cluster, until
from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol

from chatcore.errors import ConfigError
from chatcore.wire import message, package
from chatcore.wire.message import Message
from chatcore.wire.package import Package

HANDLERS = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IFrontHandler(IHandler):
        async def enter(msg, session): ""
        async def say(msg, session): ""
        async def leave(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app):
            self.app = app

        async def enter(self, msg, session):
            await session.bind(msg["uid"])
            room = self.app.channels.get("room", create=True)
            room.add(session.uid, session.frontend_id)
            return {"users": room.uids()}

        async def say(self, msg, session):
            self.app.channels.get("room").push("onSay", [session.uid, msg])

        async def leave(self, msg, session):
            await session.kick("left")
"""
HELLO = package.encode(package.HANDSHAKE, b'{"sys":{"type":"udp","version":"1"}}')
ACK = package.encode(package.ACK)


class UdpClient(DatagramProtocol):
    """A client that keeps the packages that it got."""

    noisy = False

    def __init__(self, port: int) -> None:
        self.packages: list[Package] = []
        self._port = port
        self._listening: Any = reactor.listenUDP(0, self, "127.0.0.1")

    def startProtocol(self) -> None:
        assert self.transport is not None
        self.transport.connect("127.0.0.1", self._port)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        (one,) = package.decode_frame(datagram, package.LARGEST)
        self.packages.append(one)

    def send(self, *packages: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"".join(packages))

    async def next(self) -> Package:
        await until(lambda: self.packages, "a datagram")
        return self.packages.pop(0)

    async def ask(self, number: int, route: str, body: bytes) -> Message:
        self.send(package.encode(package.DATA, message.encode_request(number, route, body)))
        return message.decode((await self.next())[1])

    async def close(self) -> None:
        await self._listening.stopListening()


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield Path(folder)


def cluster(folder: Path, **settings: object) -> Cluster:
    named = {key.replace("__", "."): value for key, value in settings.items()}
    return Cluster(
        folder,
        servers={"front": ["front-1"]},
        files={"servers/front/handlers.py": HANDLERS},
        settings={"connector.udp": True, **named},
    )


async def test_with_real_sockets(folder: Path) -> None:
    nodes = cluster(folder)
    await nodes.start()
    port = nodes.servers.by_id("front-1").client_port
    assert port is not None
    udp = UdpClient(port)
    try:
        beside = await nodes.client("front-1")
        said: list[Any] = []
        beside.on("onSay", said.append)
        await beside.request("front.frontHandler.enter", {"uid": "beside"})

        udp.send(HELLO)
        kind, body = await udp.next()
        assert (kind, body) == (package.HANDSHAKE, b'{"code":200,"sys":{"heartbeat":30}}')
        udp.send(ACK)
        assert await udp.next() == (package.HEARTBEAT, b"")
        answer = await udp.ask(1, "front.frontHandler.enter", b'{"uid":"udp"}')
        assert (answer.id, answer.body) == (1, b'{"users":["beside","udp"]}')

        assert await beside.request("front.frontHandler.say", {"text": "hi"}) == {}
        assert message.decode((await udp.next())[1]) == Message(
            message.PUSH, 0, "onSay", b'["beside",{"text":"hi"}]'
        )
        (session,) = nodes.nodes["front-1"].sessions.by_uid("udp")
        assert session.address == ("127.0.0.1", udp._listening.getHost().port)

        udp.send(
            package.encode(package.DATA, message.encode_notify("front.frontHandler.leave", b""))
        )
        assert await udp.next() == (package.KICK, b'{"reason":"left"}')
        assert nodes.nodes["front-1"].counters.sessions_now == 1
    finally:
        await udp.close()
        await nodes.close()


async def test_stopping_with_clients(folder: Path) -> None:
    nodes = cluster(folder)
    await nodes.start()
    node = nodes.nodes["front-1"]
    udp = UdpClient(nodes.servers.by_id("front-1").client_port or 0)
    try:
        udp.send(HELLO, ACK)
        await until(lambda: len(udp.packages) == 2, "the handshake")
        await nodes.stop()
        assert (node.counters.clients_now, node.counters.sessions_now) == (0, 0)
    finally:
        await udp.close()
        await nodes.close()


async def test_a_port_that_is_in_use(folder: Path) -> None:
    nodes = cluster(folder)
    port = nodes.servers.by_id("front-1").client_port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
        with pytest.raises(ConfigError, match=rf"port {port} of .* over UDP, is in use"):
            await nodes.start()
    with socket.socket() as again:  # the TCP port was given back
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


@pytest.mark.parametrize("settings", [{"heartbeat__interval": 0}, {"limits__handshake_seconds": 0}])
async def test_clients_that_would_stay_for_ever(folder: Path, settings: dict[str, object]) -> None:
    nodes = cluster(folder, **settings)
    with pytest.raises(ConfigError, match="only silence tells"):
        await nodes.start()
