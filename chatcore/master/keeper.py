"""Keeping one process running."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from chatcore.master.console import STDERR, STDOUT, Console, Lines
from chatcore.supervised import LIFELINE_FD, READY_FD, READY_LINE

CHILD_FDS: Final = {LIFELINE_FD: "w", STDOUT: "r", STDERR: "r", READY_FD: "r"}
CONFIG_EXIT: Final = 2
"""The exit code of a process that can't run as it is configured."""

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 30.0
STEADY: Final = 30.0
"""Seconds after which a process that ends is taken to have run well."""

DRAIN: Final = 0.5
"""Seconds for reading what a process that has ended wrote, while another holds its pipes open."""

_MOST_HELD: Final = 500

# A terminal sends SIGINT to everything in its foreground, and the child must not see one even
# before it can ignore it: what a shell ignores stays ignored across its exec.
_IGNORING: Final = ("/bin/sh", "-c", 'trap "" INT HUP; exec "$@"', "sh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process that is to run.

    Args:
        name: its name, as people see it: a server id.
        command: what is executed, with its arguments.
        stage: its turn when everything is stopped, from 0.
    """

    name: str
    command: tuple[str, ...]
    stage: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended: with an exit code, or by a signal."""

    code: int | None
    signal: int | None

    @classmethod
    def of(cls, reason: Failure) -> Ending:
        """Read what the reactor says about it."""
        if isinstance(reason.value, ProcessTerminated):
            return cls(reason.value.exitCode, reason.value.signal)
        return cls(0, None)

    def __str__(self) -> str:
        if self.signal is None:
            return f"ended with exit code {self.code}"
        try:
            return f"was ended by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"was ended by signal {self.signal}"


class Keeper:
    """Keeps one program running: relays what it writes, and starts it again when it ends.

    What a process writes to its standard error before it is ready is held back until it is, or
    has ended: of several nodes that refuse to start for one reason, one tells it.

    Args:
        program: what to run.
        reactor: what spawns processes and knows the time.
        console: where its lines go.
        on_ready: called each time a process of it is ready.
        on_refused: called when it ended with exit code 2, with what of its standard error was held
            back; it is not started again. Not for one that has been ready: what it needs may be
            away for a moment, as a database is, and the others serve meanwhile.
        tidy: called with its name after each end, to remove what it left behind.
    """

    def __init__(
        self,
        program: Program,
        *,
        reactor: Any,
        console: Console,
        on_ready: Callable[[Keeper], object],
        on_refused: Callable[[Keeper, list[bytes]], object],
        tidy: Callable[[str], object],
    ) -> None:
        self.program = program
        self.ready = False
        self._has_been_ready = False
        self._reactor, self._console = reactor, console
        self._on_ready, self._on_refused, self._tidy = on_ready, on_refused, tidy
        self._transport: IProcessTransport | None = None
        self._again: IDelayedCall | None = None
        self._held: list[bytes] | None = None
        self._delay = FIRST_DELAY
        self._started_at = 0.0
        self._keeping = self._asked = False
        self._waiters: list[Deferred[None]] = []

    @property
    def name(self) -> str:
        """The name of what is kept running."""
        return self.program.name

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self._transport is not None

    def start(self) -> None:
        """Start the program, and keep it running until :meth:`retire`."""
        self._keeping = True
        self._spawn()

    def retire(self) -> None:
        """Don't start it again. A process that runs goes on running."""
        self._keeping = False
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._again = None

    def stop(self) -> None:
        """Ask the process to end, once, if there is one."""
        if not self._asked:
            self._asked = True
            self._signal("TERM")

    def kill(self) -> None:
        """End the process, if there is one."""
        self._signal("KILL")

    def gone(self) -> Deferred[None]:
        """Return what fires when there is no process, at once if there is none."""
        waiter: Deferred[None] = Deferred()
        if self._transport is None:
            waiter.callback(None)
        else:
            self._waiters.append(waiter)
        return waiter

    def abandon(self) -> None:
        """Take a process that not even SIGKILL ends for gone."""
        self._transport = None
        self._fire_waiters()

    def release_held(self) -> None:
        """Show what was held back of the standard error, and hold nothing back from now on."""
        held, self._held = self._held, None
        for line in held or ():
            self._console.relay(self.name, STDERR, line)

    def _spawn(self) -> None:
        self._again = None
        self._held = []
        self._started_at = self._reactor.seconds()
        command = [*_IGNORING, *self.program.command]
        try:
            self._transport = self._reactor.spawnProcess(
                _Output(self, self._reactor),
                command[0],
                command,
                dict(os.environ),
                childFDs=CHILD_FDS,
            )
        except OSError as error:
            self._come_back(f"could not be started: {error}")

    def _signal(self, name: str) -> None:
        if self._transport is not None:
            with suppress(ProcessExitedAlready):  # the reactor is about to tell
                self._transport.signalProcess(name)

    def _line(self, fd: int, line: bytes) -> None:
        if fd == STDERR and self._held is not None:
            self._held.append(line)
            if len(self._held) >= _MOST_HELD:
                self.release_held()
        else:
            self._console.relay(self.name, fd, line)

    def _became_ready(self) -> None:
        if not self.ready:
            self.ready = self._has_been_ready = True
            self.release_held()
            self._on_ready(self)

    def _ended(self, ending: Ending) -> None:
        if self._transport is None:
            return  # abandoned
        was_ready, self.ready, self._transport = self.ready, False, None
        self._tidy(self.name)
        if ending.code == CONFIG_EXIT and not self._has_been_ready:
            self._keeping = False
            held, self._held = self._held or [], None
            self._on_refused(self, held)
        else:
            self.release_held()
            if self._keeping:
                self._come_back(f"{ending}{'' if was_ready else ' before it was ready'}")
        self._fire_waiters()

    def _come_back(self, why: str) -> None:
        if self._reactor.seconds() - self._started_at >= STEADY:
            self._delay = FIRST_DELAY
        delay, self._delay = self._delay, min(self._delay * 2, LONGEST_DELAY)
        self._console.warn(f"{self.name} {why}; starting it again in {delay:.0f} s")
        self._again = self._reactor.callLater(delay, self._spawn)

    def _fire_waiters(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)


class _Output(ProcessProtocol):
    """One process of a keeper: its output, cut into lines, and its end."""

    transport: Any

    def __init__(self, keeper: Keeper, clock: Any) -> None:
        self._keeper, self._clock = keeper, clock
        self._lines = {fd: Lines(partial(keeper._line, fd)) for fd in (STDOUT, STDERR)}
        self._word = b""
        self._drain: IDelayedCall | None = None

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD != READY_FD:
            self._lines[childFD].feed(data)
        elif len(self._word) < len(READY_LINE):
            self._word += data
            if self._word.startswith(READY_LINE):
                self._keeper._became_ready()

    def processExited(self, reason: Failure) -> None:
        # A process that it started may hold the pipes for ever, and the end must not wait for it.
        self._drain = self._clock.callLater(DRAIN, self.transport.loseConnection)

    def processEnded(self, reason: Failure) -> None:
        if self._drain is not None and self._drain.active():
            self._drain.cancel()
        for lines in self._lines.values():
            lines.end()
        self._keeper._ended(Ending.of(reason))
