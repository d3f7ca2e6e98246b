"""What moves goes in portions: whatever happens in between, each channel is with one owner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from chatcore.channels.moving import Hand
from chatcore.cluster import portions
from chatcore.cluster.view import View

from .owners import BOTH, NewOwner, OldOwner, member

FRONT = member("front-1")
WITH_FRONT = View(2, (*BOTH, FRONT))
TURN = 0.001
BACK_AGAIN = View(3, (BOTH[0], FRONT))


@pytest.fixture(autouse=True)
def _one_step_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "STEPS", 1)
    monkeypatch.setattr(portions, "AT_ONCE", 1)
    monkeypatch.setattr(portions, "PAUSE", TURN)


@pytest.fixture
def old() -> Iterator[OldOwner]:
    old = OldOwner()
    old.servers.follow(WITH_FRONT)
    old.said.clear()
    yield old
    old.side.stop()
    assert old.clock.getDelayedCalls() == []


@pytest.fixture
def new() -> Iterator[NewOwner]:
    new = NewOwner()
    yield new
    new.settling.stop()
    assert new.clock.getDelayedCalls() == []


def turn(side: OldOwner | NewOwner, times: int = 1) -> None:
    for _ in range(times):
        side.clock.advance(TURN)


def until_given(old: OldOwner, count: int) -> None:
    for peer in ("back-2", "front-1"):
        old.side.seen(peer, old.servers.view.epoch)
    for _ in range(100):
        if len(old.given) < count:
            turn(old)
    assert len(old.given) >= count


class TestTheOldOwner:
    def test_goes_on_in_later_turns(self, old: OldOwner) -> None:
        until_given(old, 1)
        assert old.given == old.theirs[:1]
        until_given(old, 2)
        assert old.given == old.theirs[:2]
        turn(old, 100)
        assert old.given == old.arrived == old.theirs

    def test_says_that_it_is_done_when_it_is(self, old: OldOwner) -> None:
        until_given(old, len(old.theirs))
        turn(old, 100)
        assert sorted(old.said[-2:]) == [
            ("handed over", "back-2", 2),
            ("pushes done", "front-1", 2),
        ]
        for name in old.theirs:
            assert old.said.index(("moved", "front-1", name)) < len(old.said) - 2
            assert old.said.index(("hand", "back-2", name)) < len(old.said) - 1

    def test_nothing_new_is_made_of_what_goes(self, old: OldOwner) -> None:
        assert old.side.waits
        until_given(old, 1)
        assert not old.side.waits

    def test_keeps_what_a_newer_view_leaves_with_it(self, old: OldOwner) -> None:
        until_given(old, 2)
        old.said.clear()
        old.servers.follow(BACK_AGAIN)
        until_given(old, 2)
        turn(old, 100)
        assert old.given == old.theirs[:2]
        assert sorted([*old.channels, *old.given]) == sorted(f"room {n}" for n in range(20))
        assert old.said == [("pushes done", "front-1", 3)]
        assert old.side.done

    def test_what_has_not_arrived_goes_where_a_newer_view_says(self, old: OldOwner) -> None:
        old.slow = True
        until_given(old, 2)
        turn(old, 2)
        old.servers.follow(View(3, (BOTH[0], member("back-3"), FRONT)))
        old.said.clear()
        old.side.seen("back-3", 3)
        until_given(old, 2)
        turn(old, 100)
        for name in old.theirs[:2]:
            assert ("hand", old.servers.owner("back", name).id, name) in old.said
        assert old.said[-1] in (("handed over", "back-3", 3), ("pushes done", "front-1", 3))

    def test_passes_on_what_has_come_and_is_not_its_own_any_more(self, old: OldOwner) -> None:
        old.servers.follow(View(3, (BOTH[0], member("back-3"), FRONT)))
        halls = [f"hall {number}" for number in range(10)]
        halls = [name for name in halls if old.servers.owner("back", name).id == "back-3"]
        old.came = dict.fromkeys(halls, Hand())
        old.said.clear()
        old.side.seen("back-3", 3)
        until_given(old, 0)
        assert len(old.came) > 1
        turn(old, 100)
        hands = [each for each in old.said if each[0] == "hand"]
        assert sorted(hands[-len(halls) :]) == [("hand", "back-3", name) for name in halls]
        assert old.said[-1] == ("handed over", "back-3", 3)

    def test_waits_for_a_link_that_is_full(self, old: OldOwner) -> None:
        until_given(old, 1)
        old.full = True
        turn(old, 3)
        known = list(old.given)
        old.clock.advance(portions.LOOK)
        old.clock.advance(portions.LOOK)
        assert old.given == known
        old.full = False
        old.clock.advance(portions.LOOK)
        turn(old, 100)
        assert old.given == old.arrived == old.theirs
        assert sorted(old.said[-2:]) == [
            ("handed over", "back-2", 2),
            ("pushes done", "front-1", 2),
        ]

    def test_hands_over_again_what_a_link_may_have_lost(self, old: OldOwner) -> None:
        old.slow = True
        until_given(old, len(old.theirs))
        turn(old, 100)
        first = old.theirs[0]
        old.sent[first][1](True)
        lost = [done for name, (_, done) in old.sent.items() if name != first]
        old.away.add("back-2")
        for done in lost:
            done(False)
        old.side.link_down("back-2")
        old.said.clear()
        old.away.clear()
        old.side.link_up("back-2")
        turn(old, 100)
        hands = [each[2] for each in old.said if each[0] == "hand"]
        assert hands == old.theirs[1:]
        assert old.said[-1] == ("handed over", "back-2", 2)

    def test_does_not_hand_over_again_what_is_on_its_way(self, old: OldOwner) -> None:
        old.slow = True
        until_given(old, len(old.theirs))
        turn(old, 100)
        old.said.clear()
        old.servers.follow(View(3, (*BOTH, FRONT)))
        until_given(old, 0)
        turn(old, 100)
        assert sorted(old.said) == [("handed over", "back-2", 3), ("pushes done", "front-1", 3)]

    def test_large_channels_go_in_pieces(self, old: OldOwner) -> None:
        members = [(f"{'u' * 1000}{number}", "front-1") for number in range(1000)]
        old.slow, old.mine = True, Hand(members, {"turn": 1})
        arrived: list[Hand] = []
        done: list[Any] = []
        hand_over = old.hand_over
        old.hand_over = lambda *a: (  # type: ignore[method-assign]
            arrived.append(a[3]) or done.append(a[4]) or hand_over(*a)
        )
        until_given(old, 1)
        for _ in range(100):
            if len(arrived) < 3:
                turn(old)
        old.servers.follow(BACK_AGAIN)
        assert [hand.state for hand in arrived] == [{"turn": 1}, {}, {}]
        got = [each for hand in arrived for each in hand.members]
        assert got == members[: len(got)]
        for each in done:
            each(True)
        assert old.side._deliveries.names() != []  # not all of it was on its way


class TestTheNewOwner:
    def test_goes_on_in_later_turns(self, new: NewOwner) -> None:
        new.comes("one", "two", "three")
        assert (new.taken, new.settling.settled) == (["one"], False)
        turn(new)
        assert (new.taken, new.settling.settled) == (["one", "two"], False)
        turn(new, 3)
        assert (new.taken, new.settling.settled) == (["one", "two", "three"], True)

    def test_answers_for_nothing_until_all_is_in(self, new: NewOwner) -> None:
        new.comes("one", "two")
        assert not new.settling.may_answer("one")
        turn(new, 3)
        assert new.settling.may_answer("one")

    def test_takes_in_what_comes_meanwhile(self, new: NewOwner) -> None:
        hook: Deferred[Any] = Deferred()
        new.hooks["one"] = lambda: hook
        new.comes("one", "two")
        new.settling.handed("three", Hand())
        turn(new, 5)
        assert new.taken == ["one", "two", "three"]
        new.settling.handed("six", Hand())
        hook.callback(None)
        turn(new, 5)
        assert new.taken == ["one", "two", "three", "six"]
        assert new.settling.settled

    def test_leaves_what_a_newer_view_gives_to_others(self, new: NewOwner) -> None:
        """And waits with the rest until that view's owners have said what there is of it."""
        names = [f"room {number}" for number in range(20)]
        new.comes(*names)
        turn(new, 4)
        taken = list(new.taken)
        new.servers.follow(View(3, (*BOTH, member("back-3"))))
        turn(new, 100)
        assert new.taken == taken
        for peer in ("back-1", "back-3"):
            new.settling.handed_over(peer, 3)
        turn(new, 100)
        assert new.settling.settled
        left = [name for name, hands in new.settling.foreign() if hands]
        assert len(left) > 1
        assert sorted([*new.taken, *left]) == sorted(names)
        assert all(new.servers.owner("back", name).id != "back-2" for name in left)
        assert list(new.settling.foreign()) == []

    def test_waits_for_the_hooks_of_what_it_had_taken_in_by_an_older_view(
        self, new: NewOwner
    ) -> None:
        hook: Deferred[Any] = Deferred()
        new.hooks["one"] = lambda: hook
        new.comes("one", "two")
        new.servers.follow(View(3, (*BOTH, member("back-3"))))
        for peer in ("back-1", "back-3"):
            new.settling.handed_over(peer, 3)
        turn(new, 5)
        assert not new.settling.settled
        hook.callback(None)
        turn(new, 5)
        assert new.settling.settled

    def test_begins_anew_with_nothing(self, new: NewOwner) -> None:
        new.comes("one", "two")
        new.settling.begin_anew()
        turn(new, 5)
        assert (new.taken, new.settling.settled) == (["one"], False)

    def test_waits_for_frontends_whose_links_are_full(self, new: NewOwner) -> None:
        new.full = True
        new.comes("one")
        new.clock.advance(portions.LOOK)
        assert new.taken == []
        new.full = False
        new.clock.advance(portions.LOOK)
        turn(new, 3)
        assert new.settling.settled
