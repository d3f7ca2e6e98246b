"""What an application's ``configure(app)`` is given, and what it said."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import Logger
from zope.interface import implementer

from chatcore.application.call_filters import verify_filter
from chatcore.application.checks import assignments_of, caller, verify_section, wrong
from chatcore.application.components import Loading, loading_of
from chatcore.application.events import verify_hook
from chatcore.application.own_files import Changed, verify_changed
from chatcore.application.plugins import Used, used
from chatcore.application.registering import Filtering
from chatcore.application.routes import by_uid, how_to_write
from chatcore.cluster.ownership import Rule
from chatcore.cluster.placement import pomelo_ranking, ranking
from chatcore.config.files import load_config
from chatcore.config.names import suggestion
from chatcore.config.settings import Assignment
from chatcore.dispatch.blame import Place, guarded
from chatcore.dispatch.filters import ReadyMade
from chatcore.errors import ConfigError
from chatcore.hooks import takes
from chatcore.interfaces import (
    BroadcastFilter,
    CheckClient,
    HandshakeHook,
    ICoder,
    IConfigurator,
    PushScheduler,
    Route,
)
from chatcore.links.calls import ErrorHandler
from chatcore.telemetry import Seen

DEFAULT = "default"
"""The server type whose route is that of all types without one."""

WAYS: Mapping[str, Rule] = {"rendezvous": ranking, "pomelo": pomelo_ranking}
"""How keys can be placed on the servers of a type."""


MOST_BAD_KEYS = 100
"""How many different mistakes of the functions that give channels their keys are logged."""


@implementer(IConfigurator)
class Configurator(Filtering):
    """Collects what an application's ``configure(app)`` says.

    Args:
        env: the environment that is started.
        server_type: the type of the server that is started.
        server_types: those there are, in servers.json and in the application.
        folder: the application's.
        taken: the names that a section of settings can't have.
    """

    log = Logger()

    def __init__(
        self,
        *,
        env: str,
        server_type: str,
        server_types: Sequence[str],
        folder: Path = Path(),
        taken: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.env, self.server_type, self.folder = env, server_type, folder
        self.data: dict[str, Any] = {}
        self.loadings: list[Loading] = []
        self.plugins: list[Used] = []
        self.hooks: list[tuple[str, Callable[..., Any], Place]] = []
        self.watched: list[tuple[str, Changed]] = []
        self.sections: dict[str, type] = {}
        self._taken = taken
        self._types = "all"
        self._unused: list[Place] = []
        self.assignments: list[Assignment] = []
        self.routes: dict[str, Route] = {}
        self.client_check: CheckClient | None = None
        self.handshake_hook: HandshakeHook | None = None
        self.wanted_by_broadcasts: BroadcastFilter | None = None
        self.schedules_pushes: PushScheduler | None = None
        self.codes_bodies: ICoder | None = None
        self.endpoints: list[tuple[Any, Place]] = []
        self.rpc_filters: list[Any] = []
        self.remote_filters: list[Any] = []
        self.rpc_errors: ErrorHandler | None = None
        self._server_types = server_types
        self._ways: dict[str, str] = {}
        self._channel_keys: dict[str, Callable[[str], str]] = {}
        self._bad_keys = Seen(MOST_BAD_KEYS)

    def set(self, key: str, value: Any) -> None:
        place = caller()
        if not isinstance(key, str):
            raise wrong(f"the key of a setting is a text, not {key!r}", place)
        source = "{}:{}".format(*place)
        self.assignments.append(Assignment(key=key, value=value, source=source))

    def route(self, server_type: str, choose: Route) -> None:
        if not callable(choose):
            file, line = caller()
            problem = f"the route for {server_type} is {choose!r}, not a function"
            raise ConfigError(problem, file=file, line=line)
        if server_type != DEFAULT:
            self._known(server_type, caller())
        factory = how_to_write(choose)
        if factory is not None or takes(choose, *range(3)) is not None:
            file, line = caller()
            raise ConfigError(
                f"the route for {server_type} can't be called with (session, server_type, servers)",
                file=file,
                line=line,
                advice=f"Write {factory}" if factory else None,
            )
        _refuse_async(choose, "route", "Keep what it has to know in the session")
        if server_type in self.routes:
            file, line = caller()
            problem = f"there is a route for {server_type} already"
            raise ConfigError(problem, file=file, line=line, advice="Keep one of the two")
        self.routes[server_type] = choose

    def placement(
        self,
        server_type: str,
        *,
        how: str | None = None,
        key: Callable[[str], str] | None = None,
    ) -> None:
        place = caller()
        self._known(server_type, place)
        if how is not None:
            if how not in WAYS:
                raise wrong(f"no way to place: {how!r}", place, suggestion(how, WAYS, "ways"))
            self._ways[server_type] = how
        if key is not None:
            if not callable(key) or takes(key, "name") is not None:
                raise wrong(
                    f"the key for {server_type} is {key!r}, not a function of a name", place
                )
            self._channel_keys[server_type] = key

    @property
    def placements(self) -> dict[str, Rule]:
        """How keys are placed, for each server type that says so itself or by its route."""
        ways = {
            server_type: getattr(self.route_to(server_type), "placement", "rendezvous")
            for server_type in self._server_types
        }
        return {server_type: WAYS[way] for server_type, way in (ways | self._ways).items()}

    def channel_key(self, server_type: str, channel: str) -> str:
        """The key by which a channel of servers of a type is placed.

        It is the name, too, where the application's function can't say: channels move in any case.
        """
        key = self._channel_keys.get(server_type)
        if key is None:
            return channel
        try:
            found = key(channel)
        except Exception as raised:
            problem = f"raised {raised!r:.100}"
        else:
            if isinstance(found, str):
                return found
            problem = f"gave {found!r:.100}, which is no text"
        if self._bad_keys.first((server_type, problem)):
            self.log.error(
                "The key of app.placement({type!r}) {problem} for channel {channel!r:.100}: it is"
                " placed by its name",
                type=server_type,
                problem=problem,
                channel=channel,
            )
        return channel

    def route_to(self, server_type: str) -> Route:
        """The route for a server type."""
        return self.routes.get(server_type) or self.routes.get(DEFAULT, by_uid)

    def rpc_filter(self, filter: Any) -> None:
        self._add_filter_of_calls(filter, "rpc_filter", caller(), self.rpc_filters)

    def remote_filter(self, filter: Any) -> None:
        self._add_filter_of_calls(filter, "remote_filter", caller(), self.remote_filters)

    def _add_filter_of_calls(
        self, filter: Any, called: str, place: Place, filters: list[Any]
    ) -> None:
        verify_filter(filter, called, place)
        if isinstance(filter, ReadyMade) and filter not in self.ready_made:
            self.ready_made.append(filter)
        filters.append(filter)

    def rpc_error_handler(self, handler: ErrorHandler) -> None:
        _verify_callable(handler, "rpc_error_handler", ("error", "call"), self.rpc_errors)
        self.rpc_errors = handler

    def check_client(self, check: CheckClient) -> None:
        _verify_callable(check, "check_client", ("type", "version"), self.client_check)
        self.client_check = check

    def on_handshake(self, hook: HandshakeHook) -> None:
        _verify_callable(hook, "on_handshake", ("handshake",), self.handshake_hook)
        self.handshake_hook = hook

    def broadcast_filter(self, wanted: BroadcastFilter) -> None:
        arguments = ("session", "msg", "where")
        _verify_callable(wanted, "broadcast_filter", arguments, self.wanted_by_broadcasts)
        _refuse_async(wanted, "broadcast_filter", "Keep what it has to know in the session")
        self.wanted_by_broadcasts = wanted

    def listen(self, endpoint: Any) -> None:
        place = caller()
        if isinstance(endpoint, str):
            try:
                serverFromString(None, endpoint)
            except Exception as problem:  # whatever a kind of endpoints says about its arguments
                advice = 'As in "unix:/run/chat.sock", or "tcp:3011:interface=192.0.2.1"'
                raise wrong(f"{endpoint!r} is no endpoint: {problem}", place, advice) from None
        elif not IStreamServerEndpoint.providedBy(endpoint):
            raise wrong(f"listen got {endpoint!r}, not an endpoint", place)
        self.endpoints.append((endpoint, place))

    def push_scheduler(self, schedule: PushScheduler) -> None:
        _verify_callable(schedule, "push_scheduler", ("push",), self.schedules_pushes)
        _refuse_async(schedule, "push_scheduler", "Have push.send called later")
        self.schedules_pushes = schedule

    def coder(self, coder: ICoder) -> None:
        place = caller()
        if self.codes_bodies is not None:
            raise wrong("coder was called before", place, "Keep one of the two")
        for name, arguments in (("encode", "route, value"), ("decode", "route, data")):
            method = getattr(coder, name, None)
            if (
                isinstance(coder, type)
                or not callable(method)
                or takes(method, *range(2)) is not None
            ):
                raise wrong(f"{coder!r} has no method {name}({arguments})", place)
            _refuse_async(method, "coder", "Bodies have to be there at once")
        self.codes_bodies = coder

    def configure(
        self, env: str = "all", type: str = "all"
    ) -> Callable[[Callable[[], None]], Callable[[], None]]:
        if not isinstance(env, str) or not isinstance(type, str):
            problem = f"configure got {env if type == 'all' else type!r}, not a text"
            raise wrong(problem, caller(), 'Write @app.configure(env="…", type="…")')
        for each in type.split("|"):
            if each != "all":
                self._known(each, caller())

        place = caller()
        self._unused.append(place)

        def run(function: Callable[[], None]) -> Callable[[], None]:
            if place in self._unused:
                self._unused.remove(place)
            _refuse_async(function, "configure", "Start what waits in lifecycle.py", caller())
            if not callable(function) or takes(function) is not None:
                problem = f"what configure got, {function!r}, can't be called without arguments"
                raise wrong(problem, caller())
            if _names(env, self.env) and _names(type, self.server_type):
                around, self._types = self._types, type
                function()
                self._types = around
            return function

        return run

    def verify(self) -> None:
        """Check what can only be told when all is said.

        Raises:
            ConfigError: ``app.configure`` was called, and decorates no function.
        """
        for place in self._unused:
            raise wrong("configure decorates no function", place, "Write @app.configure(…)")

    def load(self, component: Any, *, name: str | None = None, **options: Any) -> None:
        place = caller()
        loading = loading_of(component, name, options, place)
        for other in self.loadings:
            if other.name == loading.name:
                raise wrong(
                    f"there is a component '{loading.name}' already,"
                    f" loaded in {other.place[0]}:{other.place[1]}",
                    place,
                    "Give one of the two another name",
                )
        if loading.settings is not None:
            self._add_section(loading.name, loading.settings, options, place)
        self.loadings.append(loading)

    def use(self, plugin: Any, **options: Any) -> None:
        place = caller()
        found = used(plugin, options, place)
        if self._types != "all":
            raise wrong(
                f"the plugin '{found.name}' is used for the servers of {self._types} alone, and the"
                " others would not know what it brings",
                place,
                "Use it for all; its own folders say what is for which server type",
            )
        if any(other.name == found.name for other in self.plugins):
            raise wrong(f"the plugin '{found.name}' is used already", place)
        if found.settings is not None:
            self._add_section(found.name, found.settings, options, place)
        self.plugins.append(found)
        if found.configure is not None:
            guarded(
                partial(found.configure, **found.options),
                self,
                folder=found.code,
                doing=f"configuring the plugin '{found.name}'",
                place=place,
            )

    def on(self, event: str, hook: Callable[..., Any]) -> None:
        place = caller()
        verify_hook(event, hook, place)
        self.hooks.append((event, hook, place))

    def section(self, name: str, section: type) -> None:
        self._add_section(name, section, {}, caller())

    def load_config(self, name: str, *, changed: Changed | None = None) -> Any:
        value = load_config(self.folder, self.env, name)
        if changed is not None:
            verify_changed(changed, caller())
            self.watched.append((name, changed))
        return value

    def _add_section(self, name: str, section: type, options: dict[str, Any], place: Place) -> None:
        verify_section(name, section, place)
        if name in self._taken or name in self.sections:
            raise wrong(
                f"there is a section of settings '{name}' already", place, "Take another name"
            )
        if section in self.sections.values():
            raise wrong(f"{section.__name__} declares another section already", place)
        self.sections[name] = section
        self.assignments.extend(assignments_of(name, options, place))

    def _known(self, server_type: str, place: tuple[str, int]) -> None:
        if server_type not in self._server_types:
            raise ConfigError(
                f"there is no server type {server_type!r}",
                file=place[0],
                line=place[1],
                advice=suggestion(server_type, self._server_types, "server types"),
            )


def _verify_callable(function: Any, called: str, arguments: Sequence[str], former: object) -> None:
    """Check what the application gave to ``app.called``, of which there may be one."""
    file, line = caller(3)
    if former is not None:
        raise ConfigError(
            f"{called} was called before", file=file, line=line, advice="Keep one of the two"
        )
    if not callable(function):
        raise ConfigError(f"{called} got {function!r}, not a function", file=file, line=line)
    if takes(function, *arguments) is not None:
        expected = ", ".join(arguments)
        raise ConfigError(
            f"what {called} got can't be called with ({expected})", file=file, line=line
        )


def _refuse_async(function: Any, called: str, advice: str, place: Place | None = None) -> None:
    by_object = callable(function) and inspect.iscoroutinefunction(type(function).__call__)
    if by_object or inspect.iscoroutinefunction(function):
        problem = f"{called} got an async function; it has to answer at once"
        raise wrong(problem, place or caller(3), f"Write def. {advice}")


def _names(choices: str, choice: str) -> bool:
    return choices == "all" or choice in choices.split("|")
