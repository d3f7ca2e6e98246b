"""A backend that has to begin anew while nobody else could own its channels."""

from __future__ import annotations

from .play import Play, play
from .registries import Centre, Delays, Numbering
from .stage import Script
from .world import World

WAY, LONG_WAY = 0.02, 0.3
"""Seconds from one machine to another, and between the backend and the second frontend."""


class Alone(Play):
    """The only backend is taken out of the view, and somebody leaves while it makes its links."""

    def __init__(self, script: Script, world: World, kind: str, registry: str) -> None:
        super().__init__(script, world, kind, registry)
        self.wires.latency = WAY, WAY
        self.fronts, self.chats, self.rooms = ["front-1", "front-2"], ["chat-1"], ["room 1"]
        for way in (("chat-1", "front-2"), ("front-2", "chat-1")):
            self.wires.distances[way] = LONG_WAY
        for person in self.people:
            person.restless, person.rooms = 0.0, self.rooms

    def _registry(self, registry: str) -> Centre:
        return Numbering(self.world, Delays(notice=0.0, silence=1.0, telling=(0.0, 0.0)))

    def _change(self) -> None:
        self.world.run(2)
        reach = self.registry.cut_off(self.machines["chat-1"])
        self.note("chat-1 can't reach the registry")
        self.world.run(2)
        reach()
        self.world.run(2 * WAY)
        for person in self.people[::2]:
            person.hang_up()
            person.rooms = ["room 2"]
        self.world.run(5)


def test_who_leaves_meanwhile_is_not_taken_for_a_member(script: Script) -> None:
    for seed in range(4):
        outcome = play(script, seed, "cuts", plays=Alone)
        assert not outcome.faults, outcome
