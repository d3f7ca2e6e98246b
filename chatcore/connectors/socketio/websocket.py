"""Clients of socket.io over WebSocket, and those that try whether they can go on by it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chatcore.connectors.guest import Guest
from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.settings import SocketioSettings
from chatcore.connectors.socketio.engine import EngineClient
from chatcore.connectors.socketio.framing import FRAMES
from chatcore.connectors.websocket import ClientWebSocket, WebSocketFactory
from chatcore.deadlines import Deadlines
from chatcore.errors import EngineError, WireError
from chatcore.interfaces import Address
from chatcore.wire import frame, socketio0
from chatcore.wire.engineio import PING, PONG, UPGRADE, EnginePacket, decode_frame
from chatcore.wire.socketio0 import OldPacket

_PROBE = b"probe"


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

    def onPing(self, payload: bytes) -> None:
        if self.connection.bears():
            self.transport.write(frame.encode_pong(payload))


class SocketioWebSocketFactory(WebSocketFactory):
    """Makes the WebSockets for clients of socket.io.

    Args:
        parts: what all clients share.
        reactor: the reactor, or a test's clock.
    """

    protocol = SocketioWebSocket

    def __init__(self, parts: ConnectorParts, reactor: Any) -> None:
        super().__init__(parts, reactor, texts=True)


class Probes:
    """What all share who try whether they can go on by WebSocket."""

    def __init__(self, parts: ConnectorParts, settings: SocketioSettings) -> None:
        self.all = parts
        self.times = Deadlines(settings.upgrade_seconds, parts.clock, Probe.too_late)


class Probe(Guest):
    """A client that polls, on a WebSocket with which it tries whether it can go on by that.

    Args:
        client: the client.
    """

    __slots__ = ("_client", "_probed", "_socket", "_times")

    def __init__(
        self,
        *,
        probes: Probes,
        client: EngineClient,
        socket: SocketioWebSocket,
        address: Address,
        after: Guest,
    ) -> None:
        super().__init__(parts=probes.all, carrier=socket, address=address, after=after)
        self._client, self._socket, self._times = client, socket, probes.times
        self._probed = False

    def opened(self, transport: Any) -> None:
        self._shook_hands()
        self._times.start(self)

    def bears(self) -> bool:
        """It has no time to do much."""
        return True

    def take(self, packets: Sequence[EnginePacket]) -> None:
        for packet in packets:
            polling = self._client.polling
            if packet == EnginePacket(PING, _PROBE) and polling is not None:
                self._probed = True
                framing = FRAMES[self._client.revision.engine]
                self._socket.transport.write(framing.text(b"%d%b" % (PONG, _PROBE)))
                polling.release()
            elif packet.kind == UPGRADE and self._probed and polling is not None:
                self._upgrade()
            else:
                self.broken("a WebSocket that is to take the place of polling, and does not")

    def _upgrade(self) -> None:
        client, socket = self._client, self._socket
        self._times.stop(self)
        socket.connection = client
        self._parts.gone(self)
        client.upgraded(socket, socket.transport, FRAMES[client.revision.engine])

    def too_late(self) -> None:
        """It takes too long."""
        self.close("no upgrade in time")

    def lost(self, reason: str) -> None:
        self._times.stop(self)
        polling = self._client.polling
        if polling is not None:
            polling.upgrading = False
        super().lost(reason)
