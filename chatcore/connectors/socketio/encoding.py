"""How answers and pushes are put for a client of socket.io.

To most clients a push is an event named by its route, and an answer is what acknowledges their
event. To those that speak as Pomelo's library for socket.io does, both are in events "message".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from chatcore.connectors.socketio.framing import HELD, Framing, join
from chatcore.errors import BodyError, SocketioError
from chatcore.wire import body, composed, socketio, socketio0
from chatcore.wire.arguments import quote_text
from chatcore.wire.body import Body
from chatcore.wire.engineio import MESSAGE
from chatcore.wire.message import Message
from chatcore.wire.socketio_binary import encode_values, has_bytes

_MESSAGE = b"%d" % MESSAGE
_QUOTES = b'""'

COMPOSED = "message"
"""The event in which Pomelo's messages come and go."""


@dataclass(frozen=True, slots=True, eq=False)
class SocketEncoding:
    """How a client of one kind is written to; all of a kind share the bytes of a push.

    Args:
        framing: what its transport makes of a packet.
        namespace: where it is connected.
        pomelo: whether it speaks as Pomelo's library does.
        batches: whether those of Pomelo's messages that leave together leave as one; they are held
            until then.
    """

    framing: Framing
    namespace: str
    pomelo: bool
    batches: bool = False

    @property
    def name(self) -> str:
        """What its transport is called."""
        return f"socket.io over {self.framing.name}"

    def packet(self, text: bytes) -> bytes:
        """One packet of Socket.IO."""
        return self.framing.text(_MESSAGE + text)

    def event(self, name: str, json: bytes) -> bytes:
        """An event with one argument."""
        return self.packet(socketio.encode_event(name, (json,), namespace=self.namespace))

    def disconnect(self) -> bytes:
        """What ends the client's stay in the namespace."""
        return self.packet(socketio.encode_disconnect(namespace=self.namespace))

    def push(self, route: str, body: Body) -> bytes:
        """A push.

        Raises:
            BodyError: the body can't be written.
            SocketioError: no event may be called like that.
        """
        if self.pomelo:
            return self.message(composed.encode_push(route, body.json))
        if self._divides(body):
            return self._with_bytes(socketio.EVENT, [route, body.value])
        return self.event(route, body.json)

    def message(self, text: bytes) -> bytes:
        """One of Pomelo's messages."""
        if self.batches:
            whole = _MESSAGE + socketio.encode_event(COMPOSED, (_QUOTES,), namespace=self.namespace)
            middle = whole.rindex(_QUOTES) + 1
            return HELD.part(whole[:middle], quote_text(text)[1:-1], whole[middle:])
        return self.event(COMPOSED, quote_text(text))

    def response(self, id: int, body: Body) -> bytes:
        """The answer to one of Pomelo's requests; raises as `acknowledgement` does."""
        return self.message(composed.encode_response(id, body.json))

    def acknowledgement(self, id: int, body: Body) -> bytes:
        """The answer to an event that asked for one.

        Raises:
            BodyError: the body can't be written.
        """
        if self._divides(body):
            return self._with_bytes(socketio.ACK, [body.value], id)
        return self.packet(socketio.encode_ack(id, (body.json,), namespace=self.namespace))

    def _divides(self, body: Body) -> bool:
        """Whether bytes in a body go beside it; otherwise they become base64 in it."""
        try:
            return has_bytes(body.value)
        except RecursionError:
            raise BodyError("can't be sent as JSON: a value that is too deep") from None

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


class OldEncoding(SocketEncoding):
    """How a client of socket.io 0.9 is written to."""

    __slots__ = ()

    @property
    def _endpoint(self) -> str:
        return "" if self.namespace == "/" else self.namespace

    def packet(self, text: bytes) -> bytes:
        return self.framing.text(text)

    def event(self, name: str, json: bytes) -> bytes:
        return self.packet(socketio0.encode_event(name, (json,), endpoint=self._endpoint))

    def message(self, text: bytes) -> bytes:
        whole = socketio0.encode_message(text, endpoint=self._endpoint)
        if self.batches:
            return HELD.part(whole.removesuffix(text), text, b"")
        return self.packet(whole)

    def disconnect(self) -> bytes:
        return self.packet(socketio0.encode_disconnect(endpoint=self._endpoint))

    def acknowledgement(self, id: int, body: Body) -> bytes:
        return self.packet(socketio0.encode_ack(id, (body.json,), endpoint=self._endpoint))

    def _divides(self, body: Body) -> bool:
        return False


@cache
def encoding_of(
    framing: Framing, namespace: str, *, pomelo: bool, batches: bool = False, old: bool = False
) -> SocketEncoding:
    """The encoding for a kind of clients; there are as many as namespaces, and few of those."""
    return (OldEncoding if old else SocketEncoding)(framing, namespace, pomelo, batches)
