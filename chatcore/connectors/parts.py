"""What all clients of a frontend share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.connectors.admission import Admission
from chatcore.connectors.allowance import Allowance
from chatcore.connectors.dropping import OUTBOXES
from chatcore.connectors.outbox import OutboxParts
from chatcore.connectors.settings import HeartbeatSettings, Limits, OutboxSettings
from chatcore.connectors.welcome import Welcome
from chatcore.deadlines import Deadlines, IClock
from chatcore.interfaces import Address
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.telemetry import Counters, Rationed
from chatcore.tracing import OFF, Tracer
from chatcore.turn import Turn
from chatcore.wire.body import Body
from chatcore.wire.message import Message

CLOSING_SECONDS = 2.0
"""How long a client may take to answer a close before it is cut off."""

MOST_LINES = 5
"""Lines a second about clients that are sent away, and as many about what failed with clients."""

LEAST_PATIENCE = 10
"""What is put up with at once of every client, however small `limits.message_burst` is."""

Reply = Callable[[Body], None]
Serve = Callable[[Session, Message, Reply | None], None]
"""Acts on a request, and replies with a body; on a notify there is nobody to reply to."""


class IClient(Hashable, Protocol):
    """A client, as those see it who watch over all of them."""

    address: Address

    @property
    def now(self) -> IClient:
        """Who it has become, since it is known what it speaks."""

    @property
    def works(self) -> bool:
        """Whether its handshake is through and it is not closed."""

    @property
    def is_new(self) -> bool:
        """Whether it has not shaken hands yet."""

    @property
    def asks_nothing(self) -> bool:
        """Whether it comes by HTTP, and nobody would miss the connection just now."""

    @property
    def session(self) -> Session | None:
        """Its session, once its handshake is through."""

    def kick(self, reason: str) -> None:
        """Tell it why, and close."""

    def leave(self) -> bool:
        """Take nothing more; whether it can go now."""

    def move(self, told: bytes, closings: Deadlines) -> None:
        """End the session, tell it where to go on, and close."""

    def close(self, reason: str, code: int, closings: Deadlines | None = None) -> None:
        """Write what waits, and close."""

    def no_handshake(self) -> None:
        """The handshake took too long."""

    def silent(self) -> None:
        """No sign of life came for too long."""

    def idle(self) -> None:
        """No request and no notify came for too long."""

    def cut_off(self) -> None:
        """It did not answer the close."""


class IDraining(Protocol):
    """Sends clients on, as those see it who are sent."""

    def arrived(self, client: IClient) -> None:
        """One has shaken hands only now."""

    def took_place(self, guest: IClient, client: IClient) -> None:
        """It is known now what one speaks who has connected before."""

    def gone(self, client: IClient) -> None:
        """One is gone."""


class ConnectorParts:
    """What all clients of a frontend share.

    Args:
        serve: acts on requests and notifies.
        tracer: told of those that are refused before.
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
        tracer: Tracer = OFF,
    ) -> None:
        self.tracer = tracer
        self.turn, self.clock = turn, clock
        self.limits, self.heartbeat = limits, heartbeat
        self.counters, self.sessions = counters, sessions
        self.welcome, self.serve = welcome, serve
        self.all_deadlines: list[Deadlines] = []
        self.handshakes = self.deadlines(limits.handshake_seconds, _no_handshake)
        self.silences = self.deadlines(heartbeat.silence, _silent)
        self.closings = self.deadlines(CLOSING_SECONDS, cut_off)
        self.idlers = self.deadlines(limits.idle_seconds, _idle) if limits.idle_seconds else None
        self.outboxes = OutboxParts(flushes=turn, settings=outbox, counters=counters, clock=clock)
        self.make_outbox = OUTBOXES[outbox.policy]
        # In the order in which they came.
        self.clients: dict[IClient, None] = {}
        self.draining: IDraining | None = None
        self.admission = Admission(limits=limits, counters=counters, guests=lambda: self.clients)
        self.faults, self.failures = (
            self._rationed("clients at fault"),
            self._rationed("failures with clients"),
        )
        self._emptied: list[Deferred[None]] = []

    def _rationed(self, what: str) -> Rationed:
        def left_out(count: int) -> None:
            self.log.warn("{n} more {what} were not logged", n=count, what=what)

        return Rationed(MOST_LINES, later=self.clock.callLater, left_out=left_out)

    def deadlines(self, seconds: float, expired: Callable[[Any], None]) -> Deadlines:
        """Timeouts for some kind of clients, which end with these parts; as `Deadlines`."""
        self.all_deadlines.append(Deadlines(seconds, self.clock, expired))
        return self.all_deadlines[-1]

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
        """Close every connection; fires when the last is gone.

        Those that are closing already, maybe with more time to do so, have no more than the others.
        """
        emptied: Deferred[None] = Deferred()
        self._emptied.append(emptied)
        for client in list(self.clients):
            client.close(reason, code)
            if client in self.clients:
                self.closings.start(client)
        self._note_if_empty()
        return emptied

    def came(self, client: IClient) -> None:
        """A client has connected."""
        self.counters.clients_accepted += 1
        self.counters.clients_now += 1
        self.clients[client] = None
        self.handshakes.start(client)

    def took_place(self, guest: IClient, client: IClient) -> None:
        """It is known now what somebody speaks who has connected before."""
        del self.clients[guest]
        self.clients[client] = None
        self.admission.took_place(guest, client)
        if self.draining is not None:
            self.draining.took_place(guest, client)

    def gone(self, client: IClient) -> None:
        """A client is gone."""
        self.clients.pop(client, None)
        self.counters.clients_now -= 1
        self.closings.stop(client)
        self.admission.left(client)
        if self.draining is not None:
            self.draining.gone(client)
        self._note_if_empty()

    def _note_if_empty(self) -> None:
        if self._emptied and not self.clients:
            waiting, self._emptied = self._emptied, []
            for each in waiting:
                each.callback(None)

    def stop(self) -> None:
        """Forget the timers."""
        for deadlines in self.all_deadlines:
            deadlines.clear()
        self.outboxes.stop()
        self.faults.stop()
        self.failures.stop()


def _no_handshake(client: IClient) -> None:
    client.now.no_handshake()


def _silent(client: IClient) -> None:
    client.silent()


def _idle(client: IClient) -> None:
    client.idle()


def cut_off(client: IClient) -> None:
    """Cut a client off that does not go by itself."""
    client.cut_off()
