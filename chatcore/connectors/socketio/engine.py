"""Clients of socket.io 1.x to 4.x, over Engine.IO's transports."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from chatcore.connectors.guest import Guest, ICarrier
from chatcore.connectors.socketio.client import SocketioClient, said_in
from chatcore.connectors.socketio.encoding import COMPOSED
from chatcore.connectors.socketio.framing import HELD, Framing
from chatcore.connectors.socketio.shared import SocketioParts
from chatcore.connectors.socketio.socket import Socket
from chatcore.errors import MessageError
from chatcore.interfaces import Address
from chatcore.wire import body, socketio
from chatcore.wire.arguments import read_text
from chatcore.wire.engineio import CLOSE, MESSAGE, NAMES, NOOP, OPEN, PING, PONG, EnginePacket
from chatcore.wire.socketio import SocketPacket
from chatcore.wire.socketio_binary import SocketDecoder

_QUOTE = b'"'


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision of Engine.IO's protocol, and the version of Socket.IO's that goes with it."""

    engine: int
    socket: int

    @property
    def asks(self) -> bool:
        """Whether the server asks for signs of life, rather than the client."""
        return self.engine >= 4


REVISIONS = {3: Revision(3, 4), 4: Revision(4, 5)}


class EngineClient(SocketioClient):
    """A client that speaks Engine.IO.

    Args:
        revision: of the protocol.
        query: of its first request.

    Attributes:
        probe: the WebSocket on which it tries to go on, if it does.
    """

    __slots__ = ("_decoder", "_said", "probe", "revision")

    def __init__(
        self,
        *,
        shared: SocketioParts,
        sid: str,
        revision: Revision,
        framing: Framing,
        query: Mapping[str, str],
        carrier: Any = None,
        address: Address,
        after: Guest | None = None,
    ) -> None:
        super().__init__(
            shared=shared,
            sid=sid,
            version=str(revision.engine),
            framing=framing,
            carrier=carrier,
            address=address,
            after=after,
        )
        self.revision, self._said = revision, said_in(query)
        self.probe: Guest | None = None
        self._decoder = SocketDecoder(
            revision.socket,
            most=shared.settings.attachments,
            limit=shared.all.limits.package_bytes,
        )

    # Engine.IO: what carries it is there, packets, signs of life.

    def opened(self, transport: Any) -> None:
        """What carries it is there."""
        settings = self._shared.settings
        self.outbox.open(transport)
        said: dict[str, Any] = {
            "sid": self.sid,
            "upgrades": ["websocket"] if self._framing is HELD else [],
            "pingInterval": round(settings.ping_seconds * 1000),
            "pingTimeout": round(settings.patience_seconds * 1000),
        }
        if self.revision.engine >= 4:
            said["maxPayload"] = settings.payload_bytes
        self._say(OPEN, body.encode(said))
        self._lives()
        if self.revision.asks:
            self._shared.pings.start(self)
        else:
            self._connect("/", self._said)

    def _say(self, kind: int, data: bytes = b"") -> None:
        self.outbox.send(self._framing.text(b"%d%b" % (kind, data)))

    def ping(self) -> None:
        self._say(PING)
        self._shared.pings.start(self)

    def upgraded(self, carrier: ICarrier, transport: Any, framing: Framing) -> None:
        """It goes on by WebSocket, and what waits for it as well."""
        self.probe = None
        self._goes_on(carrier, transport, framing)

    def _packet(self, packet: EnginePacket) -> None:
        kind, data, binary = packet
        self._lives()
        if kind == MESSAGE:
            complete = self._decoder.feed(data, binary)
            if complete is not None:
                self._socket_packet(complete)
            else:
                self.bears(len(data))
        elif kind == PING and not self.revision.asks:
            if self.bears(len(data)):
                self._say(PONG, data)
        elif kind == CLOSE:
            self.part()
        elif kind in (PONG, NOOP):
            self.bears(len(data))
        else:
            raise MessageError(f"a packet of the kind {NAMES[kind]}, which is out of place")

    # Socket.IO.

    def _socket_packet(self, packet: SocketPacket) -> None:
        kind = packet.kind
        if kind == socketio.CONNECT:
            if self.bears(len(packet.data)):
                self._connect(packet.namespace, self._auth(packet))
            return
        socket = self._sockets.get(packet.namespace)
        if socket is None or socket.session is None:
            if not self._sockets:
                raise MessageError("a packet before it is connected")
            self.bears(sum(map(len, packet.arguments)))
        elif kind in (socketio.EVENT, socketio.BINARY_EVENT):
            arguments = packet.arguments
            if (
                packet.name == COMPOSED
                and len(arguments) == 1
                and bytes(arguments[0]).startswith(_QUOTE)
            ):
                self._composed(socket, read_text(arguments[0]))
                return
            value = packet.values[0] if packet.values else None
            self._event(socket, packet.name, arguments, packet.id, value)
        elif kind == socketio.DISCONNECT:
            self._disconnect(socket)
        else:
            self.bears(sum(map(len, packet.arguments)))

    def _auth(self, packet: SocketPacket) -> Any:
        """What it says of itself: ``auth`` of 4.x, and the queries of all."""
        if packet.data:
            return {**self._said, **body.decode(packet.data)}
        return {**self._said, **said_in(dict(parse_qsl(packet.query)))}

    def _say_connected(self, socket: Socket) -> None:
        namespace, version = socket.namespace, self.revision.socket
        # From version 5 on it is told to others as well: who knows it must not be able to poll.
        sid = secrets.token_urlsafe(15) if version > 4 else ""
        self._say(MESSAGE, socketio.encode_connect(version, sid, namespace=namespace))

    def _say_refused(self, namespace: str, why: str, told: bytes | None = None) -> None:
        version = self.revision.socket
        error = socketio.encode_error(version, why, data=told, namespace=namespace)
        self._say(MESSAGE, error)
        if not (self._sockets or self.revision.asks):
            # Or its library would come again and again; later ones go by themselves.
            self._say(MESSAGE, socketio.encode_disconnect())
            self._dismiss(why)

    def _end(self, reason: str) -> None:
        super()._end(reason)
        if self.probe is not None:
            self.probe.close("its client is gone")
