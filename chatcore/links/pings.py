"""Whether links are still alive: all of a process are pinged now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from chatcore.deadlines import OVERSLEPT
from chatcore.links.link import Link, LinkParts


class Pings:
    """Pings the links of a process, each of which gives itself up when it has long been silent.

    A process that did nothing for a while, because it was stopped or blocked, or its machine was,
    has yet to read what the others have said meanwhile. So their silence begins anew then.

    Args:
        parts: what the links share.
        links: those that are up now.
        held_up: told when this process did nothing for a while, before the links are looked at.
    """

    def __init__(
        self,
        parts: LinkParts,
        links: Callable[[], Iterable[Link]],
        held_up: Callable[[], None] = lambda: None,
    ) -> None:
        self._parts, self._links, self._held_up = parts, links, held_up
        self._interval = parts.settings.ping_interval
        self._last = 0.0
        self._loop = LoopingCall(self._ping)
        self._loop.clock = cast(IReactorTime, parts.clock)

    def start(self) -> None:
        """Begin; the first ping is an interval away."""
        self._last = self._parts.clock.seconds()
        self._loop.start(self._interval, now=False)

    def stop(self) -> None:
        """Ping no more."""
        if self._loop.running:
            self._loop.stop()

    def _ping(self) -> None:
        if self._parts.tls is not None:
            self._parts.tls.look()
        now = self._parts.clock.seconds()
        late, self._last = now - self._last - self._interval, now
        held_up = late > min(self._interval, OVERSLEPT)
        if held_up:
            self._held_up()
        for link in list(self._links()):
            if held_up:
                link.last_heard = now
            link.ping()
