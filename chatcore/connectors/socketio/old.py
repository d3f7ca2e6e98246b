"""Clients of socket.io 0.9, over WebSocket and polling (version 1 of its protocol)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from chatcore.connectors.exchange import TEXT, Exchange
from chatcore.connectors.guest import Guest
from chatcore.connectors.socketio.client import SocketioClient
from chatcore.connectors.socketio.encoding import COMPOSED
from chatcore.connectors.socketio.framing import HELD, Framing, texts_of
from chatcore.connectors.socketio.polling import SCRIPT
from chatcore.connectors.socketio.shared import SocketioParts
from chatcore.connectors.socketio.socket import Socket
from chatcore.errors import EngineError
from chatcore.interfaces import Address
from chatcore.wire import jsonp, socketio0
from chatcore.wire.arguments import read_text
from chatcore.wire.http import Head
from chatcore.wire.socketio0 import OldPacket

VERSION = "0.9"

SCRIPTED = "jsonp-polling"
"""The transport of pages in browsers that let them ask nobody but their own server."""

UNAUTHORIZED = socketio0.REASONS.index("unauthorized")
NOT_HANDSHAKEN = socketio0.REASONS.index("client not handshaken")
RECONNECT = socketio0.ADVICE.index("reconnect")
NOBODY = socketio0.encode_error(NOT_HANDSHAKEN, RECONNECT)
"""What is said to those who are not known, or no more: they shake hands again."""


RESERVED = frozenset(("t", "i", "disconnect"))
"""Fields of a query that are the protocol's own."""


def _said_in(query: Mapping[str, str]) -> dict[str, str]:
    """What a client says of itself in a query."""
    return {name: value for name, value in query.items() if name not in RESERVED}


def in_script(head: Head) -> bool:
    """Whether a client that polls wants its answers as scripts, and sends forms."""
    return f"/{SCRIPTED}/" in head.path


def script_function(exchange: Exchange) -> bytes:
    """What such a script calls.

    Raises:
        EngineError: the request has no number for it.
    """
    return jsonp.function("io.j", exchange.query.get("i", "0"))


class OldForm:
    """How a poll is answered."""

    noop = HELD.text(socketio0.ENCODED_NOOP)
    # After a disconnect, its library would not come back.
    close = HELD.text(NOBODY)
    patient = True

    def payload(self, poll: Exchange, held: bytes) -> tuple[str, bytes]:
        content = socketio0.encode_payload(texts_of(held))
        if not in_script(poll.head):
            return TEXT, content
        return SCRIPT, jsonp.encode(script_function(poll), content)


OLD_FORM = OldForm()


class OldClient(SocketioClient):
    """A client of socket.io 0.9.

    Args:
        query: of the request that opened its transport.

    Attributes:
        scripted: whether it polls by scripts.
    """

    __slots__ = ("_said", "_unknown", "scripted")

    is_old = True

    def __init__(
        self,
        *,
        shared: SocketioParts,
        sid: str,
        framing: Framing,
        query: dict[str, str],
        carrier: Any = None,
        address: Address,
        after: Guest | None = None,
    ) -> None:
        super().__init__(
            shared=shared,
            sid=sid,
            version=VERSION,
            framing=framing,
            carrier=carrier,
            address=address,
            after=after,
        )
        self._said = _said_in(query)
        self._unknown = self.scripted = False

    def unknown(self) -> None:
        """It has not shaken hands here; it is told when its WebSocket is there."""
        self._unknown = True

    def opened(self, transport: Any) -> None:
        """What carries it is there."""
        self.outbox.open(transport)
        if self._unknown:
            self._say(NOBODY)
            self.close("it has not shaken hands here")
            return
        self._lives()
        self._shared.pings.start(self)
        self._connect("/", self._said)

    def polled(self) -> None:
        """It polls, which is a sign of life from those that are asked for no other."""
        if self.scripted and not self.closed:
            self._lives()

    def ping(self) -> None:
        # To answer a heartbeat, a library that posts by forms breaks off what it is posting.
        self._say(socketio0.ENCODED_NOOP if self.scripted else socketio0.ENCODED_HEARTBEAT)
        self._shared.pings.start(self)

    def _say(self, packet: bytes) -> None:
        self.outbox.send(self._framing.text(packet))

    def _packet(self, packet: OldPacket) -> None:
        self._lives()
        kind = packet.kind
        namespace = packet.endpoint or "/"
        if kind == socketio0.CONNECT:
            if self.bears():
                self._connect(namespace, {**self._said, **dict(parse_qsl(packet.query))})
            return
        if kind == socketio0.DISCONNECT and not packet.endpoint:
            self.part()
            return
        socket = self._sockets.get(namespace)
        if socket is None or socket.session is None:
            self.bears(len(packet.data) + sum(map(len, packet.arguments)))
        elif kind == socketio0.MESSAGE:
            self._acknowledge_at_once(packet)
            self._composed(socket, packet.data.decode())
        elif kind == socketio0.EVENT:
            self._old_event(socket, packet)
        elif kind == socketio0.DISCONNECT:
            self._disconnect(socket)
        else:
            self.bears(len(packet.data))

    def _old_event(self, socket: Socket, packet: OldPacket) -> None:
        arguments = packet.arguments
        if packet.name == COMPOSED and len(arguments) == 1 and bytes(arguments[0]).startswith(b'"'):
            self._acknowledge_at_once(packet)
            self._composed(socket, read_text(arguments[0]))
            return
        id = packet.id if packet.answers else None
        if id is None:
            self._acknowledge_at_once(packet)
        self._event(socket, packet.name, arguments, id)

    def _acknowledge_at_once(self, packet: OldPacket) -> None:
        if packet.id is not None and not packet.answers:
            self._say(socketio0.encode_ack(packet.id, endpoint=packet.endpoint))

    def kick_from(self, socket: Socket, reason: str) -> None:
        """Who is kicked out of the main namespace is out of all: its library ends everything."""
        if socket.namespace == "/":
            for other in list(self._sockets.values()):
                if other is not socket:
                    super().kick_from(other, reason)
        super().kick_from(socket, reason)

    def _say_connected(self, socket: Socket) -> None:
        endpoint = "" if socket.namespace == "/" else socket.namespace
        self._say(socketio0.encode_connect(endpoint=endpoint))

    def _say_refused(self, namespace: str, why: str, told: bytes | None = None) -> None:
        endpoint = "" if namespace == "/" else namespace
        self._say(socketio0.encode_error(UNAUTHORIZED, endpoint=endpoint))
        if not self._sockets:
            self._say(socketio0.encode_disconnect())  # or its library would try again and again
            self._dismiss(why)


def old_posted(content: bytes, limit: int, most: int) -> list[OldPacket]:
    """The packets that a client has sent.

    Args:
        limit: bytes that one of them may have.
        most: how many there may be.

    Raises:
        WireError: they can't be read.
    """
    if not content:
        raise EngineError("an empty payload")
    return socketio0.decode_payload(content, limit=limit, most=most)
