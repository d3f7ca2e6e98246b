"""What runs at certain times: ``app.crons``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import Annotated, Any, Final

from msgspec import Meta
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.application.checks import caller, wrong
from chatcore.config.crons import CronEntry
from chatcore.config.names import suggestion
from chatcore.config.settings import setting
from chatcore.config.times import Times
from chatcore.deadlines import IClock
from chatcore.dispatch.blame import Place
from chatcore.dispatch.calling import Caller
from chatcore.hooks import takes
from chatcore.interfaces import ICronJob, ICrons
from chatcore.telemetry import Counters

LONGEST_WAIT: Final = 60.0
"""Seconds after which it is looked again how long it is still to wait: clocks are set, and timers
stand still while a machine is suspended."""

EARLY: Final = 0.001
"""Seconds by which a timer may be early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CronSettings:
    """The section ``crons``."""

    timezone: str = setting(
        "local", "the time zone of their times, as Europe/Berlin; local: the machine's"
    )
    run_seconds: Annotated[float, Meta(ge=0)] = setting(
        300.0, "seconds that one run of a cron may take; 0: any time"
    )


@implementer(ICronJob)
@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """A cron of this server.

    Attributes:
        now: the time that it goes by.
        due: when it runs next, in that time.
    """

    id: str
    action: str
    method: Callable[[], Any]
    times: Times | None
    every: float | None
    left: int | None
    now: Callable[[], float]
    time_of_day: Callable[[], float]
    due: float | None = None
    running: bool = False
    runs: int = 0
    skipped: int = 0
    failed: int = 0
    timer: Any = None
    told: bool = False

    @property
    def next(self) -> float | None:
        """When it is due, in seconds since the epoch."""
        return None if self.due is None else self.due - self.now() + self.time_of_day()

    @property
    def when(self) -> str:
        """Its six fields, or how many seconds lie between two runs."""
        return self.times.text if self.times is not None else f"every {self.every:g} s"


@implementer(ICrons)
class Crons:
    """Runs crons while the server serves.

    Args:
        zone: the time zone of their times.
        seconds: that one run may take; 0 for any time.
        clock: the reactor; what runs every so many seconds goes by it.
        time_of_day: in seconds since the epoch; what has times goes by it, however it is set.
        counters: where runs are counted.
        changed: told of the event ``add_crons`` or ``remove_crons``, and what it brings.
    """

    log = Logger()

    def __init__(
        self,
        *,
        zone: tzinfo,
        seconds: float,
        clock: IClock,
        time_of_day: Callable[[], float],
        counters: Counters,
        changed: Callable[[str, Sequence[Any]], object],
    ) -> None:
        self._zone, self._clock, self._counters = zone, clock, counters
        self._time_of_day, self._changed = time_of_day, changed
        self._caller = Caller(seconds=seconds, clock=clock)
        self._actions: Mapping[str, Callable[[], Any]] = {}
        self._jobs: dict[str, Job] = {}
        self._started = False

    def know(self, actions: Mapping[str, Callable[[], Any]], entries: Sequence[CronEntry]) -> None:
        """Take in the methods of this server's crons, and what ``crons.json`` says.

        Raises:
            ConfigError: two entries have one id, or an action does not exist.
        """
        self._actions = actions
        for entry in entries:
            place = (entry.file, entry.line)
            self._add(entry.id, entry.action, entry.times, entry.every, entry.count, place)

    def add(
        self,
        *,
        id: str,
        action: str | Callable[[], Any],
        time: str | None = None,
        every: float | None = None,
        count: int | None = None,
    ) -> Job:
        place = caller()
        id = str(id)
        if (time is None) == (every is None):
            raise wrong(f"the cron {id} needs a time or an every", place, "Give it one of the two")
        if every is not None and not (_is_number(every, int | float) and 0 < every < math.inf):
            raise wrong(f"the cron {id} can't run every {every!r} s", place)
        if time is not None and not isinstance(time, str):
            raise wrong(f"the time {time!r} of the cron {id} is not a text", place)
        if count is not None and (every is None or not _is_number(count, int) or count < 1):
            raise wrong(f"the count of the cron {id} is a number over 0 beside every", place)
        try:
            times = None if time is None else Times(time)
        except ValueError as problem:
            raise wrong(f"the time '{time}' of the cron {id}: {problem}", place) from None
        job = self._add(id, action, times, every, count, place)
        if self._started:
            self._begin(job)
        self._changed("add_crons", [job])
        return job

    def remove(self, id: str) -> bool:
        job = self._jobs.pop(str(id), None)
        if job is None:
            return False
        self._forget(job)
        self._changed("remove_crons", [job.id])
        return True

    def list(self) -> Sequence[Job]:
        return list(self._jobs.values())

    def start(self) -> None:
        """Begin to run them."""
        self._started = True
        for job in self.list():
            self._begin(job)

    def stop(self) -> None:
        """Run none any more."""
        self._started = False
        for job in self.list():
            self._forget(job)
        self._caller.stop()

    def _add(
        self,
        id: str,
        action: str | Callable[[], Any],
        times: Times | None,
        every: float | None,
        count: int | None,
        place: Place,
    ) -> Job:
        if id in self._jobs:
            raise wrong(f"there is a cron {id} already", place, "Give one of the two another id")
        method = verified_action(action, self._actions, id, place)
        shown = action if isinstance(action, str) else getattr(action, "__qualname__", repr(action))
        job = Job(
            id=id,
            action=shown,
            method=method,
            times=times,
            every=every,
            left=count,
            now=self._clock.seconds if times is None else self._time_of_day,
            time_of_day=self._time_of_day,
        )
        self._jobs[id] = job
        return job

    def _begin(self, job: Job) -> None:
        now = job.now()
        job.due = now + job.every if job.every is not None else self._after(job, now)
        self._wait(job)

    def _after(self, job: Job, now: float) -> float | None:
        assert job.times is not None
        return job.times.after(now, self._zone)

    def _wait(self, job: Job) -> None:
        if job.due is None:
            return
        seconds = min(max(job.due - job.now(), 0.0), LONGEST_WAIT)
        job.timer = self._clock.callLater(seconds, self._look, job)

    def _look(self, job: Job) -> None:
        job.timer = None
        now = job.now()
        assert job.due is not None
        if job.due - now <= EARLY:
            now = max(now, job.due)
            # From when it was due, not from now: lateness does not add up. What was missed
            # meanwhile (the machine was suspended) is not made up for.
            if job.every is not None:
                job.due += job.every * (1 + (now - job.due) // job.every)
            else:
                job.due = self._after(job, now)
            self._run(job)
        if job.id in self._jobs and self._jobs[job.id] is job and self._started:
            self._wait(job)

    def _run(self, job: Job) -> None:
        if job.running:
            job.skipped += 1
            self._counters.crons_skipped += 1
            if not job.told:
                job.told = True
                self.log.warn(
                    "The cron {id} ({action}) is due and still runs; it is skipped until it ends",
                    id=job.id,
                    action=job.action,
                )
            return
        job.running, job.told = True, False
        job.runs += 1
        self._counters.crons_run += 1
        if job.left is not None:
            job.left -= 1
            if job.left == 0:
                self._jobs.pop(job.id)
        self._caller.call(partial(self._ended, job), job.method)

    def _ended(self, job: Job, result: Any, problem: BaseException | None) -> None:
        job.running = False
        if problem is not None:
            job.failed += 1
            self._counters.crons_failed += 1
            self.log.failure(
                "The cron {id} ({action}) failed", Failure(problem), id=job.id, action=job.action
            )

    def _forget(self, job: Job) -> None:
        job.due = None
        if job.timer is not None:
            job.timer.cancel()
            job.timer = None


def _is_number(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def verified_action(
    action: Any, actions: Mapping[str, Callable[[], Any]], id: str, place: Place
) -> Callable[[], Any]:
    """What a cron is to call.

    Raises:
        ConfigError: there is no such method, or the function takes arguments.
    """
    if isinstance(action, str):
        method = actions.get(action)
        if method is None:
            advice = suggestion(action, actions, "actions of this server type")
            raise wrong(f"the cron {id}: no action '{action}'", place, advice)
        return method
    if not callable(action) or takes(action) is not None:
        raise wrong(f"the cron {id} can't call {action!r} without arguments", place)
    function: Callable[[], Any] = action
    return function
