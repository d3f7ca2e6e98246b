"""A chat under load, to whose servers things are done."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from checking import Findings, check
from crowd import Crowd
from history import History
from running import CopiedChat
from twisted.internet.threads import deferToThread


class Stage:
    """A chat and its crowd, and what they see.

    Args:
        reactor: the reactor.
        chat: the chat, which runs.
        saved: where the history goes, to be looked at when something is wrong.
        tag: what tells this crowd from others that the chat has had before.
    """

    def __init__(self, *, reactor: Any, chat: CopiedChat, saved: Path, tag: str) -> None:
        self._saved = saved
        self.history = History(time.monotonic)
        gate = chat.port("gate-server-1")
        self.crowd = Crowd(reactor=reactor, gate=gate, history=self.history, tag=tag)

    async def begin(self) -> None:
        """Let the crowd come, and talk."""
        await self.crowd.gather()
        await self.crowd.pause(2)

    async def do(self, what: str, action: Callable[..., Any], *given: Any) -> float:
        """Do something to the servers that takes its time; when it began comes back."""
        told = " ".join((what, *map(str, given)))
        begun = self.history.changed(told)
        await deferToThread(action, *given)
        self.history.changed(f"done: {told}")
        return begun

    async def end(self) -> Findings:
        """Let the crowd come to rest and go home; what it saw comes back, checked."""
        try:
            await self.crowd.settle()
        finally:
            self.history.save(self._saved)
        await self.crowd.disperse()
        return check(self.history)
