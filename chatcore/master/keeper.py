"""Keeping one process running."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from chatcore.config.servers import Server
from chatcore.master.console import STDERR, STDOUT, Console, Lines
from chatcore.supervised import DRAIN, DRAINED, LIFELINE_FD, LONGEST_WORD, READY, WORDS_FD

CHILD_FDS: Final = {LIFELINE_FD: "w", STDOUT: "r", STDERR: "r", WORDS_FD: "r"}
CONFIG_EXIT: Final = 2
"""The exit code of a process that can't run as it is configured."""

FIRST_DELAY: Final = 1.0
LONGEST_DELAY: Final = 30.0
STEADY: Final = 30.0
"""Seconds after which a process that ends is taken to have run well."""

LAST_LINES: Final = 0.5
"""Seconds for reading what a process that has ended wrote, while another holds its pipes open."""

MOST_TOLD: Final = 500
"""Bytes of its standard error that are told to who waits for a process to start."""

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
        server: the server that it is, if it is one.
        environment: variables that it gets beside those of this process.
    """

    name: str
    command: tuple[str, ...]
    stage: int
    server: Server | None = None
    environment: tuple[tuple[str, str], ...] = ()


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


Condition = Literal["starting", "up", "draining", "stopping", "waiting", "stopped", "refused"]
"""How it is with a program; ``chatcore list`` shows it, and says what each means."""


class Keeper:
    """Keeps one program running: relays what it writes, and starts it again when it ends.

    What a process writes to its standard error before it is ready is held back until it is, or
    has ended: of several nodes that refuse to start for one reason, one tells it.

    Args:
        program: what to run from its next start on.
        reactor: what spawns processes and knows the time.
        console: where its lines go.
        on_ready: called each time a process of it is ready.
        on_refused: called when it ended with exit code 2, with what of its standard error was held
            back; it is not started again. Not for one that has been ready: what it needs may be
            away for a moment, as a database is, and the others serve meanwhile.
        tidy: called with its name after each end, to remove what it left behind.
        vital: whether everything ends when its first process can't run as it is configured.

    Attributes:
        vital: the same, as long as that process is there.
        ready: whether there is a process that serves.
        drained: whether the last process has handed over all that it had.
        was_killed: whether the last process was killed from here.
        refused: whether the last process could not run as it is configured.
        last_ending: how the last process ended, in words.
        last_why: the same, and whether it was before it was ready.
        ended_well: whether it ended in order.
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
        vital: bool = True,
    ) -> None:
        self.program = program
        self.vital = vital
        self.ready = self.drained = self.refused = False
        self.was_killed = False
        self.last_ending = self.last_why = ""
        self.ended_well = False
        self._times_ready = 0
        self._reactor, self._console = reactor, console
        self._on_ready, self._on_refused, self._tidy = on_ready, on_refused, tidy
        self._transport: IProcessTransport | None = None
        self._again: IDelayedCall | None = None
        self._held: list[bytes] | None = None
        self._delay = FIRST_DELAY
        self._ready_at = 0.0
        self._keeping = False
        self._ending: Literal["draining", "stopping"] | None = None
        self._runs: Program | None = None
        self._waiters: list[Deferred[None]] = []
        self._starters: list[Deferred[str]] = []

    @property
    def name(self) -> str:
        """The name of what is kept running."""
        return self.program.name

    @property
    def running(self) -> bool:
        """Whether there is a process now."""
        return self._transport is not None

    @property
    def pid(self) -> int | None:
        """The process, if there is one."""
        return None if self._transport is None else self._transport.pid

    @property
    def kept(self) -> bool:
        """Whether it is started again when it ends."""
        return self._keeping

    @property
    def is_back(self) -> bool:
        """Whether it is ready now, and was before."""
        return self.ready and self._times_ready > 1

    @property
    def has_been_up(self) -> bool:
        """Whether it has ever been ready."""
        return self._times_ready > 0

    @property
    def has_run(self) -> bool:
        """Whether it has ever been started."""
        return self._runs is not None

    @property
    def runs(self) -> Server | None:
        """The server as it runs, or ran last; `program` may be another one by now."""
        return None if self._runs is None else self._runs.server

    @property
    def condition(self) -> Condition:
        """How it is."""
        if self._transport is not None:
            return self._ending or ("up" if self.ready else "starting")
        if self._keeping:
            return "waiting"
        return "refused" if self.refused else "stopped"

    def start(self) -> None:
        """Start the program, unless it runs, and keep it running until :meth:`retire`."""
        self._keeping, self.refused = True, False
        self._forget_again()
        if self._transport is None:
            self._delay = FIRST_DELAY
            self._spawn()

    def started(self) -> Deferred[str]:
        """Return what fires when the process is ready, at once if it is.

        It gives an empty text; or why the process, or the next one if there is none now, has ended
        before it was ready.
        """
        waiter: Deferred[str] = Deferred()
        if self.ready:
            waiter.callback("")
        else:
            self._starters.append(waiter)
        return waiter

    def retire(self) -> None:
        """Don't start it again. A process that runs goes on running."""
        self._keeping = self.refused = False
        self._forget_again()
        if self._transport is None:
            self._fire_starters("was told to stay down")

    def drain(self) -> None:
        """Ask the process to hand over what it has and end, if there is one that has anything."""
        if not self.ready:
            self.stop()
        elif self._ending is None:
            self._ending = "draining"
            self._say(DRAIN)

    def stop(self) -> None:
        """Ask the process to end, once, if there is one."""
        if self._ending != "stopping":
            self._ending = "stopping"
            self._signal("TERM")

    def kill(self) -> None:
        """End the process, if there is one."""
        if self._transport is not None:
            self._ending = "stopping"
            self.was_killed = True
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

    def _forget_again(self) -> None:
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._again = None

    def _spawn(self) -> None:
        self._again = self._ending = None
        self.drained = self.was_killed = False
        self._held = []
        self._runs = self.program
        command = [*_IGNORING, *self.program.command]
        try:
            self._transport = self._reactor.spawnProcess(
                _Output(self, self._reactor),
                command[0],
                command,
                {**os.environ, **dict(self.program.environment)},
                childFDs=CHILD_FDS,
            )
        except OSError as error:
            why = f"could not be started: {error}"
            self._come_back(why)
            self._fire_starters(why)

    def _signal(self, name: str) -> None:
        if self._transport is not None:
            with suppress(ProcessExitedAlready):  # the reactor is about to tell
                self._transport.signalProcess(name)

    def _say(self, word: bytes) -> None:
        if self._transport is not None:
            with suppress(KeyError):  # it has closed that pipe, and is about to end
                self._transport.writeToChild(LIFELINE_FD, word + b"\n")

    def _line(self, fd: int, line: bytes) -> None:
        if fd == STDERR and self._held is not None:
            self._held.append(line)
            if len(self._held) >= _MOST_HELD:
                self.release_held()
        else:
            self._console.relay(self.name, fd, line)

    def _heard(self, word: bytes) -> None:
        if word == DRAINED:
            self.drained = True
        elif word == READY and not self.ready:
            self.ready = True
            self._times_ready += 1
            self._ready_at = self._reactor.seconds()
            self.release_held()
            self._on_ready(self)
            self._fire_starters("")

    def _ended(self, ending: Ending) -> None:
        if self._transport is None:
            return  # abandoned
        was_ready, self.ready, self._transport = self.ready, False, None
        self._ending = None
        if was_ready and self._reactor.seconds() - self._ready_at >= STEADY:
            self._delay = FIRST_DELAY
        self._tidy(self.name)
        self.last_ending = str(ending)
        self.ended_well = ending.code == 0
        why = self.last_why = f"{ending}{'' if was_ready else ' before it was ready'}"
        said = self._last_line()
        self._ended_with(ending, why)
        self.vital = False
        if not was_ready:
            self._fire_starters(f"{why}: {said}" if said else why)
        self._fire_waiters()

    def _ended_with(self, ending: Ending, why: str) -> None:
        held = [] if self._held is None else list(self._held)
        if ending.code == CONFIG_EXIT and not self._times_ready:
            self._keeping, self.refused = False, True
            self._held = None
            self._on_refused(self, held)
            return
        self.release_held()
        if self._keeping:
            self._come_back(why)

    def _last_line(self) -> str:
        """The last of what was held back: of a traceback, that is what went wrong."""
        lines = [line.strip() for line in self._held or () if line.strip()]
        return lines[-1][:MOST_TOLD].decode("utf-8", "backslashreplace") if lines else ""

    def _come_back(self, why: str) -> None:
        delay, self._delay = self._delay, min(self._delay * 2, LONGEST_DELAY)
        self._console.warn(f"{self.name} {why}; starting it again in {delay:.0f} s")
        self._again = self._reactor.callLater(delay, self._spawn)

    def _fire_starters(self, why: str) -> None:
        starters, self._starters = self._starters, []
        for starter in starters:
            starter.callback(why)

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
        self._lines[WORDS_FD] = Lines(keeper._heard, limit=LONGEST_WORD)
        self._last: IDelayedCall | None = None

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._lines[childFD].feed(data)

    def processExited(self, reason: Failure) -> None:
        # A process that it started may hold the pipes for ever, and the end must not wait for it.
        self._last = self._clock.callLater(LAST_LINES, self.transport.loseConnection)

    def processEnded(self, reason: Failure) -> None:
        if self._last is not None and self._last.active():
            self._last.cancel()
        for lines in self._lines.values():
            lines.end()
        self._keeper._ended(Ending.of(reason))
