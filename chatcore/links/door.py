"""Where links are taken in by a process that is no node: the master."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred, DeferredList
from twisted.python.failure import Failure

from chatcore.links.arrivals import Arrivals
from chatcore.links.greeting import Expected, Greeter
from chatcore.links.link import Link, LinkParts
from chatcore.links.pings import Pings

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
        self._told_up, self._told_down = up, down
        greeter = Greeter(
            id=id, incarnation=incarnation, secret=secret, remotes={}, up=self._up, tls=parts.tls
        )
        self._arrivals = Arrivals(
            greeter=greeter, expected=expects, parts=parts, made=self._made, lost=self._lost
        )
        self.factory = self._arrivals.factory
        self._closing: dict[Link, Deferred[None]] = {}
        self._pings = Pings(parts, lambda: [link for link in self._closing if link.up], held_up)

    def start(self) -> None:
        """Begin to ping."""
        self._pings.start()

    def stop(self) -> Deferred[None]:
        """Close all links; fires when they are."""
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
            self._told_down(link, link.silent)
        self._closing.pop(link).callback(None)


def _abort_all(links: Iterable[Link]) -> None:
    for link in links:
        link.abort()
