"""Requests in plain HTTP on a client port, one after the other on a connection (RFC 9112)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.connectors.guest import Guest
from chatcore.connectors.parts import ConnectorParts
from chatcore.errors import HttpError
from chatcore.turn import is_plain
from chatcore.wire.http import LONGEST_HEAD, Head, read_head

TEXT = "text/plain; charset=UTF-8"

MOST_FIELDS = 100
"""Of a query."""

Header = tuple[str, str]


class Exchange:
    """A request, and the answer to it, of which there is one.

    Attributes:
        head: the request's.
        query: the query's fields; of those with one name, the first.
        body: what came with it.
        lost: called if its connection ends before it is answered.
    """

    __slots__ = ("_http", "body", "head", "lost", "query")

    def __init__(self, http: HttpConnection, head: Head, body: bytes) -> None:
        self._http = http
        self.head, self.body = head, body
        self.query = query_of(head)
        self.lost: Callable[[], None] = _nothing

    @property
    def guest(self) -> Guest:
        """Who asks."""
        return self._http.guest

    def answer(
        self,
        status: int,
        content: bytes = b"",
        *,
        kind: str = TEXT,
        headers: Iterable[Header] = (),
        close: bool = False,
    ) -> None:
        """Answer.

        Args:
            status: as in 200.
            content: the body.
            kind: its media type.
            headers: further headers.
            close: whether the connection is to end with it.
        """
        self._http.answered(self, status, content, kind, headers, close)


def query_of(head: Head) -> dict[str, str]:
    """The fields of a request's query; of those with one name, the first.

    Raises:
        HttpError: there are too many.
    """
    text = head.target.partition("?")[2]
    if text.count("&") >= MOST_FIELDS:
        raise HttpError("a query with too many fields", 400)
    fields: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        fields.setdefault(name, value)
    return fields


def _nothing() -> None:
    pass


class Visitor(Guest):
    """Who comes by HTTP: it may stay as long as it asks for something now and then."""

    __slots__ = ()

    def no_handshake(self) -> None:
        self.close("it asks for nothing")

    def asks(self) -> None:
        """It has asked for something, and waits for the answer."""
        self._parts.handshakes.stop(self._first)

    def may_ask(self) -> None:
        """It was answered, and has its time to ask for more."""
        self._parts.handshakes.start(self._first)


@implementer(IProtocol)
class HttpConnection:
    """A connection on which requests come.

    The next request is read when the one before is answered. What comes meanwhile waits, and more
    than that is not read.

    Args:
        parts: what all who connect share.
        after: who it was until it was known that it speaks HTTP.
        most: bytes that a request's body may have.
        serve: acts on requests.
    """

    __slots__ = (
        "_buffer",
        "_current",
        "_ends",
        "_lingers",
        "_most",
        "_parts",
        "_paused",
        "_serve",
        "_transport",
        "guest",
    )

    def __init__(
        self,
        parts: ConnectorParts,
        after: Guest,
        *,
        most: int,
        serve: Callable[[Exchange], None],
    ) -> None:
        self._parts, self._most, self._serve = parts, most, serve
        self.guest = Visitor(parts=parts, carrier=self, address=after.address, after=after)
        self._buffer = b""
        self._current: Exchange | None = None
        self._ends = self._lingers = self._paused = False
        self._transport: Any = None

    def makeConnection(self, transport: Any) -> None:
        self._transport = transport

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        if self._ends and self._current is None:
            return
        self._buffer += data
        if self._current is None:
            self._read()
        elif len(self._buffer) > LONGEST_HEAD + self._most and not self._paused:
            self._paused = True
            self._transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        current, self._current, self._ends = self._current, None, True
        if current is not None:
            current.lost()
        self.guest.lost("disconnect")

    # ICarrier

    def end(self, code: int, reason: str) -> None:
        self._ends = True
        if self._current is None:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._lingers and is_plain(self._transport):
            # Closing while more comes in would take back what was just said.
            self._transport.loseWriteConnection()
        else:
            self._transport.loseConnection()

    def abort(self) -> None:
        self._transport.abortConnection()

    # Requests.

    def _read(self) -> None:
        """Act on the next request if all of it is there."""
        try:
            found = read_head(self._buffer)
            size = 0 if found is None else self._size_of_body(found[0])
        except HttpError as problem:
            self._refuse(problem)
            return
        if found is None:
            return
        head, begin = found
        if len(self._buffer) < begin + size:
            if head.fields.get("expect", "").lower() == "100-continue" and begin == len(
                self._buffer
            ):
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return
        body, self._buffer = self._buffer[begin : begin + size], self._buffer[begin + size :]
        self.guest.asks()
        try:
            exchange = self._current = Exchange(self, head, body)
        except HttpError as problem:
            self._refuse(problem)
            return
        self._serve(exchange)

    def _size_of_body(self, head: Head) -> int:
        fields = head.fields
        if "transfer-encoding" in fields:
            raise HttpError("a body whose length is not told before it", 411)
        text = fields.get("content-length", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise HttpError("a body whose length is no number", 400)
        if int(text) > self._most:
            raise HttpError(f"a body of {text} bytes; {self._most} at most", 413)
        return int(text)

    def _refuse(self, problem: HttpError) -> None:
        self._parts.counters.clients_broken += 1
        self._lingers = True
        self._write(None, problem.status, f"{problem}\n".encode(), TEXT, (), close=True)
        self.guest.close(str(problem))

    def answered(
        self,
        exchange: Exchange,
        status: int,
        content: bytes,
        kind: str,
        headers: Iterable[Header],
        close: bool,
    ) -> None:
        """A request has been acted on."""
        if self._current is not exchange:
            return  # its connection is gone
        self._current = None
        close = close or self._ends or not _persists(exchange.head)
        self._write(exchange.head, status, content, kind, headers, close=close)
        if self._ends:
            self._hang_up()
            return
        if close:
            self.guest.close("answered")
            return
        self.guest.may_ask()
        if self._paused:
            self._paused = False
            self._transport.resumeProducing()
        if self._buffer:
            # Not from within what acts on the one before.
            self._parts.turn.at_end(self._go_on)

    def _go_on(self) -> None:
        if self._current is None and not self._ends and self._buffer:
            self._read()

    def _write(
        self,
        head: Head | None,
        status: int,
        content: bytes,
        kind: str,
        headers: Iterable[Header],
        *,
        close: bool,
    ) -> None:
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "Server: chatcore",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(content)}",
            f"Connection: {'close' if close else 'keep-alive'}",
            *(f"{name}: {value}" for name, value in headers),
            "",
            "",
        ]
        just_head = head is not None and head.method == "HEAD"
        self._transport.write(
            "\r\n".join(lines).encode("latin-1") + (b"" if just_head else content)
        )


def _persists(head: Head) -> bool:
    """Whether the connection stays for further requests (RFC 9112, section 9.3)."""
    options = [each.strip().lower() for each in head.fields.get("connection", "").split(",")]
    return "close" not in options if head.version == "1.1" else "keep-alive" in options
