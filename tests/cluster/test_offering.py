"""A frontend tells the owners of channels who left, until one of them has said that it knows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

import pytest

from chatcore.channels.groups import GroupTable
from chatcore.cluster.offering import Offering
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import Member, View
from chatcore.config.servers import Server
from chatcore.telemetry import Counters


def member(id: str) -> Member:
    server_type = id.partition("-")[0]
    server = Server(id=id, type=server_type, host="h", frontend=server_type == "front")
    return Member(server=server, incarnation="life 1")


class NoGroups:
    """Nobody is a member any more."""

    def __init__(self) -> None:
        self.gone: list[tuple[str, str, str]] = []

    def owners(self) -> Collection[str]:
        return [backend for backend, *_ in self.gone]

    def held(self, backend: str) -> Mapping[str, Sequence[str]]:
        return {}

    unconfirmed = held

    moves = 0

    def moved(self, backend: str) -> Mapping[str, int]:
        return {}

    def leaving(self, backend: str) -> Sequence[tuple[str, str]]:
        return [(channel, uid) for owner, channel, uid in self.gone if owner == backend]

    def told(self, backend: str, channel: str, uid: str) -> None:
        self.gone = [each for each in self.gone if each != (backend, channel, uid)]

    def move_leaving(self, backend: str, channel: str, uid: str, to: str | None) -> None:
        self.told(backend, channel, uid)
        if to is not None:
            self.gone.append((to, channel, uid))

    def move(self, channel: str, backend: str, to: str) -> None:
        raise AssertionError("nothing is held")


class Frontend:
    """The frontend's side of moves, and what it says."""

    def __init__(self) -> None:
        self.said: list[tuple[object, ...]] = []
        self.away: set[str] = set()
        self.answers: list[Callable[[bool], None]] = []
        view = View(1, tuple(map(member, ("back-1", "back-2", "front-1"))))
        self.servers, self.groups = ClusterServers(view), NoGroups()
        self.offering = Offering(
            id="front-1",
            servers=self.servers,
            key_of=lambda server_type, channel: channel,
            groups=self.groups,
            sends=self,  # type: ignore[arg-type]  # as much of it as a frontend uses
        )
        self.servers.on_changed(self.offering.view_changed)
        self.offering.view_changed(View(0, ()), view)
        for backend in ("back-1", "back-2"):
            self.offering.pushes_done(backend, 1)
        self.said.clear()

    def leaves(self, owner: str, channel: str, uid: str) -> None:
        self.groups.gone.append((owner, channel, uid))
        self.offering.gone(owner, channel, uid)

    def dies(self, backend: str) -> None:
        """A backend is not reached any more, and then taken out of the view."""
        self.away.add(backend)
        self.offering.link_down(backend)
        view = self.servers.view
        left = tuple(each for each in view.members if each.id != backend)
        self.servers.follow(View(view.epoch + 1, left))
        for each in left:
            self.offering.pushes_done(each.id, view.epoch + 1)

    # What it says.

    def linked(self, id: str, incarnation: str = "") -> bool:
        return id not in self.away

    def offer(self, to: str, epoch: int, channel: str, uids: list[str], *, moved: int) -> None:
        self.said.append(("offer", to, channel, *uids, moved))

    def offers_done(self, to: str, epoch: int, moves: int) -> None:
        if to != "front-1":  # who owns channels of its type is told, too
            self.said.append(("done", to))

    def gone(
        self, to: str, channel: str, uid: str, done: Callable[[bool], None], *, again: bool
    ) -> None:
        self.said.append(("gone", to, channel, uid))
        self.answers.append(done)


@pytest.fixture
def frontend() -> Frontend:
    return Frontend()


TO_THE_NEXT = [
    ("offer", "back-2", "den", "ann", 0),
    ("gone", "back-2", "den", "ann"),
    ("done", "back-2"),
]


def test_who_knows_is_told_once(frontend: Frontend) -> None:
    frontend.leaves("back-1", "den", "ann")
    assert frontend.said == [("gone", "back-1", "den", "ann")]
    frontend.answers.pop()(True)
    frontend.said.clear()
    frontend.dies("back-1")
    assert frontend.said == [("done", "back-2")]


def test_the_next_is_told_what_one_that_died_may_not_have_read(frontend: Frontend) -> None:
    """First as of a member, so that it can tell the others that this one left."""
    frontend.leaves("back-1", "den", "ann")
    frontend.said.clear()
    frontend.dies("back-1")
    assert frontend.said == TO_THE_NEXT
    frontend.answers[0](False)  # the old call ends with its link: it is of no interest any more
    frontend.answers[1](True)
    frontend.said.clear()
    frontend.offering.link_up("back-2")
    assert frontend.said == [("done", "back-2")]


def test_who_left_while_the_owner_was_away_is_told_to_the_next(frontend: Frontend) -> None:
    frontend.away.add("back-1")
    frontend.offering.link_down("back-1")
    frontend.leaves("back-1", "den", "ann")
    assert frontend.said == []
    frontend.dies("back-1")
    assert frontend.said == TO_THE_NEXT


def test_what_was_refused_is_told_again(frontend: Frontend) -> None:
    frontend.leaves("back-2", "den", "ann")
    frontend.answers.pop()(False)
    frontend.said.clear()
    frontend.offering.link_up("back-2")
    assert frontend.said == TO_THE_NEXT


def test_who_is_being_told_is_not_told_again_meanwhile(frontend: Frontend) -> None:
    """Behind the answer may come that somebody with that uid has entered anew."""
    frontend.leaves("back-2", "den", "ann")
    frontend.said.clear()
    frontend.dies("back-1")
    assert frontend.said == [("offer", "back-2", "den", "ann", 0), ("done", "back-2")]
    frontend.answers.pop()(False)
    frontend.said.clear()
    frontend.offering.link_up("back-2")
    assert frontend.said == TO_THE_NEXT


def test_servers_of_other_types_have_channels_of_the_same_names(frontend: Frontend) -> None:
    """Each has to be told that somebody left its own."""
    view = frontend.servers.view
    frontend.servers.follow(View(2, (*view.members, member("game-1"))))
    frontend.leaves("back-1", "den", "ann")
    frontend.leaves("game-1", "den", "ann")
    frontend.answers[0](True)
    assert frontend.groups.gone == [("game-1", "den", "ann")]


def test_whoever_knows_is_enough_though_another_was_to_be_told(frontend: Frontend) -> None:
    frontend.leaves("back-1", "den", "ann")
    frontend.dies("back-1")
    assert frontend.groups.gone == [("back-2", "den", "ann")]
    frontend.answers[0](True)
    assert frontend.groups.gone == []


def test_what_nobody_owns_for_a_while_is_offered_to_whoever_comes(frontend: Frontend) -> None:
    """Also to another life of the node that had it: of its members, that one knows nothing."""
    groups = GroupTable(sessions=_Everybody(), gone=print, counters=Counters())  # type: ignore[arg-type]
    groups.join("back-1", "den", ["ann"])
    frontend.offering._groups = groups  # type: ignore[assignment]
    frontend.dies("back-2")
    frontend.dies("back-1")
    frontend.linked = lambda id, life="": life == "life 2"  # type: ignore[method-assign]
    again = replace(member("back-1"), incarnation="life 2")
    for epoch, state in ((9, "starting"), (10, "up")):
        frontend.said.clear()
        now = replace(again, state=state)
        frontend.servers.follow(View(epoch, (now, member("front-1"))))
        frontend.offering.pushes_done("back-1", epoch)
    assert [each[:4] for each in frontend.said] == [
        ("offer", "back-1", "den", "ann"),
        ("done", "back-1"),
    ]


def test_who_left_while_nobody_owned_the_channel_is_told_to_whoever_comes(
    frontend: Frontend,
) -> None:
    frontend.leaves("back-1", "den", "ann")
    frontend.dies("back-2")
    frontend.dies("back-1")
    frontend.said.clear()
    frontend.servers.follow(View(9, (member("back-3"), member("front-1"))))
    frontend.offering.pushes_done("back-3", 9)
    assert frontend.said == [(what, "back-3", *rest) for what, _, *rest in TO_THE_NEXT]


class _Everybody:
    """The sessions of a frontend where everybody is connected."""

    def has_uid(self, uid: str) -> bool:
        return True

    def on_uid_changed(self, hook: object) -> None:
        """Nobody ever goes."""
