"""A client of socket.io that polls: it asks again and again what there is for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from chatcore.connectors.exchange import TEXT, Exchange, Header
from chatcore.connectors.socketio.answers import answer
from chatcore.connectors.socketio.framing import HELD, packets_of
from chatcore.deadlines import Deadlines
from chatcore.errors import EngineError
from chatcore.wire import engineio3, engineio4, jsonp
from chatcore.wire.engineio import CLOSE, NOOP, EnginePacket

BYTES, SCRIPT = "application/octet-stream", "text/javascript; charset=UTF-8"

MOST_PACKETS = 10_000
"""Packets that a client may send in one request."""


class IForm(Protocol):
    """How a client that polls is answered.

    Attributes:
        noop: a packet without a meaning.
        close: what ends it and has it come again; both are held.
        patient: whether the client stays when a poll is broken off.
    """

    noop: bytes
    close: bytes
    patient: bool

    def payload(self, poll: Exchange, held: bytes) -> tuple[str, bytes]:
        """An answer: its media type and its bytes."""


class EngineForm:
    """As Engine.IO has it.

    Args:
        revision: of the protocol.
    """

    noop, close = HELD.text(b"%d" % NOOP), HELD.text(b"%d" % CLOSE)
    patient = False

    def __init__(self, revision: int) -> None:
        self._revision = revision

    def payload(self, poll: Exchange, held: bytes) -> tuple[str, bytes]:
        packets, index = packets_of(held), poll.query.get("j")
        if self._revision == 4:
            kind, content = TEXT, engineio4.encode(packets)
        elif index is not None or poll.query.get("b64") == "1" or all(map(_is_ascii, packets)):
            kind, content = TEXT, engineio3.encode_texts(packets)
        else:
            kind, content = BYTES, engineio3.encode_bytes(packets)
        if index is None:
            return kind, content
        return SCRIPT, jsonp.encode(jsonp.function("___eio", index), content)


FORMS = {3: EngineForm(3), 4: EngineForm(4)}


def _is_ascii(packet: EnginePacket) -> bool:
    return not packet.binary and packet.data.isascii()


class IPolled(Protocol):
    """The client, as its polling sees it."""

    def lost(self, reason: str) -> None:
        """It is gone."""


class Polling:
    """The transport of a polling client's outbox, and its carrier.

    While no poll waits for an answer, the outbox keeps what there is: it is as if the client did
    not read.

    Args:
        client: whom it carries.
        form: how it is answered.
        times: after which a poll is answered with nothing; None for those that wait for ever.

    Attributes:
        headers: further headers of the next answer.
        posting: how many requests are under way in which the client sends something.
        upgrading: whether the client tries whether it can go on by WebSocket.
    """

    __slots__ = (
        "_client",
        "_collects",
        "_dismissed",
        "_ended",
        "_farewell",
        "_form",
        "_gone",
        "_outbox",
        "_parted",
        "_poll",
        "_rest",
        "_times",
        "headers",
        "posting",
        "upgrading",
    )

    def __init__(self, client: IPolled, form: IForm, times: Deadlines | None = None) -> None:
        self._client, self._form, self._times = client, form, times
        self._poll: Exchange | None = None
        self._outbox: Any = None
        self._rest, self._farewell = b"", form.close
        self._collects = self._ended = self._parted = self._dismissed = self._gone = False
        self.posting, self.upgrading = 0, False
        self.headers: tuple[Header, ...] = ()

    @property
    def polled(self) -> bool:
        """Whether a poll waits for an answer."""
        return self._poll is not None

    def poll(self, exchange: Exchange) -> None:
        """A client asks what there is for it; it does so once at a time."""
        self._poll, exchange.lost = exchange, self._unpolled
        if self._times is not None:
            self._times.start(self)
        if self._ended:
            self._finish()
        elif self._outbox is not None:
            self._collect(self._outbox)
        if self.upgrading:
            self.ease()

    def _collect(self, outbox: Any) -> None:
        """Answer with all that waits, in however many parts an outbox writes it."""
        self._collects = True
        outbox.resumeProducing()
        self._collects = False
        if self._rest and self._poll is not None:
            rest, self._rest = self._rest, b""
            self._answer(rest)
            outbox.hold()

    def post(self, exchange: Exchange, most: int, then: Callable[[bytes], None]) -> None:
        """The client sends something.

        Args:
            most: bytes that it may have.
            then: given it, when all of it is there.

        Raises:
            HttpError: it is too long.
        """

        def read(content: bytes) -> None:
            self.posting -= 1
            then(content)

        self.posting += 1
        exchange.lost = self.gone
        exchange.read(most, read)

    def release(self) -> None:
        """Answer all polls at once from now on, because the client wants to go on by WebSocket."""
        self.upgrading = True
        self.ease()

    def ease(self) -> None:
        """Have the client poll anew, if it does."""
        if self._poll is not None:
            self.write(self._form.noop)

    def part(self) -> None:
        """The client goes: nothing is said to it any more."""
        self._parted, self._farewell = True, self._form.noop

    def dismiss(self) -> None:
        """The client is told to go in what is written next, and need not be told again."""
        self._dismissed = True

    def retire(self) -> None:
        """The client goes on by something else."""
        self._gone = True
        if self._poll is not None:
            self._answer(self._form.noop)

    def gone(self) -> None:
        """The client will not poll again."""
        if not self._gone:
            self._gone = True
            self._stop_time()
            self._client.lost("disconnect")
            if self._poll is not None:
                self._answer(self._farewell)

    def _unpolled(self) -> None:
        """The connection on which a poll came is gone."""
        self._poll = None
        self._stop_time()
        if self._form.patient and self._outbox is not None:
            self._outbox.hold()
        else:
            self.gone()

    def _stop_time(self) -> None:
        if self._times is not None:
            self._times.stop(self)

    # What an outbox needs of a transport.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._outbox = producer
        if self._poll is None:
            producer.hold()

    def unregisterProducer(self) -> None:
        self._outbox = None

    def write(self, data: bytes) -> None:
        if self._collects or self._outbox is None:
            self._rest += data
            return
        self._answer(data)
        self._outbox.hold()

    # ICarrier

    def end(self, code: int, reason: str) -> None:
        self._ended = True
        if self._poll is not None:
            self._finish()
        elif self._parted:
            self.gone()

    def _finish(self) -> None:
        """Say the last of what there is to say, and with the poll after that, that this is the end.

        Clients act on the end at once, and forget what came in the same answer.
        """
        rest, self._rest = self._rest, b""
        if rest and not self._parted:
            self._answer(rest)
        if self._poll is not None or self._dismissed:
            self.gone()

    def abort(self) -> None:
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.answer(400, close=True)
        self.gone()

    def _answer(self, held: bytes) -> None:
        poll, self._poll = self._poll, None
        assert poll is not None
        self._stop_time()
        kind, content = self._form.payload(poll, held)
        headers, self.headers = self.headers, ()
        answer(poll, content, kind=kind, headers=headers)


def _longest(revision: int, size: int) -> int:
    return engineio3.longest_texts(size) if revision == 3 else size


def longest_post(exchange: Exchange, revision: int, size: int) -> int:
    """Bytes of a request whose payload has so many, once nothing of how it is sent is left."""
    longest = _longest(revision, size)
    return jsonp.longest_form(longest) if "j" in exchange.query else longest


def posted(
    exchange: Exchange, content: bytes, revision: int, *, limit: int, size: int
) -> list[EnginePacket]:
    """The packets that a client has sent.

    Args:
        limit: bytes that one of them may have.
        size: bytes that all of them may have.

    Raises:
        EngineError: they can't be read.
    """
    if "j" in exchange.query:
        form = jsonp.decode_form(content, limit=_longest(revision, size))
        content = jsonp.newlines(form)
    elif exchange.head.fields.get("content-type", "").lower().startswith(BYTES):
        if revision == 4:
            raise EngineError("bytes, where a payload is text")
        if len(content) > size:
            raise EngineError(f"a payload of more than {size} bytes")
        return engineio3.decode_bytes(content, limit=limit, most=MOST_PACKETS)
    if revision == 4:
        return engineio4.decode(content, limit=limit, most=MOST_PACKETS)
    return engineio3.decode_texts(content, limit=limit, most=MOST_PACKETS, size=size)
