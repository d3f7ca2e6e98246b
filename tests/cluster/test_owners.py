"""The two sides of a move between owners, whatever the application's hooks do."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from chatcore.channels.moving import Hand
from chatcore.cluster.moving import PATIENCE
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settling import MOST_VIEWS
from chatcore.cluster.view import View

from .owners import ALONE, BOTH, VIEW, NewOwner, OldOwner, member


def deaf() -> Deferred[Any]:
    """A hook that does not mind being cancelled."""

    async def go_on() -> None:
        while True:
            with suppress(CancelledError):
                await Deferred()

    return Deferred.fromCoroutine(go_on())


@pytest.fixture
def owner() -> NewOwner:
    return NewOwner()


@pytest.mark.logs_failures
def test_a_hook_that_never_ends_keeps_nobody_waiting_for_ever(owner: NewOwner) -> None:
    owner.hooks = {"one": Deferred, "two": deaf}
    owner.comes("one", "two", "three")
    assert owner.taken == ["one", "two", "three"]
    assert not owner.settling.settled
    owner.clock.advance(PATIENCE)
    assert owner.settling.settled
    assert not owner.clock.getDelayedCalls()


@pytest.mark.logs_failures
def test_one_that_can_not_be_taken_in_keeps_no_other_out(owner: NewOwner) -> None:
    def fail() -> None:
        raise ValueError("a bad name")

    owner.hooks["one"] = fail
    owner.comes("one", "two")
    assert owner.taken == ["one", "two"]
    assert owner.settling.settled


def test_who_may_own_nothing_does_not_settle_when_a_hook_ends(owner: NewOwner) -> None:
    hook: Deferred[Any] = Deferred()
    owner.hooks["one"] = lambda: hook
    owner.comes("one")
    owner.settling.suspend()
    hook.callback(None)
    assert not owner.settling.settled
    assert not owner.settling.may_answer("one")
    owner.settling.resume()
    assert owner.settling.settled


def test_who_begins_anew_does_not_settle_by_the_old_view(owner: NewOwner) -> None:
    hook: Deferred[Any] = Deferred()
    owner.hooks["one"] = lambda: hook
    owner.comes("one")
    owner.settling.begin_anew()
    hook.callback(None)
    assert not owner.settling.settled
    owner.settling.stop()


def test_who_begins_anew_forgets_which_keys_it_might_answer_for(owner: NewOwner) -> None:
    owner.comes()
    third = replace(member("back-3"), state="up")
    owner.servers.follow(View(3, (*BOTH, third)))
    keys = [f"key {n}" for n in range(20)]
    kept = [key for key in keys if owner.settling.may_answer(key)]
    assert kept
    owner.settling.begin_anew()
    assert not [key for key in keys if owner.settling.may_answer(key)]
    owner.settling.stop()


def flap(owner: NewOwner, views: int) -> None:
    """One more comes and goes, and nobody says that all is handed over."""
    third = member("back-3")
    for n in range(views):
        owner.servers.follow(View(3 + n, BOTH if n % 2 else (*BOTH, third)))


KEYS = [f"key {n}" for n in range(20)]


def test_views_that_come_and_go_are_not_remembered_for_ever(owner: NewOwner) -> None:
    owner.comes()
    mine = [key for key in KEYS if owner.settling.may_answer(key)]
    flap(owner, 4)
    assert 0 < len([key for key in mine if owner.settling.may_answer(key)]) < len(mine)
    flap(owner, 1000)
    assert len(owner.settling._since) <= MOST_VIEWS + 2
    assert not [key for key in KEYS if owner.settling.may_answer(key)], "it can't be known"
    owner.settling.handed_over("back-1", owner.servers.view.epoch)
    owner.settling.handed_over("back-3", owner.servers.view.epoch)
    assert owner.settling.settled


def test_who_never_settled_has_kept_no_key(owner: NewOwner) -> None:
    flap(owner, 3)
    assert not [key for key in KEYS if owner.settling.may_answer(key)]
    owner.settling.stop()


def test_who_was_told_as_left_is_taken_in_from_no_frontend(owner: NewOwner) -> None:
    three = ClusterServers(View(3, (*BOTH, member("back-3"))))
    rooms = [f"room {n}" for n in range(20)]
    room = next(
        room
        for room in rooms
        if all(each.owner("back", room).id == "back-2" for each in (owner.servers, three))
    )
    owner.settling.offered("front-1", room, ["alice", "bob"])
    owner.settling.given_up("front-1", ["alice", "carol"])
    owner.comes(room)
    arrived = owner.arrived[room]
    assert arrived.given_up == {"front-1": ["alice"]}
    assert list(arrived.offers["front-1"]) == ["bob"]
    owner.servers.follow(three.view)
    owner.settling.offered("front-1", room, ["alice"])  # who has come in anew since
    for each in ("back-1", "back-3"):
        owner.settling.handed_over(each, 3)
    assert owner.arrived[room].given_up == {}
    assert list(owner.arrived[room].offers["front-1"]) == ["alice"]


@pytest.fixture
def old() -> OldOwner:
    return OldOwner()


def test_channels_go_when_the_hooks_have_ended(old: OldOwner) -> None:
    hooks: list[Deferred[Any]] = []

    def hook(name: str) -> Deferred[Any]:
        hooks.append(Deferred())
        return hooks[-1]

    old.hook = hook
    old.all_see()
    assert old.theirs
    assert old.asked == old.theirs
    assert old.given == []
    old.all_see()
    for each in hooks:
        each.callback(None)
    assert old.asked == old.given == old.arrived == old.theirs
    assert not old.clock.getDelayedCalls()


def test_what_came_for_a_channel_goes_along_with_it(old: OldOwner) -> None:
    """And is kept until all of it is known to have arrived."""
    old.slow = True
    room = old.theirs[0]
    old.side.pass_on(room, Hand([("ann", "front-1")], {"turn": 1, "round": 1}))
    _, first_arrived = old.sent[room]
    old.mine = Hand([("bob", "front-1")], {"turn": 2})
    old.all_see()
    hand, arrived = old.sent[room]
    assert list(hand.members) == [("bob", "front-1"), ("ann", "front-1")]
    assert hand.state == {"turn": 2, "round": 1}
    for _, done in list(old.sent.values()):
        if done is not arrived:
            done(True)
    first_arrived(True)
    assert not old.side.done
    arrived(True)
    assert old.side.done


def test_who_was_taken_for_dead_does_not_tell_who_is_in_what_is_on_its_way(old: OldOwner) -> None:
    """The frontends have told others since, and some may have left."""
    old.slow = True
    old.mine = Hand([("ann", "front-1")], {"turn": 1})
    old.all_see()
    old.side.begin_anew()
    old.side.link_up("back-2")
    assert [hand for hand, _ in old.sent.values()] == [Hand(state={"turn": 1})] * len(old.theirs)


def test_channels_go_though_a_hook_will_not_end(old: OldOwner) -> None:
    old.hook = lambda name: deaf()
    old.all_see()
    old.clock.advance(PATIENCE)
    assert old.given == old.theirs


def test_a_view_with_the_same_owners_has_nobody_wait_longer(old: OldOwner) -> None:
    """Others that come and go have no part in what moves."""
    front = replace(member("front-1"), state="starting")
    old.servers.follow(View(3, (*BOTH, front)))
    old.side.seen("front-1", 3)
    old.side.seen("back-2", 2)
    assert old.given == old.theirs
    assert ("handed over", "back-2", 3) in old.said
    old.said.clear()
    old.servers.follow(View(4, (*BOTH, member("front-1"))))
    assert old.said == [("handed over", "back-2", 4), ("pushes done", "front-1", 4)]
    assert old.side.done
    old.said.clear()
    old.servers.follow(View(6, (*BOTH, member("front-1"))))  # who knows what view 5 was
    assert old.said == []


def test_a_hook_is_not_called_again_and_again(old: OldOwner) -> None:
    """Only once for each change of owners, though an older one's hooks end in the meantime."""
    hooks: list[Deferred[Any]] = []

    def hook(name: str) -> Deferred[Any]:
        hooks.append(Deferred())
        return hooks[-1]

    old.hook = hook
    old.all_see()
    old.servers.follow(View(3, BOTH))
    old.all_see()
    assert len(hooks) == len(old.theirs)
    old.servers.follow(View(5, BOTH))  # who knows what view 4 was
    old.all_see()
    first, second = hooks[: len(old.theirs)], hooks[len(old.theirs) :]
    assert len(second) == len(old.theirs)
    for each in first:
        each.callback(None)
    old.all_see()
    assert len(hooks) == 2 * len(old.theirs)
    for each in second:
        each.callback(None)
    assert old.given == old.theirs


def test_who_stops_while_a_hook_waits_leaves_no_timer(old: OldOwner) -> None:
    old.hook = lambda name: Deferred()
    old.all_see()
    old.side.stop()
    assert not old.clock.getDelayedCalls()


def test_hooks_are_told_that_they_take_too_long(old: OldOwner) -> None:
    ended: list[Any] = []
    old.hook = lambda name: Deferred().addBoth(ended.append)
    old.all_see()
    old.clock.advance(PATIENCE)
    assert [failure.type for failure in ended] == [CancelledError] * len(old.theirs)
    assert old.given == old.theirs


@pytest.mark.logs_failures
def test_one_part_of_a_node_that_fails_over_a_view_keeps_it_from_no_other() -> None:
    servers, told = ClusterServers(ALONE), list[View]()

    def fail(old: View, new: View) -> None:
        raise ValueError("a mistake")

    servers.on_changed(fail)
    servers.on_changed(lambda old, new: told.append(new))
    servers.follow(VIEW)
    assert told == [VIEW]
