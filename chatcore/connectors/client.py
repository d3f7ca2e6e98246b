"""One client, whatever it speaks: what it may do, what waits for it, and how it ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any

from chatcore.config.peers import shown
from chatcore.connectors.encoding import REFUSED
from chatcore.connectors.guest import GOING_AWAY, INTERNAL_ERROR, POLICY, Guest, ICarrier, State
from chatcore.connectors.outbox import Outbox
from chatcore.connectors.parts import ConnectorParts
from chatcore.deadlines import Deadlines
from chatcore.dispatch.calling import Waiting
from chatcore.interfaces import Address
from chatcore.sessions.session import Session
from chatcore.tracing.traceparent import TraceParent
from chatcore.wire import handshake
from chatcore.wire.body import Body


class Client(Guest, ABC):
    """A client; those who know what it speaks build on this.

    Args:
        parts: what it shares with the others.
        carrier: closes what carries it.
        address: where the client is, as far as is known: its host and port.
        outbox: where what is sent waits, if not in one of the kind that the settings ask for.
        after: who it was before it was known what it speaks.

    Attributes:
        trace: what its own trace is called, if it has said so.
    """

    __slots__ = ("_allowance", "_asked", "_patience", "_session", "_under_way", "outbox", "trace")

    def __init__(
        self,
        *,
        parts: ConnectorParts,
        carrier: ICarrier,
        address: Address,
        outbox: Outbox | None = None,
        after: Guest | None = None,
    ) -> None:
        super().__init__(parts=parts, carrier=carrier, address=address, after=after)
        self._session: Session | None = None
        self._under_way = 0
        self.trace: TraceParent | None = None
        self._asked: Waiting | None = None
        if outbox is None:
            outbox = parts.make_outbox(parts=parts.outboxes, full=self._slow, uid=self._uid)
        else:
            outbox.belongs_to(self._uid)
        self.outbox = outbox
        self._allowance, self._patience = parts.allowances()

    @property
    def session(self) -> Session | None:
        """Its session, once its handshake is through."""
        return self._session

    def _uid(self) -> str | None:
        """Who it is, if that is known."""
        session = self.session
        return None if session is None else session.uid

    def about(self) -> dict[str, Any]:
        """What those who look are told of it, in JSON's types. Times are seconds, sizes bytes."""
        outbox = self.outbox
        return {
            "state": self._state.name.lower(),
            "seen": self._seen(),
            "under_way": self._under_way,
            "outbox_bytes": outbox.waiting,
            "outbox_messages": outbox.count,
            "unread": round(outbox.unread_seconds, 1),
        }

    def _seen(self) -> float | None:
        """The seconds since anything came from it that counts; None where that is not watched."""
        return self._since(self._parts.silences, self._parts.idlers)

    def _since(self, *watched: Deadlines | None) -> float | None:
        """The seconds since the first of these began for it that watches over it."""
        for deadlines in watched:
            seconds = None if deadlines is None else deadlines.passed(self)
            if seconds is not None:
                return round(seconds, 1)
        return None

    # What the carrier says.

    def flush(self) -> None:
        self.outbox.flush()

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

    def _may_ask(self, size: int, now: float, *, request: bool) -> bool:
        """Whether the limits allow one more message of ``size`` bytes."""
        allowance = self._allowance
        if allowance is not None and not allowance.take(now, size):
            self.bears(size, now)
            return False
        most = self._parts.limits.requests_under_way
        return not (most and request and self._under_way > most)

    def _continue_trace(self, session: Session) -> None:
        """Have what it asks belong to its own trace, if that is recorded where it comes from."""
        tracer = self._parts.tracer
        if self.trace is not None and self.trace.sampled and tracer.continues:
            session.trace = self.trace
            tracer.follows(1)
            session.on_closed(lambda session, reason: tracer.follows(-1))

    def _note_refused(self, session: Session | None, route: str | int, why: str) -> None:
        """A message was refused before anybody was to act on it."""
        self._parts.counters.journal.unanswered(session, "refused", route, why)
        tracer = self._parts.tracer
        if tracer.active:
            uid = None if session is None else session.uid
            tracer.refused(str(route), uid, "refused", why)

    def _measure(self, route: str | int, asked: float, body: Body) -> None:
        """A request is answered that was asked at that time; what was refused is left out."""
        if body is not REFUSED:
            parts = self._parts
            parts.counters.request_seconds.add(str(route), parts.clock.seconds() - asked)

    def _failed(self) -> None:
        """What must not raise did, here or in the application: only this client goes."""
        if self._parts.failures.admit():
            self.log.failure("A message of {client} met a mistake here", client=shown(self.address))
        try:
            self.close("the server failed", INTERNAL_ERROR)
        except Exception:
            self.log.failure("Closing {client}", client=shown(self.address))
        if self in self._parts.clients:  # it ends, whatever raised
            self._parts.closings.start(self)

    def lost(self, reason: str) -> None:
        """The carrier is gone."""
        self.outbox.drop()
        super().lost(reason)

    # What others do with it.

    def kick(self, reason: str) -> None:
        """Tell the client why, and close."""
        if self.works:
            self._parts.counters.clients_kicked += 1
            self._parts.sessions.note_kick(self.session, reason)
            self._say_kicked(handshake.encode_kick(reason))
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
                self._say_kicked(told)
            self.close(handshake.MOVED, GOING_AWAY, closings)
        except Exception:
            self._failed()

    @abstractmethod
    def _say_kicked(self, told: bytes) -> None:
        """Write a kick; ``told`` is its body in JSON."""

    def _slow(self, why: str) -> None:
        if self._state is not State.CLOSED:
            self._parts.counters.clients_slow += 1
            self._tell("{client} is cut off: {why}", why)
            self._note_slow(why)
            self.outbox.drop("slow", why)
            self._end("slow client")
            self._carrier.abort()

    def _note_slow(self, why: str) -> None:
        uid, outbox = self._uid(), self.outbox
        if uid is None:
            return
        lost = {
            "bytes": outbox.waiting,
            "messages": outbox.count,
            "seconds": round(outbox.unread_seconds, 1),
        }
        self._parts.counters.journal.note(uid, "slow", why, more=lost)

    def _end(self, reason: str) -> None:
        """Stop listening and sending; the session ends here, not when the socket is gone."""
        if self._state is State.CLOSED:
            return
        super()._end(reason)
        parts = self._parts
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
