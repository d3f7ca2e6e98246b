"""Small applications, written by tests of what an application can add to its servers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_cluster import Cluster

from chatcore.errors import ConfigError
from chatcore.node import verify

HANDLER = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler

    class IFrontHandler(IHandler):
        async def login(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app):
            self.board = app.components["board"] if "board" in app.components else None

        async def login(self, msg, session):
            await session.bind(msg["uid"])
            return {"board": self.board is not None}
"""

LIFECYCLE = """
    from twisted.internet import reactor
    from twisted.internet.task import deferLater

    def before_startup(app):
        app.data.setdefault("order", []).append("{who} before_startup " + app.state)

    async def after_startup(app):
        await deferLater(reactor, 0, lambda: None)
        app.data["order"].append("{who} after_startup " + app.state)

    async def before_shutdown(app):
        await deferLater(reactor, 0, lambda: None)
        clients = len(app.sessions)
        app.data["order"].append(f"{who} before_shutdown {{app.state}} {{clients}}")

    def after_start_all(app):
        app.data["order"].append("{who} after_start_all")
"""


APP = """
    from dataclasses import dataclass
    from twisted.internet import reactor
    from twisted.internet.task import deferLater
    from zope.interface import implementer
    from chatcore.config.settings import setting
    from chatcore.interfaces import IComponent

    @dataclass(frozen=True)
    class BoardSettings:
        names: int = setting(10, "names on the board")
        title: str = setting("Best", "its title")

    class Step:
        def __init__(self, app):
            self.app = app

        def _note(self, what):
            self.app.data["order"].append(f"{type(self).__name__} {what}")

        async def start(self):
            await deferLater(reactor, 0, lambda: None)
            self._note("start")

        def after_start(self):
            self._note("after_start")

        async def stop(self):
            await deferLater(reactor, 0, lambda: None)
            self._note(f"stop {len(self.app.sessions)}")

    @implementer(IComponent)
    class Board(Step):
        name = "board"
        settings = BoardSettings

        def __init__(self, app, settings):
            super().__init__(app)
            self.names, self.title = settings.names, settings.title

    class Second(Step):
        def __init__(self, app, extra):
            super().__init__(app)
            self.extra = extra

    def configure(app):
        app.load(Board, names=5)

        @app.configure(type="front")
        def fronts():
            app.load(Second, extra="here")

        app.on("start_server", lambda id: app.data["order"].append(f"start_server {id}"))
        app.on("start_all", lambda: app.data["order"].append("start_all"))
"""


class Applications:
    """Writes applications of one front into a folder; what was started is stopped with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster: Cluster | None = None

    def __call__(
        self,
        servers: Any = None,
        settings: Any = None,
        paths: Mapping[str, str] = {},
        **files: str,
    ) -> Cluster:
        """Each further argument is a file: `__` stands for `/`."""
        named = {name.replace("__", "/") + ".py": text for name, text in files.items()}
        named |= paths
        named.setdefault("servers/front/handlers.py", HANDLER)
        self.cluster = Cluster(
            self.folder,
            servers=servers or {"front": ["front-1"]},
            files=named,
            settings=settings or {},
        )
        return self.cluster


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        file = folder / "config" / f"{name.replace('__', '/')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def refusal(cluster: Cluster) -> str:
    """What is said about an application before it is started."""
    with pytest.raises(ConfigError) as raised:
        verify(cluster.folder, cluster.servers, cluster._assignments)
    return str(raised.value)
