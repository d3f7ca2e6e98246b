"""Whoever has connected: what is known of it before it is known what it speaks."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from twisted.logger import Logger

from chatcore.config.peers import shown
from chatcore.connectors.parts import ConnectorParts
from chatcore.deadlines import Deadlines
from chatcore.interfaces import Address
from chatcore.sessions.session import Session

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


class Guest:
    """Somebody who has connected, and has no session.

    Args:
        parts: what all who connect here share.
        carrier: closes what carries it.
        address: where it is, as far as is known: its host and port.
        after: who it was until now, in whose place it comes.

    Attributes:
        now: who it has become, if the time for its handshake runs under its name.
    """

    log = Logger()

    __slots__ = ("_carrier", "_first", "_parts", "_state", "address", "now")

    def __init__(
        self,
        *,
        parts: ConnectorParts,
        carrier: ICarrier,
        address: Address,
        after: Guest | None = None,
    ) -> None:
        self._parts = parts
        self._carrier = carrier
        self.address = address
        self._state = State.WAITING_FOR_HANDSHAKE
        self.now: Guest = self
        # The time for its handshake runs under the name that it came with.
        self._first: Guest = self if after is None else after._first
        if after is None:
            parts.came(self)
        else:
            self._first.now = self
            parts.took_place(after, self)

    @property
    def works(self) -> bool:
        """Whether its handshake is through and it is not closed."""
        return self._state is State.WORKING or self._state is State.LEAVING

    @property
    def is_new(self) -> bool:
        """Whether it has not shaken hands yet."""
        return self._state.value < State.WORKING.value

    @property
    def asks_nothing(self) -> bool:
        """Whether it comes by HTTP, and nobody would miss the connection just now."""
        return False

    @property
    def session(self) -> Session | None:
        """Its session, once its handshake is through."""
        return None

    # What the carrier says.

    def broken(self, problem: str, code: int = PROTOCOL_ERROR) -> None:
        """What came breaks the protocol: close this connection, and only this one."""
        if self._state is not State.CLOSED:
            self._parts.counters.clients_broken += 1
            self._tell("{client} broke the protocol: {why}", problem)
            self.close(problem, code)

    def _tell(self, what: str, why: str = "") -> None:
        """Log why this client is sent away, unless that is said too often already."""
        if self._parts.faults.admit():
            self.log.info(what, client=shown(self.address), why=why)

    def flush(self) -> None:
        """Write what was collected: nothing may follow."""

    def lost(self, reason: str) -> None:
        """The carrier is gone."""
        self._end(reason)
        self._parts.gone(self)

    # What others do with it.

    def kick(self, reason: str) -> None:
        """Tell the client why, and close."""
        self.close(reason)

    def leave(self) -> bool:
        """Take nothing more; whether it can go now."""
        return True

    def move(self, told: bytes, closings: Deadlines) -> None:
        """Tell it where to go on, as far as it understands that, and close."""
        self.close("moved", GOING_AWAY, closings)

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

    def _end(self, reason: str) -> None:
        """Stop listening and sending."""
        self._state = State.CLOSED
        self._shook_hands()

    def _shook_hands(self) -> None:
        """Its handshake is through, or over."""
        self._parts.handshakes.stop(self._first)
        self._first = self
