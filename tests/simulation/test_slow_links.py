"""Planned changes where messages take longer than views."""

from __future__ import annotations

import pytest

from .play import Play, play
from .registries import Centre, Delays, Numbering
from .stage import Script
from .world import World

WAY = 0.6
"""Seconds from one machine to another."""


class Far(Play):
    """Backends that are restarted one after the other; everybody hears of views at once."""

    def __init__(self, script: Script, world: World, kind: str, registry: str) -> None:
        super().__init__(script, world, kind, registry)
        self.wires.latency = WAY, WAY
        self.fronts, self.chats = ["front-1", "front-2"], ["chat-1", "chat-2"]

    def _registry(self, registry: str) -> Centre:
        return Numbering(self.world, Delays(notice=0.0, silence=3.0, telling=(0.0, 0.0)))

    def _change(self) -> None:
        self.world.run(5)
        for id in self.chats:
            self.restart(id)
            self.world.run(15)

    def restart(self, id: str) -> None:
        self.note(f"{id} is restarted")
        self.stop(id, then=lambda: self.start(id))


@pytest.mark.parametrize("seed", range(8))
def test_restarts_lose_nothing_that_is_on_its_way(script: Script, seed: int) -> None:
    outcome = play(script, seed, "planned", plays=Far)
    assert not outcome.faults, outcome
