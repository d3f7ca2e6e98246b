"""Moments in which a barrier of a move is all that helps, and which chance seldom brings about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import insight
from .people import Person
from .play import Play, play
from .registries import Centre, Delays, Numbering
from .stage import Script
from .wires import Wires
from .world import World

WAY = 0.01
"""Seconds from one machine to another."""

SOON = 1.0
"""Seconds in which all is done that waits for no deadline; less than `links.patience`."""

ROOMS = [f"room {number}" for number in range(6)]
FRONTS = ["front-1", "front-2"]


class Arranged(Play):
    """A cluster in which nothing is left to chance: in each room there is one at each frontend."""

    backends = 2
    pause = 1000.0, 1000.0
    """Seconds between what one says."""

    def __init__(self, script: Script, world: World, kind: str, registry: str) -> None:
        super().__init__(script, world, kind, registry)
        self.wires = Wires(world, latency=(WAY, WAY), room=1 << 20)
        self.fronts = list(FRONTS)
        self.chats = [f"chat-{number}" for number in range(1, self.backends + 1)]
        self.rooms = ROOMS
        self.people = [
            self._person(f"{rid} at {front}", front, rid) for rid in ROOMS for front in FRONTS
        ]

    def _person(self, uid: str, front: str, rid: str) -> Person:
        return Person(
            uid=uid,
            world=self.world,
            wires=self.wires,
            fronts=lambda: [each for each in self.open_fronts() if each == front],
            awake_since=lambda front: self.machines[front].awake_since,
            rooms=[rid],
            pause=self.pause,
            bytes=10,
            sleepy=0.0,
            restless=0.0,
        )

    def _registry(self, registry: str) -> Centre:
        return Numbering(self.world, Delays(notice=0.0, silence=3.0, telling=(0.0, 0.0)))

    def _gather(self) -> None:
        super()._gather()
        self.world.run(SOON)  # until the last are in

    def hears_late(self, id: str, seconds: float) -> None:
        """Have a node hear of views later than all others."""
        self.registry.lag(self.machines[id], seconds)

    def dies(self, id: str) -> None:
        """Have a node die; all that hear of views in time hear of it at once."""
        self.note(f"{id} is going to be killed")
        self.kill(id)

    def all_say_something(self) -> None:
        for person in self.people:
            assert person.stay is not None
            person.say(person.stay)

    def members(self) -> set[tuple[str, str, str]]:
        """Who is in which room, at which frontend, as the backends have it."""
        nodes = [node for id, node in self.nodes.items() if id in self.chats]
        found = [insight.channels(node) for node in nodes]
        return {(rid, *who) for rooms in found for rid, both in rooms.items() for who in both}


class AFrontendDies(Arranged):
    """Its clients are gone when the view says so, and not only after a while without a link."""

    def _change(self) -> None:
        self.dies("front-2")
        self.world.run(SOON)
        everybody = {(rid, f"{rid} at {front}", front) for rid in ROOMS for front in FRONTS}
        assert self.members() == {who for who in everybody if who[2] == "front-1"}
        left = {(each.rid, each.uid, each.front, each.reason) for each in self.stage.left}
        assert left == {(*who, "frontend left") for who in everybody if who[2] == "front-2"}
        self.start("front-2")


class AnOwnerHearsLateWhatItIsOffered(Arranged):
    """What frontends offer by a view that it does not know waits until it does.

    By the view that it knows, none of it is its own.
    """

    def _change(self) -> None:
        self.hears_late("chat-2", 2.0)
        self.dies("chat-1")
        self.world.run(0.1)
        # Without a link, front-1 does not wait for it; and when there is one, it offers all.
        assert self.wires.reset("front-1", "chat-2")
        self.world.run(5)


class AnOwnerHearsLateWhatItIsAsked(Arranged):
    """It waits for the view by which it is asked, and says nothing in the name of another."""

    backends = 3
    pause = 0.1, 0.1

    def _change(self) -> None:
        self.hears_late("chat-3", 1.0)
        self.stop("chat-1")
        self.world.run(5)


class AnOldOwnerTakesLong(Arranged):
    """The new one waits for what it hands over, and begins with no state of its own."""

    def _change(self) -> None:
        self.all_say_something()
        self.world.run(SOON)
        self.hears_late("front-2", 0.3)
        self.stop("chat-1")
        self.world.run(0.1)
        self.wires.hold("chat-1", "chat-2")
        self.world.run(SOON)
        self.all_say_something()
        self.world.run(SOON)
        self.wires.release("chat-1", "chat-2")
        self.world.run(SOON)


class AFrontendHearsLate(Arranged):
    """What it asked the old owner is not overtaken by what it asks the new one."""

    def _change(self) -> None:
        late = 0.3
        self.hears_late("front-1", late)
        self.stop("chat-1")
        # One reaches front-1 just before it hears, and one just after.
        for when in (late - WAY - 0.002, late - WAY + 0.002):
            self.world.later(when, self.all_say_something)
        self.world.run(3)


@pytest.mark.parametrize(
    ("arranged", "kind"),
    [
        (AFrontendDies, "crashes"),
        (AnOwnerHearsLateWhatItIsOffered, "everything"),
        (AnOwnerHearsLateWhatItIsAsked, "planned"),
        (AnOldOwnerTakesLong, "planned"),
        (AFrontendHearsLate, "planned"),
    ],
)
def test_it_holds(
    script: Script, arranged: Callable[[Script, World, str, str], Play], kind: str
) -> None:
    outcome = play(script, 1, kind, plays=arranged)
    assert not outcome.faults, outcome
