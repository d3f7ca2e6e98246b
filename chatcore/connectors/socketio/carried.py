"""What carries a client of socket.io, and how its packets leave."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from functools import partial
from typing import Any

from chatcore.connectors.client import Client
from chatcore.connectors.guest import NORMAL, PROTOCOL_ERROR, Guest, ICarrier, State
from chatcore.connectors.socketio.framing import HELD, Framing, Reframing, reframed
from chatcore.connectors.socketio.polling import IForm, Polling
from chatcore.connectors.socketio.shared import SocketioParts
from chatcore.deadlines import Deadlines
from chatcore.errors import WireError
from chatcore.interfaces import Address


class CarriedClient(Client):
    """A client that polls, or has a WebSocket, or goes from one to the other.

    Args:
        shared: what it shares with others of its kind.
        sid: how it is known, to itself alone.
        framing: how packets are written for its transport.
        carrier: closes what carries it; None for who `polls`.
    """

    __slots__ = ("_framing", "_shared", "sid")

    def __init__(
        self,
        *,
        shared: SocketioParts,
        sid: str,
        framing: Framing,
        carrier: Any,
        address: Address,
        after: Guest | None,
    ) -> None:
        super().__init__(parts=shared.all, carrier=carrier, address=address, after=after)
        self._shared = shared
        if self._patience is not None:
            # Twice as many signs of life as are asked for are put up with, whatever else is not.
            self._patience.rate += 2 / shared.settings.ping_seconds
        self.sid, self._framing = sid, framing
        shared.clients[sid] = self

    @property
    def closed(self) -> bool:
        """Whether it is closed, or is being closed."""
        return self._state is State.CLOSED

    @property
    def polling(self) -> Polling | None:
        """What carries it, where it polls."""
        carrier = self._carrier
        return carrier if isinstance(carrier, Polling) else None

    def _seen(self) -> float | None:
        return self._since(self._shared.silences)

    # What carries it.

    def polls(self, form: IForm, times: Deadlines | None = None) -> Polling:
        """It polls, with the arguments of `Polling`; nothing else has carried it."""
        polling = self._carrier = Polling(self, form, times)
        self._parts.counters.polling_now += 1
        self._parts.admission.entered(self)
        return polling

    def _polls_no_more(self) -> None:
        if self.polling is not None:
            self._parts.counters.polling_now -= 1

    def _goes_on(self, carrier: ICarrier, transport: Any, framing: Framing) -> None:
        """It goes on by a WebSocket, and what waits for it as well."""
        self._polls_no_more()
        self._parts.counters.upgrades += 1
        self._carrier = carrier
        if self._holds:
            self.outbox.move(Reframing(transport, framing), bytes)
        else:
            self._framing = framing
            self._reframe()
            self.outbox.move(transport, partial(reframed, framing=framing))

    def _hold(self) -> None:
        """Hold packets until they leave, also those for a WebSocket."""
        if self._framing is not HELD:
            framing, self._framing = self._framing, HELD
            self._reframe()
            websocket: Any = self._carrier
            self.outbox.move(Reframing(websocket.transport, framing), HELD.frames)

    # What comes.

    def take(self, packets: Iterable[Any]) -> None:
        """Take packets."""
        try:
            for each in packets:
                if self._state is State.CLOSED:
                    return
                self._packet(each)
        except WireError as problem:
            self.broken(str(problem))
        except Exception:
            self._failed()

    def pinged(self, pong: bytes) -> None:
        super().pinged(HELD.frames(pong) if self._framing is HELD else pong)

    def _lives(self) -> None:
        self._shared.silences.start(self)

    # How it ends.

    def forget(self) -> None:
        """It does not come back after its first request, or can't be waited for."""
        if not self.closed:
            self._parts.counters.clients_silent += 1
        self._wait_no_more()

    def close(self, reason: str, code: int = NORMAL, closings: Deadlines | None = None) -> None:
        if closings is None and self.polling is not None:
            closings = self._shared.farewells
        super().close(reason, code, closings)

    def part(self) -> None:
        """It says that it goes."""
        if self.polling is not None:
            self.polling.part()
        self.close("disconnect")

    def _dismiss(self, reason: str) -> None:
        """Close, after it was told that it is in no namespace: its library goes by itself then."""
        if self.polling is not None:
            self.polling.dismiss()
        self.close(reason)

    def broken(self, problem: str, code: int = PROTOCOL_ERROR) -> None:
        super().broken(problem, code)
        self._wait_no_more()

    def silent(self) -> None:
        super().silent()
        self._wait_no_more()

    def _wait_no_more(self) -> None:
        """It is known no more, also where it has not been told yet."""
        if self.polling is not None:
            self.polling.gone()

    def _end(self, reason: str) -> None:
        shared = self._shared
        shared.silences.stop(self)
        shared.pings.stop(self)
        super()._end(reason)

    def lost(self, reason: str) -> None:
        self._shared.clients.pop(self.sid, None)
        self._shared.farewells.stop(self)
        self._shared.newcomers.gone(self)
        self._polls_no_more()
        super().lost(reason)

    # What those say who know more.

    @property
    @abstractmethod
    def _holds(self) -> bool:
        """Whether packets are held also for a WebSocket."""

    @abstractmethod
    def _reframe(self) -> None:
        """Write everything as the framing has it that there is now."""

    @abstractmethod
    def _packet(self, packet: Any) -> None:
        """Act on a packet; may raise anything."""

    @abstractmethod
    def ping(self) -> None:
        """Give it a sign of life, or ask it for one."""
