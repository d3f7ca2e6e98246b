"""Two peers with a proxy between them, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from chatcore.inspector.aside import Passed
from chatcore.inspector.commands import Dictionary
from chatcore.inspector.exchange import Exchange
from chatcore.inspector.places import client_endpoint, name_of, server_endpoint
from chatcore.inspector.proxy import Proxy
from chatcore.inspector.redaction import Redaction
from chatcore.inspector.seen import Seen
from chatcore.inspector.watching import Messages

from . import arithmetic


class AtOnce:
    """A watcher that takes what passes as it passes."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.passed: list[Passed] = []
        exchange = Exchange(Dictionary([arithmetic]), Redaction(), bodies=True)
        self._messages = Messages(exchange, self.seen.append)

    def put(self, passed: Passed) -> None:
        self.passed.append(passed)
        self._messages.take([passed])

    def kinds(self, connection: int | None = None) -> list[str]:
        return [
            f"{each.kind} {each.route}".strip()
            for each in self.seen
            if connection in (None, each.connection)
        ]

    def bytes(self, direction: str) -> bytes:
        return b"".join(each.data for each in self.passed if each.way.direction == direction)


class Between:
    """A proxy.

    Args:
        target: where it connects to.
        listen: where it listens.
    """

    def __init__(self, target: str, listen: str = "0", most: int = 100) -> None:
        self.watcher = AtOnce()
        watchers: Any = [self.watcher]
        self.proxy = Proxy(
            target=client_endpoint(reactor, target),
            name=target,
            watchers=watchers,
            time=lambda: int(reactor.seconds() * 1e6),  # type: ignore[attr-defined]
            most=most,
        )
        self._listen = listen

    async def start(self) -> Between:
        self.port = await server_endpoint(reactor, self._listen).listen(self.proxy)
        self.place = name_of(self.port.getHost())
        return self

    async def close(self) -> None:
        await self.port.stopListening()
        self.proxy.close()
        await self.proxy.until_closed()


class Peer(Protocol):
    """Keeps what comes; may be told to do something when it is connected, or the other ends."""

    half_closed = False

    def __init__(self) -> None:
        self.came = bytearray()
        self.ended: Deferred[Any] = Deferred()
        self.descriptors: list[int] = []

    def dataReceived(self, data: bytes) -> None:
        self.came += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(reason.value)


async def listening(make: Callable[[], Any], place: str = "0") -> Any:
    """A server; where it is comes back as its ``place``."""
    factory = Factory.forProtocol(make)
    factory.noisy = False
    port: Any = await server_endpoint(reactor, place).listen(factory)
    port.place = name_of(port.getHost()) or place
    return port


async def connected(place: str | Path, protocol: Any) -> Any:
    """Somebody who is connected to a server."""
    return await connectProtocol(client_endpoint(reactor, str(place)), protocol)


async def until(condition: Callable[[], Any]) -> None:
    """Let the reactor run until something has come about."""
    end = reactor.seconds() + 60  # type: ignore[attr-defined]
    while not condition():
        assert reactor.seconds() < end, "it never came about"  # type: ignore[attr-defined]
        await deferLater(reactor, 0.005)  # type: ignore[arg-type]
