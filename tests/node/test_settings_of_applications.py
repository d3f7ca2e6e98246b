"""Settings of an application's own, and files by environment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from applications import APP, Applications, refusal, write
from small_cluster import until
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from chatcore.config.servers import load_servers
from chatcore.config.settings import Assignment
from chatcore.node import verify


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """What was logged."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    yield events
    globalLogPublisher.removeObserver(events.append)


class TestSettings:
    APP = """
        from dataclasses import dataclass
        from typing import Annotated
        from msgspec import Meta

        @dataclass(frozen=True)
        class Game:
            rounds: Annotated[int, Meta(ge=1)] = 3
            name: str = "chess"
            size: int = 1

        def configure(app):
            app.section("game", Game)
            app.set("game.size", 7)
            app.set("limits.connections", 50)
            app.data["levels"] = app.load_config("levels")
    """

    async def test_where_values_come_from(self, application: Applications, folder: Path) -> None:
        """Defaults, then the file, then app.py, then what is said at start."""
        cluster = application(app=self.APP, settings={"limits.connections": 60})
        write(
            folder,
            settings='{"development": {"game": {"rounds": 5, "size": 2}, "heartbeat.interval": 9,'
            ' "page.port": 1}, "test": {}}',
            levels='{"development": [1, 2], "production": [3]}',
        )
        write(folder, test__servers="{}")
        cluster.servers = load_servers(folder, "development")
        await cluster.start()
        app = cluster.nodes["front-1"].application
        own = type(app.settings["game"])
        assert app.settings[own] == own(rounds=5, size=7)
        assert app.settings["game.rounds"] == 5
        assert app.settings["heartbeat.interval"] == 9
        assert app.settings["limits.connections"] == 60
        assert app.data["levels"] == app.load_config("levels") == [1, 2]
        assert app.folder == folder and app.is_frontend
        with pytest.raises(LookupError, match=r"Did you mean 'game\.rounds'"):
            app.settings["game.round"]

    @pytest.mark.logs_failures
    async def test_files_that_change(
        self, application: Applications, folder: Path, logged: list[LogEvent]
    ) -> None:
        app = """
            def configure(app):
                app.data["seen"] = []
                app.load_config("levels", changed=app.data["seen"].append)
        """
        handlers = """
            from zope.interface import implementer
            from chatcore.interfaces import IHandler

            class IFrontHandler(IHandler):
                async def levels(msg, session): ""

            @implementer(IFrontHandler)
            class FrontHandler:
                def __init__(self, app):
                    self.known = app.load_config("levels", changed=self.changed)

                async def changed(self, levels):
                    self.known = levels
                    raise ValueError("no such level")

                def levels(self, msg, session):
                    return {"levels": self.known}
        """
        settings = {"node.reload_seconds": 0.01}
        cluster = application(app=app, servers__front__handlers=handlers, settings=settings)
        write(folder, levels="[1]", production__levels="[3]")
        await cluster.start()
        client = await cluster.client("front-1")
        seen = cluster.nodes["front-1"].application.data["seen"]
        assert await client.request("front.frontHandler.levels") == {"levels": [1]}
        write(folder, levels="[1,")
        await until(lambda: any("stays in use" in formatEvent(e) for e in logged), "the mistake")
        assert seen == []
        write(folder, levels='{"development": [1, 2]}')
        await until(lambda: any("log_failure" in event for event in logged), "the change")
        assert seen == [[1, 2]]
        assert await client.request("front.frontHandler.levels") == {"levels": [1, 2]}
        write(folder, development__levels="[7]", levels="[1]")
        await until(lambda: [7] in seen, "the file for the environment")

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('{"development": {"game": {"rounds": 0}}}', "1:27: 'game.rounds' can't be 0"),
            ('{"development": {"game.round": 1}}', "unknown setting 'game.round'. Did you mean"),
            ('{"development": {"gaem": {"rounds": 1}}}', "unknown setting 'gaem.rounds'"),
            ('{"development": {"game": 5}}', "'game' is no section with its settings"),
            ('{"developmnet": {}}', "'developmnet' is no environment. Did you mean 'development'?"),
            ('{"limits": {"connections": 5}}', "'limits' is no environment"),
            ('{"development": 5}', "expected an object of settings"),
            ('{"development": {"game": {"rounds": 1,}}}', "settings.json:1:39: not JSON"),
        ],
    )  # fmt: skip
    def test_mistakes_in_the_file(
        self, application: Applications, folder: Path, text: str, said: str
    ) -> None:
        cluster = application(app=self.APP)
        write(folder, settings=text, levels="{}")
        message = refusal(cluster)
        assert said in message and message.startswith(f"{folder}/config/settings.json:1:")

    @pytest.mark.parametrize(
        "key", ["registry.lease_seconds", "registry.away_seconds", "master.port", "page.port"]
    )
    def test_what_other_processes_go_by_is_not_set_in_app_py(
        self, application: Applications, folder: Path, key: str
    ) -> None:
        """They do not read it, and half of a cluster would go by it."""
        app = f"""
            def configure(app):
                app.set("registry.url", "static:")
                app.set("{key}", 4000)
        """
        message = refusal(application(app=app))
        assert f"'{key}' can't be set in app.py, which chatcore start and twistd chat" in message
        assert "app.py:4" in message and "settings.json" in message
        value = {"registry": {"lease_seconds": 7}, "master.port": 4000}
        cluster = application(app="def configure(app): pass")
        write(folder, settings=json.dumps({"development": value}))
        for settings in verify(folder, cluster.servers, ()).values():
            assert settings["registry.lease_seconds"] == 7

    async def test_what_is_said_to_servers_of_another_type(
        self, application: Applications, folder: Path
    ) -> None:
        """A section that only they have is no mistake here."""
        app = APP.replace("app.load(Board, names=5)", "").replace(
            'app.load(Second, extra="here")', "app.load(Board)"
        )
        cluster = application(
            app=app,
            servers={"front": ["front-1"], "back": ["back-1"]},
            settings={"board.names": 7},
        )
        verify(folder, cluster.servers, cluster._assignments)
        cluster._assignments.append(Assignment(key="baord.names", value=1, source="test"))
        assert "unknown setting 'baord.names'" in refusal(cluster)

    def test_data_of_a_server(self, application: Applications, folder: Path) -> None:
        application()
        file = folder / "servers.json"
        file.write_text(file.read_text().replace('"id"', '"data": {"zone": "eu"}, "id"'))
        server = load_servers(folder, "development").by_id("front-1")
        assert server.data == {"zone": "eu"}
