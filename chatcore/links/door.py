"""Where links are taken in by a process that is no node: the master."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from chatcore.links.arrivals import Arrivals
from chatcore.links.greeting import Expected, Greeter
from chatcore.links.link import Link, LinkParts

CLOSING_SECONDS = 1.0
"""How long the links may take to close before they are cut."""


class Door:
    """Leads whoever dials through the hello, and pings who has come in.

    Args:
        id: this process's id.
        incarnation: which life of it this is.
        secret: the cluster's.
        parts: what the links share.
        expects: whether that life of that peer may dial this process.
        up: told of each link that is proven.
        down: told when such a link is lost, and whether because it was silent for too long.
        held_up: told when this process did nothing for a while; what others have said meanwhile
            has yet to be read then.

    Attributes:
        factory: what takes connections in.
    """

    def __init__(
        self,
        *,
        id: str,
        incarnation: str,
        secret: bytes,
        parts: LinkParts,
        expects: Expected,
        up: Callable[[Link], None],
        down: Callable[[Link, bool], None],
        held_up: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._told_up, self._told_down, self._held_up = up, down, held_up
        greeter = Greeter(
            id=id, incarnation=incarnation, secret=secret, remotes={}, up=self._up, tls=parts.tls
        )
        self._arrivals = Arrivals(
            greeter=greeter, expected=expects, parts=parts, made=self._made, lost=self._lost
        )
        self.factory = self._arrivals.factory
        self._closing: dict[Link, Deferred[None]] = {}
        self._last_pings = 0.0
        self._pings = LoopingCall(self._ping)
        self._pings.clock = cast(IReactorTime, parts.clock)

    def start(self) -> None:
        """Begin to ping."""
        self._last_pings = self._parts.clock.seconds()
        self._pings.start(self._parts.settings.ping_interval, now=False)

    def stop(self) -> Deferred[None]:
        """Close all links; fires when they are."""
        if self._pings.running:
            self._pings.stop()
        links = list(self._closing)
        closed = DeferredList(list(self._closing.values()))
        late = self._parts.clock.callLater(CLOSING_SECONDS, _abort_all, links)
        for link in links:
            link.close()

        def over(_: object) -> None:
            self._arrivals.stop()
            if late.active():
                late.cancel()

        return closed.addCallback(over)

    def _made(self, link: Link) -> None:
        self._closing[link] = Deferred()

    def _up(self, link: Link) -> None:
        self._parts.counters.links_up += 1
        self._told_up(link)

    def _lost(self, link: Link, reason: Failure) -> None:
        if link.peer:
            self._parts.counters.links_lost += 1
            silence = self._parts.clock.seconds() - link.last_heard
            self._told_down(link, silence > self._parts.settings.ping_timeout)
        self._closing.pop(link).callback(None)

    def _ping(self) -> None:
        if self._parts.tls is not None:
            self._parts.tls.look()
        now = self._parts.clock.seconds()
        held_up = now - self._last_pings > 2 * self._parts.settings.ping_interval
        self._last_pings = now
        if held_up:
            self._held_up()
        for link in list(self._closing):
            if not link.up:
                continue
            if held_up:
                link.last_heard = now
            link.ping()


def _abort_all(links: Iterable[Link]) -> None:
    for link in links:
        link.abort()
