"""A connection to a Redis server that is made anew whenever it is lost."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.deadlines import Deadlines, IClock
from chatcore.errors import StoreAway, StoreError, StoreRefused
from chatcore.store.place import RedisPlace
from chatcore.store.protocol import NO_REDIS, RedisProtocol, Reply
from chatcore.telemetry import Seen
from chatcore.tls import words

FIRST_RETRY: Final = 0.05
"""Seconds before the first of several attempts in a row; they double, with jitter."""

PING_SECONDS: Final = 5.0
"""Seconds between questions whether a connection is still there."""

Way: TypeAlias = Callable[[], tuple[RedisPlace, IStreamClientEndpoint]]
"""Where the server is and as whom to use it, and how it is dialled; asked before each attempt."""


class Connection(Factory):
    """Dials for ever, whatever the server answers; is up once that took all of the greeting.

    Args:
        way: to the server.
        seconds: how long it may take to come up, and to answer a ping.
        longest_retry: seconds between two attempts, at most.
        clock: the reactor.
        greeting: what each connection begins with, behind the login.
        up: called when it is up.
        away: told why, whenever it is lost or does not come up.
        heard: called with each message published on a channel that the greeting subscribes to.

    Attributes:
        problem: why it is not up, in words.
    """

    noisy = False
    log = Logger()

    def __init__(
        self,
        *,
        way: Way,
        seconds: float,
        longest_retry: float,
        clock: IClock,
        greeting: tuple[tuple[bytes, ...], ...] = (),
        up: Callable[[], None],
        away: Callable[[str], None] = lambda why: None,
        heard: Callable[[bytes], None] | None = None,
    ) -> None:
        self.problem = "no answer yet"
        self._way, self._greeting = way, greeting
        self._up, self._away, self._heard = up, away, heard
        self._clock, self._longest = clock, longest_retry
        self._is_up, self._up_since = False, 0.0
        self._attempts = 0
        self._mistakes = Seen(8)
        self._attempt: Deferred[Any] | None = None
        self._protocol: RedisProtocol | None = None
        self._timer: Any = None
        self._ending = ""
        self._closed: Deferred[None] | None = None
        self._answers = Deadlines(
            seconds, clock, lambda key: self.give_up(f"no answer within {seconds:g} s")
        )

    @property
    def is_up(self) -> bool:
        """Whether commands can be sent."""
        return self._is_up

    def start(self) -> None:
        """Begin to dial."""
        self._dial()

    def close(self) -> Deferred[None]:
        """End it for good; fires when nothing of it is left."""
        if self._closed is not None:
            return self._closed
        self._closed = Deferred()
        self._forget_timers()
        if self._attempt is not None:
            self._attempt.cancel()
        if self._protocol is None:
            self._closed.callback(None)
        else:
            self._protocol.abort()
        return self._closed

    def command(self, *parts: bytes) -> Deferred[Reply]:
        """Send a command; its answer comes back.

        It may fail with `StoreRefused`; with `StoreLost` when the connection ends before; with
        `StoreAway` when there is none.
        """
        if not self._is_up or self._protocol is None:
            return fail(StoreAway(self.problem))
        return self._protocol.command(*parts)

    def give_up(self, why: str) -> None:
        """End what there is of a connection, and make another one."""
        self._ending = self._ending or why
        if self._protocol is not None:
            self._is_up = False
            self._protocol.abort()
        elif self._attempt is not None:
            self._attempt.cancel()

    # Making it.

    def buildProtocol(self, addr: object) -> RedisProtocol:
        return RedisProtocol(made=self._made, lost=self._lost, heard=self._heard, clock=self._clock)

    def _dial(self) -> None:
        self._timer = None
        self._ending = ""
        self._answers.start(self)
        self._attempt = attempt = maybeDeferred(self._connect)
        attempt.addCallbacks(self._dialled, self._not_dialled)

    def _connect(self) -> Deferred[Any]:
        self._place, endpoint = self._way()
        return endpoint.connect(self)

    def _dialled(self, protocol: object) -> None:
        self._attempt = None

    def _not_dialled(self, failure: Failure) -> None:
        self._attempt = None
        if self._closed is None:
            self._again(failure)

    def _made(self, protocol: RedisProtocol) -> None:
        self._protocol = protocol
        Deferred.fromCoroutine(self._greet(protocol)).addErrback(self._not_greeted)

    async def _greet(self, protocol: RedisProtocol) -> None:
        if self._place.password:
            await self._log_in(protocol)
        if self._place.database:
            await protocol.command(b"SELECT", b"%d" % self._place.database)
        # Refused for as long as the server reads its data.
        if await protocol.command(b"PING") != b"PONG":
            raise StoreRefused(NO_REDIS)
        for command in self._greeting:
            await protocol.command(*command)
        self._answers.stop(self)
        self._is_up, self._up_since = True, self._clock.seconds()
        self._timer = self._clock.callLater(PING_SECONDS, self._ping)
        self._up()

    async def _log_in(self, protocol: RedisProtocol) -> None:
        user, password = self._place.user, self._place.password
        said = [part.encode("utf-8", "surrogateescape") for part in (user, password) if part]
        try:
            await protocol.command(b"AUTH", *said)
        except StoreRefused as problem:
            # Who does not know the command quotes what came with it.
            why = re.split("['`\"]", str(problem), maxsplit=1)[0].replace(password, "***")
            raise StoreRefused(f"the login was refused: {why}") from None

    def _not_greeted(self, failure: Failure) -> None:
        if failure.check(StoreRefused):
            self.give_up(str(failure.value))
        elif not failure.check(StoreError):
            why = type(failure.value).__name__  # what it says may quote anything
            if self._mistakes.first(why):
                self.log.failure(
                    "A connection to {place} can't be used", failure, place=self._place
                )
            self.give_up(f"a mistake of chatcore's: {why}")

    # Keeping it, and losing it.

    def _ping(self) -> None:
        self._timer = self._clock.callLater(PING_SECONDS, self._ping)
        if self in self._answers:
            return
        self._answers.start(self)
        self.command(b"PING").addCallbacks(
            lambda _: self._answers.stop(self), lambda failure: self.give_up(str(failure.value))
        )

    def _lost(self, protocol: RedisProtocol, reason: Failure) -> None:
        self._protocol = None
        self._ending = self._ending or protocol.problem
        if self._is_up and self._clock.seconds() - self._up_since > self._longest:
            self._attempts = 0
        if not self._is_up and reason.check(ConnectionDone, ConnectionLost):
            self._ending = self._ending or self._unanswered()
        self._is_up = False
        if self._closed is None:
            self._again(reason)
        else:
            self._closed.callback(None)

    def _again(self, reason: Failure) -> None:
        self._forget_timers()
        self.problem = self._ending or _in_words(reason)
        delay = min(FIRST_RETRY * 2 ** min(self._attempts, 30), self._longest)
        self._attempts += 1
        self._timer = self._clock.callLater(delay * random.uniform(0.5, 1.0), self._dial)
        self._away(self.problem)

    def _unanswered(self) -> str:
        plain = self._place.trust is None
        hint = "; if it speaks TLS, its URL begins with rediss://" if plain else ""
        return f"it closed the connection without an answer{hint}"

    def _forget_timers(self) -> None:
        self._answers.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _in_words(reason: Failure) -> str:
    if reason.check(ConnectionDone, ConnectionLost):
        return "it closed the connection"
    if reason.check(TimeoutError, CancelledError, ConnectionAborted):
        return "it does not answer"
    if reason.check(DNSLookupError):
        return "its name is not known"
    if reason.check(VerificationError):
        return "its certificate is for another name"
    if isinstance(reason.value, SSL.Error):
        return f"TLS failed: {words(reason.value)}"
    return reason.getErrorMessage().rstrip(".") or repr(reason.value)
