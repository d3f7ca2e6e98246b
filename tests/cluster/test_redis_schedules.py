"""The registry in Redis through random schedules of everything that happens to nodes and to Redis.

A failing seed is a whole schedule: run it alone, with ``-k 'schedule[SEED]'``.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from .redis_in_memory import RedisStage
from .registry_contract import FakeNode

LEASE = 5.0
IDS = [f"chat-{n}" for n in range(1, 6)]


class Schedule:
    """What happens, in an order that follows from the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.stage = RedisStage("keeps", LEASE)
        self.up: dict[str, FakeNode] = {}
        self.unhurt: set[FakeNode] = set()
        """Nodes to which nothing happened themselves."""
        self.lives = 0
        self.redis_is = "there"
        self.snapshot = self.stage.data.copy()

    async def run(self) -> None:
        await self.start()
        for _ in range(self.random.randrange(10, 50)):
            await self.random.choice(
                [
                    self.start,
                    self.start,
                    self.leave,
                    self.crash,
                    self.pause,
                    self.cut,
                    self.change,
                    self.redis_goes,
                    self.redis_comes,
                    self.redis_restarts,
                    self.publishing_breaks,
                    self.connections_break,
                ]
            )()
            await self.stage.pass_time(self.random.choice([0.0, 0.1, 0.5, 1.0, 3.0, 8.0, 20.0]))
        await self.calm()
        self.check()

    def host(self, node: FakeNode) -> Any:
        return self.stage.hosts[node.registry]

    def any_node(self) -> FakeNode | None:
        return self.random.choice([*self.up.values(), None])

    # Nodes.

    async def start(self) -> None:
        id = self.random.choice(IDS)
        if id not in self.up:
            self.lives += 1
            node = self.stage.start(id, life=f"life {self.lives}")
            self.up[id] = node
            self.unhurt.add(node)

    async def leave(self) -> None:
        node = self.any_node()
        if node is not None and self.host(node).awake and not self.host(node).cut_off:
            node.registry.leave()
            self.gone(node)

    async def crash(self) -> None:
        if (node := self.any_node()) is not None:
            await self.stage.crash(node)
            self.gone(node)

    def gone(self, node: FakeNode) -> None:
        del self.up[node.member.id]
        self.unhurt.discard(node)

    async def pause(self) -> None:
        if (node := self.any_node()) is not None:
            self.unhurt.discard(node)
            if self.host(node).awake:
                await self.stage.pause(node)
            else:
                await self.stage.wake(node)

    async def cut(self) -> None:
        if (node := self.any_node()) is not None:
            self.unhurt.discard(node)
            self.host(node).cut_off = not self.host(node).cut_off

    async def change(self) -> None:
        node = self.any_node()
        if node is not None and self.host(node).awake:
            node.enter(self.random.choice(["starting", "up", "draining"]))

    # Redis.

    async def redis_goes(self) -> None:
        if self.redis_is != "there":
            return
        self.redis_is = self.random.choice(["frozen", "down", "cut off"])
        if self.redis_is == "frozen":
            self.stage.host.pause()
        elif self.redis_is == "cut off":
            self.stage.host.cut_off = True
        else:
            self.stage.host.die()

    async def redis_comes(self) -> None:
        was, self.redis_is = self.redis_is, "there"
        if was == "frozen":
            self.stage.host.wake()
        elif was == "cut off":
            self.stage.host.cut_off = False
        elif was == "down":
            knows = self.random.choice(["all", "something older", "nothing"])
            if not self.somebody_knows():
                knows = "all"  # what everybody has forgotten can't be counted on from
            if knows == "nothing":
                self.stage.data.hashes.clear()
            elif knows == "something older":
                self.stage.data.hashes = self.snapshot.copy().hashes
            self.stage.bring_up()
            await self.stage.pass_time(2 * LEASE)
        else:
            self.snapshot = self.stage.data.copy()

    async def redis_restarts(self) -> None:
        """So quickly that nobody misses it."""
        if self.redis_is == "there":
            self.stage.host.die()
            self.redis_is = "down"
            await self.redis_comes()

    def somebody_knows(self) -> bool:
        """Whether a node that can reach Redis knows the newest view."""
        newest = max(node.epoch for node in self.stage.nodes)
        return any(
            node.epoch == newest and self.host(node).awake and not self.host(node).cut_off
            for node in self.up.values()
        )

    async def publishing_breaks(self) -> None:
        self.stage.server.deaf = not self.stage.server.deaf

    async def connections_break(self) -> None:
        for talk in list(self.stage.server.connections):
            if self.random.random() < 0.5 and talk.transport is not None:
                talk.transport.loseConnection()

    # In the end.

    async def calm(self) -> None:
        """All that is broken is put right, and what has to happen has the time to."""
        if self.redis_is != "there":
            await self.redis_comes()
        for node in self.up.values():
            self.host(node).cut_off = False
            if not self.host(node).awake:
                await self.stage.wake(node)
        await self.stage.pass_time(5 * LEASE)

    def check(self) -> None:
        self.stage.check()
        for node in self.up.values():
            assert set(node.view) == set(self.up), f"{node.member.id} is alone with its view"
            assert node.is_in
            assert node.told.count("lost") == node.told.count("found")
        assert len({node.epoch for node in self.up.values()}) <= 1
        for node in self.unhurt:
            assert "removed" not in node.told, f"{node.member.id} lived, and was taken out"


@pytest.mark.parametrize("seed", range(100))
async def test_schedule(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatcore.store.connection.random", random.Random(seed))
    await Schedule(seed).run()
