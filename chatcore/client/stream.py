"""The plain TCP connection of the client: packages one after the other."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from chatcore.client.dialing import Dialing, Receiver
from chatcore.errors import PackageError
from chatcore.wire.package import PackageParser


class Stream(Dialing):
    """A connection without WebSocket, as Pomelo's C client makes it.

    Args:
        reactor: tells the time.
        endpoint: where to connect to.
        receiver: whom to tell what happens.
        max_package: the longest package body accepted, in bytes.
    """

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        endpoint: IStreamClientEndpoint,
        receiver: Receiver,
        max_package: int,
    ) -> None:
        factory = _Factory(self)
        super().__init__(reactor=reactor, endpoint=endpoint, receiver=receiver, factory=factory)
        self._protocol: _Packages | None = None
        self.max_package = max_package

    def send(self, frame: bytes) -> None:
        """Send whole packages; nothing happens when the connection has just ended."""
        if self._protocol is not None:
            self._protocol.transport.write(frame)

    def close(self) -> None:
        """Close the connection, or stop making it; it is cut when that takes too long."""
        if not self._has_to_close():
            return
        if self._protocol is None:
            self._stop_dialing()
        else:
            self._cut_later(self._protocol.abort)
            self._protocol.transport.loseConnection()

    def connected(self, protocol: _Packages) -> None:
        """Take note that there is a connection."""
        self._protocol = protocol
        self.receiver.opened()


class _Packages(Protocol):
    transport: Any

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._parser = PackageParser(stream.max_package)

    def connectionMade(self) -> None:
        self._stream.connected(self)

    def dataReceived(self, data: bytes) -> None:
        parser, receiver = self._parser, self._stream.receiver
        try:
            receiver.received_packages(parser.feed(data))
            if parser.waiting:
                parser.feed(b"")  # what breaks the stream is told after what came in front of it
        except PackageError as problem:
            receiver.broke(problem)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stream.lost(True, reason.getErrorMessage())

    def abort(self) -> None:
        """Cut the connection without another word."""
        self.transport.abortConnection()


class _Factory(Factory):
    noisy = False

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def buildProtocol(self, addr: IAddress | None) -> _Packages:
        return _Packages(self._stream)
