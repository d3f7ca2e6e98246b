"""A frontend tells the owners of channels who left, until one of them has said that it knows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from twisted.internet.task import Clock

from chatcore.channels.groups import GroupTable
from chatcore.cluster import portions
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

    def channels(self, backend: str) -> Sequence[str]:
        return ()

    unconfirmed = channels

    def members(self, backend: str, channel: str) -> Sequence[str]:
        return ()

    moves = 0

    def offered(self, backend: str, channel: str) -> None:
        """Nothing is held."""

    def offer_again(self, backend: str) -> None:
        """Nothing was offered."""

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
        self.full, self.clock = False, Clock()
        self.answers: list[Callable[[bool], None]] = []
        view = View(1, tuple(map(member, ("back-1", "back-2", "front-1"))))
        self.servers, self.groups = ClusterServers(view), NoGroups()
        self.offering = Offering(
            id="front-1",
            servers=self.servers,
            key_of=lambda server_type, channel: channel,
            groups=self.groups,
            sends=self,  # type: ignore[arg-type]  # as much of it as a frontend uses
            clock=self.clock,
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

    def has_room(self, to: str, size: int) -> bool:
        return not self.full

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


def test_a_view_with_the_same_owners_has_nobody_wait_longer(frontend: Frontend) -> None:
    view = frontend.servers.view
    came = replace(member("front-2"), state="starting")
    frontend.servers.follow(View(2, (*view.members, came)))
    done = [("done", "back-1"), ("done", "back-2")]
    assert frontend.said == done
    frontend.said.clear()
    frontend.servers.follow(View(4, view.members))  # who knows what view 3 was
    assert frontend.said == []
    frontend.offering.pushes_done("back-1", 4)
    frontend.servers.follow(View(5, (*view.members, came)))
    assert frontend.said == []
    frontend.offering.pushes_done("back-2", 4)
    assert frontend.said == done


def test_what_is_not_here_does_not_move(frontend: Frontend) -> None:
    """Who is told so of those who left, and answers so, is not told again."""
    frontend.groups.move = lambda *args: None  # type: ignore[method-assign]  # there is no group
    frontend.offering.group_moved("back-1", "back-2", ["den"])
    frontend.offering.pushes_done("back-1", 1)
    assert frontend.said == []


def test_who_leaves_while_nobody_owns_the_channel_is_told_to_no_later_life_of_its_owner(
    frontend: Frontend,
) -> None:
    """Who owns it next may take in somebody of the same uid, and hand the channel on to it."""
    frontend.dies("back-2")
    frontend.dies("back-1")
    again = replace(member("back-1"), incarnation="life 2", state="starting")
    frontend.servers.follow(View(8, (again, member("front-1"))))
    frontend.leaves("back-1", "den", "ann")
    frontend.said.clear()
    frontend.servers.follow(View(9, (again, member("back-3"), member("front-1"))))
    frontend.offering.pushes_done("back-3", 9)
    assert frontend.said == [(what, "back-3", *rest) for what, _, *rest in TO_THE_NEXT]
    frontend.answers[-1](True)
    assert frontend.groups.gone == []


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


class TestInPortions:
    """What a frontend has of many channels is followed and offered in several turns."""

    @pytest.fixture
    def frontend(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Frontend]:
        frontend = Frontend()
        groups = GroupTable(sessions=_Everybody(), gone=print, counters=Counters())  # type: ignore[arg-type]
        for number in range(10):
            groups.join("back-1", f"room {number}", ["ann", "bob"])
        frontend.groups = frontend.offering._groups = groups  # type: ignore[assignment]
        monkeypatch.setattr(portions, "STEPS", 1)
        monkeypatch.setattr(portions, "PAUSE", 0.001)
        yield frontend
        frontend.offering.stop()
        assert frontend.clock.getDelayedCalls() == []

    def turn(self, frontend: Frontend, times: int = 1) -> None:
        for _ in range(times):
            frontend.clock.advance(0.001)

    def until_one_is_offered(self, frontend: Frontend) -> None:
        for _ in range(100):
            if not self.offered(frontend):
                self.turn(frontend)
        assert self.offered(frontend)

    def offered(self, frontend: Frontend) -> list[object]:
        return [each[2] for each in frontend.said if each[0] == "offer"]

    def test_all_is_offered_before_it_is_done(self, frontend: Frontend) -> None:
        frontend.dies("back-1")
        assert self.offered(frontend) == []
        self.turn(frontend, 100)
        rooms = [f"room {number}" for number in range(10)]
        assert [each[:3] for each in frontend.said] == [
            *(("offer", "back-2", room) for room in rooms),
            ("done", "back-2"),
        ]

    def test_a_newer_view_begins_with_it_anew(self, frontend: Frontend) -> None:
        """Also of what has been followed, but not offered, by the older one."""
        frontend.dies("back-1")
        self.turn(frontend, 4)
        others = tuple(map(member, ("back-3", "back-4", "front-1")))
        frontend.away.add("back-2")
        frontend.servers.follow(View(3, others))
        for backend in ("back-3", "back-4"):
            frontend.offering.pushes_done(backend, 3)
        self.turn(frontend, 100)
        assert sorted(map(str, self.offered(frontend))) == [f"room {n}" for n in range(10)]
        for what, to, *rest in frontend.said:
            if what == "offer":
                assert to == frontend.servers.owner("back", str(rest[0])).id
        assert sorted(frontend.said[-2:]) == [("done", "back-3"), ("done", "back-4")]

    def test_who_leaves_meanwhile_is_not_offered_as_a_member(self, frontend: Frontend) -> None:
        frontend.dies("back-1")
        self.until_one_is_offered(frontend)
        frontend.groups.leave("back-2", "room 9", ["ann"])
        frontend.groups.leave("back-2", "room 8", ["ann", "bob"])
        self.turn(frontend, 100)
        offers = {each[2]: each[3:-1] for each in frontend.said if each[0] == "offer"}
        assert offers["room 9"] == ("bob",)
        assert "room 8" not in offers

    def test_what_a_link_may_have_lost_is_offered_again(self, frontend: Frontend) -> None:
        frontend.dies("back-1")
        self.until_one_is_offered(frontend)
        frontend.offering.link_down("back-2")
        self.turn(frontend, 100)
        assert ("done", "back-2") not in frontend.said
        frontend.said.clear()
        frontend.offering.link_up("back-2")
        self.turn(frontend, 100)
        assert self.offered(frontend) == [f"room {number}" for number in range(10)]
        assert frontend.said[-1] == ("done", "back-2")

    def test_what_is_to_be_offered_yet_outlives_that_its_owner_tells_all_anew(
        self, frontend: Frontend
    ) -> None:
        """That one does not know of it. When it does, it says who is in it."""
        frontend.dies("back-1")
        self.until_one_is_offered(frontend)
        groups = frontend.groups
        groups.renew("back-2")
        groups.join("back-2", "room 9", ["eve"])
        rooms = [f"room {number}" for number in range(10)]
        assert groups.channels("back-2") == rooms
        assert groups.members("back-2", "room 9") == ["ann", "bob", "eve"]
        self.turn(frontend, 100)
        assert self.offered(frontend) == rooms
        assert groups.channels("back-2") == rooms
        groups.join("back-2", "room 9", ["ann"])
        groups.leave("back-2", "room 9", ["bob"])
        assert groups.members("back-2", "room 9") == ["ann", "eve"]
        assert groups.unconfirmed("back-2") == rooms[:-1]

    def test_what_has_moved_late_is_offered_when_all_of_it_has(self, frontend: Frontend) -> None:
        for backend in ("back-1", "back-2"):
            frontend.offering.pushes_done(backend, 1)
        self.turn(frontend, 100)
        frontend.said.clear()
        for number in range(3):
            frontend.offering.group_moved("back-1", "back-2", [f"room {number}"])
        assert frontend.said == []
        frontend.offering.pushes_done("back-1", 1)
        self.turn(frontend, 100)
        assert len(self.offered(frontend)) == 3

    def test_it_waits_for_a_link_that_is_full(self, frontend: Frontend) -> None:
        frontend.full = True
        frontend.dies("back-1")
        self.turn(frontend, 100)
        assert frontend.said == []
        frontend.full = False
        frontend.clock.advance(portions.LOOK)
        self.turn(frontend, 100)
        assert len(self.offered(frontend)) == 10
        assert frontend.said[-1] == ("done", "back-2")


class _Everybody:
    """The sessions of a frontend where everybody is connected."""

    def has_uid(self, uid: str) -> bool:
        return True

    def on_uid_changed(self, hook: object) -> None:
        """Nobody ever goes."""
