"""An operator is told of code that blocks a node."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from chatcore.node.blocked import QUIET, Blocked
from chatcore.telemetry import Counters

from .fakes import Log


def test_a_late_look_is_told_and_not_too_often(log: Log) -> None:
    clock = Clock()
    blocked = Blocked(id="chat-1", seconds=0.5, clock=clock)
    blocked.start()
    for late in (0.4, 2.0, 3.0):
        clock.advance(1 + late)
    assert [event["log_level"].name for event in log.events] == ["warn"]
    assert "chat-1 did nothing else for 2.0 s" in log.text()
    clock.pump([1.0] * int(QUIET))
    clock.advance(3)
    assert "It was so 1 times before" in log.text()
    blocked.stop()
    assert clock.getDelayedCalls() == []


def test_it_may_be_off() -> None:
    clock = Clock()
    Blocked(id="chat-1", seconds=0, clock=clock).start()
    assert clock.getDelayedCalls() == []


def test_how_late_it_is_is_kept_also_where_nothing_is_told(log: Log) -> None:
    clock, counters = Clock(), Counters()
    blocked = Blocked(id="chat-1", seconds=0, clock=clock, counters=counters)
    blocked.start()
    for late in (0.0, 0.02, 3.0):
        clock.advance(1 + late)
    assert counters.loop_lag_seconds.count == 3
    assert counters.loop_lag_seconds.sum == pytest.approx(3.02)
    assert (counters.journal.of_node(), log.events) == ([], [])
    blocked.stop()


def test_what_held_it_up_is_noted_for_those_who_ask_why(log: Log) -> None:
    clock, counters = Clock(), Counters()
    blocked = Blocked(id="chat-1", seconds=0.5, clock=clock, counters=counters)
    blocked.start()
    clock.advance(3)
    (entry,) = [each.to_value() for each in counters.journal.of_node()]
    assert (entry["what"], entry["seconds"]) == ("held up", 2.0)
    blocked.stop()
