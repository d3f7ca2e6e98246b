"""Requests in plain HTTP on a client port, one after the other on a connection (RFC 9112)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from twisted.internet.interfaces import IProtocol, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.connectors.exchange import TEXT, Exchange, Header
from chatcore.connectors.guest import NORMAL, Guest
from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.proxies import Proxies
from chatcore.deadlines import Deadlines
from chatcore.errors import HttpError
from chatcore.interfaces import Address
from chatcore.turn import is_plain, write_now
from chatcore.wire.http import LONGEST_HEAD, Head, read_head
from chatcore.wire.http_body import body_of

MOST_HELD = 64 * 1024 * 1024
"""Bytes of all requests that have not come whole; nobody can send more than that for nothing."""

_EMPTY_LINE = b"\r\n"


class HttpParts:
    """What all connections share on which requests come.

    Args:
        parts: what all who connect share.
        proxies: what is known of proxies, whose connections carry requests of many clients.
        is_own: whether a request is one of those that are served.
        serve: acts on requests.
        seconds: how long a connection may stay without a request.

    Attributes:
        held: bytes of bodies that have not come whole.
    """

    def __init__(
        self,
        parts: ConnectorParts,
        *,
        proxies: Proxies,
        is_own: Callable[[Head], bool],
        serve: Callable[[Exchange], None],
        seconds: float,
    ) -> None:
        self.all, self.proxies = parts, proxies
        self.is_own, self.serve = is_own, serve
        self.idle: Deadlines = parts.deadlines(seconds, HttpConnection.idle)
        self.stuck: Deadlines = parts.deadlines(
            parts.outboxes.settings.seconds, HttpConnection.slow
        )
        self.keep = f"timeout={seconds:.0f}" if seconds else ""
        self.held = 0

    def client(self, peer: Address, fields: Mapping[str, str]) -> Address:
        """Whose request it is that came from there; raises as `Proxies.client` does."""
        return self.proxies.client(peer, fields) if self.proxies.may_forward(peer[0]) else peer


class Visitor(Guest):
    """Who comes by HTTP: it may stay as long as it asks for something now and then."""

    _carrier: HttpConnection

    __slots__ = ("_patience",)

    def __init__(self, *, parts: ConnectorParts, http: HttpConnection, after: Guest) -> None:
        super().__init__(parts=parts, carrier=http, address=after.address, after=after)
        self._patience = parts.allowances()[1]
        self._shook_hands()

    @property
    def is_new(self) -> bool:
        return super().is_new and not self._carrier.busy

    @property
    def asks_nothing(self) -> bool:
        return self._carrier.rests

    def bears(self) -> bool:
        """Put up with a request of somebody who is not known; whether it may make it."""
        patience = self._patience
        if patience is None or patience.take(self._parts.clock.seconds(), 0):
            return True
        self._parts.counters.clients_flooding += 1
        return False

    def asks(self) -> None:
        """The first of a request has come; the rest has to come in time."""
        self._parts.handshakes.start(self)

    def has_asked(self) -> None:
        """All of a request has come."""
        self._parts.handshakes.stop(self)

    def no_handshake(self) -> None:
        self._parts.counters.clients_silent += 1
        self._carrier.refuse(HttpError("a request that takes too long", 408))

    def close(self, reason: str, code: int = NORMAL, closings: Deadlines | None = None) -> None:
        if self._carrier.busy:
            self._carrier.is_last()
        else:
            super().close(reason, code, closings)


@implementer(IProtocol, IPushProducer)
class HttpConnection:
    """A connection on which requests come.

    A request is read when the one before is answered, and its answer has left. What comes meanwhile
    waits, and more than that is not read.

    Args:
        shared: what all of them share.
        after: who it was until it was known that it speaks HTTP.
        give_back: given who makes a request that is not served here, and all that came.
    """

    __slots__ = (
        "_blocked",
        "_buffer",
        "_current",
        "_ends",
        "_give_back",
        "_held",
        "_parts",
        "_paused",
        "_shared",
        "_transport",
        "guest",
    )

    def __init__(
        self, shared: HttpParts, after: Guest, give_back: Callable[[Guest, bytes], None]
    ) -> None:
        self._shared, self._parts, self._give_back = shared, shared.all, give_back
        self._buffer = b""
        self._current: Exchange | None = None
        self._held = 0
        self._ends = self._paused = self._blocked = False
        self._transport: Any = None
        self.guest = Visitor(parts=shared.all, http=self, after=after)

    @property
    def busy(self) -> bool:
        """Whether a request has come and waits for its answer."""
        return self._current is not None and self._current.body.done

    @property
    def rests(self) -> bool:
        """Whether no request has begun to come since the last was answered."""
        return self._current is None and not self._buffer

    def makeConnection(self, transport: Any) -> None:
        self._transport = transport
        transport.registerProducer(self, True)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        if self._ends and self._current is None:
            return
        if not self._buffer and self._current is None:
            self._shared.idle.stop(self)
            self.guest.asks()
        self._buffer += data
        self._go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._ends = True
        self._shared.idle.stop(self)
        self._shared.stuck.stop(self)
        self._give_up()
        self.guest.lost("disconnect")

    def _give_up(self) -> None:
        """The request under way will not be answered."""
        self._hold(0)
        current, self._current = self._current, None
        if current is not None:
            current.lost()

    # ICarrier

    def end(self, code: int, reason: str) -> None:
        self._ends, self._buffer = True, b""
        self._shared.idle.stop(self)
        self._give_up()
        self._transport.unregisterProducer()
        self._pause(False)
        if is_plain(self._transport):
            # Closing while more comes in would take back what was just said.
            self._transport.loseWriteConnection()
        else:
            self._transport.loseConnection()

    def abort(self) -> None:
        self._transport.abortConnection()

    def is_last(self) -> None:
        """Close when the request under way is answered."""
        self._ends = True

    def idle(self) -> None:
        """No request has come for too long."""
        self.guest.close("it asks for nothing")

    def slow(self) -> None:
        """Answers are not read for too long."""
        self._parts.counters.clients_slow += 1
        self.abort()

    # What the transport says.

    def pauseProducing(self) -> None:
        self._blocked = True
        self._shared.stuck.start(self)

    def resumeProducing(self) -> None:
        self._blocked = False
        self._shared.stuck.stop(self)
        self._parts.turn.at_end(self._go_on)

    def stopProducing(self) -> None:
        pass

    # Requests.

    def _go_on(self) -> None:
        """Act on what has come, as far as that can be done now."""
        try:
            while self._buffer and self._step():
                pass
        except HttpError as problem:
            self._parts.counters.clients_broken += 1
            self.refuse(problem)
        except Exception:
            self._failed()
        # Only what waits for something else than itself becomes so long.
        self._pause(len(self._buffer) > LONGEST_HEAD)

    def _pause(self, pause: bool) -> None:
        if pause != self._paused:
            self._paused = pause
            if pause:
                self._transport.pauseProducing()
            else:
                self._transport.resumeProducing()

    def _step(self) -> bool:
        """Act on a part of what has come; False if that is all for now."""
        current = self._current
        if current is None:
            return not (self._ends or self._blocked) and self._begin()
        if current.body.done:
            return False
        body = current.body
        self._buffer = body.feed(self._buffer)
        if body.done:
            self.guest.has_asked()
        self._hold(0 if body.done else body.held)
        current.proceed()
        return True

    def _hold(self, size: int) -> None:
        """So many bytes of the body under way are held until the rest has come."""
        shared = self._shared
        shared.held += size - self._held
        self._held = size
        if size and shared.held > MOST_HELD:
            self._parts.counters.clients_refused += 1
            raise HttpError("a request for which there is no room just now", 503)

    def _begin(self) -> bool:
        """Act on the next request, if its head is there."""
        if self._buffer.startswith(_EMPTY_LINE):  # old browsers end a body with one
            self._buffer = self._buffer[len(_EMPTY_LINE) :]
            if not self._buffer:
                self.guest.has_asked()
                self._shared.idle.start(self)
        found = read_head(self._buffer)
        if found is None:
            return False
        head, size = found
        if not self._shared.is_own(head):
            self._transport.unregisterProducer()
            self._give_back(self.guest, self._buffer)
            self._buffer = b""
            return False
        address = self._shared.client(self.guest.address, head.fields)
        body = body_of(head)
        self._buffer = body.feed(self._buffer[size:])
        if body.done:
            self.guest.has_asked()
        current = self._current = Exchange(self, head, body, address)
        self._shared.serve(current)
        if self._current is current and not body.done:
            if not current.is_read:
                raise HttpError("a body that nobody wants")
            self._hold(body.held)
        return True

    def go_ahead(self) -> None:
        """Who waits for a word before it sends a body may send it."""
        self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def refuse(self, problem: HttpError) -> None:
        """Say what is wrong with a request, and close."""
        head = None if self._current is None else self._current.head
        self._write(head, problem.status, f"{problem}\n".encode(), TEXT, (), close=True)
        self._give_up()
        self.guest.close(str(problem))

    def _failed(self) -> None:
        """What must not raise did: only this connection goes."""
        if self._parts.failures.admit():
            self.guest.log.failure("A request met a mistake here")
        self.abort()

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
        close = (
            close
            or self._ends
            or not exchange.body.done
            or not _persists(exchange.head)
            or self._parts.draining is not None
        )
        self._write(exchange.head, status, content, kind, headers, close=close)
        if close:
            self.guest.close("answered")
            return
        if self._buffer:
            # Not from within what acts on the one before.
            self.guest.asks()
            self._parts.turn.at_end(self._go_on)
        else:
            self._shared.idle.start(self)

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
        keep = self._shared.keep
        lines = [
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
            "Server: chatcore",
            f"Date: {_date(int(time.time()))}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(content)}",
            f"Connection: {'close' if close else 'keep-alive'}",
            *([f"Keep-Alive: {keep}"] if keep and not close else ()),
            *(f"{name}: {value}" for name, value in headers),
            "",
            "",
        ]
        just_head = head is not None and head.method == "HEAD"
        write_now(
            self._transport, "\r\n".join(lines).encode("latin-1") + (b"" if just_head else content)
        )


@lru_cache(1)
def _date(seconds: int) -> str:
    """A time since the epoch as HTTP says it; many answers have the same."""
    return formatdate(seconds, usegmt=True)


def _persists(head: Head) -> bool:
    """Whether the connection stays for further requests (RFC 9112, section 9.3)."""
    options = [each.strip().lower() for each in head.fields.get("connection", "").split(",")]
    return "close" not in options if head.version == "1.1" else "keep-alive" in options
