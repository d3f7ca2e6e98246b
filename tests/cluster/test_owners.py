"""The two sides of a move between owners, whatever the application's hooks do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from chatcore.channels.moving import Arriving, Hand
from chatcore.cluster.handing_over import HandingOver
from chatcore.cluster.moving import PATIENCE
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settling import MOST_VIEWS, Settling
from chatcore.cluster.view import Member, View
from chatcore.config.servers import Server


def member(id: str) -> Member:
    server = Server(id=id, type=id.partition("-")[0], host="h")
    return Member(server=server, incarnation="life 1")


BOTH = (member("back-1"), member("back-2"))
ALONE = View(1, BOTH[:1])
VIEW = View(2, BOTH)


def deaf() -> Deferred[Any]:
    """A hook that does not mind being cancelled."""

    async def go_on() -> None:
        while True:
            with suppress(CancelledError):
                await Deferred()

    return Deferred.fromCoroutine(go_on())


class NewOwner:
    """A node that comes, and what it has taken in."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.taken: list[str] = []
        self.hooks: dict[str, Callable[[], Deferred[Any] | None]] = {}
        self.servers = ClusterServers(View(0, ()))
        self.settling = Settling(
            id="back-2",
            server_type="back",
            servers=self.servers,
            member=lambda: BOTH[1],
            key_of=str,
            linked=lambda id: True,
            take_in=self,
            settled=lambda: None,
            clock=self.clock,
        )
        self.servers.on_changed(self.settling.view_changed)
        self.servers.follow(VIEW)

    def arrive(
        self, name: str, arriving: Arriving, told: Callable[[str], bool], *, late: bool
    ) -> Deferred[Any] | None:
        self.taken.append(name)
        return self.hooks.get(name, lambda: None)()

    def comes(self, *names: str) -> None:
        for name in names:
            self.settling.handed(name, Hand())
        self.settling.handed_over("back-1", VIEW.epoch)


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


class OldOwner:
    """A node whose channels go to another, as far as their names say so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.channels = [f"room {n}" for n in range(20)]
        self.asked: list[str] = []
        self.given: list[str] = []
        self.arrived: list[str] = []
        self.sent: dict[str, tuple[Hand, Callable[[bool], None]]] = {}
        self.slow = False
        self.mine = Hand()
        self.hook: Callable[[str], Deferred[Any] | None] = lambda name: None
        self.servers = ClusterServers(View(0, ()))
        self.side = HandingOver(
            id="back-1",
            server_type="back",
            servers=self.servers,
            key_of=str,
            channels=self,
            quiet=self,
            sends=self,  # type: ignore[arg-type]  # as much of it as an owner uses
            clock=self.clock,
        )
        self.servers.on_changed(self.side.view_changed)
        self.servers.follow(ALONE)
        self.servers.follow(VIEW)
        self.theirs = [
            name for name in self.channels if self.servers.owner("back", name).id == "back-2"
        ]

    def all_see(self) -> None:
        self.side.seen("back-2", self.servers.view.epoch)

    # Its channels, and what is under way: nothing.

    def names(self) -> list[str]:
        return list(self.channels)

    def is_placed(self, name: str) -> bool:
        return True

    def moving(self, name: str, to: str) -> Deferred[Any] | None:
        self.asked.append(name)
        return self.hook(name)

    def give_away(self, name: str, to: str) -> Hand | None:
        self.channels.remove(name)
        self.given.append(name)
        return self.mine

    def when_ended(self, concerns: object, ended: Callable[[], None]) -> None:
        ended()

    # What it says.

    def linked(self, id: str, incarnation: str = "") -> bool:
        return True

    def seen(self, to: str, epoch: int) -> None:
        """Said to all."""

    pushes_done = handed_over = seen

    def group_moved(self, *args: object) -> None:
        """Said to frontends."""

    def hand_over(
        self, to: str, epoch: int, channel: str, hand: Hand, done: Callable[[bool], None]
    ) -> None:
        self.arrived.append(channel)
        self.sent[channel] = hand, done
        if not self.slow:
            done(True)


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


def test_a_hook_is_not_called_again_and_again(old: OldOwner) -> None:
    """Only once for each view, though an older view's hooks end in the meantime."""
    hooks: list[Deferred[Any]] = []

    def hook(name: str) -> Deferred[Any]:
        hooks.append(Deferred())
        return hooks[-1]

    old.hook = hook
    old.all_see()
    old.servers.follow(View(3, BOTH))
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
