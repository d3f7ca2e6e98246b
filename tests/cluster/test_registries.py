"""The registries against their contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted

from chatcore.cluster.registry import StaticRegistry
from chatcore.cluster.view import View
from chatcore.config.servers import Server

from .masters import MasterStage
from .redis_for_real import ValkeyStage
from .redis_in_memory import RedisStage
from .registry_contract import FakeNode, RegistryContract


class TestMasterRegistry(RegistryContract):
    @pytest.fixture
    def stage(self) -> Iterator[MasterStage]:
        stage = MasterStage()
        yield stage
        stage.check()


class TestRedisRegistry(RegistryContract):
    @pytest.fixture(params=["forgets", "keeps", "stands still"])
    def stage(self, request: pytest.FixtureRequest) -> Iterator[RedisStage]:
        stage = RedisStage(request.param, lease=5.0)
        yield stage
        stage.check()


class TestRedisRegistryWithValkey(RegistryContract):
    @pytest_twisted.async_yield_fixture
    async def stage(self, tmp_path: Path, there_is_valkey: None) -> AsyncIterator[ValkeyStage]:
        stage = ValkeyStage(tmp_path, lease=0.4)
        yield stage
        await stage.close()
        stage.check()


class TestStaticRegistry:
    """Nobody watches who is alive, so of the contract there is only this."""

    def test_there_is_one_view_for_ever(self) -> None:
        servers = [Server(id=id, type="chat", port=4000) for id in ("chat-1", "chat-2")]
        registry = StaticRegistry(View.of(servers))
        node = FakeNode(registry, "chat-1", "life 1", "starting")
        node.start()
        node.enter("up")
        left: list[None] = []
        registry.leave().addCallback(left.append)
        assert node.told == ["heard"]
        assert node.view == {"chat-1": ("", "up"), "chat-2": ("", "up")}
        assert left == [None]
