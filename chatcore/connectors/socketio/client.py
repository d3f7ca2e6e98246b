"""A client of socket.io 1.x to 4.x, from its first packet to the end, whatever carries it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from chatcore.connectors.client import Client
from chatcore.connectors.encoding import REFUSED
from chatcore.connectors.guest import Guest, ICarrier, State
from chatcore.connectors.parts import ConnectorParts, Reply
from chatcore.connectors.settings import SocketioSettings
from chatcore.connectors.socketio.encoding import COMPOSED
from chatcore.connectors.socketio.framing import HELD, Framing, reframed
from chatcore.connectors.socketio.polling import Polling
from chatcore.connectors.socketio.socket import Socket
from chatcore.connectors.welcome import Handshake, Refused
from chatcore.deadlines import Deadlines
from chatcore.dispatch.calling import Waiting
from chatcore.errors import BodyError, MessageError, WireError
from chatcore.interfaces import Address
from chatcore.wire import body as bodies
from chatcore.wire import composed, handshake, message, socketio
from chatcore.wire.arguments import read_text
from chatcore.wire.body import Body
from chatcore.wire.engineio import CLOSE, MESSAGE, NOOP, OPEN, PING, PONG, EnginePacket
from chatcore.wire.message import Message
from chatcore.wire.socketio import SocketPacket
from chatcore.wire.socketio_binary import SocketDecoder

UNKNOWN_NAMESPACE = "Invalid namespace"
"""What socket.io says of namespaces that there are not."""

_QUOTE = b'"'[0]


class SocketioParts:
    """What all clients of socket.io of a frontend share.

    Args:
        parts: what they share with all others.
        settings: what they are told, and may do.
    """

    def __init__(self, parts: ConnectorParts, settings: SocketioSettings) -> None:
        self.all, self.settings = parts, settings
        self.clients: dict[str, SocketioClient] = {}
        silence = settings.ping_seconds + settings.patience_seconds
        self.silences = Deadlines(silence, parts.clock, SocketioClient.silent)
        self.pings = Deadlines(settings.ping_seconds, parts.clock, SocketioClient.ping)

    def stop(self) -> None:
        """Forget the timers."""
        self.silences.clear()
        self.pings.clear()


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


class SocketioClient(Client):
    """A client of socket.io.

    It has a session in each namespace that it is connected to, nearly always one.

    Args:
        shared: what it shares with others of its kind.
        sid: how it is known, to itself alone.
        revision: of the protocol that it speaks.
        framing: how packets are written for its transport.
        query: what it said in its first request.
    """

    __slots__ = (
        "_asking",
        "_decoder",
        "_framing",
        "_query",
        "_shared",
        "_sockets",
        "revision",
        "sid",
    )

    def __init__(
        self,
        *,
        shared: SocketioParts,
        sid: str,
        revision: Revision,
        framing: Framing,
        query: Mapping[str, str],
        carrier: ICarrier,
        address: Address,
        after: Guest | None = None,
    ) -> None:
        super().__init__(parts=shared.all, carrier=carrier, address=address, after=after)
        self._shared, self._framing, self._query = shared, framing, query
        self.sid, self.revision = sid, revision
        self._sockets: dict[str, Socket] = {}
        self._asking: dict[str, Waiting | None] = {}
        self._decoder = SocketDecoder(
            revision.socket,
            most=shared.settings.attachments,
            limit=shared.all.limits.package_bytes,
        )
        shared.clients[sid] = self

    @property
    def session(self) -> Any:
        """The first of its sessions."""
        return next((each.session for each in self._sockets.values() if each.session), None)

    @property
    def polling(self) -> Polling | None:
        """What carries it, where it polls."""
        carrier = self._carrier
        return carrier if isinstance(carrier, Polling) else None

    def carried(self, carrier: ICarrier) -> None:
        """It is carried by this from now on."""
        self._carrier = carrier

    # Engine.IO: what carries it is there, packets, signs of life.

    def opened(self, transport: Any) -> None:
        """What carries it is there."""
        settings, limits = self._shared.settings, self._parts.limits
        self.outbox.open(transport)
        said: dict[str, Any] = {
            "sid": self.sid,
            "upgrades": ["websocket"] if self._framing is HELD else [],
            "pingInterval": round(settings.ping_seconds * 1000),
            "pingTimeout": round(settings.patience_seconds * 1000),
        }
        if self.revision.engine >= 4:
            said["maxPayload"] = min(settings.payload_bytes, limits.package_bytes)
        self._say(OPEN, bodies.encode(said))
        self._lives()
        if self.revision.asks:
            self._shared.pings.start(self)
        else:
            self._connect(SocketPacket(socketio.CONNECT))

    def _say(self, kind: int, data: bytes = b"") -> None:
        self.outbox.send(self._framing.text(b"%d%b" % (kind, data)))

    def ping(self) -> None:
        """Ask it for a sign of life."""
        if self._state is not State.CLOSED:
            self._say(PING)
            self._shared.pings.start(self)

    def _lives(self) -> None:
        self._shared.silences.start(self)

    def upgraded(self, carrier: ICarrier, transport: Any, framing: Framing) -> None:
        """It goes on by WebSocket."""
        polling, pomelo = self.polling, {}
        assert polling is not None
        self._carrier, self._framing = carrier, framing
        for socket in self._sockets.values():
            pomelo[socket] = socket.encoding.pomelo
            socket.speaks(framing, pomelo=socket.encoding.pomelo)
            if socket.session is not None:
                self._parts.sessions.speaks_otherwise(socket.session)
        self.outbox.move(transport, partial(reframed, framing=framing))

    def take(self, packets: Iterable[EnginePacket]) -> None:
        """Take packets."""
        try:
            for each in packets:
                if self._state is State.CLOSED:
                    return
                self._packet(each)
        except WireError as problem:
            self.broken(str(problem))
        except Exception:
            self._failed()

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
            self.close("disconnect")
        elif kind in (PONG, NOOP):
            self.bears(len(data))
        else:
            raise MessageError(f"a packet of the kind {kind}, which only a server sends")

    # Socket.IO: namespaces and events.

    def _socket_packet(self, packet: SocketPacket) -> None:
        kind = packet.kind
        if kind == socketio.CONNECT:
            if self.bears(len(packet.data)):
                self._connect(packet)
            return
        socket = self._sockets.get(packet.namespace)
        if socket is None or socket.session is None:
            self.bears()
        elif kind in (socketio.EVENT, socketio.BINARY_EVENT):
            self._event(socket, packet)
        elif kind == socketio.DISCONNECT:
            self._disconnect(socket, "disconnect")
        else:
            self.bears()

    def _connect(self, packet: SocketPacket) -> None:
        """It wants to be in a namespace."""
        namespace = packet.namespace
        if namespace in self._sockets or self._state is State.LEAVING:
            return
        if namespace not in self._shared.settings.namespaces:
            self._refuse(namespace, UNKNOWN_NAMESPACE)
            return
        socket = self._sockets[namespace] = Socket(self, namespace, self._framing)
        version = {3: "3", 4: "4"}[self.revision.engine]
        said = {"type": "socket.io", "version": version, "namespace": namespace}
        shaken = Handshake(said, self._auth(packet), self.address)

        def consulted(user: Any, refused: Refused | None) -> None:
            self._asking.pop(namespace, None)
            if self._sockets.get(namespace) is not socket or self._state is State.CLOSED:
                return  # it did not wait for the answer
            if refused is not None:
                del self._sockets[namespace]
                self._parts.counters.clients_turned_away += 1
                self._refuse(namespace, refused.why)
            else:
                self._connected(socket)

        waiting = self._parts.welcome.consult(shaken, consulted)
        if waiting is not None:
            self._asking[namespace] = waiting

    def _auth(self, packet: SocketPacket) -> Any:
        """What it says of itself: ``auth`` of 4.x, or the query of older ones."""
        if packet.data:
            return bodies.decode(packet.data)
        query = dict(self._query)
        query.update(parse_qsl(packet.query, max_num_fields=100))
        return query

    def _connected(self, socket: Socket) -> None:
        parts, namespace = self._parts, socket.namespace
        self._shook_hands()
        first = self._state is not State.WORKING
        self._state = State.WORKING
        sid = f"{self.sid}.{namespace}" if namespace != "/" else self.sid
        connect = socketio.encode_connect(self.revision.socket, sid, namespace=namespace)
        if parts.draining is not None:
            self.outbox.send(socket.encoding.packet(connect))
            parts.draining.arrived(self)
            return
        socket.session = parts.sessions.open(socket)
        if first and parts.idlers is not None:
            parts.idlers.start(self)
        self.outbox.send(socket.encoding.packet(connect))

    def _refuse(self, namespace: str, why: str) -> None:
        error = socketio.encode_error(self.revision.socket, why, namespace=namespace)
        self._say(MESSAGE, error)
        if not self._sockets and self.revision.asks is False:
            self.close(why)

    def _disconnect(self, socket: Socket, reason: str) -> None:
        """It is in a namespace no more."""
        del self._sockets[socket.namespace]
        session, socket.session = socket.session, None
        if session is not None:
            self._parts.sessions.close(session, reason)
        if not self._sockets:
            self.close(reason)

    def _event(self, socket: Socket, packet: SocketPacket) -> None:
        if self._state is not State.WORKING:
            self.bears()
            return
        now = self._parts.clock.seconds()
        if self._parts.idlers is not None:
            self._parts.idlers.start(self, now)
        arguments = packet.arguments
        if packet.name == COMPOSED and len(arguments) == 1 and bytes(arguments[0])[0] == _QUOTE:
            self._composed(socket, read_text(arguments[0]), now)
            return
        reply = None
        if packet.id is not None:
            self._under_way += 1
            reply = partial(self._acknowledge, socket, packet.id)
        body = bytes(arguments[0]) if arguments else b""
        value = packet.values[0] if packet.values else None
        size = sum(map(len, map(bytes, arguments)))
        if len(arguments) > 1:
            self.bears(size, now)
            self._parts.counters.requests_refused += 1
            if reply is not None:
                reply(REFUSED)
            return
        self._serve(socket, Message(message.REQUEST, 0, packet.name, body, value), reply, size, now)

    def _composed(self, socket: Socket, text: str, now: float) -> None:
        """One of Pomelo's messages: from the first on, that is what the client is told in."""
        request = composed.decode(text)
        if not socket.encoding.pomelo:
            socket.speaks(self._framing, pomelo=True)
            assert socket.session is not None
            self._parts.sessions.speaks_otherwise(socket.session)
        reply = None
        if request.id:
            self._under_way += 1
            reply = partial(self._respond, socket, request.id)
        each = Message(message.REQUEST, request.id, request.route, request.body)
        self._serve(socket, each, reply, len(request.body), now)

    def _serve(
        self, socket: Socket, each: Message, reply: Reply | None, size: int, now: float
    ) -> None:
        parts = self._parts
        assert socket.session is not None
        if reply is None:
            parts.counters.notifies += 1
        else:
            parts.counters.requests += 1
        if self._may_ask(size, now, request=reply is not None):
            parts.serve(socket.session, each, reply)
            return
        parts.counters.requests_refused += 1
        if reply is not None:
            reply(REFUSED)

    def _acknowledge(self, socket: Socket, id: int, body: Body) -> None:
        self._answer(socket, partial(socket.encoding.acknowledgement, id), body)

    def _respond(self, socket: Socket, id: int, body: Body) -> None:
        encoding = socket.encoding
        self._answer(
            socket, lambda body: encoding.message(composed.encode_response(id, body.json)), body
        )

    def _answer(self, socket: Socket, encode: Any, body: Body) -> None:
        self._under_way -= 1
        if not self.works or socket.session is None:
            return
        try:
            answer = encode(body)
        except BodyError as problem:
            self._parts.counters.requests_failed += 1
            self.log.error("An answer can't be sent: {problem}", problem=problem)
            answer = encode(REFUSED)
        self.outbox.send(answer)

    # How it ends.

    def kick_from(self, socket: Socket, reason: str) -> None:
        """Tell it that it is kicked out of a namespace, and close if it is in no other."""
        if self._sockets.get(socket.namespace) is not socket:
            return
        self._parts.counters.clients_kicked += 1
        self.outbox.send(socket.kicked(handshake.encode_kick(reason)))
        self._disconnect(socket, reason)

    def _say_kicked(self, told: bytes) -> None:
        for socket in self._sockets.values():
            self.outbox.send(socket.kicked(told))

    def _end_session(self, reason: str) -> None:
        for socket in list(self._sockets.values()):
            session, socket.session = socket.session, None
            if session is not None:
                self._parts.sessions.close(session, reason)

    def _end(self, reason: str) -> None:
        if self._state is State.CLOSED:
            return
        shared = self._shared
        shared.silences.stop(self)
        shared.pings.stop(self)
        for waiting in self._asking.values():
            if waiting is not None:
                self._parts.turn.at_end(waiting.call_off)
        self._asking.clear()
        super()._end(reason)

    def lost(self, reason: str) -> None:
        self._shared.clients.pop(self.sid, None)
        super().lost(reason)
