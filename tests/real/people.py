"""People who chat, by way of the Python client."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from running import PATIENCE, CopiedChat
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from chatcore.client import Client


class Person:
    """Somebody in the chat, and all that was pushed to them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.heard: list[tuple[str, Any]] = []
        self.kicked: list[Any] = []
        self._waiting: list[tuple[Any, Deferred[None]]] = []
        for route in ("onChat", "onAdd", "onLeave"):
            client.on(route, lambda msg, route=route: self._hear(route, msg))
        client.on("onKick", self.kicked.append)

    async def enter(self, name: str, room: str) -> Any:
        return await self.client.request(
            "connector.entryHandler.enter", {"username": name, "rid": room}
        )

    async def say(self, content: str, target: str = "*") -> Any:
        return await self.client.request(
            "chat.chatHandler.send", {"content": content, "target": target}
        )

    async def say_again_and_again(self, content: str) -> None:
        """Say it until it is not refused any more, as it is for a while when a server was lost."""
        end = time.monotonic() + PATIENCE
        while (reply := await self.say(content)) == {"code": 500}:
            assert time.monotonic() < end, f"{content!r} is still refused"
            await pause()
        assert reply == {}

    async def until(self, route: str, **expected: Any) -> Any:
        """Wait until a push was heard that has these values."""

        def found() -> Any:
            for heard, msg in self.heard:
                if heard == route and expected.items() <= msg.items():
                    return msg
            return None

        while (msg := found()) is None:
            waiting: Deferred[None] = Deferred()
            self._waiting.append((route, waiting))
            await waiting.addTimeout(PATIENCE, reactor)
        return msg

    async def leave(self) -> None:
        await self.client.disconnect()

    def _hear(self, route: str, msg: Any) -> None:
        self.heard.append((route, msg))
        waiting, self._waiting = self._waiting, []
        for _, each in waiting:
            if not each.called:
                each.callback(None)


async def connect(chat: CopiedChat, server_id: str) -> Person:
    """Somebody who is connected to a frontend."""
    client = Client(reactor=reactor)
    await client.init(host="127.0.0.1", port=chat.port(server_id), timeout=PATIENCE)
    return Person(client)


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for what other processes do; meanwhile, people's clients go on."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE} s for {what}"
        await pause()


async def pause() -> None:
    """Let the reactor turn: for conditions that are polled, because other processes meet them."""
    await deferLater(reactor, 0.05, lambda: None)
