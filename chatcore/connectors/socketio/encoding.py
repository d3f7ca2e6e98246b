"""How answers and pushes are put for a client of socket.io.

To most clients a push is an event named by its route, and an answer is what acknowledges their
event. To those that speak as Pomelo's library for socket.io does, both are in events "message".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from chatcore.connectors.socketio.framing import Framing, join
from chatcore.dispatch.dispatcher import FAILED
from chatcore.errors import BodyError, SocketioError
from chatcore.wire import body, composed, socketio
from chatcore.wire.arguments import quote_text
from chatcore.wire.body import Body
from chatcore.wire.engineio import MESSAGE
from chatcore.wire.message import Message
from chatcore.wire.socketio_binary import encode_values

_MESSAGE = b"%d" % MESSAGE

COMPOSED = "message"
"""The event in which Pomelo's messages come and go."""


@dataclass(frozen=True, slots=True, eq=False)
class SocketEncoding:
    """How a client of one kind is written to; all of a kind share the bytes of a push.

    Args:
        framing: what its transport makes of a packet.
        namespace: where it is connected.
        pomelo: whether it speaks as Pomelo's library does.
    """

    framing: Framing
    namespace: str
    pomelo: bool

    @property
    def name(self) -> str:
        """What its transport is called."""
        return f"socket.io over {self.framing.name}"

    def packet(self, text: bytes) -> bytes:
        """One packet of Socket.IO."""
        return self.framing.text(_MESSAGE + text)

    def push(self, route: str, body: Body) -> bytes:
        """A push.

        Raises:
            BodyError: the body can't be written.
            SocketioError: no event may be called like that.
        """
        if self.pomelo:
            return self.message(composed.encode_push(route, body.json))
        try:
            json = body.json
        except BodyError:
            return self._with_bytes(socketio.EVENT, [route, body.value])
        return self.packet(socketio.encode_event(route, (json,), namespace=self.namespace))

    def message(self, text: bytes) -> bytes:
        """One of Pomelo's messages."""
        said = quote_text(text)
        return self.packet(socketio.encode_event(COMPOSED, (said,), namespace=self.namespace))

    def acknowledgement(self, id: int, body: Body) -> bytes:
        """The answer to an event that asked for one.

        Raises:
            BodyError: the body can't be written.
        """
        try:
            json = body.json
        except BodyError:
            return self._with_bytes(socketio.ACK, [body.value], id)
        return self.packet(socketio.encode_ack(id, (json,), namespace=self.namespace))

    def _with_bytes(self, kind: int, values: list[Any], id: int | None = None) -> bytes:
        if kind == socketio.EVENT and values[0] in socketio.RESERVED:
            raise SocketioError(f"an event with the reserved name {values[0]}")
        text, attachments = encode_values(kind, values, namespace=self.namespace, id=id)
        return join(self.framing, _MESSAGE + text, attachments)

    # What its messages hold.

    def is_json(self, message: Message) -> bool:
        """Whether the body of a client's message is JSON; otherwise it has bytes in it."""
        return message.value is None

    def decode(self, message: Message) -> Any:
        """The value of the body of a client's message.

        Raises:
            BodyError: it can't be read.
        """
        return body.decode(message.body) if message.value is None else message.value


REFUSED = Body(FAILED)


@cache
def encoding_of(framing: Framing, namespace: str, *, pomelo: bool) -> SocketEncoding:
    """The encoding for a kind of clients; there are as many as namespaces, and few of those."""
    return SocketEncoding(framing, namespace, pomelo)
