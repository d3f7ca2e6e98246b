"""Standing between two peers: what comes is passed on as it is, and shown to who wants to see it.

The bytes are written to the other side before anybody looks at them. Each side is read only as fast
as the other takes it, and each direction ends on its own.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IFileDescriptorReceiver,
    IHalfCloseableProtocol,
    ISSLTransport,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.inspector.aside import Aside, Passed
from chatcore.inspector.capture import Direction
from chatcore.inspector.exchange import Way
from chatcore.inspector.places import name_of

MOST_CONNECTIONS = 4096
"""Connections at the same time; who comes then is closed, and the log says so."""

MOST_DESCRIPTORS = 64
"""File descriptors that wait to be passed on, of one direction; others are closed."""


class Proxy(Factory):
    """Connects everybody who comes to the target.

    Args:
        target: where everybody is connected to.
        name: of the target, in words.
        watchers: are given what passes.
        time: tells it, in microseconds since 1970, UTC.
        most: how many connections there may be at the same time.

    Attributes:
        connections: how many have come.
        passed: how many bytes were passed on.
    """

    noisy = False

    def __init__(
        self,
        *,
        target: IStreamClientEndpoint,
        name: str,
        watchers: Sequence[Aside],
        time: Callable[[], int],
        most: int = MOST_CONNECTIONS,
    ) -> None:
        self.connections = self.passed = 0
        self.time, self.name = time, name
        self._target, self._watchers, self._most = target, watchers, most
        self._open: dict[Connection, Deferred[None]] = {}

    def buildProtocol(self, addr: IAddress | None) -> Side | None:
        self.connections += 1
        number = self.connections
        peer = name_of(addr) or f"client {number}"
        if len(self._open) >= self._most:
            why = f"there are {self._most} connections already; this one was closed"
            self.watch("failed", Way(number, "", self.name, peer), text=why)
            return None
        return Connection(self, number, peer).client

    def close(self) -> None:
        """End all connections."""
        for connection in list(self._open):
            connection.abort()

    async def until_closed(self) -> None:
        """Return when all connections have ended."""
        for ended in list(self._open.values()):
            await ended

    def dial(self, connection: Connection) -> Deferred[Any]:
        """Connect to the target, for a connection that has come."""
        self._open[connection] = Deferred()
        return self._target.connect(Factory.forProtocol(lambda: connection.server))

    def gone(self, connection: Connection) -> None:
        """A connection has ended, on both sides."""
        ended = self._open.pop(connection, None)
        if ended is not None:
            ended.callback(None)

    def watch(self, what: Any, way: Way, data: bytes = b"", text: str = "") -> None:
        """Show something to those who watch."""
        self.passed += len(data)
        passed = Passed(what, way, self.time(), data, text=text)
        for watcher in self._watchers:
            watcher.put(passed)


class Connection:
    """Two sides, and what is between them.

    Args:
        proxy: the proxy.
        number: its number.
        peer: who has come, in words.
    """

    def __init__(self, proxy: Proxy, number: int, peer: str) -> None:
        self._proxy = proxy
        self._way = Way(number, "", proxy.name, peer)
        self.client, self.server = Side(self, "in"), Side(self, "out")
        self._dialling: Deferred[Any] | None = None
        self._told = False

    def way(self, direction: Direction) -> Way:
        """One of its directions."""
        return Way(self._way.connection, direction, self._way.node, self._way.peer)

    def other(self, side: Side) -> Side:
        """Who is opposite."""
        return self.server if side is self.client else self.client

    def made(self, side: Side) -> None:
        """A side is connected."""
        if side is self.client:
            # Nothing is read of it until there is somebody to give it to.
            side.transport.pauseProducing()
            self._dialling = self._proxy.dial(self)
            self._dialling.addErrback(self._unreachable)
            return
        self._proxy.watch("open", self._way)
        if self.client.over:
            side.transport.abortConnection()
            return
        self.client.transport.registerProducer(side.transport, True)
        side.transport.registerProducer(self.client.transport, True)
        self.client.transport.resumeProducing()

    def came(self, side: Side, data: bytes) -> None:
        """Pass bytes on, and only then show them."""
        self.other(side).transport.write(data)
        self._proxy.watch("data", side.way, data)

    def said(self, text: str) -> None:
        """Something that is to be known about it."""
        self._proxy.watch("note", self._way, text=text)

    def lost(self, side: Side, reason: Failure) -> None:
        """A side has gone; the other follows, with all that it has yet to be given."""
        other = self.other(side)
        if not other.connected or other.over:
            if self._dialling is not None and side is self.client and not other.over:
                self._dialling.cancel()
            self._ended(reason)
            return
        other.transport.unregisterProducer()
        if reason.check(ConnectionDone):
            other.transport.loseConnection()
        else:
            other.transport.abortConnection()

    def abort(self) -> None:
        """End both sides at once."""
        if self._dialling is not None:
            self._dialling.cancel()
        for side in (self.client, self.server):
            if side.connected and not side.over:
                side.transport.abortConnection()

    def _unreachable(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            why = f"{self._proxy.name} can't be reached: {failure.getErrorMessage()}"
            self._proxy.watch("failed", self._way, text=why)
            self._told = True
        self._dialling = None
        if not self.client.over:
            self.client.transport.loseConnection()

    def _ended(self, reason: Failure) -> None:
        if not self._told:
            self._told = True
            why = "" if reason.check(ConnectionDone) else reason.getErrorMessage()
            self._proxy.watch("end", self._way, text=why)
        self._proxy.gone(self)


@implementer(IHalfCloseableProtocol, IFileDescriptorReceiver)
class Side(Protocol):
    """One of the two sides of a connection.

    Args:
        connection: the connection.
        direction: which way that goes what it sends.

    Attributes:
        over: whether it has gone.
    """

    transport: Any

    def __init__(self, connection: Connection, direction: Direction) -> None:
        self.over = False
        self.way = connection.way(direction)
        self._connection = connection
        self._read_over = self._write_over = False
        self._descriptors: deque[int] = deque()

    def connectionMade(self) -> None:
        for option in ("setTcpNoDelay", "setTcpKeepAlive"):
            set_option = getattr(self.transport, option, None)
            if set_option is not None:
                set_option(True)
        self._connection.made(self)

    def dataReceived(self, data: bytes) -> None:
        self._connection.came(self, data)

    def fileDescriptorReceived(self, descriptor: int) -> None:
        if not self._connection.other(self).pass_on(descriptor):
            os.close(descriptor)
            self._connection.said("a file descriptor could not be passed on, and was closed")

    def pass_on(self, descriptor: int) -> bool:
        """Give its peer a file descriptor, with the bytes that come next; whether that is done."""
        send = getattr(self.transport, "sendFileDescriptor", None)
        self._close_sent()
        if send is None or len(self._descriptors) >= MOST_DESCRIPTORS:
            return False
        send(descriptor)
        self._descriptors.append(descriptor)
        return True

    def readConnectionLost(self) -> None:
        self._read_over = True
        other = self._connection.other(self)
        if not other.over:
            other.end_writing()
        self._finish()

    def writeConnectionLost(self) -> None:
        self._write_over = True
        self._finish()

    def end_writing(self) -> None:
        """Tell its peer that nothing more comes; what comes from there still goes on."""
        self.transport.unregisterProducer()
        if ISSLTransport.providedBy(self.transport):
            # Twisted's TLS ends both directions or none, and what is below it would be cut.
            self.transport.loseConnection()
        else:
            self.transport.loseWriteConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.over = True
        self._close_sent(all=True)
        self._connection.lost(self, reason)

    def _finish(self) -> None:
        if self._read_over and self._write_over:
            self.transport.loseConnection()

    def _close_sent(self, *, all: bool = False) -> None:
        """Close the file descriptors that were sent; Twisted sends them in their order."""
        waiting = 0 if all else len(getattr(self.transport, "_sendmsgQueue", ()))
        while len(self._descriptors) > waiting:
            os.close(self._descriptors.popleft())
