"""People who share their uids, in whole clusters, through seeded schedules of trouble.

``CHATCORE_SEEDS=10000`` plays that many. ``CHATCORE_SEED=123`` plays that one and tells its story.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from chatcore.config.settings import Assignment
from chatcore.sessions.service import TAKEN_OVER
from chatcore.sessions.session import Session

from . import insight, stage
from .people import Person, Wire
from .play import ASSIGNMENTS, SETTLING_SECONDS, STOP_SECONDS, Play, kind_of, play
from .stage import Script
from .world import Machine, World

ONE = os.environ.get("CHATCORE_SEED")
SEEDS = range(int(os.environ.get("CHATCORE_SEEDS", "12"))) if ONE is None else [int(ONE)]

UIDS = ("u1", "u2")

EMPTY = {
    "Asking._waiting",
    "Claims._bids",
    "Claims._held",
    "Claims._of_session",
    "Directory._by_uid",
    "Directory._pulls",
    "Directory._waiting",
}
"""The tables that are empty when everybody has left."""


class Twin(Person):
    """One of several with the same uid. In the end, who is thrown out stays out."""

    def lost(self, wire: Wire) -> None:
        if self.silent and wire.kicked == TAKEN_OVER:
            self.stopped = True
        super().lost(wire)

    def _heard(self, push: dict[str, Any]) -> None:
        """What is said where another with its uid is a member, it may hear, too."""


class OneLogin(Play):
    """A play in which a uid has one session."""

    per_uid = "takeover"

    def __init__(self, script: Script, world: World, kind: str, registry: str) -> None:
        super().__init__(script, world, kind, registry)
        said = {"sessions.scope": "cluster", "sessions.per_uid": self.per_uid}
        own = [Assignment(key=k, value=v, source="simulation") for k, v in said.items()]
        self.assignments = [*ASSIGNMENTS, *own]
        self.never_two = self.per_uid == "refuse" and kind in ("quiet", "planned", "crashes")
        self.people = []
        for uid in UIDS:
            for n in range(1, 4):
                person = Twin(
                    uid=uid,
                    world=world,
                    wires=self.wires,
                    fronts=self.open_fronts,
                    awake_since=lambda front: self.machines[front].awake_since,
                    rooms=self.rooms,
                    pause=(0.2, 2.0),
                    bytes=10,
                    sleepy=0.0,
                    restless=0.2,
                )
                person.machine = Machine(world, f"{uid} ({n})")
                self.people.append(person)

    def run(self) -> None:
        stage.enter(self.stage)
        world, chance = self.world, self.world.random
        for id in (*self.fronts, *self.chats):
            world.later(chance.uniform(0, 0.5), self.start, id)
        world.run(6)
        for person in self.people:
            world.later(chance.uniform(0, 2), person.connect)
        length = chance.uniform(3, 15)
        for _ in range(chance.randint(1, 5)):
            world.later(chance.uniform(0, length), self._trouble)
        world.run(length)
        self._heal()
        world.run(SETTLING_SECONDS)
        self._hush()
        world.run(SETTLING_SECONDS)
        self.one_is_left()
        for person in self.people:
            person.stop(politely=chance.random() < 0.5)
        world.run(5)
        for id, node in self.nodes.items():
            for name, size in insight.tables(node).items():
                if name in EMPTY and size:
                    world.fault(f"all have left, and {id} keeps {size} in {name}")
        for id in list(self.nodes):
            self.stop(id, gently=chance.random() < 0.5)
        world.run(STOP_SECONDS)
        self.registry.stop()
        world.run(2)
        self.checker.at_the_end()

    def start(self, id: str) -> None:
        before = self.nodes.get(id)
        super().start(id)
        node = self.nodes[id]
        if node is not before and self.never_two:
            node.sessions.on_bound(self.alone)

    def bound(self) -> list[tuple[str, str]]:
        """Who has a session, and at which frontend."""
        return [
            (session.uid or "", id)
            for id, node in self.nodes.items()
            if not self.machines[id].dead
            for session in node.sessions.bound()
        ]

    def alone(self, session: Session) -> None:
        having = [id for uid, id in self.bound() if uid == session.uid]
        if len(having) != 1:
            self.world.fault(f"{session.uid} has sessions at {having}")

    def one_is_left(self) -> None:
        """Each uid has one session, and everybody knows where."""
        bound = self.bound()
        if Counter(uid for uid, _ in bound) != Counter(UIDS):
            self.world.fault(f"the sessions are {bound}")
        kept = sum(node.logins.at_home for node in self.nodes.values())
        if kept != len(bound):
            self.world.fault(f"{kept} claims are kept for the sessions {bound}")
        found: list[Any] = []
        alive = self.living()
        for id in alive:
            for uid in UIDS:
                asked = Deferred.fromCoroutine(self.nodes[id].application.sessions.where(uid))
                asked.addBoth(lambda at, uid=uid: found.append((uid, at)))
        self.world.run(6)
        if set(found) != set(bound) or len(found) != len(UIDS) * len(alive):
            self.world.fault(f"sought and found: {found}; but the sessions are {bound}")


class OneLoginRefused(OneLogin):
    """The same, where second sessions are refused."""

    per_uid = "refuse"


@pytest.mark.parametrize("plays", [OneLogin, OneLoginRefused])
def test_a_uid_has_one_session(script: Script, plays: type[Play]) -> None:
    for seed in SEEDS:
        outcome = play(script, seed, loud=ONE is not None, plays=plays)
        if outcome.faults:
            again = f"CHATCORE_SEED={seed} plays it again ({kind_of(seed)})."
            pytest.fail(f"{outcome}\n\n{again}", pytrace=False)
