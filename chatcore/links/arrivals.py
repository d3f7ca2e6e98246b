"""Where links come in: who has not proven itself yet, and what is told of those who can't."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.config.addresses import is_loopback
from chatcore.config.peers import address_of, neighbourhood, shown
from chatcore.deadlines import Deadlines
from chatcore.errors import BoxError, EarlyError, IdentityError
from chatcore.interfaces import Address
from chatcore.links import hello
from chatcore.links.greeting import Expected, Greeter
from chatcore.links.link import Link, LinkParts
from chatcore.telemetry import Rationed, Troubles

TLS = re.compile(rb"[\x15\x16]\x03")
"""How TLS begins: a handshake, or what it answers to something else (RFC 8446, section 5.1)."""

MOST_LINES = 5
"""Lines a second that are logged of links that are rejected."""

PASSING_SECONDS = 10.0
"""For how long those are no trouble whom no view lists yet: views come to one before another."""

QUIET_SECONDS = 60.0
"""For how long it is not repeated why somebody was rejected who tries again and again."""

MOST_REMEMBERED = 1000
"""Reasons that are remembered for that."""

MOST_REJECTED = 50
"""Links a second that may be rejected of one address; more are closed before they cost anything."""


class Arrivals(Factory):
    """Takes links in and leads them through the hello.

    Who holds connections open without proving anything keeps nobody else out: when there are too
    many, the address that has the most of them loses its oldest. Nor does it help to open more and
    more of them: an address of which too many were rejected is not listened to for a while, unless
    it is this machine's own.

    Args:
        greeter: says hello.
        expected: whether that life of a node may come in.
        parts: what the links share.
        made: told of each connection.
        lost: told when it is gone, proven or not.
        strange: what more to say of bytes with which no link begins; whether they are TLS, unless
            given.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        *,
        greeter: Greeter,
        expected: Expected,
        parts: LinkParts,
        made: Callable[[Link], None],
        lost: Callable[[Link, Failure], None],
        strange: Callable[[bytes], str] | None = None,
    ) -> None:
        self._greeter, self._expected, self._parts = greeter, expected, parts
        self._made, self._lost, self._strange = made, lost, strange or _speaks_tls
        self._due = Deadlines(hello.UNPROVEN_SECONDS, parts.clock, self._too_late)
        self._unproven: dict[Link, Address] = {}
        self._crowds: dict[str | int, int] = {}
        self._second, self._rejected_there = 0.0, Counter[str | int]()
        self._rejected: set[Link] = set()
        self._lines = Rationed(MOST_LINES, later=parts.clock.callLater, left_out=self._left_out)
        self._troubles = Troubles(
            passing=PASSING_SECONDS, quiet=QUIET_SECONDS, most=MOST_REMEMBERED
        )
        self._stopped = False

    @property
    def factory(self) -> IProtocolFactory:
        """What takes connections in, behind TLS where links are encrypted."""
        tls = self._parts.tls
        return self if tls is None else tls.listening(self)

    def stop(self) -> None:
        """Take nobody in any more, and forget all timers; links stay as they are."""
        self._stopped = True
        self._due.clear()
        self._lines.stop()

    def buildProtocol(self, addr: Any) -> Link | None:
        address = address_of(addr)
        if self._stopped or self._floods(address[0]):
            return None
        if len(self._unproven) >= hello.UNPROVEN_LINKS:
            self._make_room()

        def made(link: Link) -> None:
            self._enter(link, address)
            self._made(link)

        def lost(link: Link, reason: Failure) -> None:
            self._left(link, address[0], reason)
            self._lost(link, reason)

        return Link(
            parts=self._parts,
            limit=hello.UNPROVEN_BYTES,
            greet=self._greeter.listen(self._expected, rejected=self._refuse, proven=self._forget),
            made=made,
            lost=lost,
            broken=self._broken,
        )

    # Who is unproven.

    def _enter(self, link: Link, address: Address) -> None:
        where = neighbourhood(address[0])
        self._unproven[link] = address
        self._crowds[where] = self._crowds.get(where, 0) + 1
        self._due.start(link)

    def _forget(self, link: Link) -> None:
        """It is proven, or of no interest any more."""
        address = self._unproven.pop(link, None)
        if address is None:
            return
        where = neighbourhood(address[0])
        self._crowds[where] -= 1
        if not self._crowds[where]:
            del self._crowds[where]
        self._due.stop(link)

    def _left(self, link: Link, host: str, reason: Failure) -> None:
        if not link.peer:
            self._parts.counters.links_rejected += 1
            self._rejected_there[neighbourhood(host)] += 1
            if isinstance(reason.value, IdentityError):
                self._refuse(link, reason.value)
        self._rejected.discard(link)
        self._forget(link)

    def _floods(self, host: str) -> bool:
        """Whether so many of that address were rejected in this second that no more are heard."""
        now = self._parts.clock.seconds()
        if now - self._second >= 1:
            self._second = now
            self._rejected_there.clear()
        where = neighbourhood(host)
        if self._rejected_there[where] < MOST_REJECTED or not host or is_loopback(host):
            return False
        self._parts.counters.links_rejected += 1
        self._parts.counters.links_flooding += 1
        self._tell((host, 0), f"{MOST_REJECTED} of its address were, in this second")
        return True

    def _make_room(self) -> None:
        most = max(self._crowds.values())
        link = next(
            link
            for link, address in self._unproven.items()
            if self._crowds[neighbourhood(address[0])] == most
        )
        self._parts.counters.links_crowded += 1
        self._reject(link, f"{hello.UNPROVEN_LINKS} are unproven, and most of them from there")
        self._forget(link)
        link.abort()

    def _too_late(self, link: Link) -> None:
        self._reject(link, f"it did not prove itself within {hello.UNPROVEN_SECONDS:g} s")
        self._forget(link)
        link.abort()

    # What is told.

    def _refuse(self, link: Link, problem: Exception) -> None:
        if isinstance(problem, IdentityError):
            self._parts.counters.links_uncertified += 1
        address, why, now = self._unproven.get(link), str(problem), self._parts.clock.seconds()
        may_pass = isinstance(problem, EarlyError)
        level = self._troubles.level((address and address[0], why), now, may_pass=may_pass)
        if level == "warn":
            self._reject(link, why)
        elif level:
            self.log.info("A link is not taken in yet: {why}", why=why)

    def _broken(self, link: Link, problem: BoxError, data: bytes) -> None:
        self._reject(link, f"{problem}{self._strange(data)}")

    def _reject(self, link: Link, why: str) -> None:
        """Say why a link is closed: once, and not too often in all."""
        if link in self._rejected or self._stopped:
            return
        self._rejected.add(link)
        self._tell(self._unproven.get(link, ("", 0)), why)

    def _tell(self, address: Address, why: str) -> None:
        if self._lines.admit():
            where = f" from {shown(address)}" if address[0] else ""
            self.log.warn("A link{where} was rejected: {why}", where=where, why=why)

    def _left_out(self, number: int) -> None:
        self.log.warn("{n} more links were rejected", n=number)


def _speaks_tls(data: bytes) -> str:
    return ". It speaks TLS, and this side was started without --tls" if TLS.match(data) else ""
