"""A frontend's connector with clients in memory: real protocols, a clock, and sockets that obey.

`Connector` stands for a node's connector; each `Client` is one connection to it through a plain
Twisted TCP connection, whose socket takes as many bytes as the test lets it.
"""

from __future__ import annotations

import errno
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from chatcore.config.tls_files import TlsFiles
from chatcore.connectors.parts import CLOSING_SECONDS, ConnectorParts, Reply
from chatcore.connectors.port import ClientFactory
from chatcore.connectors.proxies import Proxies
from chatcore.connectors.settings import (
    ConnectorSettings,
    HeartbeatSettings,
    Limits,
    OutboxSettings,
    ProxySettings,
    SocketioSettings,
)
from chatcore.connectors.socketio.lobby import Lobby
from chatcore.connectors.tls import Certificates
from chatcore.connectors.welcome import Welcome
from chatcore.dispatch.calling import Caller
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.telemetry import Counters
from chatcore.turn import Turn
from chatcore.wire import message, package
from chatcore.wire.body import Body
from chatcore.wire.message import Message

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost:3050\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
BINARY, TEXT, CONTINUATION, CLOSE, PING, PONG = 2, 1, 0, 8, 9, 10
HANDSHAKE = b'{"sys":{"type":"js-websocket","version":"0.0.1"}}'
MASK = b"\x37\xfa\x21\x3d"


def frame(
    payload: bytes,
    opcode: int = BINARY,
    *,
    fin: bool = True,
    mask: bytes | None = MASK,
    rsv: int = 0,
) -> bytes:
    """A frame as a client writes it (RFC 6455, section 5.2)."""
    head = bytes((fin << 7 | rsv << 4 | opcode,))
    masked = 0x80 if mask is not None else 0
    size = len(payload)
    if size < 126:
        head += bytes((masked | size,))
    elif size < 0x10000:
        head += struct.pack("!BH", masked | 126, size)
    else:
        head += struct.pack("!BQ", masked | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def close_frame(code: int = 1000, reason: bytes = b"") -> bytes:
    return frame(code.to_bytes(2, "big") + reason, CLOSE)


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """What a server wrote, as (opcode, payload); it writes whole, unmasked frames only."""
    found = []
    at = 0
    while at < len(data):
        first, size = data[at], data[at + 1]
        assert first & 0xF0 == 0x80, "not final, or reserved bits"
        assert not size & 0x80, "masked"
        at += 2
        if size == 126:
            size = int.from_bytes(data[at : at + 2], "big")
            at += 2
        elif size == 127:
            size = int.from_bytes(data[at : at + 8], "big")
            at += 8
        assert at + size <= len(data), "cut short"
        found.append((first & 0x0F, data[at : at + size]))
        at += size
    return found


class Reactor(Clock):
    """A clock that is also told who wants to read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard

    def settle(self) -> None:
        """Let turns go by until nothing happens any more."""
        while True:
            self.advance(0)
            able = [each for each in self.writers if each.socket.room]
            if not able:
                break
            for each in able:
                why = each.doWrite()
                if why is not None:
                    self.writers.discard(each)
                    self.readers.discard(each)
                    each.connectionLost(Failure(why))


class Socket:
    """A socket that takes ``room`` bytes and then blocks."""

    def __init__(self) -> None:
        self.room = 1 << 60
        self.taken = bytearray()
        self.sends = 0
        self.options: list[tuple[int, int, Any]] = []
        self.closed = False

    def send(self, data: bytes) -> int:
        assert not self.closed
        if not self.room:
            raise BlockingIOError(errno.EWOULDBLOCK, "full")
        part = bytes(data[: self.room])
        self.sends += 1
        self.room -= len(part)
        self.taken += part
        return len(part)

    def fileno(self) -> int:
        return 99

    def close(self) -> None:
        self.closed = True

    def setblocking(self, blocking: bool) -> None: ...

    def setsockopt(self, *option: Any) -> None:
        self.options.append(option)

    def shutdown(self, how: int) -> None: ...


class Transport(tcp.Connection):
    """A plain connection, as a port makes it for a client."""

    def __init__(self, socket: Socket, protocol: Any, reactor: Reactor) -> None:
        super().__init__(socket, protocol, reactor)
        self.connected = 1
        self.aborted = False
        self.startReading()

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 54321)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.2", 3050)

    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


@dataclass(eq=False)
class Asked:
    """A message that was handed over to be served."""

    session: Session
    message: Message
    reply: Reply | None


@dataclass(eq=False)
class Connector:
    """The connector of a frontend. Settings are given by section."""

    limits: dict[str, Any] = field(default_factory=dict)
    heartbeat: dict[str, Any] = field(default_factory=lambda: {"interval": 0})
    outbox: dict[str, Any] = field(default_factory=dict)
    connector: dict[str, Any] = field(default_factory=dict)
    proxy: dict[str, Any] = field(default_factory=dict)
    tls: TlsFiles | None = None
    plain: bool = False
    welcome: dict[str, Any] = field(default_factory=dict)
    socketio: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.reactor = Reactor()
        self.counters = Counters()
        self.sessions = SessionService(frontend_id="connector-1", counters=self.counters)
        self.asked: list[Asked] = []
        self.serve: Callable[[Session, Message, Reply | None], None] = self._note
        self.caller = Caller(seconds=5, clock=self.reactor)
        self.parts = ConnectorParts(
            turn=Turn(self.reactor.callLater),
            clock=self.reactor,
            limits=Limits(**self.limits),
            heartbeat=HeartbeatSettings(**self.heartbeat),
            outbox=OutboxSettings(**self.outbox),
            counters=self.counters,
            sessions=self.sessions,
            welcome=Welcome(
                heartbeat=HeartbeatSettings(**self.heartbeat).told,
                caller=self.caller,
                **self.welcome,
            ),
            serve=lambda *asked: self.serve(*asked),
        )
        certificates = None
        if self.tls is not None:
            certificates = Certificates(
                files=self.tls, minimum="1.2", seconds=30, clock=self.reactor
            )
        self.lobby = None
        if self.socketio is not None:
            self.lobby = Lobby(self.parts, SocketioSettings(**self.socketio), self.reactor)
        self.factory = ClientFactory(
            self.parts,
            self.reactor,
            lobby=self.lobby,
            connector=ConnectorSettings(**self.connector),
            proxies=Proxies(ProxySettings(**self.proxy)),
            certificates=certificates,
            watches=[] if certificates is None else [certificates.watch],
            plain=self.plain,
        )
        self.factory.doStart()
        self.clients: list[Client] = []

    def _note(self, session: Session, message: Message, reply: Reply | None) -> None:
        self.asked.append(Asked(session, message, reply))

    def connect(self, host: str = "192.0.2.1") -> Client:
        """A TCP connection; nothing is said yet."""
        client = Client(self, host)
        self.clients.append(client)
        return client

    def open(self, host: str = "192.0.2.1") -> Client:
        """A client whose WebSocket is open; no package was sent yet."""
        client = self.connect(host)
        client.send(UPGRADE)
        head, end, rest = client.take().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert (end, rest) == (b"\r\n\r\n", b"")
        return client

    def enter(self, uid: str | None = None, host: str = "192.0.2.1") -> Client:
        """A client that has shaken hands."""
        before = set(self.sessions)
        client = self.open(host)
        client.say((package.HANDSHAKE, HANDSHAKE))
        client.say((package.ACK, b""))
        (client.session,) = set(self.sessions) - before
        if uid is not None:
            self.sessions.bind(client.session.id, uid)
        client.take()
        return client

    def count(self, **expected: int) -> None:
        """Check counters; those that are not named have to be 0."""
        nothing = dict.fromkeys(self.counters.as_dict(), 0)
        assert self.counters.as_dict() == nothing | expected

    def finish(self) -> None:
        """All clients go; nothing may be left of them."""
        for client in self.clients:
            client.socket.room = 1 << 60
            client.hang_up()
        self.reactor.settle()
        if self.lobby is not None:
            # Clients that poll might have come back.
            self.reactor.advance(60 + CLOSING_SECONDS)
            self.reactor.settle()
            self.reactor.advance(CLOSING_SECONDS)
            self.reactor.settle()
        assert self.parts.clients == {}
        assert (self.counters.clients_now, self.counters.sessions_now) == (0, 0)
        assert self.counters.polling_now == 0
        assert len(self.sessions) == 0
        assert self.factory.websockets.countConnections == 0
        if self.lobby is not None:
            assert self.lobby.clients == {}
            assert self.factory.http is None or self.factory.http.held == 0
            assert self.lobby.websockets.countConnections == 0
        assert [len(deadlines) for deadlines in self.parts.all_deadlines] == [
            0 for _ in self.parts.all_deadlines
        ]
        assert len(self.parts.outboxes.stuck) == 0
        self.parts.stop()
        self.caller.stop()
        self.factory.doStop()
        assert self.reactor.getDelayedCalls() == []


class Client:
    """One client's end of a connection."""

    session: Session

    def __init__(self, connector: Connector, host: str) -> None:
        self._reactor = connector.reactor
        self.socket = Socket()
        self._seen = 0
        kind = IPv6Address if ":" in host else IPv4Address
        self.protocol: Any = connector.factory.buildProtocol(kind("TCP", host, 54321))
        self.refused = self.protocol is None
        self.transport: Any = None
        if not self.refused:
            self.transport = Transport(self.socket, self.protocol, self._reactor)
            self.protocol.makeConnection(self.transport)

    @property
    def closed(self) -> bool:
        """Whether the server has closed the connection."""
        return self.refused or not hasattr(self.transport, "socket")

    def send(self, data: bytes, settle: bool = True) -> None:
        """Send bytes, as far as the server still reads."""
        if self.transport in self._reactor.readers:
            self.transport._dataReceived(data)
            self.protocol = getattr(self.transport, "protocol", self.protocol)
        if settle:
            self._reactor.settle()

    def say(self, *packages: tuple[int, bytes], settle: bool = True) -> None:
        """Send packages in one frame."""
        self.send(frame(b"".join(package.encode(*each) for each in packages)), settle)

    def shake_hands(self) -> None:
        """Enter over plain TCP, without a WebSocket."""
        self.send(package.encode(package.HANDSHAKE, HANDSHAKE) + package.encode(package.ACK))

    def request(self, number: int, route: str = "a.b.c", body: Any = None, **how: Any) -> None:
        data = json.dumps({} if body is None else body).encode()
        self.say((package.DATA, message.encode_request(number, route, data)), **how)

    def notify(self, route: str = "a.b.c", body: bytes = b"{}") -> None:
        self.say((package.DATA, message.encode_notify(route, body)))

    def hang_up(self) -> None:
        """Close the TCP connection."""
        if not self.closed:
            self._reactor.readers.discard(self.transport)
            self._reactor.writers.discard(self.transport)
            self.transport.connectionLost(Failure(ConnectionDone()))

    def take(self) -> bytes:
        """The bytes that came since this was asked last."""
        data = bytes(self.socket.taken[self._seen :])
        self._seen = len(self.socket.taken)
        return data

    def frames(self) -> list[tuple[int, bytes]]:
        return frames(self.take())

    def packages(self) -> list[tuple[int, bytes]]:
        """The packages that came, each in a frame of its own, up to a close frame."""
        found = []
        for opcode, payload in self.frames():
            if opcode == CLOSE:
                break
            assert opcode == BINARY
            (one,) = package.decode_frame(payload, package.LARGEST)
            found.append(one)
        return found

    def stream(self) -> list[tuple[int, bytes]]:
        """The packages that came, one after the other as over plain TCP."""
        parser = package.PackageParser(package.LARGEST)
        found = parser.feed(self.take())
        assert parser.waiting == 0
        return found

    def messages(self) -> list[Message]:
        """The messages that came; nothing else may have come."""
        found = self.packages()
        assert all(kind == package.DATA for kind, _ in found), found
        return [message.decode(data) for _, data in found]

    def close_code(self) -> int | None:
        """The code of the close frame that came last, if one came."""
        found = self.frames()
        if not found or found[-1][0] != CLOSE:
            return None
        return int.from_bytes(found[-1][1][:2], "big")


def is_served(connector: Connector, client: Client) -> bool:
    """Whether a client that has shaken hands is answered as ever."""
    client.take()
    before = len(connector.asked)
    client.request(77)
    if len(connector.asked) != before + 1:
        return False
    reply = connector.asked.pop().reply
    assert reply is not None
    reply(Body(None, b'"here"'))
    connector.reactor.settle()
    return client.messages() == [Message(message.RESPONSE, 77, "", b'"here"')]


class WrappedTransport(StringTransport):
    """A transport that is no plain TCP connection, as with TLS."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False
        self.protocol: Any = None

    def connect(self, connector: Connector) -> None:
        """Connect, and ask for a WebSocket; `protocol` takes what comes."""
        self.protocol = connector.factory.buildProtocol(None)
        self.protocol.makeConnection(self)
        self.protocol.dataReceived(UPGRADE)

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def unregisterProducer(self) -> None:  # the real ones don't mind when there is none
        self.producer = None

    def abortConnection(self) -> None:
        self.aborted = True
