"""Hooks and components of an application, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from applications import APP, LIFECYCLE, Applications, refusal, write
from small_cluster import until
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from chatcore.errors import ConfigError


async def test_everything_starts_and_stops_in_its_order(
    application: Applications, folder: Path
) -> None:
    cluster = application(
        servers={"front": ["front-1"], "back": ["back-1"]},
        app=APP,
        servers__all__lifecycle=LIFECYCLE.format(who="all"),
        servers__front__lifecycle=LIFECYCLE.format(who="front"),
    )
    await cluster.start("front-1")  # nobody else is there: it waits in vain and serves then
    app = cluster.nodes["front-1"].application
    client = await cluster.client("front-1")
    assert await client.request("front.frontHandler.login", {"uid": "a"}) == {"board": True}
    await until(lambda: "front after_startup serving" in app.data["order"], "the hook")
    started = app.data["order"][:]
    await cluster.start("back-1")
    await until(lambda: "front after_start_all" in app.data["order"], "all servers")
    all_started = app.data["order"][len(started) :]
    cluster.cut("front-1", "back-1")
    node = cluster.nodes["front-1"]
    await until(lambda: node.links.complete is False, "the loss")
    await until(lambda: node.links.complete, "the link")
    before = len(app.data["order"])
    await cluster.stop("front-1")
    assert started == [
        "all before_startup starting",
        "front before_startup starting",
        "Board start",
        "Second start",
        "Board after_start",
        "Second after_start",
        "start_server front-1",
        "all after_startup serving",
        "front after_startup serving",
    ]
    assert all_started == ["start_all", "all after_start_all", "front after_start_all"]
    assert app.data["order"][before:] == [
        "front before_shutdown stopping 1",
        "all before_shutdown stopping 1",
        "Second stop 0",
        "Board stop 0",
    ]


async def test_nobody_can_reach_a_server_before_its_components_are_up(
    application: Applications, folder: Path
) -> None:
    app = """
        from twisted.internet.defer import Deferred

        class Slow:
            def __init__(self, app):
                self.started, self.after = Deferred(), Deferred()

            def start(self):
                return self.started

            def after_start(self):
                return self.after

        def configure(app):
            app.load(Slow)
    """
    cluster = application(app=app)
    starting = Deferred.fromCoroutine(cluster.start())
    node = cluster.nodes["front-1"]
    slow = node.application.component(type(node.application.components["slow"]))
    await deferLater(reactor, 0.02, lambda: None)
    assert node.listening == []
    slow.started.callback(None)
    await until(lambda: len(node.listening) == 1, "the port for links")
    slow.after.callback(None)
    await starting
    assert len(node.listening) == 2


class TestFailing:
    """What fails before a server serves keeps it from serving, and is told with its line."""

    @pytest.mark.logs_failures
    @pytest.mark.parametrize("wait", ["", "await deferLater(reactor, 0, lambda: None)"])
    async def test_a_hook_that_raises(
        self, application: Applications, folder: Path, wait: str
    ) -> None:
        hooks = f"""
            from twisted.internet import reactor
            from twisted.internet.task import deferLater

            async def before_startup(app):
                {wait or "pass"}
                raise ValueError("no database")
        """
        cluster = application(app=APP, servers__front__lifecycle=hooks)
        with pytest.raises(
            ConfigError, match=r"before_startup of servers/front/lifecycle\.py: Value"
        ) as raised:
            await cluster.start()
        assert raised.value.file == str(folder / "servers/front/lifecycle.py")
        assert raised.value.line == 7
        assert cluster.nodes["front-1"].listening == []

    @pytest.mark.logs_failures
    async def test_a_component_that_raises_stops_those_before_it(
        self, application: Applications, folder: Path
    ) -> None:
        app = """
            class Good:
                def __init__(self, app):
                    self.stopped = 0
                def stop(self):
                    self.stopped += 1

            class Bad(Good):
                def start(self):
                    raise ValueError("no port")

            def configure(app):
                app.load(Good)
                app.load(Bad)
                app.load(Good, name="last")
        """
        cluster = application(app=app)
        with pytest.raises(ConfigError, match="start of the component 'bad': ValueError: no port"):
            await cluster.start()
        components = cluster.nodes["front-1"].application.components
        await cluster.stop()
        assert {name: each.stopped for name, each in components.items()} == {
            "good": 1,
            "bad": 0,
            "last": 0,
        }

    async def test_a_hook_that_hangs(self, application: Applications, folder: Path) -> None:
        hooks = """
            from twisted.internet.defer import CancelledError, Deferred

            async def before_startup(app):
                while True:
                    try:
                        await Deferred()
                    except CancelledError:
                        await Deferred()
        """
        cluster = application(
            servers__front__lifecycle=hooks, settings={"node.start_seconds": 0.05}
        )
        with pytest.raises(ConfigError, match=r"before_startup .* longer than 0\.05 s"):
            await cluster.start()

    async def test_a_server_is_stopped_while_it_starts(
        self, application: Applications, folder: Path
    ) -> None:
        hooks = """
            from twisted.internet.defer import Deferred

            def before_startup(app):
                app.data["waiting"] = Deferred(lambda _: app.data.update(cancelled=True))
                return app.data["waiting"]

            def before_shutdown(app):
                app.data["shut"] = True
        """
        cluster = application(servers__front__lifecycle=hooks)
        starting = Deferred.fromCoroutine(cluster.start()).addErrback(lambda _: None)
        data = cluster.nodes["front-1"].application.data
        await cluster.stop()
        starting.cancel()
        assert data["cancelled"] and "shut" not in data

    @pytest.mark.logs_failures
    async def test_what_fails_later_hurts_nobody(
        self, application: Applications, folder: Path
    ) -> None:
        hooks = """
            def after_startup(app): 1 / 0
            from twisted.internet.defer import CancelledError

            def before_shutdown(app): raise CancelledError()
            def after_start_all(app): 1 / 0
        """
        app = """
            class Bad:
                def __init__(self, app): pass
                def stop(self): 1 / 0

            def configure(app):
                app.load(Bad)
                app.on("bind_session", lambda session: 1 / 0)
        """
        cluster = application(app=app, servers__front__lifecycle=hooks)
        await cluster.start()
        client = await cluster.client("front-1")
        assert await client.request("front.frontHandler.login", {"uid": "a"}) == {"board": False}

    async def test_a_server_that_stops_itself(self, application: Applications) -> None:
        """Twice is once."""
        hooks = """
            def before_shutdown(app):
                app.data["left"] = app.data.get("left", 0) + 1
        """
        cluster = application(servers__front__lifecycle=hooks)
        await cluster.start()
        node = cluster.nodes.pop("front-1")
        client = await cluster.client("front-1")
        node.application.stop()
        node.application.stop()
        await until(lambda: not client.connected, "the end")
        await until(lambda: not any(port.connected for port in node.listening), "the ports' end")
        assert node.application.data["left"] == 1

    async def test_what_hangs_at_the_end_is_given_up(
        self, application: Applications, folder: Path
    ) -> None:
        """All together, however many there are; what needs no time still has its turn."""
        hooks = """
            from twisted.internet.defer import Deferred

            def before_shutdown(app):
                return Deferred(lambda _: None)
        """
        app = """
            from twisted.internet.defer import Deferred

            class Hangs:
                def __init__(self, app): pass
                def stop(self): return Deferred()

            class Quick:
                def __init__(self, app): self.app = app
                def stop(self): self.app.data["stopped"] = True

            def configure(app):
                app.load(Quick)
                app.load(Hangs)
        """
        cluster = application(
            app=app,
            servers__front__lifecycle=hooks,
            servers__all__lifecycle=hooks,
            settings={"node.stop_seconds": 0.05},
        )
        await cluster.start()
        data = cluster.nodes["front-1"].application.data
        await cluster.stop()
        assert data["stopped"]


class TestMistakes:
    """What is wrong is told before anything listens, with its file and line."""

    @pytest.mark.parametrize(
        ("hooks", "said"),
        [
            ("def before_start(app): ...", "function before_start, which nobody calls. Did you mean"
             " 'before_startup'?"),
            ("def beforeStartup(app): ...", "Did you mean 'before_startup'?"),
            ("def before_startup(): ...", "before_startup can't be called with app"),
            ("before_startup = 5", "before_startup is 5, not a function"),
        ],
    )  # fmt: skip
    def test_hooks(self, application: Applications, folder: Path, hooks: str, said: str) -> None:
        cluster = application(servers__front__lifecycle=f"\n{hooks}\n")
        message = refusal(cluster)
        assert said in message and "servers/front/lifecycle.py" in message

    def test_a_misspelt_file(self, application: Applications, folder: Path) -> None:
        cluster = application()
        (folder / "servers/front/lifecyle.py").write_text("")
        assert "nobody reads lifecyle.py. Is it lifecycle.py?" in refusal(cluster)

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("app.load(5)", "5 can't be loaded"),
            ("app.load(Plain, size=5)", "can't be made with (app, size=…)"),
            ("app.configure(type='front')", "configure decorates no function"),
            ("app.section('own', Picky); app.set('own.size', 2)", "can't be used: never"),
            ("app.load(NeedsMore)", "'needsMore' can't be made with (app): missing"),
            ("app.load(Plain); app.load(Plain)", "there is a component 'plain' already"),
            ("app.load(Plain, name='a b')", "'a b' can't be the name of a component"),
            ("app.load(BadStart)", "start of the component 'badStart' takes more than self"),
            ("app.load(Typed, szie=1)", "unknown setting 'typed.szie'. Did you mean 'typed.size'?"),
            ("app.load(Typed, size='x')", "'typed.size' can't be 'x'; expected a whole number"),
            ("app.load(Untyped)", "the settings of 'untyped' are int, not a dataclass"),
            ("app.section('limits', S)", "there is a section of settings 'limits' already"),
            ("app.section('page', S)", "there is a section of settings 'page' already"),
            ("app.section('own', NoDefault)", "NoDefault.size has no default"),
            ("app.on('bind_sesion', print)", "'bind_sesion'. Did you mean 'bind_session'?"),
            ("app.on('close_session', lambda it: 1)", "can't be called with (session, reason)"),
            ("app.on('start_all', 5)", "the hook for start_all is 5, not a function"),
            ("app.use(Plugin)", "Write app.use(Plugin())"),
            ("app.use(Plain(app))", "has neither configure nor folder"),
            ("app.use(Plugin(), more=1)", "can't be configured with (app, more=…)"),
            ("app.use(Plugin()); app.use(Plugin())", "the plugin 'plugin' is used already"),
            ("app.use(Nowhere())", "the folder nowhere of the plugin 'nowhere' does not exist"),
            ("app.configure(type='front')(lambda: app.use(Plugin()))", "Use it for all"),
            ("app.load_config('levles')", "no levles.json. Did you mean 'levels'?"),
            ("app.load_config('../levels')", "can't be the name of a config file"),
            ("app.load_config('levels', changed=5)", "load_config got changed=5, not a function"),
            ("app.load_config('levels', changed=lambda: 1)", "can't be called with (value)"),
        ],
    )  # fmt: skip
    def test_configuring(
        self, application: Applications, folder: Path, line: str, said: str
    ) -> None:
        app = f"""
            from dataclasses import dataclass
            from pathlib import Path

            @dataclass
            class S:
                size: int = 1

            @dataclass
            class NoDefault:
                size: int

            @dataclass
            class Picky(S):
                def __post_init__(self): raise TypeError("never")

            class Plain:
                def __init__(self, app): pass
            class NeedsMore:
                def __init__(self, app, more): pass
            class BadStart(Plain):
                def start(self, app): pass
            class Typed:
                settings = S
                def __init__(self, app, settings): pass
            class Untyped(Typed):
                settings = int
            class Plugin:
                def configure(self, app): pass
            class Nowhere:
                folder = "nowhere"

            def configure(app):
                {line}
        """
        cluster = application(app=app)
        write(folder, levels="{}")
        message = refusal(cluster)
        assert said in message
        if "load_config" not in line or "changed" in line:
            assert message.startswith(f"{folder}/app.py:3"), message

    def test_a_server_type_called_all(self, application: Applications, folder: Path) -> None:
        cluster = application(servers={"all": ["all-1"]})
        assert "'all' means every server type" in refusal(cluster)
