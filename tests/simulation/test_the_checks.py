"""The simulation finds what is wrong: each test breaks something, and it has to be noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chatcore.channels.groups import GroupTable
from chatcore.channels.moving import Hand
from chatcore.channels.service import ChannelService
from chatcore.cluster.offering import Offering
from chatcore.cluster.settling import Settling
from chatcore.connectors.connection import Connection
from chatcore.connectors.draining import Draining
from chatcore.links.link import Link
from chatcore.node.arrivals import Arrivals
from chatcore.sessions.service import SessionService

from . import insight
from .play import Play, play
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


def _lose_what_those_get_who_go(patch: pytest.MonkeyPatch) -> None:
    push, due, hush = GroupTable.push, _every(5), Play._hush
    over: list[bool] = []
    patch.setattr(GroupTable, "push", lambda *a, **k: None if not over and due() else push(*a, **k))

    def hush_and_go(play: Play) -> None:
        over.append(True)
        hush(play)
        for person in play.people:
            person.hang_up()

    patch.setattr(Play, "_hush", hush_and_go)


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


def _answer_before_it_is_settled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Settling, "may_answer", lambda self, key: True)


def _wait_for_no_offers(patch: pytest.MonkeyPatch) -> None:
    waited_for = Settling._is_waited_for

    def backends(self: Settling) -> list[str]:
        frontends = {each.id for each in self._servers.frontends()}
        return [id for id in waited_for(self) if id not in frontends]

    patch.setattr(Settling, "_is_waited_for", backends)


def _offer_before_all_pushes_are_there(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Offering, "_is_waited_for", lambda self, server_type: iter(()))


def _serve_in_reverse_what_has_waited(patch: pytest.MonkeyPatch) -> None:
    again = Arrivals.again

    def reverse(self: Arrivals) -> None:
        self._waiting = dict(reversed(self._waiting.items()))
        again(self)

    patch.setattr(Arrivals, "again", reverse)


def _serve_what_is_passed_on(patch: pytest.MonkeyPatch) -> None:
    pass_on = Arrivals.pass_on

    def twice(self: Arrivals, owner: str, link: Link, box: Any, ask: bytes | None) -> bool:
        pass_on(self, owner, link, box, None)
        return pass_on(self, owner, link, box, ask)

    patch.setattr(Arrivals, "pass_on", twice)


def _forget_a_member(patch: pytest.MonkeyPatch) -> None:
    move = GroupTable.move

    def less(self: GroupTable, channel: str, backend: str, to: str) -> None:
        uids = self.held(backend).get(channel, [])
        move(self, channel, backend, to)
        if backend != to and len(uids) > 1:
            self.leave(to, channel, uids[:1])

    patch.setattr(GroupTable, "move", less)


def _forget_the_state(patch: pytest.MonkeyPatch) -> None:
    give_away = ChannelService.give_away

    def without(self: ChannelService, name: str, to: str) -> Hand | None:
        hand = give_away(self, name, to)
        return None if hand is None else Hand(hand.members)

    patch.setattr(ChannelService, "give_away", without)


SEEDS = 60
"""Schedules within which it has to be noticed that a move goes wrong."""


@pytest.mark.logs_failures
@pytest.mark.parametrize(
    ("sabotage", "found"),
    [
        (_lose_what_those_get_who_go, "never got"),
        (_answer_before_it_is_settled, "was answered 404"),
        (_wait_for_no_offers, "was answered 404"),
        (_offer_before_all_pushes_are_there, "was answered 404"),
        (_serve_in_reverse_what_has_waited, " before "),
        (_serve_what_is_passed_on, "2 times"),
        (_forget_a_member, "missing"),
        (_forget_the_state, "is number"),
    ],
)
def test_it_is_noticed_where_channels_move(
    script: Script, monkeypatch: pytest.MonkeyPatch, sabotage: Sabotage, found: str
) -> None:
    sabotage(monkeypatch)
    plays = (play(script, seed, "planned") for seed in range(SEEDS))
    assert any(found in fault for outcome in plays for fault in outcome.faults)


def test_the_tables_that_have_to_be_empty_are_there(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    tables = insight.tables

    def look(node: insight.Node) -> dict[str, int]:
        found = tables(node)
        seen.update(found)
        return found

    monkeypatch.setattr(insight, "tables", look)
    play(script, 0, "quiet")
    assert insight.EMPTY - seen == set()


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
