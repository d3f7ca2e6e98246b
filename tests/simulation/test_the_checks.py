"""The simulation finds what is wrong: each test breaks something, and it has to be noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatcore.channels.groups import GroupTable
from chatcore.channels.service import ChannelService
from chatcore.connectors.connection import Connection
from chatcore.connectors.draining import Draining
from chatcore.links.link import Link
from chatcore.sessions.service import SessionService

from .play import play
from .stage import Script

Sabotage = Callable[[pytest.MonkeyPatch], None]


def _every(count: int) -> Callable[[], bool]:
    calls = 0

    def due() -> bool:
        nonlocal calls
        calls += 1
        return calls % count == 0

    return due


def _lose_pushes(patch: pytest.MonkeyPatch) -> None:
    push, due = GroupTable.push, _every(5)
    patch.setattr(GroupTable, "push", lambda *a, **k: None if due() else push(*a, **k))


def _double_pushes(patch: pytest.MonkeyPatch) -> None:
    push, due = GroupTable.push, _every(5)

    def twice(*args: Any, **kw: Any) -> None:
        push(*args, **kw)
        if due():
            push(*args, **kw)

    patch.setattr(GroupTable, "push", twice)


def _swap_pushes(patch: pytest.MonkeyPatch) -> None:
    push, due = GroupTable.push, _every(5)
    kept: list[Any] = []

    def later(*args: Any, **kw: Any) -> None:
        if due():
            kept.append((args, kw))
            return
        push(*args, **kw)
        while kept:
            more, options = kept.pop()
            push(*more, **options)

    patch.setattr(GroupTable, "push", later)


def _keep_who_has_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GroupTable, "leave", lambda *a, **k: None)


def _overhear_who_goes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ChannelService, "gone", lambda *a, **k: None)


def _forget_to_answer(patch: pytest.MonkeyPatch) -> None:
    respond, due = Connection._respond, _every(20)
    patch.setattr(Connection, "_respond", lambda *a: None if due() else respond(*a))


def _refuse(patch: pytest.MonkeyPatch) -> None:
    answer, due = Link.answer, _every(40)

    def refuse(link: Link, ask: bytes, payload: bytes) -> None:
        if due():
            link.refuse(ask, b"FAILED", "sabotage")
        else:
            answer(link, ask, payload)

    patch.setattr(Link, "answer", refuse)


def _leave_timers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Draining, "stop", lambda self: self._clock.callLater(3600, print))


def _raise(patch: pytest.MonkeyPatch) -> None:
    close, due = SessionService.close, _every(3)

    def broken(self: SessionService, *args: Any) -> None:
        close(self, *args)
        if due():
            raise ZeroDivisionError

    patch.setattr(SessionService, "close", broken)


@pytest.mark.logs_failures
@pytest.mark.parametrize(
    ("sabotage", "found"),
    [
        (_lose_pushes, "never got"),
        (_double_pushes, "2 times"),
        (_swap_pushes, "before"),
        (_keep_who_has_left, "is in no room, and got"),
        (_overhear_who_goes, "strangers"),
        (_forget_to_answer, "has no answer to"),
        (_refuse, "was answered 500"),
        (_leave_timers, "has left, and leaves"),
        (_raise, "ZeroDivisionError"),
    ],
)
def test_it_is_noticed(
    script: Script, monkeypatch: pytest.MonkeyPatch, sabotage: Sabotage, found: str
) -> None:
    sabotage(monkeypatch)
    faults = [fault for seed in range(6) for fault in play(script, seed, "quiet").faults]
    assert any(found in fault for fault in faults), faults
