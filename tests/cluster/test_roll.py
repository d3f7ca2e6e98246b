"""Who is in the view, as a master decides it."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from chatcore.cluster.view import Member, View
from chatcore.config.servers import Server
from chatcore.master import roll as rolls
from chatcore.master.roll import LEARNING_SECONDS, Roll


def member(id: str, life: str = "1", **server: object) -> Member:
    return Member(server=Server(id=id, type="chat", port=4000, **server), incarnation=life)


def view(epoch: int, *members: Member) -> View:
    return View(epoch, members)


class Rolled:
    """A roll, with the views that it has made."""

    def __init__(self, *, learning: bool = False, epoch: int = 0) -> None:
        self.clock = Clock()
        self.views: list[View] = []
        self.displaced: list[str] = []
        self.roll = Roll(
            away_seconds=1.0,
            restart_seconds=5.0,
            learning=learning,
            epoch=epoch,
            clock=self.clock,
            settled=self._settled,
            displaced=self.displaced.append,
        )

    def _settled(self, view: View) -> None:
        if not self.views or view.epoch > self.views[-1].epoch:
            self.views.append(view)

    def announce(self, at: str, member: Member, told: View | None = None) -> str:
        return self.roll.announce(at, member, told)[0]

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.25] * round(seconds * 4))

    @property
    def lives(self) -> list[str]:
        """Who is in, with which life."""
        self.clock.advance(0)
        return [f"{each.id} {each.incarnation}" for each in self.roll.view.members]

    @property
    def epoch(self) -> int:
        self.clock.advance(0)
        return self.roll.view.epoch


@pytest.fixture
def rolled() -> Rolled:
    return Rolled()


def test_several_changes_in_one_turn_make_one_view(rolled: Rolled) -> None:
    for id in ("a", "b", "c"):
        rolled.announce(f"link to {id}", member(id))
    rolled.roll.leave("link to b")
    assert rolled.lives == ["a 1", "c 1"]
    assert [each.epoch for each in rolled.views] == [1]


def test_what_is_undone_in_the_same_turn_makes_no_view(rolled: Rolled) -> None:
    rolled.announce("link to a", member("a"))
    assert rolled.epoch == 1
    rolled.announce("link to b", member("b"))
    rolled.roll.leave("link to b")
    rolled.announce("link to a", member("a"))
    assert rolled.epoch == 1


def test_who_comes_back_in_time_has_never_been_away(rolled: Rolled) -> None:
    rolled.announce("link", member("a"))
    epoch = rolled.epoch
    rolled.roll.lost("link", silent=False)
    rolled.pass_time(0.75)
    assert rolled.announce("another link", member("a"), rolled.roll.view) == "welcome"
    rolled.roll.lost("link", silent=False)  # as of a link that was given up on one side only
    rolled.pass_time(10)
    assert rolled.epoch == epoch


def test_who_was_taken_out_does_not_come_back_as_the_same_life(rolled: Rolled) -> None:
    rolled.announce("link", member("a"))
    known = rolled.roll.view
    rolled.roll.lost("link", silent=False)
    rolled.pass_time(1.25)
    assert rolled.lives == []
    assert rolled.announce("link", member("a"), known) == "removed"
    assert rolled.announce("link", member("a")) == "removed", "whatever it tells"
    assert rolled.announce("link", member("a", "2")) == "welcome"
    assert rolled.lives == ["a 2"]


def test_a_late_timer_takes_nobody_out(rolled: Rolled) -> None:
    """This process was held up: who was away has had no time to come back."""
    rolled.announce("link", member("a"))
    rolled.roll.lost("link", silent=False)
    rolled.clock.advance(60)
    assert rolled.lives == ["a 1"]
    rolled.pass_time(4.5)
    assert rolled.announce("another link", member("a")) == "welcome"
    rolled.pass_time(10)
    assert rolled.lives == ["a 1"]


def test_after_a_pause_of_its_own_it_waits_longer(rolled: Rolled) -> None:
    rolled.announce("link", member("a"))
    rolled.roll.be_lenient()
    rolled.roll.lost("link", silent=False)
    rolled.pass_time(4.5)
    assert rolled.lives == ["a 1"]
    rolled.pass_time(1)
    assert rolled.lives == []


class TestLearning:
    """A master that has started anew hears of a cluster from its nodes.

    It makes no difference whether those are behind its own epochs, or ahead, because a clock was
    set back.
    """

    @pytest.fixture(params=[0, 16, 5000])
    def rolled(self, request: pytest.FixtureRequest) -> Rolled:
        return Rolled(epoch=request.param)

    def test_its_first_view_is_the_one_that_it_is_told_with_a_higher_epoch(
        self, rolled: Rolled
    ) -> None:
        old = view(17, member("a"), member("b"), member("c"))
        assert rolled.announce("link to a", member("a"), old) == "welcome"
        assert rolled.lives == ["a 1", "b 1", "c 1"]
        assert rolled.epoch > 17

    def test_who_does_not_come_back_is_out_after_a_while(self, rolled: Rolled) -> None:
        old = view(17, member("a"), member("b"), member("c"))
        rolled.announce("link to a", member("a"), old)
        rolled.pass_time(4.5)
        assert rolled.announce("link to b", member("b"), old) == "welcome"
        rolled.pass_time(1)
        assert rolled.lives == ["a 1", "b 1"]

    def test_the_highest_view_counts(self, rolled: Rolled) -> None:
        rolled.announce("link to a", member("a"), view(17, member("a"), member("b")))
        rolled.announce("link to d", member("d"))
        before = rolled.epoch
        # b was taken out, and c came in, while a heard nothing any more.
        later = view(18, member("a"), member("c"))
        assert rolled.announce("link to c", member("c"), later) == "welcome"
        assert rolled.lives == ["a 1", "c 1", "d 1"]
        assert rolled.epoch > before
        assert rolled.announce("link to b", member("b"), view(16, member("b"))) == "removed"

    def test_a_node_that_a_later_view_is_without_is_out_though_it_came_first(
        self, rolled: Rolled
    ) -> None:
        rolled.announce("link to a", member("a"), view(17, member("a"), member("b")))
        rolled.announce("link to b", member("b"), view(18, member("b")))
        assert rolled.lives == ["b 1"]

    def test_what_is_older_than_what_is_known_changes_nothing(self, rolled: Rolled) -> None:
        rolled.announce("link to a", member("a"), view(17, member("a"), member("b")))
        epoch = rolled.epoch
        older = view(16, member("a"), member("b"), member("z"))
        assert rolled.announce("link to b", member("b"), older) == "welcome"
        assert rolled.lives == ["a 1", "b 1"]
        assert rolled.epoch == epoch
        assert rolled.announce("link to z", member("z"), older) == "removed"

    def test_its_own_views_are_no_news(self, rolled: Rolled) -> None:
        rolled.announce("link to a", member("a"), view(17, member("a"), member("b")))
        mine = rolled.roll.view
        rolled.pass_time(5.5)  # b is out
        rolled.announce("link to a", member("a"), mine)
        assert rolled.lives == ["a 1"]

    def test_a_newcomer_does_not_take_the_place_of_one_that_may_come_back(
        self, rolled: Rolled
    ) -> None:
        old = view(17, member("a"), member("b"))
        rolled.announce("link to a", member("a"), old)
        assert rolled.announce("rival", member("b", "2")) == "taken"
        assert rolled.announce("link to b", member("b"), old) == "welcome"
        assert rolled.lives == ["a 1", "b 1"]

    def test_who_has_started_anew_with_the_master_keeps_its_place(self, rolled: Rolled) -> None:
        assert rolled.announce("link to b", member("b", "2")) == "welcome"
        rolled.announce("link to a", member("a"), view(17, member("a"), member("b")))
        assert rolled.lives == ["a 1", "b 2"]

    def test_who_comes_first_waits_for_those_who_know_more(self) -> None:
        rolled = Rolled(learning=True)
        assert rolled.announce("link to n", member("n")) == "welcome"
        rolled.pass_time(LEARNING_SECONDS - 0.5)
        assert rolled.views == [], "it would be alone in it"
        rolled.announce("link to a", member("a"), view(17, member("a"), member("b")))
        assert rolled.lives == ["a 1", "b 1", "n 1"]
        assert len(rolled.views) == 1

    @pytest.mark.parametrize("who_tells", ["a", "b"])
    def test_who_was_there_before_keeps_its_place_from_a_rival_that_comes_first(
        self, who_tells: str
    ) -> None:
        """Both look for a master that starts anew, and one has to be first."""
        rolled = Rolled(learning=True)
        assert rolled.announce("rival", member("b", "2")) == "welcome"
        old = view(17, member("a"), member("b"))
        assert rolled.announce("link", member(who_tells), old) == "welcome"
        assert rolled.lives == ["a 1", "b 1"]
        assert rolled.displaced == ["rival"]
        rolled.roll.lost("rival", silent=False)
        assert rolled.announce("rival again", member("b", "2")) == "taken"
        rolled.pass_time(6)
        if who_tells == "a":  # the one that was there before has not come back
            assert rolled.announce("rival again", member("b", "2")) == "welcome"

    def test_who_comes_first_does_not_wait_for_ever(self) -> None:
        rolled = Rolled(learning=True)
        rolled.announce("link to n", member("n"))
        rolled.pass_time(LEARNING_SECONDS)
        assert rolled.lives == ["n 1"]


def test_a_view_has_an_end(rolled: Rolled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolls, "MOST_BYTES", 1000)
    large = {"data": {"text": "x" * 500}}
    assert rolled.announce("link to a", member("a", **large)) == "welcome"
    assert rolled.announce("link to b", member("b", **large)) == "refused"
    assert rolled.announce("link to a", member("a", **large)) == "welcome", "it has its place"
    rolled.roll.leave("link to a")
    assert rolled.announce("link to b", member("b", **large)) == "welcome"
    told = view(17, *(member(f"m{n}", **large) for n in range(5)))
    rolled.announce("link to c", member("c"), told)
    assert len(rolled.lives) <= 2


def test_what_is_remembered_has_an_end(rolled: Rolled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolls, "MOST_REMOVED", 10)
    for life in range(50):
        rolled.announce("link", member("a", str(life)))
    assert rolled.announce("link", member("a", "48")) == "removed"
    assert rolled.announce("link", member("a", "1")) == "welcome", "long forgotten"
