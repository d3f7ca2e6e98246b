"""One WebSocket connection of the client, from dialing until it is gone; Autobahn does the work."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

import chatcore
from chatcore.client.dialing import Dialing, Receiver

_BINARY = 2  # RFC 6455, section 5.2


class Socket(Dialing):
    """A WebSocket.

    Args:
        reactor: tells the time.
        endpoint: where to connect to.
        url: what the opening handshake asks for, ``ws://host:port/path``.
        receiver: whom to tell what happens.
        max_frame: the longest frame accepted, in bytes.
    """

    expected = "WebSocket server"

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        endpoint: IStreamClientEndpoint,
        url: str,
        receiver: Receiver,
        max_frame: int,
    ) -> None:
        factory = _Factory(url, reactor=reactor, useragent=f"chatcore/{chatcore.__version__}")
        super().__init__(reactor=reactor, endpoint=endpoint, receiver=receiver, factory=factory)
        self._protocol: _Shell | None = None
        factory.socket = self
        if ":" in factory.host:
            # The Host header wants the brackets that Autobahn took off (RFC 3986, section 3.2.2).
            factory.host = f"[{factory.host}]"
        # Autobahn's own timers know nothing of this reactor and count in whole seconds.
        factory.setProtocolOptions(
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            serverConnectionDropTimeout=0,
            maxFramePayloadSize=max_frame,
            maxMessagePayloadSize=max_frame,
        )

    def send(self, frame: bytes) -> None:
        """Send one binary frame; nothing happens when the connection has just ended."""
        if self._protocol is not None and self._protocol.state == _Shell.STATE_OPEN:
            # sendMessage would hold what goes out to the limit of what may come in.
            self._protocol.sendFrame(opcode=_BINARY, payload=frame)

    def close(self) -> None:
        """Close the connection, or stop making it; it is cut when that takes too long."""
        if not self._has_to_close():
            return
        if self._protocol is None:
            self._stop_dialing()
        elif self._protocol.state == _Shell.STATE_CONNECTING:
            self._protocol.abort()
        else:
            self._cut_later(self._protocol.abort)
            self._protocol.sendClose(_Shell.CLOSE_STATUS_CODE_NORMAL)

    def connected(self, protocol: _Shell) -> None:
        """Take note that there is a connection, over which WebSocket is to be spoken."""
        self._protocol = protocol

    def opened(self) -> None:
        """Take note that WebSocket is spoken."""
        self.receiver.opened()

    def received(self, frame: bytes) -> None:
        """Pass on a frame."""
        self.receiver.received(frame)


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
