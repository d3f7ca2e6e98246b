"""A client of Redis and Valkey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.defer import Deferred, DeferredList, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.deadlines import Deadlines, IClock
from chatcore.errors import StoreAway, StoreError, StoreLost, StoreRefused
from chatcore.store.connection import Connection, Way
from chatcore.store.protocol import Reply
from chatcore.store.script import Script
from chatcore.telemetry import Counters, Seen

COMMANDS_UNDER_WAY: Final = 10_000
"""Commands that may wait for a connection or an answer."""

_REASONS_LOGGED = 8


class _Command:
    def __init__(self, parts: tuple[bytes, ...], cancelled: Callable[[_Command], None]) -> None:
        self.parts = parts
        self.sent = False
        self.result: Deferred[Reply] = Deferred(lambda _: cancelled(self))


class Redis:
    """Commands, scripts and published messages of one server, which may be away at any time.

    A command waits for a connection and for its answer, both within one deadline, and then fails.
    What was sent is not sent again: whoever asked knows what may run twice.

    Args:
        way: to the server.
        seconds: how long a command may take in all.
        longest_retry: seconds between two attempts to connect, at most.
        counters: what counts.
        clock: the reactor.

    Attributes:
        connections: how often it has connected: between two connections, the server may have lost
            something.
    """

    log = Logger()

    def __init__(
        self,
        way: Way,
        *,
        seconds: float,
        longest_retry: float,
        counters: Counters,
        clock: IClock,
    ) -> None:
        self.place, self.connections = way()[0], 0
        self._counters = counters
        self._how: dict[str, Any] = {
            "way": way,
            "seconds": seconds,
            "longest_retry": longest_retry,
            "clock": clock,
        }
        self._main = Connection(**self._how, up=self._is_up, away=self._is_away)
        self._listening: list[Connection] = []
        self._waiting: dict[_Command, None] = {}
        self._deadlines = Deadlines(seconds, clock, self._too_late)
        self._reasons, self._unheard = Seen(_REASONS_LOGGED), Seen(_REASONS_LOGGED)
        self._was_away = self._closed = False

    def start(self) -> None:
        """Begin to connect."""
        for connection in (self._main, *self._listening):
            connection.start()

    def close(self) -> Deferred[None]:
        """End all connections; what is under way fails."""
        self._closed = True
        closing = DeferredList([each.close() for each in (self._main, *self._listening)])
        for command in self._deadlines.clear():
            self._end(command, StoreAway("it was closed"))
        return closing.addCallback(lambda _: None)

    def subscribe(
        self, channel: bytes, *, heard: Callable[[bytes], None], begun: Callable[[], None]
    ) -> None:
        """Listen to a channel, on a connection of its own. To be called before `start`.

        Args:
            channel: its name.
            heard: called with each message.
            begun: called whenever listening begins, at first and after each gap: what was
                published until then was not heard.
        """
        self._listening.append(
            Connection(
                **self._how,
                greeting=((b"SUBSCRIBE", channel),),
                up=begun,
                away=self._is_not_heard,
                heard=heard,
            )
        )

    def command(self, *parts: bytes) -> Deferred[Reply]:
        """Have a command done; its answer comes back.

        It may fail with `StoreAway`, which is certain not to have done anything; with `StoreLost`,
        where nobody knows; with `StoreRefused` when the server answers with an error.
        """
        if self._closed:
            return fail(StoreAway("it was closed"))
        if len(self._deadlines) >= COMMANDS_UNDER_WAY:
            self._counters.store_failed += 1
            return fail(StoreAway(f"{COMMANDS_UNDER_WAY} commands are under way"))
        command = _Command(parts, self._forget)
        self._deadlines.start(command)
        if self._main.is_up:
            self._send(command)
        else:
            self._waiting[command] = None
        return command.result

    async def run(
        self, script: Script, keys: Sequence[bytes], arguments: Sequence[bytes] = ()
    ) -> Reply:
        """Run a script, and send it only if the server does not know it yet.

        Raises:
            StoreError: as from `command`.
        """
        rest = (b"%d" % len(keys), *keys, *arguments)
        try:
            return await self.command(b"EVALSHA", script.sha, *rest)
        except StoreRefused as problem:
            if not _is_unknown_script(problem):
                raise
        return await self.command(b"EVAL", script.text, *rest)

    # What becomes of a command.

    def _send(self, command: _Command) -> None:
        command.sent = True
        self._main.command(*command.parts).addCallbacks(
            self._answered, self._failed, (command,), errbackArgs=(command,)
        )

    def _answered(self, reply: Reply, command: _Command) -> None:
        if self._was_away:
            self.log.info("{place} answers again", place=self.place)
            self._was_away, self._reasons = False, Seen(_REASONS_LOGGED)
        self._forget(command)
        if not command.result.called:
            command.result.callback(reply)

    def _failed(self, failure: Failure, command: _Command) -> None:
        problem = failure.value
        if not isinstance(problem, StoreError):
            problem = StoreLost(repr(problem))
        if isinstance(problem, StoreRefused) and "READONLY" in str(problem):
            self._main.give_up(str(problem))  # its name may mean another server by now
        self._end(command, problem)

    def _too_late(self, command: _Command) -> None:
        if command.sent:
            why = f"no answer within {self._deadlines.seconds:g} s"
            self._end(command, StoreLost(why))
            self._main.give_up(why)  # who does not answer this one, answers none behind it
        else:
            self._end(command, StoreAway(self._main.problem))

    def _end(self, command: _Command, problem: StoreError) -> None:
        self._forget(command)
        if not _is_unknown_script(problem):
            self._counters.store_failed += 1
        if not command.result.called:
            command.result.errback(problem)

    def _forget(self, command: _Command) -> None:
        self._deadlines.stop(command)
        self._waiting.pop(command, None)

    # What becomes of the connection.

    def _is_up(self) -> None:
        self.connections += 1
        waiting, self._waiting = self._waiting, {}
        for command in waiting:
            self._send(command)

    def _is_away(self, why: str) -> None:
        self._was_away = True
        if self._reasons.first(why):
            self.log.warn("{place} is away: {why}", place=self.place, why=why)

    def _is_not_heard(self, why: str) -> None:
        if self._main.is_up and self._unheard.first(why):
            self.log.warn(
                "What is published at {place} is not heard: {why}", place=self.place, why=why
            )


def _is_unknown_script(problem: StoreError) -> bool:
    return isinstance(problem, StoreRefused) and str(problem).startswith("NOSCRIPT")
