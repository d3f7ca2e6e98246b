"""The debugging session of docs/inspector.md: what it shows is what comes of its cause."""

from __future__ import annotations

import re
import shlex
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import ROOT
from small_cluster import until

from .clusters import AdministeredCluster, Terminal, path_of
from .lasting import Lasting
from .ways import stop_reading

TEXT = (ROOT / "docs" / "inspector.md").read_text()
SECTION = TEXT[TEXT.index("## From a symptom to its cause") :].split("\n## ", 1)[0]
BLOCKS = re.findall(r"(?<=```shellsession\n)(.*?)(?=```)", SECTION, re.DOTALL)

SEND, DRAW = "chat.chatHandler.send", "chat.boardHandler.draw"

FILES = {
    "servers/chat/remotes.py": """
        from zope.interface import implementer
        from chatcore.interfaces import IRemote

        class IRoomRemote(IRemote):
            async def add(uid: str, sid: str, room: str) -> bool: ""

        @implementer(IRoomRemote)
        class RoomRemote:
            def __init__(self, app):
                self.app = app

            async def add(self, uid: str, sid: str, room: str) -> bool:
                return self.app.channels.get(room, create=True).add(uid, sid)
        """,
    "servers/chat/handlers.py": """
        from typing import Any
        from zope.interface import implementer
        from chatcore.interfaces import IHandler, ISession

        class IChatHandler(IHandler):
            async def send(msg: Any, session: ISession) -> Any: ""

        class IBoardHandler(IHandler):
            async def draw(msg: Any, session: ISession) -> Any: ""

        @implementer(IChatHandler)
        class ChatHandler:
            def __init__(self, app):
                self.app = app

            async def send(self, msg: Any, session: ISession) -> Any:
                said = {"from": session.uid, "text": msg["text"]}
                await self.app.channels.get("math").push("onChat", said)
                return {}

        @implementer(IBoardHandler)
        class BoardHandler:
            def __init__(self, app):
                self.app = app

            async def draw(self, msg: Any, session: ISession) -> Any:
                room = self.app.channels.get("math")
                board = room.state.setdefault("board", [])
                board.append(msg["stroke"])
                await room.push("onBoard", {"board": board})
                return {}
        """,
    "servers/connector/handlers.py": """
        from typing import Any
        from zope.interface import implementer
        from chatcore.interfaces import IHandler, ISession
        from ..chat.remotes import IRoomRemote

        class IEntryHandler(IHandler):
            async def enter(msg: Any, session: ISession) -> Any: ""

        @implementer(IEntryHandler)
        class EntryHandler:
            def __init__(self, app):
                self.app = app

            async def enter(self, msg: Any, session: ISession) -> Any:
                await session.bind(msg["name"])
                room = self.app.rpc.by(session)[IRoomRemote]
                return {"new": await room.add(msg["name"], self.app.server_id, "math")}
        """,
}


@pytest_twisted.async_yield_fixture
async def cluster(folder: Path) -> AsyncIterator[AdministeredCluster]:
    cluster = AdministeredCluster(
        folder,
        servers={"connector": ["connector-1", "connector-2"], "chat": ["chat-1"]},
        frontends=("connector",),
        files=FILES,
        settings={"outbox.policy": "drop-oldest", "links.ping_interval": 1000.0},
    )
    await cluster.start()
    yield cluster
    await cluster.close()


async def enter(cluster: AdministeredCluster, name: str, at: str) -> Any:
    client = await cluster.client(at)
    await client.request("connector.entryHandler.enter", {"name": name})
    return client


def in_words(lines: list[str]) -> list[str]:
    """Lines, wherever they are broken: a table's columns are as wide as what is in them."""
    return " ".join(lines).split()


def same(text: str) -> list[str]:
    """The lines of a text without what differs each time."""
    text = "\n".join(line.rstrip() for line in text.splitlines())
    text = re.sub(r"/\S+ \(development\)", "… (development)", text)
    text = re.sub(r"(\d\d:\d\d:\d\d) to \d\d:\d\d:\d\d", r"\1", text)
    for what in (
        r"[0-9a-f]{32}",
        r"\d\d:\d\d:\d\d(\.\d+)?",
        r"~? *\d+(\.\d+)? (ms|s|min|h|d|B|KiB|MiB)\b",
        r"\b\d+(\.\d+)?\b(?!-)",
        r"127\.0\.0\.\S+",
        r" {2,}",
        r"[-─]{3,}",
    ):
        text = re.sub(what, " … ", text)
    return [re.sub(r"( … )+|\s+", " ", line).strip() for line in text.splitlines()]


class Session:
    """Somebody who gives the commands of the page."""

    def __init__(self, cluster: AdministeredCluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "120")
        self._cluster = cluster
        self.blocks = iter(BLOCKS)
        self.printed: list[str] = []

    async def give(
        self,
        ready: Callable[[Lasting], Awaitable[Any]] | None = None,
        act: Callable[[], Awaitable[Any]] | None = None,
    ) -> None:
        """Give the command of the next block.

        Args:
            ready: waits until the command waits for something.
            act: brings that about.
        """
        block = next(self.blocks)
        command, _, shown = block.partition("\n")
        words = shlex.split(command.removeprefix("$ chatcore "))
        running = Lasting(*words, "--app", path_of(self._cluster), out=Terminal())
        if ready is not None and act is not None:
            await ready(running)
            await act()
        await running.ended
        lines = [re.sub(r"\x1b\[[0-9;]*[mK]", "", line) for line in running.lines]
        first = [note for note in running.notes if "boxes:" not in note]
        last = [note for note in running.notes if "boxes:" in note]
        printed = "\n".join([*first, *lines, *last]) + "\n"
        self.printed.append(f"$ {command.removeprefix('$ ')}\n{printed}")
        arranged = sorted if " trace " in command else in_words  # servers act at the same time
        assert arranged(same(printed)) == arranged(same(shown)), "\n".join(self.printed)


@pytest_twisted.ensureDeferred
async def test_the_session(cluster: AdministeredCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = await enter(cluster, "ann", "connector-2")
    bob = await enter(cluster, "bob", "connector-1")
    eve = await enter(cluster, "eve", "connector-2")
    transport = stop_reading(bob)
    transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)

    async def draw(times: int = 1) -> None:
        for _ in range(times):
            await eve.request(DRAW, {"stroke": "x" * 2000})

    counters = cluster.nodes["connector-1"].counters
    while counters.pushes_dropped < 20:
        await draw(10)

    async def armed(_: Lasting) -> None:
        nodes = cluster.nodes.values()
        await until(lambda: all(node.tracer._armed for node in nodes), "all to look for it")

    async def tapped(tap: Lasting) -> None:
        await tap.has_said("tapping")

    session = Session(cluster, monkeypatch)
    await session.give()
    await session.give()
    await session.give()
    await session.give(armed, lambda: ann.request(SEND, {"text": "hello?"}))
    await session.give(tapped, lambda: draw(2))
    transport.resumeProducing()
    assert next(session.blocks, None) is None
