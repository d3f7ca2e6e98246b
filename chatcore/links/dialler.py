"""Dialling another node, again and again, for as long as a link to it is wanted."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.deadlines import IClock
from chatcore.errors import ConfigError
from chatcore.links.arrivals import PASSING_SECONDS
from chatcore.links.greeting import STARTED_ANEW, not_expected
from chatcore.links.link import Link
from chatcore.links.tls import LinkTls
from chatcore.telemetry import Troubles

FIRST_RETRY, LONGEST_RETRY = 0.1, 3.0
"""Seconds between attempts to dial; they double, with jitter."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node of the view.

    Args:
        endpoint: how to reach it.
        incarnation: which life of it is meant; empty for any.
    """

    endpoint: IStreamClientEndpoint
    incarnation: str = ""


class Dialler(Factory):
    """Keeps dialling one peer.

    Args:
        peer: the id of that node.
        way: how to reach it.
        own: the id of this node.
        link: makes the link for a connection.
        clock: the reactor.
        tls: the certificates of links, where those are encrypted.

    Attributes:
        trouble: why there is no link now, if that is known.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        *,
        peer: str,
        way: Peer,
        own: str,
        link: Callable[[Dialler], Link],
        clock: IClock,
        tls: LinkTls | None,
    ) -> None:
        self.peer, self.incarnation = peer, way.incarnation
        self._own, self._new_link, self._clock = own, link, clock
        self._endpoint = way.endpoint if tls is None else tls.dialling(way.endpoint, peer)
        self._delay = FIRST_RETRY
        self._attempt: Deferred[Any] | None = None
        self._retry: Any = None
        self._stopped = True
        self._problem: str | None = None
        self.trouble: str | None = None
        self._told = False
        self._troubles = Troubles(passing=PASSING_SECONDS, quiet=0.0, most=len(self._may_pass) + 1)

    @property
    def _may_pass(self) -> tuple[str, ...]:
        """How what is said ends that passes when both sides know the same view."""
        return STARTED_ANEW, not_expected(self._own, self.peer)

    def buildProtocol(self, addr: object) -> Link:
        return self._new_link(self)

    def start(self) -> None:
        """Begin to dial, if that has not begun yet."""
        if self._stopped:
            self._stopped = False
            self._dial()

    def stop(self) -> None:
        self._stopped = True
        if self._attempt is not None:
            self._attempt.cancel()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def failed(self, why: str) -> None:
        """The hello did not hold; say so once for each reason.

        What follows from the first reason of an attempt is none of its own.
        """
        if not self._told:
            self.trouble = why
        if not self._told and why != self._problem:
            now, may_pass = self._clock.seconds(), why.endswith(self._may_pass)
            level = self._troubles.level(why, now, may_pass=may_pass)
            if level == "warn":
                self._problem = why
                self.log.warn("{peer} can't be linked to: {why}", peer=self.peer, why=why)
            elif level:
                self.log.info("{peer} can't be linked to yet: {why}", peer=self.peer, why=why)
        self._told = True

    def lost(self, was_up: bool) -> None:
        """The connection is gone."""
        if was_up:
            self._delay, self._problem, self.trouble = FIRST_RETRY, None, None
        self._again()

    def _dial(self) -> None:
        self._retry, self._told = None, False
        attempt: Deferred[Any] = self._endpoint.connect(self)
        self._attempt = attempt
        attempt.addCallbacks(self._connected, self._unreached)

    def _connected(self, link: Any) -> None:
        self._attempt = None

    def _unreached(self, reason: Failure) -> None:
        if reason.check(ConfigError):  # the way itself is wrong; others come up with the peer
            self.failed(str(reason.value))
        elif not reason.check(CancelledError):
            self.trouble = in_words(reason)
        self._again()

    def _again(self) -> None:
        self._attempt = None
        if self._stopped:
            return
        delay = self._delay * random.uniform(0.5, 1.5)
        self._delay = min(self._delay * 2, LONGEST_RETRY)
        self._retry = self._clock.callLater(delay, self._dial)


def in_words(reason: Failure) -> str:
    """Why nobody was reached, in few words."""
    number = getattr(reason.value, "osError", None)
    return os.strerror(number) if isinstance(number, int) else reason.getErrorMessage()
