"""A link that is kept up to one process: dialled, greeted, pinged, and dialled again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from chatcore.links import hello
from chatcore.links.greeting import Greeter
from chatcore.links.link import Link, LinkParts
from chatcore.links.pings import Pings

FIRST_RETRY, LONGEST_RETRY = 0.1, 1.0
"""Seconds between attempts to dial; they double, with jitter."""


class KeptLink(Factory):
    """Keeps one link to one process of the cluster, from `start` to `stop`.

    Args:
        id: this process's id.
        incarnation: which life of it this is.
        peer: the id of the other.
        endpoint: how it is dialled.
        secret: the cluster's.
        parts: what its links share.
        up: told of each link that is proven.
        down: told each time why there is none: after each link, and each attempt to make one; and
            for how many seconds nothing had come by that link.
    """

    noisy = False

    def __init__(
        self,
        *,
        id: str,
        incarnation: str,
        peer: str,
        endpoint: IStreamClientEndpoint,
        secret: bytes,
        parts: LinkParts,
        up: Callable[[Link], None],
        down: Callable[[str, float], None],
    ) -> None:
        tls = parts.tls
        self._endpoint = endpoint if tls is None else tls.dialling(endpoint, peer)
        self._peer, self._parts = peer, parts
        self._told_up, self._told_down = up, down
        self._greeter = Greeter(
            id=id, incarnation=incarnation, secret=secret, remotes={}, up=self._up, tls=tls
        )
        self._delay = FIRST_RETRY
        self._attempt: Deferred[Any] | None = None
        self._retry: Any = None
        self._link: Link | None = None
        self._up_since: float | None = None
        self._why: str | None = None
        self._stopping: Deferred[None] | None = None
        self._pings = Pings(parts, lambda: [] if self.link is None else [self.link])

    @property
    def link(self) -> Link | None:
        """The link, while it is up."""
        return self._link if self._link is not None and self._link.up else None

    def begin_anew(self, incarnation: str) -> None:
        """Say another incarnation from the next hello on."""
        self._greeter.incarnation = incarnation

    def start(self) -> None:
        """Begin to dial, in the next turn."""
        self._pings.start()
        self._retry = self._parts.clock.callLater(0, self._dial)

    def stop(self, seconds: float) -> Deferred[None]:
        """Say what is still to be said, and close. Nobody is told anything any more.

        Args:
            seconds: after which the link is cut.
        """
        if self._stopping is not None:
            return self._stopping
        self._pings.stop()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        stopping = self._stopping = Deferred()
        if self._attempt is not None:
            self._attempt.cancel()
        link = self._link
        if link is None:
            self._stopping = succeed(None)
            return self._stopping
        late = self._parts.clock.callLater(seconds, link.abort)
        stopping.addCallback(lambda _: late.cancel() if late.active() else None)
        link.close()
        return stopping

    def buildProtocol(self, addr: object) -> Link:
        return Link(
            parts=self._parts,
            limit=hello.UNPROVEN_BYTES,
            greet=lambda link, box, ask: link.abort(),  # before it is proven it may ask nothing
            made=self._made,
            lost=self._lost,
            broken=lambda link, problem, data: self._failed(str(problem)),
        )

    def _dial(self) -> None:
        self._retry = None
        attempt: Deferred[Any] = self._endpoint.connect(self)
        self._attempt = attempt
        attempt.addCallbacks(self._connected, self._refused)

    def _connected(self, link: object) -> None:
        self._attempt = None

    def _refused(self, reason: Failure) -> None:
        self._attempt = None
        self._again(_words(reason))

    def _made(self, link: Link) -> None:
        self._link, self._up_since, self._why = link, None, None
        self._greeter.dial(link, self._peer, "", self._failed)

    def _failed(self, why: str) -> None:
        self._why = self._why or why  # what follows from the first reason is none of its own

    def _up(self, link: Link) -> None:
        self._up_since = self._parts.clock.seconds()
        self._told_up(link)

    def _lost(self, link: Link, reason: Failure) -> None:
        self._link = None
        if self._stopping is not None:
            self._stopping.callback(None)
            return
        now = self._parts.clock.seconds()
        if self._up_since is not None and now - self._up_since > LONGEST_RETRY:
            self._delay = FIRST_RETRY
        why = "it does not answer any more" if link.silent else self._why or _words(reason)
        self._again(why, now - link.last_heard)

    def _again(self, why: str, silent: float = 0.0) -> None:
        if self._stopping is not None:
            return
        delay = self._delay * random.uniform(0.5, 1.5)
        self._delay = min(self._delay * 2, LONGEST_RETRY)
        self._retry = self._parts.clock.callLater(delay, self._dial)
        self._told_down(why, silent)


def _words(reason: Failure) -> str:
    return reason.getErrorMessage().rstrip(".")
