"""Plugins, which bring what an application can have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from applications import LIFECYCLE, Applications, refusal
from small_cluster import Cluster, until

PLUGIN = {
    "plugins/scores/__init__.py": """
        from dataclasses import dataclass
        from pathlib import Path
        from chatcore.config.settings import setting
        from .board import Board

        @dataclass(frozen=True)
        class ScoreSettings:
            best: int = setting(3, "how many are kept")

        class Scores:
            name = "scores"
            folder = Path(__file__).parent
            settings = ScoreSettings

            def configure(self, app):
                app.load(Board)
                app.on("start_server", lambda id: app.data.setdefault("plugin", []).append(id))
    """,
    "plugins/scores/board.py": """
        class Board:
            name = "board"
            def __init__(self, app):
                self.best, self.runs = app.settings["scores.best"], 0
    """,
    "plugins/scores/servers/back/remotes.py": """
        from zope.interface import implementer
        from chatcore.interfaces import IRemote
        from ...board import Board

        class IScoreRemote(IRemote):
            async def best() -> int: ""

        @implementer(IScoreRemote)
        class ScoreRemote:
            def __init__(self, app):
                self.board = app.component(Board)
            def best(self):
                return self.board.best
    """,
    "plugins/scores/servers/back/handlers.py": """
        from zope.interface import implementer
        from chatcore.interfaces import IHandler

        class IScoreHandler(IHandler):
            async def ping(msg, session): ""

        @implementer(IScoreHandler)
        class ScoreHandler:
            def __init__(self, app): pass
            def ping(self, msg, session):
                return {"pong": True}
    """,
    "plugins/scores/servers/all/handlers.py": """
        from zope.interface import implementer
        from chatcore.interfaces import IHandler

        class IStatusHandler(IHandler):
            async def where(msg, session): ""

        @implementer(IStatusHandler)
        class StatusHandler:
            def __init__(self, app):
                self.app = app
            def where(self, msg, session):
                return {"at": self.app.server_id}
    """,
    "plugins/scores/servers/all/crons.py": """
        from zope.interface import implementer
        from chatcore.interfaces import ICron
        from ...board import Board

        class ITickCron(ICron):
            async def tick(): ""

        @implementer(ITickCron)
        class TickCron:
            def __init__(self, app):
                self.app = app
            async def tick(self):
                self.app.component(Board).runs += 1
    """,
    "plugins/scores/servers/all/lifecycle.py": """
        def before_startup(app):
            app.data["order"] = ["plugin"]
    """,
    "plugins/scores/servers/elsewhere/handlers.py": """
    """,
    "plugins/scores/config/crons.json": """
        {"all": [{"id": "tick", "every": 0.01, "action": "tickCron.tick", "count": 3}],
         "elsewhere": [{"id": 1, "every": 1, "action": "no.no"}]}
    """,
}  # fmt: skip


def written(application: Applications, app: str, paths: Mapping[str, str] = {}) -> Cluster:
    """An application that uses the plugin."""
    return application(
        servers={"front": ["front-1"], "back": ["back-1"]},
        app=app,
        servers__all__lifecycle=LIFECYCLE.format(who="all"),
        paths={**PLUGIN, **paths},
    )


class TestPlugins:
    async def test_a_plugin_brings_what_an_application_can_have(
        self, application: Applications, folder: Path
    ) -> None:
        app = """
            from .plugins.scores import Scores

            def configure(app):
                app.use(Scores(), best=5)
        """
        cluster = written(application, app)
        await cluster.start()
        given = cluster.nodes["front-1"].application
        client = await cluster.client("front-1")
        assert await client.request("back.scoreHandler.ping", {}) == {"pong": True}
        assert await client.request("back.statusHandler.where", {}) == {"at": "back-1"}
        assert await client.request("front.statusHandler.where", {}) == {"at": "front-1"}
        assert await given.rpc.to("back-1").back.scoreRemote.best() == 5
        assert given.data["plugin"] == ["front-1"]
        assert given.data["order"][:2] == ["plugin", "all before_startup starting"]
        await until(lambda: given.components["board"].runs == 3, "its cron")
        assert given.crons.list() == []

    async def test_a_package_is_a_plugin(self, application: Applications, folder: Path) -> None:
        app = """
            from . import plugins
            from .plugins import scores

            def configure(app):
                app.use(scores)
        """
        init = PLUGIN["plugins/scores/__init__.py"]
        module = (
            init[: init.index("        class Scores")]
            + """
        settings = ScoreSettings

        def configure(app):
            app.load(Board)
        """
        )
        cluster = written(application, app, {"plugins/scores/__init__.py": module})
        await cluster.start()
        client = await cluster.client("front-1")
        assert await client.request("back.statusHandler.where", {}) == {"at": "back-1"}
        # Its interface is there once, so that it can be asked for.
        given = cluster.nodes["front-1"].application
        package = type(given.components["board"]).__module__.removesuffix(".board")
        remotes = __import__(f"{package}.servers.back.remotes", fromlist=["IScoreRemote"])
        assert await given.rpc.to("back-1")[remotes.IScoreRemote].best() == 3

    def test_a_package_that_holds_the_plugin_is_none(
        self, application: Applications, folder: Path
    ) -> None:
        app = """
            from .plugins import scores

            def configure(app):
                app.use(scores)
        """
        assert "Is it app.use(scores.Scores())?" in refusal(written(application, app))

    def test_names_do_not_clash(self, application: Applications, folder: Path) -> None:
        app = """
            from .plugins.scores import Scores

            def configure(app):
                app.use(Scores())
        """
        own = PLUGIN["plugins/scores/servers/all/handlers.py"]
        cluster = written(application, app, {"servers/back/handlers.py": own})
        message = refusal(cluster)
        assert "back.statusHandler is StatusHandler in" in message

    def test_a_plugin_that_is_wrong_is_named(self, application: Applications, folder: Path) -> None:
        app = """
            from .plugins.scores import Scores

            def configure(app):
                app.use(Scores(), bset=5)
        """
        cluster = written(application, app)
        assert "unknown setting 'scores.bset'. Did you mean 'scores.best'?" in refusal(cluster)
        file = folder / "plugins/scores/__init__.py"
        file.write_text(file.read_text().replace("app.load(Board)", "app.laod(Board)"))
        message = refusal(cluster)
        assert f"{file}:" in message and "configuring the plugin 'scores': Attr" in message
