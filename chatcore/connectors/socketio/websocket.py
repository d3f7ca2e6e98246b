"""WebSockets that carry socket.io's packets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.websocket import ClientWebSocket, WebSocketFactory
from chatcore.errors import EngineError, WireError
from chatcore.wire import frame, socketio0
from chatcore.wire.engineio import EnginePacket, decode_frame
from chatcore.wire.socketio0 import OldPacket

Read = Callable[[bytes, bool, int], Any]


def reader(revision: int) -> Read:
    """What makes a packet of a message, by the revision of Engine.IO's protocol."""

    def read(payload: bytes, binary: bool, limit: int) -> EnginePacket:
        return decode_frame(payload, binary, revision, limit=limit)

    return read


def read_old(payload: bytes, binary: bool, limit: int) -> OldPacket:
    """A packet of socket.io 0.9."""
    if binary:
        raise EngineError("bytes, where packets are text")
    return socketio0.decode(payload, limit=limit)


class SocketioWebSocket(ClientWebSocket):
    """A WebSocket that carries socket.io's packets, one in each message.

    Attributes:
        read: makes a packet of a message, given whether that is binary, and its most bytes.
        connection: who takes the packets.
    """

    read: Read
    connection: Any

    def dataReceived(self, data: bytes) -> None:
        if self.state == self.STATE_OPEN and not self.data and self.current_frame is None:
            payload = frame.decode_lone(data, self._limit, frame.TEXT)
            if payload is not None and payload.isascii() and not self.inside_message:
                self.onMessage(payload, False)
                return
        self._take(data)

    def onOpen(self) -> None:
        self.connection.opened(self.transport)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        try:
            packet = self.read(payload, isBinary, self._limit)
        except WireError as problem:
            self.connection.broken(str(problem))
        else:
            self.connection.take((packet,))


class SocketioWebSocketFactory(WebSocketFactory):
    """Makes the WebSockets for clients of socket.io.

    Args:
        parts: what all clients share.
        reactor: the reactor, or a test's clock.
    """

    protocol = SocketioWebSocket

    def __init__(self, parts: ConnectorParts, reactor: Any) -> None:
        super().__init__(parts, reactor, texts=True)

    def reading(self, read: Read) -> Any:
        """A WebSocket whose messages are read like that; its ``connection`` is to be set."""
        socket: Any = self.buildProtocol(None)
        socket.read = read
        return socket
