"""Clients over WebSocket: Autobahn speaks it, a thin subclass spares it the common case."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from chatcore.connectors.addresses import address_of
from chatcore.connectors.connection import (
    GOING_AWAY,
    NORMAL,
    PROTOCOL_ERROR,
    TOO_BIG,
    Connection,
    ConnectorParts,
)
from chatcore.connectors.encoding import WEBSOCKET
from chatcore.wire import frame, package

_LONGEST_HEAD = 16384
"""Bytes of the HTTP request that begins a WebSocket."""

_MOST_FRAGMENTS = 1024
"""Frames that one message may come in: empty ones add nothing to its length."""

_LONGEST_REASON = 123
"""Bytes of reason that fit a close frame (RFC 6455, section 5.5)."""


class ClientWebSocket(WebSocketServerProtocol):
    """One client's WebSocket."""

    connection: Connection
    transport: Any

    def connectionMade(self) -> None:
        super().connectionMade()
        parts: ConnectorParts = self.factory.parts
        self._limit = parts.limits.package_bytes + package.HEAD
        self.connection = Connection(
            parts=parts,
            carrier=self,
            encoding=WEBSOCKET,
            address=address_of(self.transport.getPeer()),
        )

    def dataReceived(self, data: bytes) -> None:
        if self.state == self.STATE_CONNECTING and len(self.data) + len(data) > _LONGEST_HEAD:
            self.connection.broken(f"an HTTP request of more than {_LONGEST_HEAD} bytes")
            return
        # A request is nearly always one whole frame that comes alone. Reading it here, instead of
        # in Autobahn's state machine with its debug formatting, costs a tenth.
        if self.state == self.STATE_OPEN and not self.data and self.current_frame is None:
            payload = frame.decode_lone(data, self._limit)
            if payload is not None and not self.inside_message:
                self.connection.received(payload)
                return
        self._dataReceived(data)
        if self.state == self.STATE_CLOSED:
            # Autobahn answered a close, or a bad HTTP request. That may take its time to leave.
            self.connection.close("disconnect")

    def onOpen(self) -> None:
        self.connection.outbox.open(self.transport)

    def onPing(self, payload: bytes) -> None:
        self.connection.pinged(frame.encode_pong(payload))

    def onMessageBegin(self, isBinary: bool) -> None:
        super().onMessageBegin(isBinary)
        self._fragments = 0

    def onMessageFrameBegin(self, length: int) -> None:
        super().onMessageFrameBegin(length)
        self._fragments += 1
        if self._fragments > _MOST_FRAGMENTS:
            self.connection.broken(f"a message in more than {_MOST_FRAGMENTS} fragments", TOO_BIG)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        # A text frame is taken as bytes, as Pomelo does.
        self.connection.received(payload)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        self.connection.outbox.flush()  # nothing may follow the answer to a close
        return super().onCloseFrame(code, reasonRaw)

    def _fail_connection(self, code: int = PROTOCOL_ERROR, reason: str = "") -> None:
        # Autobahn found what breaks the WebSocket protocol.
        self.connection.broken(reason, code)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.connection.lost("disconnect")

    # ICarrier

    def end(self, code: int, reason: str) -> None:
        if self.state == self.STATE_OPEN:
            text = reason.encode()[:_LONGEST_REASON].decode("utf-8", "ignore")
            self.sendCloseFrame(code=code, reasonUtf8=text.encode(), isReply=False)
            if code not in (NORMAL, GOING_AWAY):
                self.dropConnection()  # who breaks the rules is not waited for
        elif self.state == self.STATE_CONNECTING:
            self.abort()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()


class ClientFactory(WebSocketServerFactory):
    """Takes clients in, as many as the limit allows.

    Args:
        parts: what the connections share.
        reactor: the reactor, or a test's clock.
    """

    protocol = ClientWebSocket
    noisy = False

    def __init__(self, parts: ConnectorParts, reactor: Any) -> None:
        super().__init__(server="chatcore", reactor=reactor)
        self.parts = parts
        most = parts.limits.package_bytes + package.HEAD
        self.setProtocolOptions(
            maxFramePayloadSize=most,
            maxMessagePayloadSize=most,
            allowNullOrigin=True,
            webStatus=False,
            failByDrop=False,
            utf8validateIncoming=False,
            # Our own deadlines watch over both handshakes.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
        )
        # Autobahn copies every option to every connection and formats them all for a debug
        # message. With the options on a class of this factory's, accepting costs a third of that.
        names = WebSocketServerProtocol.CONFIG_ATTRS
        values = {name: getattr(self, name) for name in names}
        options = {n: staticmethod(v) if callable(v) else v for n, v in values.items()}
        made: Any = type("ClientWebSocket", (ClientWebSocket,), options | {"CONFIG_ATTRS": ()})
        self.protocol = made

    def buildProtocol(self, addr: IAddress | None) -> Any:
        limit = self.parts.limits.connections
        if limit and self.parts.counters.clients_now >= limit:
            self.parts.counters.clients_refused += 1
            return None
        return super().buildProtocol(addr)
