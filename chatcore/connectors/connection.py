"""One client, from its handshake to the end: Pomelo's conversation, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.config.peers import shown
from chatcore.connectors.admission import Admission
from chatcore.connectors.dropping import OUTBOXES
from chatcore.connectors.encoding import REFUSED, Encoding
from chatcore.connectors.outbox import Outbox, OutboxParts
from chatcore.connectors.settings import HeartbeatSettings, Limits, OutboxSettings
from chatcore.connectors.signing import Verifier
from chatcore.connectors.welcome import Accepted, Refused, Welcome
from chatcore.deadlines import Deadlines, IClock
from chatcore.dispatch.calling import Waiting
from chatcore.dispatch.dispatcher import FAILED
from chatcore.errors import BodyError, HandshakeError, PackageError, WireError
from chatcore.interfaces import Address
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.telemetry import Counters, Rationed
from chatcore.turn import Turn
from chatcore.wire import handshake, message, package
from chatcore.wire.body import Body
from chatcore.wire.message import Message
from chatcore.wire.package import Package

_MOST_SHOWN = 200
"""Characters of the answer to a refused handshake that are logged."""

CLOSING_SECONDS = 2.0
"""How long a client may take to answer a close before it is cut off."""

NORMAL, GOING_AWAY, PROTOCOL_ERROR, POLICY, TOO_BIG = 1000, 1001, 1002, 1008, 1009
INTERNAL_ERROR = 1011
"""Close codes (RFC 6455, section 7.4.1)."""

BYTES_OF_ONE = 4096
"""Bytes of a message from which on it counts as more than one against the allowance."""

MOST_LINES = 5
"""Lines a second about clients that are sent away, and as many about what failed with clients."""

LEAST_PATIENCE = 10
"""What is put up with at once of every client, however small `limits.message_burst` is."""

Reply = Callable[[Body], None]
Serve = Callable[[Session, Message, Reply | None], None]
"""Acts on a request, and replies with a body; on a notify there is nobody to reply to."""


class State(Enum):
    """Where the conversation stands."""

    WAITING_FOR_HANDSHAKE = 0
    DECIDING = 1
    WAITING_FOR_ACK = 2
    WORKING = 3
    LEAVING = 4
    CLOSED = 5


class ICarrier(Protocol):
    """What carries the packages: a WebSocket, or another transport."""

    def end(self, code: int, reason: str) -> None:
        """Close in the transport's own way."""

    def abort(self) -> None:
        """Cut it off."""


class IDraining(Protocol):
    """Sends clients on, as those see it who are sent."""

    def arrived(self, connection: Connection) -> None:
        """One has shaken hands only now."""

    def gone(self, connection: Connection) -> None:
        """A connection is gone."""


class ConnectorParts:
    """What all client connections of a frontend share.

    Args:
        serve: acts on requests and notifies.
        welcome: decides about handshakes.
        sessions: where sessions are opened and closed.

    Attributes:
        faults: whether one more line of the log may tell what a client did wrong.
        failures: the same for what went wrong here.
        draining: what sends clients on, once this frontend drains.
    """

    log = Logger()

    def __init__(
        self,
        *,
        turn: Turn,
        clock: IClock,
        limits: Limits,
        heartbeat: HeartbeatSettings,
        outbox: OutboxSettings,
        counters: Counters,
        sessions: SessionService,
        welcome: Welcome,
        serve: Serve,
    ) -> None:
        self.turn, self.clock = turn, clock
        self.limits, self.heartbeat = limits, heartbeat
        self.counters, self.sessions = counters, sessions
        self.welcome, self.serve = welcome, serve
        self.handshakes = Deadlines(limits.handshake_seconds, clock, Connection.no_handshake)
        self.silences = Deadlines(heartbeat.silence, clock, Connection.silent)
        self.closings = Deadlines(CLOSING_SECONDS, clock, Connection.cut_off)
        idlers = Deadlines(limits.idle_seconds, clock, Connection.idle)
        self.idlers = idlers if limits.idle_seconds else None
        self.outboxes = OutboxParts(flushes=turn, settings=outbox, counters=counters, clock=clock)
        self.make_outbox = OUTBOXES[outbox.policy]
        # In the order in which they came.
        self.connections: dict[Connection, None] = {}
        self.draining: IDraining | None = None
        self.admission = Admission(
            limits=limits, counters=counters, guests=lambda: self.connections
        )
        self.faults, self.failures = (
            self._rationed("clients at fault"),
            self._rationed("failures with clients"),
        )
        self._emptied: list[Deferred[None]] = []

    def _rationed(self, what: str) -> Rationed:
        def left_out(count: int) -> None:
            self.log.warn("{n} more {what} were not logged", n=count, what=what)

        return Rationed(MOST_LINES, later=self.clock.callLater, left_out=left_out)

    def allowances(self) -> tuple[Allowance | None, Allowance | None]:
        """What a new client may send, and what is put up with beside that.

        Twice as many heartbeats as it is asked for are always put up with.
        """
        rate, burst = self.limits.messages_per_second, self.limits.message_burst
        if not rate:
            return None, None
        now, beats = self.clock.seconds(), self.heartbeat.interval
        more = 2 / self.heartbeat.told if beats else 0
        return (
            Allowance(rate, max(burst, 1), now),
            Allowance(rate + more, max(burst, LEAST_PATIENCE), now),
        )

    def close_all(self, reason: str, code: int) -> Deferred[None]:
        """Close every connection; fires when the last is gone."""
        emptied: Deferred[None] = Deferred()
        self._emptied.append(emptied)
        for connection in list(self.connections):
            connection.close(reason, code)
        self._note_if_empty()
        return emptied

    def gone(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.pop(connection, None)
        self.counters.clients_now -= 1
        self.closings.stop(connection)
        self.admission.left(connection)
        if self.draining is not None:
            self.draining.gone(connection)
        self._note_if_empty()

    def _note_if_empty(self) -> None:
        if self._emptied and not self.connections:
            waiting, self._emptied = self._emptied, []
            for each in waiting:
                each.callback(None)

    def stop(self) -> None:
        """Forget the timers."""
        for deadlines in (self.handshakes, self.silences, self.closings, self.idlers):
            if deadlines is not None:
                deadlines.clear()
        self.outboxes.stop()
        self.faults.stop()
        self.failures.stop()


@dataclass(slots=True)
class Allowance:
    """How much a client may still do: a token bucket.

    Args:
        rate: how often a second it may.
        burst: how many may come at once.
        now: the time, in seconds.
    """

    rate: float
    burst: float
    now: float
    left: float = 0

    def __post_init__(self) -> None:
        self.left = self.burst

    def take(self, now: float, size: int) -> bool:
        """Whether a message of ``size`` bytes may come; a long one counts as several."""
        passed = max(now - self.now, 0)  # clocks are set back, too
        self.left = min(self.burst, self.left + passed * self.rate)
        self.now = now
        if self.left < 1:
            return False
        self.left -= 1 + size // BYTES_OF_ONE
        return True


class Connection:
    """A client's conversation.

    Args:
        parts: what it shares with the others.
        carrier: closes what carries it.
        encoding: how packages are written for it.
        address: where the client is, as far as is known: its host and port.
        outbox: where what is sent waits, if not in one of the kind that the settings ask for.
    """

    log = Logger()

    __slots__ = (
        "_allowance",
        "_asked",
        "_carrier",
        "_parts",
        "_patience",
        "_session",
        "_state",
        "_under_way",
        "_verifier",
        "address",
        "encoding",
        "outbox",
    )

    def __init__(
        self,
        *,
        parts: ConnectorParts,
        carrier: ICarrier,
        encoding: Encoding,
        address: Address,
        outbox: Outbox | None = None,
    ) -> None:
        self.encoding = encoding
        self._parts = parts
        self._carrier = carrier
        self.address = address
        self._state = State.WAITING_FOR_HANDSHAKE
        self._session: Session | None = None
        self._under_way = 0
        self._verifier: Verifier | None = None
        self._asked: Waiting | None = None
        self.outbox = outbox or parts.make_outbox(parts=parts.outboxes, full=self._slow)
        self._allowance, self._patience = parts.allowances()
        parts.counters.clients_accepted += 1
        parts.counters.clients_now += 1
        parts.connections[self] = None
        parts.handshakes.start(self)

    @property
    def works(self) -> bool:
        """Whether its handshake is through and it is not closed."""
        return self._state is State.WORKING or self._state is State.LEAVING

    @property
    def is_new(self) -> bool:
        """Whether it has not shaken hands yet."""
        return self._state.value < State.WORKING.value

    @property
    def session(self) -> Session | None:
        """Its session, once its handshake is through."""
        return self._session

    # What the carrier says.

    def carried(self, carrier: ICarrier, encoding: Encoding) -> None:
        """It is known now what carries it, and how packages are written for that."""
        self._carrier, self.encoding = carrier, encoding

    def received(self, frame: bytes) -> None:
        """Take a frame, which holds whole packages."""
        try:
            packages = package.decode_frame(frame, self._parts.limits.package_bytes)
        except PackageError as problem:
            self.broken(str(problem))
        else:
            self.received_packages(packages)

    def received_packages(self, packages: Iterable[Package]) -> None:
        """Take packages, where the carrier cuts a stream into them itself."""
        try:
            for each in packages:
                self._package(each)
        except WireError as problem:
            self.broken(str(problem))
        except Exception:
            self._failed()

    def pinged(self, pong: bytes) -> None:
        """The carrier was asked for a sign of life; the answer waits like everything else."""
        if self._state is not State.CLOSED and self.bears():
            self.outbox.send(pong)

    def bears(self, size: int = 0, now: float | None = None) -> bool:
        """Put up with what is of no use: what is refused, signs of life, what nobody listens to.

        It costs time like everything else. Who does that too often is sent away.

        Args:
            size: bytes; many count as several.
            now: the clock's time, for who has asked already.

        Returns:
            Whether the client may stay.
        """
        patience, parts = self._patience, self._parts
        if patience is None:
            return True
        if patience.take(parts.clock.seconds() if now is None else now, size):
            return True
        if self._state is not State.CLOSED:
            parts.counters.clients_flooding += 1
            self._tell("{client} sends too much")
            self.close("too many messages", POLICY)
        return False

    def broken(self, problem: str, code: int = PROTOCOL_ERROR) -> None:
        """What came breaks the protocol: close this connection, and only this one."""
        if self._state is not State.CLOSED:
            self._parts.counters.clients_broken += 1
            self._tell("{client} broke the protocol: {why}", problem)
            self.close(problem, code)

    def _failed(self) -> None:
        """What must not raise did, here or in the application: only this client goes."""
        if self._parts.failures.admit():
            self.log.failure("A message of {client} met a mistake here", client=shown(self.address))
        try:
            self.close("the server failed", INTERNAL_ERROR)
        except Exception:
            self.log.failure("Closing {client}", client=shown(self.address))
        if self in self._parts.connections:  # it ends, whatever raised
            self._parts.closings.start(self)

    def _tell(self, what: str, why: str = "") -> None:
        """Log why this client is sent away, unless that is said too often already."""
        if self._parts.faults.admit():
            self.log.info(what, client=shown(self.address), why=why)

    def lost(self, reason: str) -> None:
        """The carrier is gone."""
        self.outbox.drop()
        self._end(reason)
        self._parts.gone(self)

    # What others do with it.

    def kick(self, reason: str) -> None:
        """Tell the client why, and close."""
        if self.works:
            self._parts.counters.clients_kicked += 1
            self.outbox.send(self.encoding.package(package.KICK, handshake.encode_kick(reason)))
        self.close(reason)

    def leave(self) -> bool:
        """Take no more messages, because the client is to go on elsewhere.

        So what it has asked and was not answered when it goes has not been acted on, unless its
        answer took too long.

        Returns:
            Whether it can go now: nothing that it asked is under way, and it has been written all
            that was sent to it.
        """
        if self._state is State.WORKING:
            self._state = State.LEAVING
        return self._under_way == 0 and self.outbox.empties()

    def move(self, told: bytes, closings: Deadlines) -> None:
        """End the session, tell the client where to go on, and close.

        What others are told of the end of its session leaves before the kick: a client that comes
        to the next frontend finds that it has left its channels.

        Args:
            told: the body of the kick.
            closings: cut it off when it takes too long.
        """
        try:
            if self.works:
                self._state = State.LEAVING
                self._end_session(handshake.MOVED)
            self._parts.turn.at_end(partial(self._move_now, told, closings))
        except Exception:
            self._failed()

    def _move_now(self, told: bytes, closings: Deadlines) -> None:
        try:
            if self.works:
                self._parts.counters.clients_moved += 1
                self.outbox.send(self.encoding.package(package.KICK, told))
            self.close(handshake.MOVED, GOING_AWAY, closings)
        except Exception:
            self._failed()

    def close(self, reason: str, code: int = NORMAL, closings: Deadlines | None = None) -> None:
        """Write what waits, and close.

        Args:
            closings: cut it off when it takes too long; after `CLOSING_SECONDS` unless given.
        """
        if self._state is not State.CLOSED:
            self._end(reason)
            patience = self._parts.closings if closings is None else closings
            patience.start(self)
            self._carrier.end(code, reason)

    def no_handshake(self) -> None:
        """The handshake took too long."""
        self._parts.counters.clients_silent += 1
        self.close("no handshake in time", POLICY)

    def silent(self) -> None:
        """No sign of life came for too long."""
        self._parts.counters.clients_silent += 1
        self.close("heartbeat timeout", POLICY)

    def idle(self) -> None:
        """No request and no notify came for too long."""
        self._parts.counters.clients_idle += 1
        self.close("idle for too long", POLICY)

    def cut_off(self) -> None:
        """It did not answer the close."""
        self._carrier.abort()

    def _slow(self, why: str) -> None:
        if self._state is not State.CLOSED:
            self._parts.counters.clients_slow += 1
            self._tell("{client} is cut off: {why}", why)
            self.outbox.drop()
            self._end("slow client")
            self._carrier.abort()

    def _end(self, reason: str) -> None:
        """Stop listening and sending; the session ends here, not when the socket is gone."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        parts = self._parts
        parts.handshakes.stop(self)
        parts.silences.stop(self)
        if parts.idlers is not None:
            parts.idlers.stop(self)
        self.outbox.close()
        if self._asked is not None:  # not at once: it may be what closes this
            parts.turn.at_end(self._asked.call_off)
            self._asked = None
        self._end_session(reason)

    def _end_session(self, reason: str) -> None:
        session, self._session = self._session, None
        if session is not None:
            self._parts.sessions.close(session, reason)

    # The conversation: Pomelo's states, and what each of them listens to.

    def _package(self, each: Package) -> None:
        kind, data = each
        state = self._state
        if state is State.WORKING:
            parts = self._parts
            now = parts.clock.seconds()
            if kind == package.DATA:
                parts.silences.start(self, now)
                if parts.idlers is not None:
                    parts.idlers.start(self, now)
                self._message(message.decode(data), now)
            elif kind == package.KICK:
                raise HandshakeError("only a server kicks")
            elif self.bears(now=now) and kind == package.HEARTBEAT and parts.heartbeat.interval:
                parts.silences.start(self, now)
                self.outbox.send(self.encoding.heartbeat)
        elif state is State.CLOSED:
            pass
        elif state is State.LEAVING:
            self._package_of_leaver(kind)
        elif state is State.WAITING_FOR_HANDSHAKE and kind == package.HANDSHAKE:
            self._shake_hands(data)
        elif state is State.WAITING_FOR_ACK and kind == package.ACK:
            self._work()
        elif kind == package.KICK:
            raise HandshakeError("only a server kicks")
        else:
            self.bears()

    def _package_of_leaver(self, kind: int) -> None:
        parts = self._parts
        if kind == package.KICK:
            raise HandshakeError("only a server kicks")
        if self.bears() and parts.heartbeat.interval:
            parts.silences.start(self)
            if kind == package.HEARTBEAT:
                self.outbox.send(self.encoding.heartbeat)

    def _shake_hands(self, data: bytes) -> None:
        self._state = State.DECIDING
        welcome = self._parts.welcome
        self._asked = welcome.decide(data, self.encoding, self.address, self._decided)

    def _decided(self, outcome: Accepted | Refused) -> None:
        if self._state is not State.DECIDING:
            return  # it did not wait for the answer
        self._asked = None
        try:
            reply = self.encoding.package(package.HANDSHAKE, outcome.reply)
        except PackageError as problem:  # as a long dictionary, which fits no datagram
            if self._parts.failures.admit():
                self.log.error("The answer to a handshake: {problem}", problem=problem)
            outcome = Refused(handshake.encode_refusal(), str(problem), broken=False)
            reply = self.encoding.package(package.HANDSHAKE, outcome.reply)
        if isinstance(outcome, Refused):
            self.outbox.send(reply)
            if outcome.broken:
                self._parts.counters.clients_broken += 1
            else:
                self._parts.counters.clients_turned_away += 1
            answer = outcome.reply.decode("utf-8", "replace")[:_MOST_SHOWN]
            self._tell("The handshake of {client} is refused: {why}", f"{answer} {outcome.why}")
            self.close(outcome.why, POLICY)
            return
        self.encoding = outcome.encoding
        self._verifier = outcome.verifier
        self._state = State.WAITING_FOR_ACK
        self.outbox.send(reply)  # last: it may be too much for the outbox

    def _work(self) -> None:
        self._state = State.WORKING
        self._parts.handshakes.stop(self)
        if self._parts.draining is not None:
            self._parts.draining.arrived(self)
            return
        self._session = self._parts.sessions.open(self)
        if self._parts.idlers is not None:
            self._parts.idlers.start(self)
        if self._parts.heartbeat.interval:
            self._parts.silences.start(self)
            self.outbox.send(self.encoding.heartbeat)

    def _message(self, each: Message, now: float) -> None:
        session, parts = self._session, self._parts
        assert session is not None
        if isinstance(each.route, int):
            route = self.encoding.routes.get(each.route, each.route)
            each = Message(each.kind, each.id, route, each.body)
        if each.kind == message.REQUEST and each.id:
            parts.counters.requests += 1
            reply = partial(self._respond, each.id, each.route)
            self._under_way += 1
        elif each.kind != message.RESPONSE:
            # A request with the id 0, and a push from a client, are notifies to Pomelo.
            parts.counters.notifies += 1
            reply = None
        else:
            self.bears(now=now)
            return
        admitted = self._admit(each, now)
        if admitted is not None:
            parts.serve(session, admitted, reply)
            return
        parts.counters.requests_refused += 1
        if reply is not None:
            reply(REFUSED)

    def _admit(self, each: Message, now: float) -> Message | None:
        """The message as it is to be served; None where a limit or its signature forbids it."""
        parts = self._parts
        allowance, size = self._allowance, len(each.body)
        if allowance is not None and not allowance.take(now, size):
            self.bears(size, now)
            return None
        most = parts.limits.requests_under_way
        if most and self._under_way > most and each.kind == message.REQUEST:
            return None
        if self._verifier is None:
            return each
        try:
            return each._replace(body=self._verifier.unsigned(each.body))
        except BodyError as problem:
            self.log.debug("{client}: {p}", client=shown(self.address), p=problem)
            return None

    def _respond(self, number: int, route: str | int, body: Body) -> None:
        self._under_way -= 1
        if self._state is not State.WORKING and self._state is not State.LEAVING:
            return
        if body is REFUSED:
            answer = self.encoding.refusal(number, route)
        else:
            try:
                answer = self.encoding.response(number, route, body)
            except (BodyError, PackageError) as problem:
                answer = self.encoding.refusal(number, route)
                if body.value != FAILED:
                    self._parts.counters.requests_failed += 1
                    self.log.error("The answer of {route}: {problem}", route=route, problem=problem)
        self.outbox.send(answer)
