"""A connection of the client that is made, used and closed once, whatever is spoken over it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from chatcore.client.errors import ConnectFailed, Disconnected
from chatcore.errors import WireError
from chatcore.wire.package import Package

CLOSE_TIMEOUT = 2.0
"""Seconds that the server has to answer a close before the connection is cut."""


class Receiver(Protocol):
    """Whom a connection tells what happens to it."""

    def opened(self) -> None:
        """It is open: something can be sent."""

    def received(self, frame: bytes) -> None:
        """A frame came."""

    def received_packages(self, packages: Iterable[Package]) -> None:
        """Packages came, where there are no frames around them."""

    def broke(self, problem: WireError) -> None:
        """What came breaks the protocol."""

    def end(self, why: Exception) -> None:
        """It is not open, or no longer, and will not be."""


class Dialing:
    """Makes a connection and takes note of its end.

    Args:
        reactor: tells the time.
        endpoint: where to connect to.
        receiver: whom to tell what happens.
        factory: makes what speaks over it.
    """

    expected = "server"
    """What is supposed to be there."""

    def __init__(
        self,
        *,
        reactor: IReactorTime,
        endpoint: IStreamClientEndpoint,
        receiver: Receiver,
        factory: Factory,
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._factory = factory
        self.receiver = receiver
        self._dialing: Deferred[Any] | None = None
        self._cut: IDelayedCall | None = None
        self._closing = self._is_gone = False
        self._waiting: list[Deferred[None]] = []

    def dial(self) -> None:
        """Make the connection."""
        self._dialing = self._endpoint.connect(self._factory)
        self._dialing.addErrback(self._not_connected)

    def gone(self) -> Deferred[None]:
        """Return a Deferred that fires when nothing is left of the connection."""
        waiting: Deferred[None] = Deferred()
        if self._is_gone:
            waiting.callback(None)
        else:
            self._waiting.append(waiting)
        return waiting

    def ending(self, why: str) -> None:
        """Take note that the server closes an open connection."""
        self.receiver.end(Disconnected(f"the connection ended: {why}"))

    def lost(self, opened: bool, why: str) -> None:
        """Take note that the connection is gone."""
        if opened:
            self.ending(why)
        else:
            self.receiver.end(ConnectFailed(f"no {self.expected} there: {why}"))
        self._leave()

    def _has_to_close(self) -> bool:
        """Note that it is to be closed; whether that is news."""
        if self._closing or self._is_gone:
            return False
        self._closing = True
        return True

    def _stop_dialing(self) -> None:
        """Stop making the connection."""
        if self._dialing is not None:
            self._dialing.cancel()

    def _cut_later(self, abort: Callable[[], None]) -> None:
        """Have it cut, unless it is closed in time."""
        self._cut = self._reactor.callLater(CLOSE_TIMEOUT, abort)

    def _not_connected(self, failure: Failure) -> None:
        self.receiver.end(ConnectFailed(f"can't connect: {failure.getErrorMessage()}"))
        self._leave()

    def _leave(self) -> None:
        self._is_gone = True
        if self._cut is not None and self._cut.active():
            self._cut.cancel()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)
