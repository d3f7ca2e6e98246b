"""A chat under load, to whose servers things are done."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checking import Findings, check
from crowd import Crowd
from history import History
from running import RunningChat, wait_until
from twisted.internet.threads import deferToThread


class LoadedChat(RunningChat):
    """The example chat without its page, for a crowd."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ("--set", "drain.on_term=true"), change=self._without_page)

    def _without_page(self, servers: Any) -> None:
        shutil.rmtree(self.app / "web")

    def restart(self, server_id: str) -> None:
        """Have a node end as an operator would, and wait until it serves again."""
        pid, before = self.pid(server_id), len(self.output)
        assert pid is not None, f"{server_id} does not run"
        os.kill(pid, signal.SIGTERM)
        wait_until(
            lambda: f"{server_id} is up again" in self.output[before:],
            f"{server_id} to be back",
            60,
        )


class Stage:
    """A chat and its crowd, and what they see.

    Args:
        reactor: the reactor.
        chat: the chat, which runs.
        saved: where the history goes, to be looked at when something is wrong.
    """

    def __init__(self, *, reactor: Any, chat: LoadedChat, saved: Path) -> None:
        self.chat, self._saved = chat, saved
        self.history = History(time.monotonic)
        self.crowd = Crowd(reactor=reactor, gate=chat.port("gate-server-1"), history=self.history)

    async def begin(self) -> None:
        """Let the crowd come, and talk."""
        await self.crowd.gather()
        await self.crowd.pause(2)

    async def do(self, what: str, action: Callable[..., Any], *given: Any) -> float:
        """Do something to the servers that takes its time; when it began comes back."""
        begun = self.history.changed(what)
        await deferToThread(action, *given)
        self.history.changed(f"done: {what}")
        return begun

    async def kill(self, server_id: str) -> float:
        """End a server with SIGKILL, and wait until it runs again; when it was ended comes back."""
        return await self.do(f"kill -9 {server_id}", self.chat.kill, server_id)

    async def restart(self, server_id: str) -> float:
        """Restart a server; when that began comes back."""
        return await self.do(f"restart {server_id}", self.chat.restart, server_id)

    async def freeze(self, server_id: str, seconds: float) -> float:
        """Have a server do nothing for a while; when that began comes back."""
        begun = self.history.changed(f"SIGSTOP {server_id}")
        self.chat.stop(server_id)
        await self.crowd.pause(seconds)
        self.history.changed(f"{signal.SIGCONT.name} {server_id}")
        self.chat.resume()
        return begun

    async def end(self) -> Findings:
        """Let the crowd come to rest and go home; what it saw comes back, checked."""
        try:
            await self.crowd.settle()
        finally:
            self.history.save(self._saved)
        await self.crowd.disperse()
        return check(self.history)
