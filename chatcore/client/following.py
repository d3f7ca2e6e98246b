"""Going on where a server sends its clients."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from chatcore.client.errors import ClientFailure, Moved

FIRST_WAIT = 0.2
"""Seconds before the first try, at most: many clients are told the same at once."""

SHORTEST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds before the second try and before the last ones, at most; half of it is left to chance."""

MOST_TRIES = 8
"""After so many, whoever asked for it is told that the connection is gone."""

NAMED_TRIES = 3
"""How many of them go to the server that was named, where another can be found."""

STEADY = 10.0
"""Seconds after which a connection has lasted: the tries are counted anew."""

HostAndPort = tuple[str, int]

Find = Callable[[], Awaitable[HostAndPort] | HostAndPort]
"""Finds the server to connect to, as by asking a gate with another client."""


class Following:
    """Connects anew when a server has moved its client, for as many tries as are worth it.

    Args:
        clock: the reactor, or a test's clock.
        chance: a number from 0 to 1, another one each time.
        connect: connects to that host and port, or to the same as before for None.
        find: finds a server when none is named, or the one that is can't be reached.
        came: told when it is connected again, with what `connect` gave.
        gave_up: told why, when all was in vain.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        clock: IReactorTime,
        chance: Callable[[], float],
        connect: Callable[[HostAndPort | None], Awaitable[Any]],
        find: Find | None,
        came: Callable[[Any], None],
        gave_up: Callable[[Exception], None],
    ) -> None:
        self._clock, self._chance = clock, chance
        self._connect, self._find = connect, find
        self._came, self._gave_up = came, gave_up
        self._tries = 0
        self._since: float | None = None
        self._going: Deferred[None] | None = None
        self._stopped = False

    def go_on(self, why: Moved) -> None:
        """Connect to the server that was named, or to another."""
        if self._since is not None and self._clock.seconds() - self._since >= STEADY:
            self._tries = 0
        self._since = None
        self._going = Deferred.fromCoroutine(self._try(why))
        self._going.addErrback(lambda failure: failure.trap(CancelledError))

    def stop(self) -> None:
        """Go nowhere any more."""
        self._stopped = True
        if self._going is not None:
            self._going.cancel()

    async def _try(self, why: Moved) -> None:
        tries = 0
        while self._tries < MOST_TRIES:
            await deferLater(self._clock, self._wait(named=why.place is not None))
            self._tries += 1
            tries += 1
            try:
                if self._find is not None and (why.place is None or tries > NAMED_TRIES):
                    place: HostAndPort | None = await _found(self._find())
                else:
                    place = why.place
                told = await self._connect(place)
            except Exception as problem:
                if self._stopped:
                    return
                if not isinstance(problem, ClientFailure):
                    self._log.failure("A try to go on at another server")
                continue
            self._since = self._clock.seconds()
            self._came(told)
            return
        self._gave_up(why)

    def _wait(self, *, named: bool) -> float:
        if not self._tries and named:
            return FIRST_WAIT * self._chance()
        longest = min(LONGEST_WAIT, SHORTEST_WAIT * 2.0 ** max(self._tries - 1, 0))
        return longest * (0.5 + 0.5 * self._chance())


async def _found(given: Awaitable[HostAndPort] | HostAndPort) -> HostAndPort:
    host, port = given if isinstance(given, tuple) else await given
    return host, port
