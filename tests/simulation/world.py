"""The time that everything in a simulation shares, and the machines that live in it."""

from __future__ import annotations

import heapq
import random
import secrets
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

MOST_STEPS = 2_000_000
"""What may happen in one simulation: more is a loop that feeds itself."""


@implementer(IDelayedCall)
class Later:
    """Something that is going to happen."""

    __slots__ = ("_args", "_function", "_world", "called", "cancelled", "machine", "number", "time")

    def __init__(
        self,
        world: World,
        time: float,
        number: int,
        machine: Machine | None,
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        self._world, self._function, self._args = world, function, args
        self.time, self.number, self.machine = time, number, machine
        self.called = self.cancelled = False

    def __repr__(self) -> str:
        name = getattr(self._function, "__qualname__", repr(self._function))
        return f"<{name} at {self.time:.3f}>"

    def run(self) -> None:
        self.called = True
        if self.machine is not None:
            self.machine.calls.discard(self)
        self._function(*self._args)

    # IDelayedCall

    def active(self) -> bool:
        return not (self.called or self.cancelled)

    def cancel(self) -> None:
        if self.cancelled:
            raise AlreadyCancelled
        if self.called:
            raise AlreadyCalled
        self.cancelled = True
        if self.machine is not None:
            self.machine.calls.discard(self)

    def getTime(self) -> float:
        return self.time

    def delay(self, secondsLater: float) -> None:
        self.reset(self.time + secondsLater - self._world.now)

    def reset(self, secondsFromNow: float) -> None:
        if not self.active():
            raise AlreadyCalled
        self._world.move(self, secondsFromNow)


class World:
    """One clock, one source of chance, one story.

    Args:
        seed: what makes this world different from others.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.story: list[str] = []
        self.faults: list[str] = []
        self._queue: list[tuple[float, int, Later]] = []
        self._number = 0
        self._steps = 0

    def tell(self, what: str) -> None:
        """Add to the story."""
        self.story.append(f"{self.now:8.3f}  {what}")

    def fault(self, what: str) -> None:
        """Note what must never happen."""
        self.tell(f"FAULT {what}")
        self.faults.append(f"{self.now:.3f} {what}")

    def later(
        self,
        seconds: float,
        function: Callable[..., Any],
        *args: Any,
        machine: Machine | None = None,
    ) -> Later:
        self._number += 1
        call = Later(self, self.now + max(seconds, 0), self._number, machine, function, args)
        heapq.heappush(self._queue, (call.time, call.number, call))
        return call

    def move(self, call: Later, seconds: float) -> None:
        self._number += 1
        call.time, call.number = self.now + max(seconds, 0), self._number
        heapq.heappush(self._queue, (call.time, call.number, call))

    def run_until(self, end: float) -> None:
        """Let everything happen that is due until then."""
        queue = self._queue
        while queue and queue[0][0] <= end:
            time, number, call = heapq.heappop(queue)
            if call.cancelled or number != call.number:  # called off, or put off
                continue
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise AssertionError(f"{MOST_STEPS} steps, and no end: {call}")
            self.now = max(self.now, time)
            self._happen(call)
        self.now = max(self.now, end)

    def run(self, seconds: float) -> None:
        self.run_until(self.now + seconds)

    def _happen(self, call: Later) -> None:
        machine = call.machine
        if machine is not None:
            if machine.dead:
                return
            if machine.paused:
                machine.backlog.append(call)
                return
        try:
            call.run()
        except Exception:  # a reactor logs it and goes on
            if machine is not None and machine.dead:
                return
            self.fault(f"{call} of {machine} raised\n{traceback.format_exc()}")


class Machine:
    """What one process runs on: its reactor, as far as a node needs one.

    It can be paused, as by SIGSTOP, and killed. Of a killed one, nothing gets out any more.
    """

    def __init__(self, world: World, id: str) -> None:
        self.world, self.id = world, id
        self.dead = self.paused = False
        self._woken = 0.0
        self.calls: set[Later] = set()
        self.backlog: list[Any] = []
        self.writes_left: int | None = None
        self._on_death: list[Callable[[], None]] = []
        self._on_wake: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return self.id

    # IReactorTime, and what else a node asks of a reactor

    def seconds(self) -> float:
        return self.world.now

    def callLater(self, delay: float, function: Callable[..., Any], *args: Any, **kw: Any) -> Later:
        assert delay >= 0, f"{delay} seconds for {function}"
        if kw:
            later, function = function, lambda *given: later(*given, **kw)
        call = self.world.later(delay, function, *args, machine=self)
        if not self.dead:
            self.calls.add(call)
        return call

    def callWhenRunning(self, function: Callable[..., Any], *args: Any, **kw: Any) -> None:
        self.callLater(0, function, *args, **kw)

    callFromThread = callWhenRunning

    def getDelayedCalls(self) -> list[Later]:
        return sorted(self.calls, key=lambda call: call.time)

    def addSystemEventTrigger(self, *args: Any, **kw: Any) -> None:
        pass

    # What is done to it

    def on_death(self, what: Callable[[], None]) -> None:
        self._on_death.append(what)

    def on_wake(self, what: Callable[[], None]) -> None:
        """Have something called when it wakes, once its timers have been seen to."""
        self._on_wake.append(what)

    @property
    def awake_since(self) -> float:
        """When it was paused last."""
        return self.world.now if self.paused else self._woken

    def pause(self) -> None:
        self.paused = True

    def wake(self) -> None:
        """Go on: first the timers that are late, then what came in meanwhile."""
        if self.dead or not self.paused:
            return
        self.paused, self._woken = False, self.world.now
        backlog, self.backlog = self.backlog, []
        for call in backlog:
            if call.active() and not self.dead:
                self.world._happen(call)
        for what in self._on_wake:
            what()

    def kill(self) -> None:
        if self.dead:
            return
        self.dead = True
        self.paused = False
        self.backlog.clear()
        for call in list(self.calls):
            call.cancel()
        for what in self._on_death:
            what()

    def kill_after_writes(self, count: int) -> None:
        """Die within the turn in which it has written that often more."""
        self.writes_left = count

    def may_write(self) -> bool:
        """Whether one more write gets out."""
        if self.dead:
            return False
        if self.writes_left is not None:
            self.writes_left -= 1
            if self.writes_left < 0:
                self.world.tell(f"{self.id} dies in the middle of a turn")
                self.kill()
                return False
        return True


BEGINNING = 1_800_000_000.0
"""The time of day at which every world begins."""


@contextmanager
def steady(world: World) -> Iterator[None]:
    """Take what the code under test leaves to chance, and to the time of day, from a world."""
    chance_of, bytes_of = random.getstate(), world.random.randbytes
    changed = {
        (random, "seed"): lambda *args: None,  # Autobahn does that wherever it makes a factory
        (secrets, "token_hex"): lambda n=32: bytes_of(n).hex(),
        (secrets, "token_bytes"): lambda n=32: bytes_of(n),
        (time, "time"): lambda: BEGINNING + world.now,
    }
    random.seed(world.random.getrandbits(64))
    before = {(module, name): getattr(module, name) for module, name in changed}
    for (module, name), value in changed.items():
        setattr(module, name, value)
    try:
        yield
    finally:
        for (module, name), value in before.items():
            setattr(module, name, value)
        random.setstate(chance_of)
