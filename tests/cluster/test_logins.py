"""One session of a uid in the whole cluster: what becomes of claims, one thing at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import ANY

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from chatcore.cluster import claims, directory
from chatcore.cluster.homes import Homes
from chatcore.cluster.view import Member, View
from chatcore.config.servers import Server
from chatcore.errors import SessionError
from chatcore.sessions.session import LONGEST_UID

from .frontends import PATIENCE, Client, Frontend, World

IDS = ["front-1", "front-2", "front-3"]


def cluster(per_uid: str = "refuse", *, fixed: bool = False, ids: list[str] = IDS) -> World:
    """Frontends that are up and linked."""
    world = World(per_uid=per_uid, fixed=ids if fixed else ())
    world.latencies, world.hearing = [0.02], [0.1]
    for id in ids:
        frontend = world.begin(id)
        if not fixed:
            world.pass_time(0.2)
            world.announce(frontend, "up")
    world.pass_time(3.0)
    return world


def bind(frontend: Frontend, uid: str) -> tuple[Client, list[Any]]:
    """Have a new session bound; how that ends comes to stand in the list."""
    client = frontend.client()
    return client, bind_client(frontend, client, uid)


def bind_client(frontend: Frontend, client: Client, uid: str) -> list[Any]:
    outcome: list[Any] = []
    bound = frontend.sessions.bind(client.session.id, uid)
    assert isinstance(bound, Deferred)
    bound.addBoth(outcome.append)
    return outcome


def problem(outcome: list[Any]) -> str:
    """Why a session was not bound."""
    assert len(outcome) == 1 and isinstance(outcome[0], Failure), outcome
    outcome[0].trap(SessionError)
    return str(outcome[0].value)


def uid_at(home: str, view: View, *, then: tuple[str, View] | None = None) -> str:
    """A uid with that home in a view, and another one in another."""
    for n in range(10_000):
        uid = f"user {n}"
        if Homes(view).of(uid) == home and (then is None or Homes(then[1]).of(uid) == then[0]):
            return uid
    raise AssertionError("there is no such uid")


def kept(world: World) -> dict[str, int]:
    return {each.id: each.logins.at_home for each in world.alive()}


def state(view: View, id: str, state: Any) -> View:
    """The next view, with another state of a frontend."""
    members = [replace(each, state=state) if each.id == id else each for each in view.members]
    return View(view.epoch + 1, tuple(members))


# Sessions.


def test_a_session_that_closes_while_it_is_being_bound_leaves_no_claim() -> None:
    world = cluster()
    one = world.frontends["front-1"]
    for moment in (0.0, 0.001, 0.01, 0.03):
        uid = uid_at("front-2", world.view)
        client, outcome = bind(one, uid)
        world.pass_time(moment)
        one.sessions.close(client.session, "gone")
        world.pass_time(1.0)
        assert len(outcome) == 1
        assert sum(kept(world).values()) == 0


def test_who_unbinds_meanwhile_is_not_bound() -> None:
    world = cluster()
    one = world.frontends["front-1"]
    client, outcome = bind(one, uid_at("front-2", world.view))
    one.sessions.unbind(client.session.id)
    world.pass_time(1.0)
    assert "ended before it was bound" in problem(outcome)
    assert (client.session.uid, sum(kept(world).values())) == (None, 0)


def test_binding_again_is_the_same_claim() -> None:
    world = cluster()
    one = world.frontends["front-1"]
    uid = uid_at("front-2", world.view)
    client, first = bind(one, uid)
    second = bind_client(one, client, uid)
    with pytest.raises(SessionError, match=f"is being bound to '{uid}' already"):
        one.sessions.bind(client.session.id, "somebody else")
    world.pass_time(1.0)
    assert first == second == [client.session.logged_in]
    assert one.sessions.bind(client.session.id, uid) == client.session.logged_in
    assert kept(world) == {"front-1": 0, "front-2": 1, "front-3": 0}


def test_a_uid_has_to_fit_into_what_others_are_told() -> None:
    """One that does not would be granted, and then keep a new home from hearing all claims."""
    world = cluster()
    one = world.frontends["front-1"]
    assert bound_after(world, one, "x" * LONGEST_UID) == [ANY]
    with pytest.raises(ValueError, match="a uid of more than 65536 characters"):
        one.sessions.bind(one.client().session.id, "x" * (LONGEST_UID + 1))


def test_who_lost_a_uid_cannot_end_the_claim_of_who_has_it() -> None:
    """Not even while the kick is on its way."""
    world = cluster("takeover")
    one, two = world.frontends["front-1"], world.frontends["front-2"]
    one.links["front-2"].slow = 1.0
    uid = uid_at("front-2", world.view)
    old, _ = bind(one, uid)
    world.pass_time(3.0)
    new, outcome = bind(two, uid)
    world.pass_time(0.001)
    assert outcome == [new.session.logged_in]
    one.sessions.close(old.session, "gone")
    world.pass_time(5.0)
    assert kept(world) == {"front-1": 0, "front-2": 1, "front-3": 0}
    assert new.kicked is None


# Frontends that go.


def test_claims_end_when_their_frontend_leaves_the_view() -> None:
    """And not before, however long it can't be reached."""
    world = cluster()
    one, two = world.frontends["front-1"], world.frontends["front-2"]
    uid = uid_at("front-2", world.view)
    bind(one, uid)
    world.pass_time(1.0)
    one.crash()
    world.pass_time(5 * PATIENCE)
    assert "has a session on front-1 already" in problem(bound_after(world, two, uid))
    world.forget("front-1", one.incarnation)
    world.pass_time(1.0)
    client, outcome = bind(two, uid)
    world.pass_time(1.0)
    assert outcome == [client.session.logged_in]


def bound_after(world: World, frontend: Frontend, uid: str, seconds: float = 6.0) -> list[Any]:
    outcome = bind(frontend, uid)[1]
    world.pass_time(seconds)
    return outcome


def test_a_new_home_knows_what_the_old_one_knew() -> None:
    world = cluster()
    one, two, three = world.frontends.values()
    uid = uid_at("front-3", world.view)
    bind(one, uid)
    world.pass_time(1.0)
    three.crash()
    world.forget("front-3", three.incarnation)
    assert "has a session on front-1 already" in problem(bound_after(world, two, uid))
    assert sum(kept(world).values()) == 1


def test_a_home_waits_for_all_frontends_and_says_for_which() -> None:
    world = cluster()
    _, two, three = world.frontends.values()
    uid = uid_at("front-2", world.view)
    world.cut("front-1", "front-2")
    world.pass_time(1.0)
    world.set_state("front-3", "draining")
    world.pass_time(1.0)
    outcome = bound_after(world, three, uid, 4.0)
    assert outcome == []
    world.pass_time(2.0)
    assert problem(outcome) == (
        f"'{uid}' can't be bound now, try again: front-1 has not told front-2 yet who is logged in"
        " there"
    )
    waits = bound_after(world, three, uid, 1.0)
    assert (waits, two.logins._directory.waiting) == ([], 1)  # type: ignore[union-attr]
    world.heal()
    world.pass_time(1.0)
    assert isinstance(waits[0], float)
    assert three.counters.binds_failed == 1


def test_more_than_it_has_room_for_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MOST_WAITING", 2)
    world = cluster()
    _, two, three = world.frontends.values()
    uid = uid_at("front-2", world.view)
    world.cut("front-1", "front-2")
    world.pass_time(1.0)
    world.set_state("front-3", "draining")
    world.pass_time(1.0)
    outcomes = [bind(three, uid)[1] for _ in range(3)]
    world.pass_time(6.0)
    assert "too many wait for front-2" in problem(outcomes[2])
    assert two.counters.calls_refused > 0


def test_of_two_after_a_cut_the_newer_stays() -> None:
    """Although second sessions are refused: nobody could say that there was a first."""
    world = cluster()
    one, two, _ = world.frontends.values()
    uid = uid_at("front-1", world.view)
    old, _ = bind(one, uid)
    world.pass_time(1.0)
    world.deaf.add("front-1")
    for other in ("front-2", "front-3"):
        world.cut("front-1", other)
    world.forget("front-1", one.incarnation)
    world.pass_time(1.0)
    new, outcome = bind(two, uid)
    world.pass_time(1.0)
    assert outcome == [new.session.logged_in]
    assert old.kicked is None
    world.heal()
    world.pass_time(5.0)
    assert (old.kicked, new.kicked) == ("logged in elsewhere", None)
    assert (one.counters.sessions_taken_over, sum(kept(world).values())) == (1, 1)


# Views that do not come to all at once.


def test_a_home_that_is_behind_waits_for_the_view() -> None:
    """What the one who asks knows, it does not know yet: who the uid's home is, for a start."""
    world = cluster()
    one, two, three = world.frontends.values()
    newer = state(world.view, "front-3", "draining")
    uid = uid_at("front-3", world.view, then=("front-2", newer))
    world.deaf |= set(IDS)
    one.heard(newer)
    outcome = bound_after(world, one, uid, 2.0)
    assert outcome == []
    two.heard(newer)
    world.pass_time(1.0)
    assert outcome == []  # front-3 has not heard of it
    three.heard(newer)
    world.pass_time(1.0)
    assert isinstance(outcome[0], float)
    assert kept(world) == {"front-1": 0, "front-2": 1, "front-3": 0}


def test_who_is_behind_itself_waits_too() -> None:
    world = cluster()
    one, two, three = world.frontends.values()
    newer = state(world.view, "front-3", "draining")
    uid = uid_at("front-3", world.view, then=("front-2", newer))
    world.deaf |= set(IDS)
    two.heard(newer)
    three.heard(newer)
    outcome = bound_after(world, one, uid, 1.0)
    assert outcome == []
    one.heard(newer)
    world.pass_time(1.0)
    assert isinstance(outcome[0], float)
    assert kept(world) == {"front-1": 0, "front-2": 1, "front-3": 0}


def test_what_an_old_home_gave_counts_no_more() -> None:
    """Not once the frontend has told a new home what it has: that one would not know."""
    world = cluster()
    one, two, three = world.frontends.values()
    newer = state(world.view, "front-3", "draining")
    uid = uid_at("front-3", world.view, then=("front-2", newer))
    world.deaf |= set(IDS)
    _, outcome = bind(one, uid)
    while not kept(world)["front-3"]:
        world.pass_time(0.001)
    for frontend in (one, two, three):
        frontend.heard(newer)
    world.pass_time(2.0)
    assert isinstance(outcome[0], float)
    assert kept(world) == {"front-1": 0, "front-2": 1, "front-3": 0}


def test_a_home_hears_of_what_happened_in_views_that_it_missed() -> None:
    """Somebody left in a view in which another was the home."""
    world = cluster()
    one, two, three = world.frontends.values()
    between = state(world.view, "front-2", "draining")
    newer = state(between, "front-2", "up")
    uid = uid_at("front-2", world.view, then=("front-3", between))
    client, _ = bind(one, uid)
    world.pass_time(1.0)
    assert kept(world) == {"front-1": 0, "front-2": 1, "front-3": 0}
    world.deaf |= set(IDS)
    one.heard(between)
    one.sessions.close(client.session, "gone")
    world.pass_time(1.0)
    for frontend in (one, two, three):
        frontend.heard(newer)
    world.pass_time(2.0)
    assert sum(kept(world).values()) == 0


# A view that never changes.


def test_where_no_view_tells_who_is_gone_patience_does() -> None:
    world = cluster(fixed=True)
    one, two, _ = world.frontends.values()
    uid = uid_at("front-2", world.view)
    bind(one, uid)
    world.pass_time(1.0)
    one.crash()
    world.pass_time(PATIENCE - 1)
    assert "has a session on front-1 already" in problem(bound_after(world, two, uid, 0.5))
    world.pass_time(1.0)
    assert isinstance(bound_after(world, two, uid)[0], float)


def test_a_home_that_starts_again_asks_before_it_answers() -> None:
    world = cluster(fixed=True)
    one, two, _ = world.frontends.values()
    uid = uid_at("front-3", world.view)
    bind(one, uid)
    world.pass_time(1.0)
    world.frontends["front-3"].crash()
    world.pass_time(1.0)
    outcome = bind(two, uid)[1]
    world.begin("front-3")
    world.pass_time(4.0)
    assert "has a session on front-1 already" in problem(outcome)


def test_who_starts_again_has_no_claims() -> None:
    world = cluster(fixed=True)
    one, two, _ = world.frontends.values()
    uid = uid_at("front-2", world.view)
    bind(one, uid)
    world.pass_time(1.0)
    one.crash()
    world.begin("front-1")
    world.pass_time(1.0)
    assert isinstance(bound_after(world, two, uid)[0], float)


# What is offered, and by whom.


def test_many_claims_are_told_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "PORTION", 3)
    world = cluster()
    one, _, three = world.frontends.values()
    for n in range(50):
        bind(one, f"user {n}")
    world.pass_time(1.0)
    three.crash()
    world.forget("front-3", three.incarnation)
    world.pass_time(3.0)
    assert sum(kept(world).values()) == 50
    homes = Homes(world.view)
    of_two = [uid for n in range(50) if homes.of(uid := f"user {n}") == "front-2"]
    assert kept(world)["front-2"] == len(of_two) > 9


def test_long_uids_make_portions_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "PORTION_LENGTH", 100)
    world = cluster()
    one, _, three = world.frontends.values()
    for n in range(20):
        bind(one, f"{n}" * 80)
    world.pass_time(1.0)
    three.crash()
    world.forget("front-3", three.incarnation)
    world.pass_time(3.0)
    assert sum(kept(world).values()) == 20


def test_a_frontend_that_shares_nothing_itself_is_a_home_for_others() -> None:
    world = World(per_uid="refuse")
    world.latencies, world.hearing = [0.02], [0.1]
    for id in IDS:
        world.scope = "node" if id == "front-3" else "cluster"
        world.announce(world.begin(id), "up")
    world.pass_time(3.0)
    one, two, three = world.frontends.values()
    uid = uid_at("front-3", world.view)
    assert isinstance(bound_after(world, one, uid)[0], float)
    assert "has a session on front-1 already" in problem(bound_after(world, two, uid))
    assert three.sessions.bind(three.client().session.id, uid) is not None  # as its settings say


def test_where_somebody_is() -> None:
    world = cluster("takeover")
    one, two, three = world.frontends.values()
    uid = uid_at("front-3", world.view)

    def where(asker: Frontend) -> Any:
        found: list[Any] = []
        Deferred.fromCoroutine(asker.logins.where(uid)).addBoth(found.append)
        world.pass_time(6.0)
        return found[0]

    assert where(one) is None
    bound_after(world, one, uid)
    assert {where(each) for each in (one, two, three)} == {"front-1"}
    bound_after(world, two, uid)
    assert where(one) == "front-2"
    three.crash()
    world.pass_time(1.0)
    assert "can't be said now, try again" in str(where(one).value)


# Homes.


def members(**states: Any) -> View:
    every = [
        Member(
            server=Server(id=id, type="front", host="127.0.0.1", port=None, frontend=id != "chat"),
            state=state,
            incarnation=id,
        )
        for id, state in states.items()
    ]
    return View(1, tuple(every))


def test_who_is_a_home() -> None:
    assert Homes(members(a="up", b="starting", c="draining", chat="up")).ids == {"a", "b"}
    assert Homes(members(a="draining", b="draining", chat="up")).ids == {"a", "b"}
    assert Homes(members(chat="up")).of("alice") is None


def test_where_homes_move_only_the_uids_move_that_have_to() -> None:
    before, after = Homes(members(a="up", b="up", c="up")), Homes(members(b="up", c="up", d="up"))
    moved = 0
    for n in range(300):
        uid = f"user {n}"
        old = before.place(uid)
        new = after.place_again(uid, old, after.ids - before.ids)
        assert new == after.place(uid)
        assert new[1] in (old[1], "d") or old[1] == "a"
        moved += new != old
    assert 100 < moved < 230
