"""One WebSocket connection of the client, from dialing until it is gone; Autobahn does the work."""

from __future__ import annotations

from typing import Any, Protocol

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure

import chatcore
from chatcore.client.errors import ConnectFailed, Disconnected

_BINARY = 2  # RFC 6455, section 5.2

CLOSE_TIMEOUT = 2.0
"""Seconds that the server has to answer a close before the connection is cut."""


class Receiver(Protocol):
    """Whom a socket tells what happens to it."""

    def opened(self) -> None:
        """It is open: frames can be sent."""

    def received(self, frame: bytes) -> None:
        """A frame came."""

    def end(self, why: Exception) -> None:
        """It is not open, or no longer, and will not be."""


class Socket:
    """A connection that is made, used and closed once.

    Args:
        reactor: tells the time.
        endpoint: where to connect to.
        url: what the opening handshake asks for, ``ws://host:port/path``.
        receiver: whom to tell what happens.
        max_frame: the longest frame accepted, in bytes.
    """

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        endpoint: IStreamClientEndpoint,
        url: str,
        receiver: Receiver,
        max_frame: int,
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._receiver = receiver
        self._dialing: Deferred[Any] | None = None
        self._protocol: _Shell | None = None
        self._cut: IDelayedCall | None = None
        self._closing = self._is_gone = False
        self._waiting: list[Deferred[None]] = []
        self._factory = _Factory(url, reactor=reactor, useragent=f"chatcore/{chatcore.__version__}")
        self._factory.socket = self
        if ":" in self._factory.host:
            # The Host header wants the brackets that Autobahn took off (RFC 3986, section 3.2.2).
            self._factory.host = f"[{self._factory.host}]"
        # Autobahn's own timers know nothing of this reactor and count in whole seconds.
        self._factory.setProtocolOptions(
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            serverConnectionDropTimeout=0,
            maxFramePayloadSize=max_frame,
            maxMessagePayloadSize=max_frame,
        )

    def dial(self) -> None:
        """Make the connection."""
        self._dialing = self._endpoint.connect(self._factory)
        self._dialing.addErrback(self._not_connected)

    def send(self, frame: bytes) -> None:
        """Send one binary frame; nothing happens when the connection has just ended."""
        if self._protocol is not None and self._protocol.state == _Shell.STATE_OPEN:
            # sendMessage would hold what goes out to the limit of what may come in.
            self._protocol.sendFrame(opcode=_BINARY, payload=frame)

    def close(self) -> None:
        """Close the connection, or stop making it; it is cut when that takes too long."""
        if self._closing or self._is_gone:
            return
        self._closing = True
        if self._protocol is None:
            if self._dialing is not None:
                self._dialing.cancel()
        elif self._protocol.state == _Shell.STATE_CONNECTING:
            self._protocol.abort()
        else:
            self._cut = self._reactor.callLater(CLOSE_TIMEOUT, self._protocol.abort)
            self._protocol.sendClose(_Shell.CLOSE_STATUS_CODE_NORMAL)

    def gone(self) -> Deferred[None]:
        """Return a Deferred that fires when nothing is left of the connection."""
        waiting: Deferred[None] = Deferred()
        if self._is_gone:
            waiting.callback(None)
        else:
            self._waiting.append(waiting)
        return waiting

    def connected(self, protocol: _Shell) -> None:
        """Take note that there is a connection, over which WebSocket is to be spoken."""
        self._protocol = protocol

    def opened(self) -> None:
        """Take note that WebSocket is spoken."""
        self._receiver.opened()

    def received(self, frame: bytes) -> None:
        """Pass on a frame."""
        self._receiver.received(frame)

    def ending(self, why: str) -> None:
        """Take note that the server closes an open connection."""
        self._receiver.end(Disconnected(f"the connection ended: {why}"))

    def lost(self, opened: bool, why: str) -> None:
        """Take note that the connection is gone."""
        if opened:
            self.ending(why)
        else:
            self._receiver.end(ConnectFailed(f"no WebSocket server there: {why}"))
        self._leave()

    def _not_connected(self, failure: Failure) -> None:
        self._receiver.end(ConnectFailed(f"can't connect: {failure.getErrorMessage()}"))
        self._leave()

    def _leave(self) -> None:
        self._is_gone = True
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)


class _Shell(WebSocketClientProtocol):
    _was_open = False

    def connectionMade(self) -> None:
        self.factory.socket.connected(self)
        super().connectionMade()

    def onOpen(self) -> None:
        self._was_open = True
        self.factory.socket.opened()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.factory.socket.received(payload)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        # Autobahn goes on to wait for the server to end the connection, which it may never do.
        broken = super().onCloseFrame(code, reasonRaw)
        self.factory.socket.ending(f"the server closed it with code {code}")
        return broken

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        why = self.wasNotCleanReason or reason or f"it was closed with code {code}"
        self.factory.socket.lost(self._was_open, why)

    def abort(self) -> None:
        """Cut the connection without another word."""
        transport: Any = self.transport
        transport.abortConnection()


class _Factory(WebSocketClientFactory):
    protocol = _Shell
    noisy = False
    socket: Socket
