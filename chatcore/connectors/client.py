"""One client, whatever it speaks: what it may do, what waits for it, and how it ends."""

from __future__ import annotations

from enum import Enum
from functools import partial
from typing import Protocol

from twisted.logger import Logger

from chatcore.config.peers import shown
from chatcore.connectors.outbox import Outbox
from chatcore.connectors.parts import ConnectorParts
from chatcore.deadlines import Deadlines
from chatcore.dispatch.calling import Waiting
from chatcore.interfaces import Address
from chatcore.sessions.session import Session
from chatcore.wire import handshake

NORMAL, GOING_AWAY, PROTOCOL_ERROR, POLICY, TOO_BIG = 1000, 1001, 1002, 1008, 1009
INTERNAL_ERROR = 1011
"""Close codes (RFC 6455, section 7.4.1)."""


class State(Enum):
    """Where a conversation stands."""

    WAITING_FOR_HANDSHAKE = 0
    DECIDING = 1
    WAITING_FOR_ACK = 2
    WORKING = 3
    LEAVING = 4
    CLOSED = 5


class ICarrier(Protocol):
    """What carries a conversation: a WebSocket, or another transport."""

    def end(self, code: int, reason: str) -> None:
        """Close in the transport's own way."""

    def abort(self) -> None:
        """Cut it off."""


class Client:
    """A client; those who know what it speaks build on this.

    Args:
        parts: what it shares with the others.
        carrier: closes what carries it.
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
        "address",
        "outbox",
    )

    def __init__(
        self,
        *,
        parts: ConnectorParts,
        carrier: ICarrier,
        address: Address,
        outbox: Outbox | None = None,
    ) -> None:
        self._parts = parts
        self._carrier = carrier
        self.address = address
        self._state = State.WAITING_FOR_HANDSHAKE
        self._session: Session | None = None
        self._under_way = 0
        self._asked: Waiting | None = None
        self.outbox = outbox or parts.make_outbox(parts=parts.outboxes, full=self._slow)
        self._allowance, self._patience = parts.allowances()
        parts.came(self)

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
        if self in self._parts.clients:  # it ends, whatever raised
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

    def _say_kicked(self, told: bytes) -> None:
        """Write a kick; ``told`` is its body in JSON."""
        raise NotImplementedError

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
