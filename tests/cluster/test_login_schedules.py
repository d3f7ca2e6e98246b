"""One login in the whole cluster, whatever happens: seeded schedules of everything at once.

``CHATCORE_SEEDS=10000`` plays that many. ``CHATCORE_SEED=123`` plays that one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from chatcore.cluster.homes import Homes
from chatcore.errors import SessionError

from .frontends import Client, Frontend, World

UIDS = ["alice", "bob", "carol"]
IDS = ["front-1", "front-2", "front-3", "front-4"]

SETTLING_SECONDS = 40.0


def seeds() -> Iterable[int]:
    one = os.environ.get("CHATCORE_SEED")
    return range(int(os.environ.get("CHATCORE_SEEDS", "150"))) if one is None else [int(one)]


class Schedule:
    """What happens in a world, by chance.

    Args:
        cut_off: whether live frontends may be taken for dead. Then a uid may have two sessions
            until they are found alive; otherwise, where second sessions are refused, never.
    """

    def __init__(self, seed: int, per_uid: str, *, fixed: bool, cut_off: bool) -> None:
        self.world = World(per_uid=per_uid, fixed=IDS[:3] if fixed else (), seed=seed)
        self.random = self.world.random
        self.fixed, self.cut_off = fixed, cut_off
        self.never_two = per_uid == "refuse" and not cut_off
        self.outcomes: list[tuple[Frontend, list[Any]]] = []
        self.story: list[str] = []

    # Steps.

    def steps(self) -> list[tuple[int, Callable[[], None]]]:
        every: list[tuple[int, Callable[[], None]]] = [
            (12, self.log_in),
            (3, self.race),
            (3, self.bind_again),
            (3, self.unbind),
            (5, self.leave),
            (2, self.break_a_link),
            (2, self.crash),
            (2, self.start),
            (1, self.cut_for_a_while),
        ]
        if not self.fixed:
            every += [(2, self.change_state), (4, self.churn), (1, self.go)]
        if self.cut_off:
            every += [(2, self.isolate), (1, self.world.heal)]
        return every

    def run(self) -> None:
        for id in IDS[:3]:
            self.begin(id)
        if self.random.random() < 0.7:
            self.world.pass_time(1.0)
        weights, steps = zip(*self.steps(), strict=True)
        for step in self.random.choices(steps, weights, k=self.random.randint(5, 40)):
            self.story.append(f"{self.world.clock.seconds():.2f} {step.__name__}")
            step()
            self.world.pass_time(self.random.choice([0, 0.001, 0.01, 0.1, 1, 3]))
        self.settle()

    def begin(self, id: str) -> None:
        frontend = self.world.begin(id)
        if self.never_two:
            frontend.sessions.on_bound(lambda session: self.check_alone(session.uid))
        if not self.fixed:
            delay = self.world.some(1.0)
            self.world.later(delay, lambda: self.world.announce(frontend, "up"))

    def any(self) -> Frontend | None:
        alive = self.world.alive()
        return self.random.choice(alive) if alive else None

    def log_in(self, frontend: Frontend | None = None, uid: str | None = None) -> None:
        frontend = frontend or self.any()
        if frontend is not None:
            self.bind(frontend, frontend.client(), uid or self.random.choice(UIDS))

    def bind(self, frontend: Frontend, client: Client, uid: str) -> None:
        outcome: list[Any] = []
        try:
            bound = frontend.sessions.bind(client.session.id, uid)
        except SessionError:
            return
        if hasattr(bound, "addBoth"):
            self.outcomes.append((frontend, outcome))
            bound.addBoth(outcome.append)

    def race(self) -> None:
        uid = self.random.choice(UIDS)
        for frontend in self.world.alive():
            self.log_in(frontend, uid)

    def some_client(self) -> tuple[Frontend, Client] | None:
        clients = [
            (frontend, client)
            for frontend in self.world.alive()
            for client in frontend.clients
            if client.session.closed is None
        ]
        return self.random.choice(clients) if clients else None

    def bind_again(self) -> None:
        if found := self.some_client():
            self.bind(*found, self.random.choice(UIDS))

    def unbind(self) -> None:
        if found := self.some_client():
            found[0].sessions.unbind(found[1].session.id)

    def leave(self) -> None:
        if found := self.some_client():
            found[0].sessions.close(found[1].session, "gone")

    def break_a_link(self) -> None:
        wires = [wire for each in self.world.alive() for wire in each.links.values()]
        if wires:
            self.world.tear(self.random.choice(wires))

    def cut_for_a_while(self) -> None:
        if len(self.world.frontends) > 1:
            one, other = self.random.sample(sorted(self.world.frontends), 2)
            self.world.cut(one, other)
            # Shorter than the patience with those who are away in a view that never changes.
            self.world.later(self.world.some(3.0), lambda: self.mend(one, other))

    def mend(self, one: str, other: str) -> None:
        self.world.cuts.discard(frozenset((one, other)))
        self.world.link_all()

    def crash(self) -> None:
        if (frontend := self.any()) is None:
            return
        frontend.crash()
        life = frontend.incarnation
        delay = self.world.some(3.0)
        self.world.later(delay, lambda: self.world.forget(frontend.id, life))

    def start(self) -> None:
        ids = IDS[:3] if self.fixed else IDS
        alive = {each.id for each in self.world.alive()}
        if free := [id for id in ids if id not in alive]:
            self.begin(self.random.choice(free))

    def change_state(self) -> None:
        if frontend := self.any():
            self.world.set_state(frontend.id, self.random.choice(["draining", "up"]))

    def churn(self) -> None:
        """Have homes move, and move again, while people log in."""
        for _ in range(self.random.randint(2, 5)):
            self.change_state()
            self.race()
            self.world.pass_time(self.world.some(0.3))

    def go(self) -> None:
        """Stop as one should: say so, close all sessions, then be gone."""
        if frontend := self.any():
            self.world.forget(frontend.id, frontend.incarnation)
            for client in frontend.clients:
                frontend.sessions.close(client.session, "server stops")
            frontend.crash()

    def isolate(self) -> None:
        """Cut a frontend off from all others, and from the registry, which gives it up."""
        if frontend := self.any():
            self.world.deaf.add(frontend.id)
            for other in self.world.frontends:
                if other != frontend.id:
                    self.world.cut(frontend.id, other)
            life = frontend.incarnation
            delay = self.world.some(3.0)
            self.world.later(delay, lambda: self.world.forget(frontend.id, life))

    # What always holds.

    def check_alone(self, uid: str | None) -> None:
        having = [frontend for each, frontend, _ in self.world.bound() if each == uid]
        assert len(having) == 1, f"{uid} has sessions on {having}"

    # What holds in the end.

    def settle(self) -> None:
        world = self.world
        world.heal()
        for id in IDS[:3] if self.fixed else IDS[:1]:  # whose uids nobody else may keep
            if id not in world.frontends or not world.frontends[id].alive:
                self.begin(id)
        world.pass_time(SETTLING_SECONDS)
        self.check_settled()
        for uid in UIDS:
            frontend = self.random.choice(world.alive())
            client = frontend.client()
            self.bind(frontend, client, uid)
            world.pass_time(2.0)
            has_it = [each for each, _, _ in world.bound()].count(uid)
            assert has_it == 1, f"{uid} can't log in: {self.outcomes[-1]}"
            if world.per_uid == "takeover":
                assert client.session.uid == uid
        self.check_settled()
        for frontend in world.alive():
            for client in frontend.clients:
                frontend.sessions.close(client.session, "gone")
        world.pass_time(2.0)
        assert [each.logins.at_home for each in world.alive()] == [0] * len(world.alive())
        assert not world.failures, world.failures

    def check_settled(self) -> None:
        world = self.world
        bound = {uid: (frontend, session) for uid, frontend, session in world.bound()}
        twice = {uid for uid, n in Counter(uid for uid, _, _ in world.bound()).items() if n > 1}
        assert not twice, f"{twice} have several sessions"
        for frontend, outcome in self.outcomes:
            if frontend.alive:
                assert outcome, "a bind has not ended"
                if isinstance(outcome[0], Failure):
                    outcome[0].trap(SessionError)
        homes = Homes(world.view)
        assert all(each.servers.view.epoch == world.view.epoch for each in world.alive())
        kept = Counter({each.id: each.logins.at_home for each in world.alive()})
        assert +kept == Counter(homes.of(uid) for uid in bound), "claims and sessions differ"
        for uid in UIDS:
            found: list[Any] = []
            asked = self.random.choice(world.alive()).logins.where(uid)
            Deferred.fromCoroutine(asked).addBoth(found.append)
            world.pass_time(2.0)
            at = bound.get(uid)
            assert found == [None if at is None else at[0].id], f"{uid} is not where it is"


@pytest.mark.parametrize("per_uid", ["takeover", "refuse"])
@pytest.mark.parametrize("cut_off", [False, True], ids=["told", "cut-off"])
@pytest.mark.parametrize("fixed", [False, True], ids=["views", "fixed"])
def test_a_uid_has_one_session(per_uid: str, fixed: bool, cut_off: bool) -> None:
    for seed in seeds():
        schedule = Schedule(seed, per_uid, fixed=fixed, cut_off=cut_off)
        try:
            schedule.run()
        except BaseException:
            print(f"CHATCORE_SEED={seed} plays it again.\n" + "\n".join(schedule.story))
            raise
