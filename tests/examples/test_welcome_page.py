"""The welcome page's servers: real processes, by ``chatcore start``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.request import ProxyHandler, build_opener

import pytest
from running import PATIENCE, RunningChat, short_folder
from twisted.internet import reactor
from twisted.internet.defer import DeferredQueue

from chatcore.client import Client

from .staging import EXAMPLES


@pytest.fixture(scope="module")
def welcome() -> Iterator[RunningChat]:
    with short_folder() as folder:
        running = RunningChat(folder, source=EXAMPLES / "welcome")
        yield running
        running.close()


async def test_a_request_a_notify_and_a_push(welcome: RunningChat) -> None:
    one, other = Client(reactor=reactor), Client(reactor=reactor)
    waves = DeferredQueue[Any]()
    for client in (one, other):
        client.on("onWave", waves.put)
        await client.init(port=welcome.port("connector-server-1"))

    route = "connector.entryHandler"
    assert await one.request(f"{route}.entry", "hello") == {
        "code": 200,
        "msg": "game server is ok.",
    }
    for name in ("publish", "subscribe"):
        payload = f'{{"code":200,"msg":"{name} message is ok."}}'
        assert await one.request(f"{route}.{name}", {}) == {"topic": name, "payload": payload}

    other.notify(f"{route}.wave")
    assert await waves.get() == await waves.get() == {"from": 2}
    for client in (one, other):
        await client.disconnect()


@pytest.mark.parametrize("file", ["", "welcome.js", "welcome.css", "icon.svg", "chatcore.js"])
def test_the_page_and_its_files_are_served(welcome: RunningChat, file: str) -> None:
    with build_opener(ProxyHandler({})).open(welcome.page + file, timeout=PATIENCE) as answer:
        assert answer.status == 200 and answer.read()
