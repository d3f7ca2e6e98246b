from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import DeferredList
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from valkey_server import PASSWORD, Valkey

from chatcore.store.place import RedisPlace
from chatcore.telemetry import Counters


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey server for one test."""
    server = Valkey(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Valkey]:
    """One that asks for a password."""
    server = Valkey(tmp_path, password=PASSWORD)
    yield server
    server.stop()


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What is said to people meanwhile."""
    lines: list[str] = []

    def observe(event: LogEvent) -> None:
        lines.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


@pytest_twisted.async_yield_fixture
async def client() -> AsyncIterator[Callable[..., Any]]:
    """Makes clients that are started, and closed at the end."""
    from twisted.internet import reactor

    from chatcore.store.endpoint import redis_endpoint
    from chatcore.store.redis import Redis

    made: list[Redis] = []

    def make(url: str, **more: Any) -> Redis:
        folder, start = more.pop("folder", Path("/")), more.pop("start", True)
        settings = {"seconds": 10.0, "longest_retry": 0.1, **more}
        place = RedisPlace.parse(url, folder)
        way = place, redis_endpoint(place, settings["seconds"], reactor)
        redis = Redis(lambda: way, counters=Counters(), clock=reactor, **settings)
        made.append(redis)
        if start:
            redis.start()
        return redis

    yield make
    await DeferredList([redis.close() for redis in made])
