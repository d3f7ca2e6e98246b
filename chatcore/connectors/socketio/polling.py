"""A client of socket.io that polls: it asks again and again what there is for it."""

from __future__ import annotations

from typing import Any, Protocol

from chatcore.connectors.http import TEXT, Exchange, Header
from chatcore.connectors.socketio.framing import HELD, packets_of
from chatcore.errors import EngineError
from chatcore.wire import engineio3, engineio4, jsonp
from chatcore.wire.engineio import CLOSE, NOOP, EnginePacket

BYTES, SCRIPT = "application/octet-stream", "text/javascript; charset=UTF-8"

MOST_PACKETS = 1000
"""Packets that a client may send in one request."""


class IForm(Protocol):
    """How a client that polls is answered.

    Attributes:
        noop: a packet without a meaning.
        close: the packet that ends it; both are held.
    """

    noop: bytes
    close: bytes

    def payload(self, poll: Exchange, held: bytes) -> tuple[str, bytes]:
        """An answer: its media type and its bytes."""


class EngineForm:
    """As Engine.IO has it.

    Args:
        revision: of the protocol.
    """

    noop, close = HELD.text(b"%d" % NOOP), HELD.text(b"%d" % CLOSE)

    def __init__(self, revision: int) -> None:
        self._revision = revision

    def payload(self, poll: Exchange, held: bytes) -> tuple[str, bytes]:
        packets, index = packets_of(held), poll.query.get("j")
        if self._revision == 4:
            kind, content = TEXT, engineio4.encode(packets)
        elif index is not None or poll.query.get("b64") == "1":
            kind, content = TEXT, engineio3.encode_texts(packets)
        else:
            kind, content = BYTES, engineio3.encode_bytes(packets)
        if index is None:
            return kind, content
        return SCRIPT, jsonp.encode(jsonp.function("___eio", index), content)


FORMS = {3: EngineForm(3), 4: EngineForm(4)}


class IPolled(Protocol):
    """The client, as its polling sees it."""

    def lost(self, reason: str) -> None:
        """It is gone."""


class Polling:
    """The transport of a polling client's outbox, and its carrier.

    While no poll waits for an answer, the outbox is held up: a client that does not poll is one
    that does not read.

    Args:
        client: whom it carries.
        form: how it is answered.

    Attributes:
        headers: further headers of the next answer.
        upgrading: whether the client tries whether it can go on by WebSocket.
    """

    __slots__ = (
        "_client",
        "_ended",
        "_form",
        "_poll",
        "_producer",
        "_rest",
        "headers",
        "upgrading",
    )

    def __init__(self, client: IPolled, form: IForm) -> None:
        self._client, self._form = client, form
        self._poll: Exchange | None = None
        self._producer: Any = None
        self._rest = b""
        self._ended = False
        self.upgrading = False
        self.headers: tuple[Header, ...] = ()

    @property
    def polled(self) -> bool:
        """Whether a poll waits for an answer."""
        return self._poll is not None

    def poll(self, exchange: Exchange) -> None:
        """A client asks what there is for it; it does so once at a time."""
        self._poll = exchange
        exchange.lost = self._unpolled
        if self._ended:
            self._answer(self._rest + self._form.close)
            self._client.lost("disconnect")
            return
        if self._producer is not None:
            self._producer.resumeProducing()
        if self.upgrading:
            self.release()

    def release(self) -> None:
        """Answer the poll that waits, because the client wants to go on by WebSocket."""
        self.upgrading = True
        self.ease()

    def ease(self) -> None:
        """Have the client poll anew, if it does."""
        if self._poll is not None:
            self.write(self._form.noop)

    def _unpolled(self) -> None:
        """The connection on which a poll came is gone."""
        self._poll = None
        if self._producer is not None:
            self._producer.pauseProducing()

    # What an outbox needs of a transport.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer
        if self._poll is None:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self._producer = None

    def write(self, data: bytes) -> None:
        if self._poll is None:
            self._rest += data  # the last that there is to say
            return
        self._answer(data)
        if self._producer is not None:
            self._producer.pauseProducing()

    # ICarrier

    def end(self, code: int, reason: str) -> None:
        self._ended = True
        if self._poll is not None:
            self._answer(self._rest + self._form.close)
            self._client.lost(reason)

    def abort(self) -> None:
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.answer(400, close=True)
        self._client.lost("disconnect")

    def _answer(self, held: bytes) -> None:
        poll, self._poll = self._poll, None
        assert poll is not None
        kind, content = self._form.payload(poll, held)
        headers, self.headers = (*allowed(poll), *self.headers), ()
        poll.answer(200, content, kind=kind, headers=headers)


def posted(exchange: Exchange, revision: int, limit: int) -> list[EnginePacket]:
    """The packets that a client has sent.

    Args:
        limit: bytes that they may have.

    Raises:
        EngineError: they can't be read.
    """
    body = exchange.body
    if "j" in exchange.query:
        body = jsonp.newlines(jsonp.decode_form(body, limit=limit))
    elif exchange.head.fields.get("content-type", "").startswith(BYTES):
        if revision == 4:
            raise EngineError("bytes, where a payload is text")
        return engineio3.decode_bytes(body, limit=limit, most=MOST_PACKETS)
    if revision == 4:
        return engineio4.decode(body, limit=limit, most=MOST_PACKETS)
    return engineio3.decode_texts(body, limit=limit, most=MOST_PACKETS)


def allowed(exchange: Exchange) -> list[tuple[str, str]]:
    """The headers that let a page of another origin read an answer (CORS)."""
    origin = exchange.head.fields.get("origin")
    if origin is None:
        return [("Access-Control-Allow-Origin", "*")]
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    ]
