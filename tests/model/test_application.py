"""What handlers and remotes are given as ``app``, and what ``configure(app)`` is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from chatcore.application import (
    Application,
    Configurator,
    by_hash,
    by_session,
    by_uid,
    least_active,
    round_robin,
    serial,
    too_busy,
    weighted,
)
from chatcore.application.components import Components, loading_of
from chatcore.application.crons import Crons
from chatcore.application.events import Events
from chatcore.application.own_files import OwnFiles
from chatcore.channels.service import ChannelService
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.config.servers import Server
from chatcore.config.settings import Settings, resolve
from chatcore.connectors.admission import Blacklist
from chatcore.dispatch.lag import Lag
from chatcore.errors import ConfigError, NoSuchServer
from chatcore.interfaces import (
    IApplication,
    IChannels,
    IConfigurator,
    ICrons,
    IRpc,
    IServer,
    IServers,
    ISessions,
)
from chatcore.links.rpc import Remotes, Rpc
from chatcore.sessions.copy import SessionCopy
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters

from .fakes import FakeFrontends, result_of, sessions_of

FACTORIES: list[Any] = [by_session, by_hash, round_robin, weighted, least_active]
"""What has to be called to make a route."""


class Pool:
    """A thread pool whose threads are done at once."""

    def callInThreadWithCallback(
        self, done: Callable[[bool, Any], None], function: Callable[..., Any], *args: Any, **kw: Any
    ) -> None:
        try:
            result = function(*args, **kw)
        except Exception:
            from twisted.python.failure import Failure

            done(False, Failure())
        else:
            done(True, result)


class Reactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.from_thread = 0

    def getThreadPool(self) -> Pool:
        return Pool()

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        self.from_thread += 1
        function(*args)


def server(id: str) -> Server:
    return Server(
        id=id,
        type=id.partition("-")[0],
        host="127.0.0.1",
        port=4000,
        client_host=None,
        client_port=None,
        frontend=False,
        data={},
        line=1,
        max_connections=None,
    )


@pytest.fixture
def view() -> ClusterServers:
    return ClusterServers(View.of([server("chat-1"), server("chat-2"), server("chat-3")]))


@pytest.fixture
def app(view: ClusterServers) -> Application:
    reactor = Reactor()
    return Application(
        server_id="chat-1",
        server_type="chat",
        env="test",
        servers=view,
        sessions=sessions_of(SessionService(frontend_id="chat-1", counters=Counters()), view),
        channels=ChannelService(frontends=FakeFrontends(), clock=reactor),
        rpc=Rpc(
            remotes=Remotes({}, {}),
            servers=view,
            choose=lambda server_type, session, tried: "chat-1",
            balances={},
            calls=None,  # nobody calls
        ),
        folder=Path("app"),
        frontend=False,
        settings=resolve({}, []),
        data={},
        crons=Crons(
            zone=UTC,
            seconds=0,
            clock=reactor,
            time_of_day=reactor.seconds,
            counters=Counters(),
            changed=lambda *what: None,
        ),
        events=Events(),
        files=OwnFiles(folder=Path("app"), env="test", seconds=0, clock=reactor),
        stop=lambda: None,
        blacklist=Blacklist((), None),
        lag=Lag(reactor),
        reactor=reactor,
    )


def copy(uid: str | None = None, **settings: Any) -> SessionCopy:
    return SessionCopy(7, "connector-1", uid, settings, home=None)


class TestServers:
    def test_all_of_them(self, app: Application) -> None:
        assert [server.id for server in app.servers] == ["chat-1", "chat-2", "chat-3"]
        assert len(app.servers) == 3


class TestBroadcastFilter:
    @pytest.fixture
    def configurator(self) -> Configurator:
        return Configurator(env="test", server_type="chat", server_types=["chat"])

    def test_is_kept(self, configurator: Configurator) -> None:
        def wanted(session: Any, msg: Any, where: Any) -> bool:
            return True

        configurator.broadcast_filter(wanted)
        assert configurator.wanted_by_broadcasts is wanted
        with pytest.raises(ConfigError, match=r"test_application\.py:\d+: .*called before"):
            configurator.broadcast_filter(wanted)

    def test_is_verified(self, configurator: Configurator) -> None:
        async def late(session: Any, msg: Any, where: Any) -> bool:
            return True

        class Late:
            async def __call__(self, session: Any, msg: Any, where: Any) -> bool:
                return True

        wrong: list[tuple[Any, str]] = [
            ("text", "not a function"),
            (Late(), "async"),
            (lambda session: True, r"can't be called with \(session, msg, where\)"),
            (late, "async"),
        ]
        for function, why in wrong:
            with pytest.raises(ConfigError, match=rf"test_application\.py:\d+: .*{why}"):
                configurator.broadcast_filter(function)
        assert configurator.wanted_by_broadcasts is None


class TestApplication:
    def test_keeps_its_promises(self, app: Application) -> None:
        assert verifyObject(IApplication, app)
        assert verifyObject(ICrons, app.crons)
        assert verifyObject(IServers, app.servers)
        assert verifyObject(IServer, app.servers.get("chat-1"))
        assert verifyObject(ISessions, app.sessions)
        assert verifyObject(IChannels, app.channels)
        assert verifyObject(IRpc, app.rpc)

    def test_blocking_code_runs_in_a_thread(self, app: Application) -> None:
        assert result_of(app.in_thread(lambda a, b=0: a + b, 1, b=2)) == 3
        assert app._reactor.from_thread == 1

    def test_sleeping_waits(self, app: Application) -> None:
        slept = app.sleep(2.5)
        app._reactor.advance(2)
        assert not slept.called
        app._reactor.advance(0.5)
        assert result_of(slept) is None

    def test_what_it_raises_comes_back(self, app: Application) -> None:
        def fails() -> None:
            raise ValueError("in a thread")

        with pytest.raises(ValueError, match="in a thread"):
            result_of(app.in_thread(fails))


class TestRoutes:
    def test_by_session(self, view: ClusterServers) -> None:
        choose = by_session("rid")
        for rid in ("1", "2", "lobby", "x" * 100):
            assert choose(copy(rid=rid), "chat", view) == view.owner("chat", rid).id

    def test_by_session_spreads_rooms(self, view: ClusterServers) -> None:
        choose = by_session("rid")
        assert len({choose(copy(rid=rid), "chat", view) for rid in range(100)}) == 3

    def test_a_number_and_its_text_are_one_room(self, view: ClusterServers) -> None:
        choose = by_session("rid")
        assert choose(copy(rid=5), "chat", view) == choose(copy(rid="5"), "chat", view)

    @pytest.mark.parametrize("settings", [{}, {"rid": None}])
    def test_nothing_to_route_by(self, view: ClusterServers, settings: dict[str, Any]) -> None:
        with pytest.raises(LookupError, match="no 'rid' to route by; set and push it first"):
            by_session("rid")(copy(**settings), "chat", view)

    def test_falsy_values_are_something_to_route_by(self, view: ClusterServers) -> None:
        assert by_session("rid")(copy(rid=0), "chat", view) == view.owner("chat", "0").id

    def test_no_server_of_that_type(self, view: ClusterServers) -> None:
        with pytest.raises(NoSuchServer):
            by_session("rid")(copy(rid="1"), "game", view)

    def test_by_uid(self, view: ClusterServers) -> None:
        assert by_uid(copy("alice"), "chat", view) == view.owner("chat", "alice").id
        assert by_uid(copy(), "chat", view) == view.owner("chat", "connector-1 7").id

    def test_by_hash_chooses_as_pomelo_does(self, view: ClusterServers) -> None:
        choose = by_hash("rid")
        # "alice" is 663665735 there, "中" -1747078152: the remainders by 3 are 2 and 0.
        assert choose(copy(rid="alice"), "chat", view) == "chat-3"
        assert choose(copy(rid="中"), "chat", view) == "chat-1"
        with pytest.raises(LookupError, match="no 'rid' to route by"):
            choose(copy(), "chat", view)
        with pytest.raises(NoSuchServer):
            choose(copy(rid="alice"), "game", view)

    def test_by_hash_of_the_uid_is_pomelos_default(self, view: ClusterServers) -> None:
        choose = by_hash()
        assert choose(copy("alice"), "chat", view) == "chat-3"
        assert choose(copy(), "chat", view) == "chat-1"

    @pytest.mark.parametrize("make", [by_hash, by_session])
    def test_what_is_no_name_of_a_setting(self, make: Any) -> None:
        with pytest.raises(TypeError, match="5, where the name of a session's setting"):
            make(5)

    def test_those_that_remember_do_so_for_themselves(self, view: ClusterServers) -> None:
        one, other = round_robin(), round_robin()
        assert [one(copy(), "chat", view) for _ in range(4)] == [
            "chat-1",
            "chat-2",
            "chat-3",
            "chat-1",
        ]
        assert other(copy(), "chat", view) == "chat-1"
        assert {weighted()(copy(), "chat", view), least_active()(copy(), "chat", view)} == {
            "chat-1"
        }


class Filter:
    def before(self, call: Any) -> None: ...

    def after(self, call: Any, result: Any, problem: Any) -> None: ...


class Befor:
    def befor(self, call: Any) -> None: ...


class Short:
    def after(self, call: Any) -> None: ...


class TestConfigurator:
    @pytest.fixture
    def configurator(self) -> Configurator:
        return Configurator(
            env="development", server_type="chat", server_types=["gate", "connector", "chat"]
        )

    def test_keeps_its_promise(self, configurator: Configurator) -> None:
        assert verifyObject(IConfigurator, configurator)

    def test_settings_know_where_they_were_made(self, configurator: Configurator) -> None:
        configurator.set("heartbeat.interval", 3)
        (assignment,) = configurator.assignments
        assert (assignment.key, assignment.value) == ("heartbeat.interval", 3)
        assert assignment.source.startswith(f"{__file__}:")
        assert int(assignment.source.rpartition(":")[2]) > 100

    def test_routes(self, configurator: Configurator) -> None:
        route = by_session("rid")
        configurator.route("chat", route)
        assert configurator.routes == {"chat": route}

    @pytest.mark.parametrize("server_type", ["chta", "all", ""])
    def test_a_route_to_what_there_is_not(
        self, configurator: Configurator, server_type: str
    ) -> None:
        with pytest.raises(ConfigError, match=f"no server type '{server_type}'") as raised:
            configurator.route(server_type, by_uid)
        assert "gate, connector and chat" in str(raised.value)
        assert raised.value.file == __file__
        assert configurator.routes == {}

    @pytest.mark.parametrize(
        "choose",
        [lambda session, server_type: "", lambda: "", *FACTORIES],
        ids=lambda choose: choose.__name__,
    )
    def test_a_route_that_can_not_be_called(self, configurator: Configurator, choose: Any) -> None:
        said = r"the route for chat can't be called with \(session, server_type, servers\)"
        with pytest.raises(ConfigError, match=said) as raised:
            configurator.route("chat", choose)
        assert raised.value.file == __file__
        assert raised.value.line is not None
        assert ("Write " in str(raised.value)) == (choose in FACTORIES)
        assert configurator.routes == {}

    def test_a_route_of_which_nothing_is_known(self, configurator: Configurator) -> None:
        configurator.route("chat", max)  # a builtin without a signature
        assert configurator.routes == {"chat": max}

    def test_a_second_route_for_a_type(self, configurator: Configurator) -> None:
        configurator.route("gate", by_uid)
        first = by_session("rid")
        configurator.route("chat", first)
        with pytest.raises(ConfigError, match="there is a route for chat already") as raised:
            configurator.route("chat", by_uid)
        assert raised.value.file == __file__
        assert configurator.routes["chat"] is first

    @pytest.mark.parametrize(
        ("env", "type", "runs"),
        [
            ("all", "all", True),
            ("development", "chat", True),
            ("production", "all", False),
            ("production|development", "gate|chat", True),
            ("all", "gate", False),
            ("all", "gate|connector", False),
            ("develop", "all", False),
        ],
    )
    def test_configures_some(
        self, configurator: Configurator, env: str, type: str, runs: bool
    ) -> None:
        ran: list[bool] = []

        @configurator.configure(env=env, type=type)
        def some() -> None:
            ran.append(True)

        assert ran == [True] * runs
        some()  # it is still the function
        assert len(ran) == runs + 1

    def test_configures_a_type_there_is_not(self, configurator: Configurator) -> None:
        with pytest.raises(ConfigError, match="no server type 'chad'"):
            configurator.configure(type="gate|chad")

    def test_the_route_of_all_types_without_one(self, configurator: Configurator) -> None:
        assert configurator.route_to("chat") is by_uid
        every, own = by_hash(), by_session("rid")
        configurator.route("default", every)
        configurator.route("chat", own)
        assert configurator.route_to("chat") is own
        assert configurator.route_to("gate") is every

    @pytest.mark.parametrize("called", ["rpc_filter", "remote_filter"])
    def test_filters_of_calls(self, configurator: Configurator, called: str) -> None:
        first, second = Filter(), Filter()
        for each in (first, second):
            getattr(configurator, called)(each)
        assert getattr(configurator, f"{called}s") == [first, second]

    def test_ready_made_filters_of_calls_are_given_what_they_need(
        self, configurator: Configurator
    ) -> None:
        busy = too_busy()
        configurator.rpc_filter(busy)
        configurator.remote_filter(busy)
        assert configurator.ready_made == [busy]

    @pytest.mark.parametrize("called", ["rpc_filter", "remote_filter"])
    @pytest.mark.parametrize(
        ("filter", "text"),
        [
            (Filter, r"the class Filter\. Make one: Filter\(\)"),
            (Befor(), r"neither before nor after\. Is befor one of them\?"),
            (len, r"neither before nor after"),
            (serial(), r"serial\(timeout=3\), which is for clients' requests"),
            (Short(), r"whose after can't be called with \(call, result, problem\)"),
        ],
        ids=lambda each: "",
    )
    def test_what_is_no_filter(
        self, configurator: Configurator, called: str, filter: Any, text: str
    ) -> None:
        with pytest.raises(ConfigError, match=f"{called} got .*{text}") as raised:
            getattr(configurator, called)(filter)
        assert raised.value.file == __file__

    def test_the_handler_of_errors(self, configurator: Configurator) -> None:
        with pytest.raises(ConfigError, match=r"can't be called with \(error, call\)"):
            configurator.rpc_error_handler(lambda error: None)  # type: ignore[arg-type,misc]
        configurator.rpc_error_handler(handler := lambda error, call: None)
        assert configurator.rpc_errors is handler
        with pytest.raises(ConfigError, match="called before"):
            configurator.rpc_error_handler(handler)


def test_a_component_that_is_nothing() -> None:
    def book(app: object) -> None:
        pass

    loading = loading_of(book, None, {}, ("app.py", 3))
    with pytest.raises(ConfigError, match="makes the component 'book' returned nothing") as raised:
        Components().make([loading], None, Settings({}), Path())
    assert (raised.value.file, raised.value.line) == ("app.py", 3)
