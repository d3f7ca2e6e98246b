"""Clients over WebSocket: Autobahn speaks it, a thin subclass spares it the common case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from chatcore.connectors.answers import answer
from chatcore.connectors.connection import Connection
from chatcore.connectors.guest import GOING_AWAY, NORMAL, PROTOCOL_ERROR, TOO_BIG
from chatcore.connectors.parts import ConnectorParts
from chatcore.turn import send_at_once
from chatcore.wire import frame, package
from chatcore.wire.http import is_token

_MOST_FRAGMENTS = 1024
"""Frames that one message may come in: empty ones add nothing to its length."""

_FREE_FRAGMENTS = 16
"""Frames of one message after each of which it counts as one more."""

_LONGEST_REASON = 123
"""Bytes of reason that fit a close frame (RFC 6455, section 5.5)."""

_LONGEST_REFUSAL = 200
"""Characters of what a client is told whose request for a WebSocket is malformed."""


class ClientWebSocket(WebSocketServerProtocol):
    """One client's WebSocket, from its request on.

    Attributes:
        connection: what its packages mean; set before it is connected.
    """

    connection: Connection
    transport: Any

    def connectionMade(self) -> None:
        # Autobahn's own describes the transport at length first, for nobody here.
        send_at_once(self.transport)
        self._connectionMade()
        parts: ConnectorParts = self.factory.parts
        self._limit = parts.limits.package_bytes + package.HEAD

    def dataReceived(self, data: bytes) -> None:
        # A request is nearly always one whole frame that comes alone. Reading it here, instead of
        # in Autobahn's state machine with its debug formatting, costs a tenth.
        if self.state == self.STATE_OPEN and not self.data and self.current_frame is None:
            payload = frame.decode_lone(data, self._limit)
            if payload is not None and not self.inside_message:
                self.connection.received(payload)
                return
        self._take(data)

    def _take(self, data: bytes) -> None:
        """Take whatever comes, by Autobahn's state machine."""
        self._dataReceived(data)
        if self.state == self.STATE_CLOSED:
            # Autobahn answered a close, or a bad HTTP request. That may take its time to leave.
            self.connection.close("disconnect")

    def onConnect(self, request: ConnectionRequest) -> str | None:
        # None has a meaning here. But browsers close what does not agree on one of those that the
        # page names, and Pomelo agrees on the first.
        first = next(iter(request.protocols), "")
        return first if is_token(first) else None

    def onOpen(self) -> None:
        self.connection.outbox.open(self.transport)

    def onPing(self, payload: bytes) -> None:
        # After a close, it may be too long for a frame of its kind.
        if self.state == self.STATE_OPEN:
            self.connection.pinged(frame.encode_pong(payload))

    def onPong(self, payload: bytes) -> None:
        self.connection.bears()

    def onMessageBegin(self, isBinary: bool) -> None:
        super().onMessageBegin(isBinary)
        self._fragments = 0

    def onMessageFrameBegin(self, length: int) -> None:
        super().onMessageFrameBegin(length)
        self._fragments += 1
        if self._fragments > _MOST_FRAGMENTS:
            self.connection.broken(f"a message in more than {_MOST_FRAGMENTS} fragments", TOO_BIG)
        elif self._fragments % _FREE_FRAGMENTS == 0:
            self.connection.bears()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        # A text frame is taken as bytes, as Pomelo does.
        self.connection.received(payload)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        self.connection.flush()  # nothing may follow the answer to a close
        return super().onCloseFrame(code, reasonRaw)

    def _fail_connection(self, code: int = PROTOCOL_ERROR, reason: str = "") -> None:
        # Autobahn found what breaks the WebSocket protocol.
        self.connection.broken(reason, code)

    def sendHttpErrorResponse(
        self, code: int, reason: str, responseHeaders: Iterable[tuple[str, str]] | None = None
    ) -> None:
        # A request for a WebSocket that Autobahn does not accept.
        self.factory.parts.counters.clients_broken += 1
        text = f"{reason[:_LONGEST_REFUSAL]}\n"
        self.transport.write(answer(code, text, headers=responseHeaders or ()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        # Autobahn's own begins with debug formatting, and logs an error for each client whose TLS
        # ends badly.
        self._connectionLost("connection lost")
        self.connection.lost("disconnect")

    # ICarrier

    def end(self, code: int, reason: str) -> None:
        if self.state == self.STATE_OPEN:
            text = reason.encode()[:_LONGEST_REASON].decode("utf-8", "ignore")
            self.sendCloseFrame(code=code, reasonUtf8=text.encode(), isReply=False)
            if code not in (NORMAL, GOING_AWAY):
                self.wasClean = True  # or Autobahn logs it: what there is to say was said here
                self.dropConnection()  # who breaks the rules is not waited for
        elif self.state == self.STATE_CONNECTING:
            self.abort()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()


class WebSocketFactory(WebSocketServerFactory):
    """Makes the WebSockets of a port.

    Args:
        parts: what the connections share.
        reactor: the reactor, or a test's clock.
        texts: whether text frames have to be UTF-8.
    """

    protocol = ClientWebSocket
    noisy = False

    def __init__(self, parts: ConnectorParts, reactor: Any, *, texts: bool = False) -> None:
        super().__init__(server="chatcore", reactor=reactor)
        self.parts = parts
        most = parts.limits.package_bytes + package.HEAD
        self.setProtocolOptions(
            maxFramePayloadSize=most,
            maxMessagePayloadSize=most,
            allowNullOrigin=True,
            webStatus=False,
            failByDrop=False,
            utf8validateIncoming=texts,
            # Our own deadlines watch over both handshakes.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
        )
        # Autobahn copies every option to every connection and formats them all for a debug
        # message. With the options on a class of this factory's, accepting costs a third of that.
        names = WebSocketServerProtocol.CONFIG_ATTRS
        values = {name: getattr(self, name) for name in names}
        options = {n: staticmethod(v) if callable(v) else v for n, v in values.items()}
        made: Any = type(self.protocol.__name__, (self.protocol,), options | {"CONFIG_ATTRS": ()})
        self.protocol = made

    def made(self, connection: Connection) -> Any:
        """A WebSocket for a client that asks for one."""
        protocol: Any = self.buildProtocol(None)
        protocol.connection = connection
        return protocol
