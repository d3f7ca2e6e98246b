"""Clients of Engine.IO that poll, and try whether they can go on by WebSocket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatcore.connectors.guest import Guest
from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.socketio.engine import EngineClient
from chatcore.connectors.socketio.framing import FRAMES
from chatcore.connectors.socketio.polling import Polling
from chatcore.connectors.socketio.websocket import SocketioWebSocket
from chatcore.deadlines import Deadlines
from chatcore.interfaces import Address
from chatcore.wire.engineio import PING, PONG, UPGRADE, EnginePacket

MOST_SIGNS = 10
"""What may come before the upgrade: probes and signs of life, of which one is enough."""

_PROBE = EnginePacket(PING, b"probe")


class Probes:
    """What all share who try that.

    Args:
        parts: what they share with everybody else.
        seconds: how long they may take.
    """

    def __init__(self, parts: ConnectorParts, seconds: float) -> None:
        self.all = parts
        self.times: Deadlines = parts.deadlines(seconds, Probe.too_late)


class Probe(Guest):
    """A client that polls, on the WebSocket on which it would go on.

    Args:
        client: the client.
        polling: what carries it until then.
        socket: the WebSocket.
    """

    __slots__ = ("_client", "_polling", "_probed", "_signs", "_socket", "_times")

    def __init__(
        self,
        *,
        probes: Probes,
        client: EngineClient,
        polling: Polling,
        socket: SocketioWebSocket,
        address: Address,
        after: Guest,
    ) -> None:
        super().__init__(parts=probes.all, carrier=socket, address=address, after=after)
        self._client, self._polling, self._socket = client, polling, socket
        self._times = probes.times
        self._probed = False
        self._signs = MOST_SIGNS
        client.probe = self

    def opened(self, transport: Any) -> None:
        """The WebSocket is there."""
        self._shook_hands()
        self._times.start(self)

    def bears(self) -> bool:
        """Put up with a sign of life; whether it may give others."""
        self._signs -= 1
        if self._signs < 0:
            self.broken("a WebSocket that is to take the place of polling, and does not")
        return self._signs >= 0

    def pinged(self, pong: bytes) -> None:
        """The WebSocket was asked for a sign of life."""
        if self.bears():
            self._socket.transport.write(pong)

    def take(self, packets: Sequence[EnginePacket]) -> None:
        """Take packets: a probe, and then word that the client goes on here."""
        for packet in packets:
            if self._client.probe is not self:
                return  # it is over
            if packet == _PROBE:
                self._answer()
            elif packet.kind == UPGRADE and self._probed:
                self._upgrade()
            else:
                self.broken("a WebSocket that is to take the place of polling, and does not")

    def _answer(self) -> None:
        if self.bears():
            self._probed = True
            framing = FRAMES[self._client.revision.engine]
            self._socket.transport.write(framing.text(b"%dprobe" % PONG))
            self._polling.release()

    def _upgrade(self) -> None:
        client, socket = self._client, self._socket
        self._times.stop(self)
        socket.connection = client
        self._parts.gone(self)
        client.upgraded(socket, socket.transport, FRAMES[client.revision.engine])
        self._polling.retire()

    def too_late(self) -> None:
        """It takes too long."""
        self._parts.counters.clients_silent += 1
        self.close("no upgrade in time")

    def _end(self, reason: str) -> None:
        super()._end(reason)
        self._times.stop(self)
        if self._client.probe is self:
            self._client.probe = None
            self._polling.upgrading = False
