"""The service that keeps all processes of an application running, and stops them in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IDelayedCall

from chatcore.daemon import GRACE
from chatcore.master.console import STDERR, Console
from chatcore.master.keeper import CONFIG_EXIT, Keeper, Program

SLOW_START: Final = 15.0
"""Seconds after which it is said what is not ready yet."""

STOP_SECONDS: Final = 3.0
"""Seconds that a stop may take, if the application's hooks need no more."""

LAST_CALL: Final = 0.5
"""Seconds beyond that when those whose turn has not come are told to stop, too."""

KILL: Final = GRACE + 1.0
"""Seconds beyond it when what is left is killed: later than it leaves by itself, if it can."""

HOPELESS: Final = 2.0
"""Seconds after the kill when what even that did not end is given up."""


class Supervisor(Service):
    """Owns the processes of an application.

    Args:
        programs: what to run, in the order in which it is started.
        reactor: what spawns processes and knows the time.
        console: where everything is told.
        ready: what to say when everything is up.
        tidy: called with a name when a process of that name has ended.
        stop_seconds: how long the application's hooks may take when a process stops.

    Attributes:
        console: where everything is told.
    """

    def __init__(
        self,
        programs: Iterable[Program],
        *,
        reactor: Any,
        console: Console,
        ready: str,
        tidy: Callable[[str], object],
        stop_seconds: float = 0.0,
    ) -> None:
        self._stop_seconds = max(stop_seconds, STOP_SECONDS)
        self._reactor, self._ready = reactor, ready
        self.console = console
        self._tidy = tidy
        self._keepers: dict[str, Keeper] = {}
        for program in programs:
            self._make(program, vital=True)
        self._all_ready = False
        self._slow: IDelayedCall | None = None
        self._refusals: list[list[bytes]] = []
        self._killed = False
        self._stopping = self._stopped = False
        self._waiters: list[Deferred[None]] = []
        self.finished: Deferred[int] = Deferred()
        """Fires when everything has stopped, with the exit code for it: 0 after an orderly stop,
        1 when something had to be killed, 2 when a process can't run as it is configured."""

    @property
    def keepers(self) -> Mapping[str, Keeper]:
        """What keeps each program running, or down, by its name."""
        return self._keepers

    @property
    def stopping(self) -> bool:
        """Whether everything is being stopped."""
        return self._stopping

    @property
    def stop_seconds(self) -> float:
        """How long a process may take to stop before it is killed."""
        return self._stop_seconds + KILL

    def add(self, program: Program) -> Keeper:
        """Take a program in, which is still to be started. Its name is new."""
        return self._make(program, vital=False)

    def forget(self, name: str) -> None:
        """Forget a program that has no process."""
        del self._keepers[name]

    def _make(self, program: Program, *, vital: bool) -> Keeper:
        keeper = self._keepers[program.name] = Keeper(
            program,
            reactor=self._reactor,
            console=self.console,
            on_ready=self._on_ready,
            on_refused=self._on_refused,
            tidy=self._tidy,
            vital=vital,
        )
        return keeper

    def startService(self) -> None:
        """Start everything."""
        super().startService()
        self._slow = self._reactor.callLater(SLOW_START, self._tell_slow)
        for keeper in list(self._keepers.values()):
            if not self._stopping:
                keeper.start()

    def stopService(self) -> Deferred[None]:
        """Stop everything, stage by stage, and return what fires when nothing is left."""
        super().stopService()
        waiter: Deferred[None] = Deferred()
        if self._stopped:
            waiter.callback(None)
            return waiter
        self._waiters.append(waiter)
        if not self._stopping:
            self._stopping = True
            self._cancel_slow()
            for keeper in self._keepers.values():
                keeper.retire()
            Deferred.fromCoroutine(self._stop()).addErrback(self.finished.errback)
        return waiter

    def interrupt(self) -> None:
        """Do what Ctrl-C asks for: stop, and the second time kill what is left."""
        if not self._stopping:
            self.console.say("stopping; Ctrl-C again kills what is left at once")
            self.stopService()
        else:
            self._kill()

    async def _stop(self) -> None:
        deadlines = [
            self._reactor.callLater(self._stop_seconds + after, act)
            for after, act in (
                (LAST_CALL, self._stop_all),
                (KILL, self._kill),
                (KILL + HOPELESS, self._abandon),
            )
        ]
        in_order = sorted(self._keepers.values(), key=lambda keeper: keeper.program.stage)
        for _, stage in groupby(in_order, key=lambda keeper: keeper.program.stage):
            keepers = list(stage)
            for keeper in keepers:
                keeper.stop()
            await gatherResults([keeper.gone() for keeper in keepers])
        for deadline in deadlines:
            if deadline.active():
                deadline.cancel()
        self._stopped = True
        for waiter in self._waiters:
            waiter.callback(None)
        self.finished.callback(self._exit_code())

    def _exit_code(self) -> int:
        if self._refusals:
            return CONFIG_EXIT
        return 1 if self._killed else 0

    def _stop_all(self) -> None:
        for keeper in self._keepers.values():
            keeper.stop()

    def _kill(self) -> None:
        left = [keeper for keeper in self._keepers.values() if keeper.running]
        if left:
            self._killed = True
            self.console.warn(f"killing {', '.join(keeper.name for keeper in left)}")
        for keeper in left:
            keeper.kill()

    def _abandon(self) -> None:
        for keeper in self._keepers.values():
            if keeper.running:
                self.console.warn(f"{keeper.name} does not end, though it was killed")
                keeper.abandon()

    def _on_ready(self, keeper: Keeper) -> None:
        if self._stopping:
            return
        if self._all_ready:
            self.console.say(f"{keeper.name} is up{' again' if keeper.is_back else ''}")
        self.note_if_all_ready()

    def note_if_all_ready(self) -> None:
        """Say once that everything is ready that is to run."""
        kept = [keeper for keeper in self._keepers.values() if keeper.kept]
        if self._all_ready or not kept or not all(keeper.ready for keeper in kept):
            return
        self._all_ready = True
        self._cancel_slow()
        self.console.say(self._ready)

    def _on_refused(self, keeper: Keeper, message: list[bytes]) -> None:
        if message not in self._refusals:
            for line in message:
                self.console.relay(keeper.name, STDERR, line)
        why = f"{keeper.name} can't run as it is configured (exit code {CONFIG_EXIT})"
        if not keeper.vital:
            self.console.warn(f"{why}; it stays down")
            return
        self._refusals.append(message)
        if not self._stopping:
            self.console.warn(f"{why}; stopping everything")
            self.stopService()

    def _tell_slow(self) -> None:
        waiting = [each for each in self._keepers.values() if each.kept and not each.ready]
        if waiting:
            self.console.warn(f"still waiting for {', '.join(keeper.name for keeper in waiting)}")
        for keeper in waiting:
            keeper.release_held()

    def _cancel_slow(self) -> None:
        if self._slow is not None and self._slow.active():
            self._slow.cancel()
