"""Running crons, on a clock of the test's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatcore.application.crons import Crons
from chatcore.config.times import zone_of
from chatcore.errors import ConfigError
from chatcore.telemetry import Counters

from .fakes import Log

START = 1_767_225_600.0  # the first second of 2026


class Wall:
    """Crons on a clock that begins with a year."""

    def __init__(self, **actions: Callable[[], Any]) -> None:
        self.clock, self.counters = Clock(), Counters()
        self.clock.rightNow = START
        self.set_by = 0.0  # how far the machine's clock was set
        self.changes: list[Any] = []
        self.crons = Crons(
            zone=zone_of("UTC"),
            seconds=30,
            clock=self.clock,
            time_of_day=lambda: self.clock.seconds() + self.set_by,
            counters=self.counters,
            changed=lambda *what: self.changes.append(what),
        )
        self.ran: list[float] = []
        self.crons.know({"test.note": self.note, **actions}, [])

    def note(self) -> None:
        self.ran.append(self.clock.seconds() - START)

    def go(self, *steps: float) -> None:
        for step in steps:
            self.clock.advance(step)


def test_by_the_clock() -> None:
    wall = Wall()
    job = wall.crons.add(id="a", time="0 */10 * * * *", action="test.note")
    assert wall.clock.getDelayedCalls() == []  # the server does not serve yet
    wall.crons.start()
    assert job.next == START + 600
    wall.go(599, 1, 1, 599)
    assert wall.ran == [600, 1200]
    assert (job.runs, wall.counters.crons_run) == (2, 2)
    wall.crons.stop()
    assert wall.clock.getDelayedCalls() == []


def test_lateness_does_not_add_up() -> None:
    """Each is due by the clock or the first start, however late the one before was."""
    wall = Wall()
    wall.crons.start()
    job = wall.crons.add(id="a", every=10, action="test.note")
    wall.go(10.5, 10, 9.5, 10)
    assert wall.ran == [10.5, 20.5, 30, 40]
    assert job.next == START + 50
    wall.crons.stop()


@pytest.mark.parametrize("when", [{"every": 10}, {"time": "*/10 * * * * *"}])
def test_what_was_missed_runs_once(when: dict[str, Any]) -> None:
    """The machine was suspended; the clock was set forward."""
    wall = Wall()
    wall.crons.start()
    job = wall.crons.add(id="a", action="test.note", **when)
    wall.go(1005)
    assert wall.ran == [1005]
    assert job.next == START + 1010
    wall.crons.stop()


def test_a_clock_that_is_set() -> None:
    """Times go by it, and it is noticed within a minute; other runs are as far apart as ever."""
    wall = Wall()
    wall.crons.start()
    daily = wall.crons.add(id="a", time="0 0 6 * * *", action="test.note")
    often = wall.crons.add(id="b", every=7000, action=lambda: None)
    assert (daily.next, often.next) == (START + 6 * 3600, START + 7000)
    wall.set_by = -3600
    wall.go(*[60.0] * 6 * 60)
    assert (wall.ran, often.runs) == ([], 3)
    assert (daily.next, often.next) == (START + 6 * 3600, START + 4 * 7000 - 3600)
    wall.set_by = 0
    wall.go(60)
    assert wall.ran == [6 * 3600 + 60]
    assert daily.next == START + 30 * 3600
    wall.crons.stop()


def test_never_two_runs_at_once(log: Log) -> None:
    waiting: list[Deferred[None]] = []

    def slow() -> Deferred[None]:
        waiting.append(Deferred())
        return waiting[-1]

    wall = Wall(**{"test.slow": slow})
    wall.crons.start()
    job = wall.crons.add(id="a", every=10, action="test.slow")
    wall.go(10, 10, 5)
    assert (len(waiting), job.running, job.skipped) == (1, True, 1)
    assert log.text().count("is due and still runs") == 1
    waiting[0].callback(None)
    wall.go(5)
    assert (len(waiting), job.runs, wall.counters.crons_skipped) == (2, 2, 1)
    waiting[1].callback(None)
    wall.crons.stop()


@pytest.mark.logs_failures
def test_a_run_that_fails_or_takes_too_long(log: Log) -> None:
    cancelled: list[bool] = []

    def fails() -> None:
        raise ValueError("no")

    wall = Wall(
        **{"test.fails": fails, "test.hangs": lambda: Deferred(lambda _: cancelled.append(True))}
    )
    wall.crons.start()
    failing = wall.crons.add(id="a", every=20, action="test.fails")
    hanging = wall.crons.add(id="b", every=20, action="test.hangs")
    wall.go(20, 20, 9)
    assert (failing.runs, failing.failed) == (2, 2)
    assert (hanging.runs, hanging.skipped, hanging.running) == (1, 1, True)
    wall.go(1)
    assert (hanging.failed, hanging.running, cancelled) == (1, False, [True])
    assert wall.counters.crons_failed == 3
    assert "The cron b (test.hangs) failed" in log.text()
    wall.crons.stop()


def test_so_many_times() -> None:
    wall = Wall()
    wall.crons.start()
    wall.crons.add(id="a", every=1, count=2, action="test.note")
    wall.go(1, 1, 1)
    assert wall.ran == [1, 2]
    assert wall.crons.list() == [] and wall.clock.getDelayedCalls() == []


def test_adding_and_removing() -> None:
    wall = Wall()
    wall.crons.start()
    wall.crons.add(id="a", every=1, action=wall.note)
    (job,) = wall.crons.list()
    assert (job.id, job.when, job.action) == ("a", "every 1 s", "Wall.note")
    assert wall.crons.remove("a") and not wall.crons.remove("a")
    wall.go(5)
    assert wall.ran == []
    assert wall.changes == [("add_crons", [job]), ("remove_crons", ["a"])]


def test_a_cron_may_remove_itself() -> None:
    wall = Wall()
    wall.crons.start()
    wall.crons.add(id="a", every=1, action=lambda: wall.crons.remove("a"))
    wall.go(1, 1)
    assert wall.crons.list() == [] and wall.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"action": "test.noet", "every": 1}, "no action 'test.noet'. Did you mean 'test.note'?"),
        ({"action": lambda it: None, "every": 1}, "without arguments"),
        ({"action": 5, "every": 1}, "can't call 5"),
        ({"action": "test.note"}, "needs a time or an every"),
        ({"action": "test.note", "every": 1, "time": "* * * * * *"}, "needs a time or an every"),
        ({"action": "test.note", "every": 0}, "can't run every 0 s"),
        ({"action": "test.note", "every": "5"}, "can't run every '5' s"),
        ({"action": "test.note", "every": True}, "can't run every True s"),
        ({"action": "test.note", "every": 1, "count": 2.5}, "the count of the cron b"),
        ({"action": "test.note", "time": 5}, "the time 5 of the cron b is not a text"),
        ({"action": "test.note", "every": float("nan")}, "can't run every nan s"),
        ({"action": "test.note", "time": "0"}, "the time '0' of the cron b: six fields are needed"),
        ({"action": "test.note", "every": 1, "count": 0}, "the count of the cron b"),
        ({"action": "test.note", "every": 1, "id": "a"}, "there is a cron a already"),
    ],
)
def test_mistakes(given: dict[str, Any], said: str) -> None:
    wall = Wall()
    wall.crons.add(id="a", every=1, action="test.note")
    with pytest.raises(ConfigError) as raised:
        wall.crons.add(**{"id": "b", **given})
    assert said in str(raised.value)
    assert raised.value.file == __file__
    assert len(wall.crons.list()) == 1
