"""An operator is told of code that blocks a node."""

from __future__ import annotations

from twisted.internet.task import Clock

from chatcore.node.blocked import QUIET, Blocked

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
