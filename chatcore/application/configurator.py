"""What an application's ``configure(app)`` is given, and what it said."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import implementer

from chatcore.application.routes import by_uid, how_to_write
from chatcore.config.names import suggestion
from chatcore.config.settings import Assignment
from chatcore.errors import ConfigError
from chatcore.interfaces import BroadcastFilter, CheckClient, HandshakeHook, IConfigurator, Route
from chatcore.links.calls import ErrorHandler

DEFAULT = "default"
"""The server type whose route is that of all types without one."""

FILTER_HOOKS = {"before": ("call",), "after": ("call", "result", "problem")}
"""What a filter of calls may have, and what it is called with."""


@implementer(IConfigurator)
class Configurator:
    """Collects what an application's ``configure(app)`` says.

    Args:
        env: the environment that is started.
        server_type: the type of the server that is started.
        server_types: those there are, in servers.json and in the application.
    """

    def __init__(self, *, env: str, server_type: str, server_types: Sequence[str]) -> None:
        self.env, self.server_type = env, server_type
        self.assignments: list[Assignment] = []
        self.routes: dict[str, Route] = {}
        self.client_check: CheckClient | None = None
        self.handshake_hook: HandshakeHook | None = None
        self.wanted_by_broadcasts: BroadcastFilter | None = None
        self.rpc_filters: list[Any] = []
        self.remote_filters: list[Any] = []
        self.rpc_errors: ErrorHandler | None = None
        self._server_types = server_types

    def set(self, key: str, value: Any) -> None:
        source = "{}:{}".format(*_caller())
        self.assignments.append(Assignment(key=key, value=value, source=source))

    def route(self, server_type: str, choose: Route) -> None:
        if not callable(choose):
            file, line = _caller()
            problem = f"the route for {server_type} is {choose!r}, not a function"
            raise ConfigError(problem, file=file, line=line)
        if server_type != DEFAULT:
            self._known(server_type, _caller())
        factory = how_to_write(choose)
        if factory is not None or not _takes(choose, 3):
            file, line = _caller()
            raise ConfigError(
                f"the route for {server_type} can't be called with (session, server_type, servers)",
                file=file,
                line=line,
                advice=f"Write {factory}" if factory else None,
            )
        if server_type in self.routes:
            file, line = _caller()
            problem = f"there is a route for {server_type} already"
            raise ConfigError(problem, file=file, line=line, advice="Keep one of the two")
        self.routes[server_type] = choose

    def route_to(self, server_type: str) -> Route:
        """The route for a server type."""
        return self.routes.get(server_type) or self.routes.get(DEFAULT, by_uid)

    def rpc_filter(self, filter: Any) -> None:
        _verify_filter(filter, "rpc_filter")
        self.rpc_filters.append(filter)

    def remote_filter(self, filter: Any) -> None:
        _verify_filter(filter, "remote_filter")
        self.remote_filters.append(filter)

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
        if inspect.iscoroutinefunction(wanted):
            file, line = _caller()
            raise ConfigError(
                "broadcast_filter got an async function; it has to answer at once",
                file=file,
                line=line,
                advice="Write def, and keep what it has to know in the session",
            )
        self.wanted_by_broadcasts = wanted

    def configure(
        self, env: str = "all", type: str = "all"
    ) -> Callable[[Callable[[], None]], Callable[[], None]]:
        for each in type.split("|"):
            if each != "all":
                self._known(each, _caller())

        def run(function: Callable[[], None]) -> Callable[[], None]:
            if _names(env, self.env) and _names(type, self.server_type):
                function()
            return function

        return run

    def _known(self, server_type: str, place: tuple[str, int]) -> None:
        if server_type not in self._server_types:
            raise ConfigError(
                f"there is no server type {server_type!r}",
                file=place[0],
                line=place[1],
                advice=suggestion(server_type, self._server_types, "server types"),
            )


def _caller(depth: int = 2) -> tuple[str, int]:
    """The file and line of the application that called who calls this."""
    frame = sys._getframe(depth)
    return frame.f_code.co_filename, frame.f_lineno


def _verify_callable(function: Any, called: str, arguments: Sequence[str], former: object) -> None:
    """Check what the application gave to ``app.called``, of which there may be one."""
    file, line = _caller(3)
    if former is not None:
        raise ConfigError(
            f"{called} was called before", file=file, line=line, advice="Keep one of the two"
        )
    if not callable(function):
        raise ConfigError(f"{called} got {function!r}, not a function", file=file, line=line)
    if not _takes(function, len(arguments)):
        expected = ", ".join(arguments)
        raise ConfigError(
            f"what {called} got can't be called with ({expected})", file=file, line=line
        )


def _verify_filter(filter: Any, called: str) -> None:
    """Check what the application gave to ``app.called`` as a filter of calls."""
    file, line = _caller(3)

    def wrong(problem: str, advice: str | None = None) -> ConfigError:
        return ConfigError(f"{called} got {problem}", file=file, line=line, advice=advice)

    if isinstance(filter, type):
        raise wrong(f"the class {filter.__name__}", f"Make one: {filter.__name__}()")
    hooks = {name: getattr(filter, name, None) for name in FILTER_HOOKS}
    if not any(hook is not None for hook in hooks.values()):
        near = [m for name in hooks for m in difflib.get_close_matches(name, dir(filter), 1)]
        raise wrong(
            f"{filter!r}, which has neither before nor after",
            f"Is {near[0]} one of them?" if near else "Give it before(call) or after(…)",
        )
    for name, hook in hooks.items():
        arguments = FILTER_HOOKS[name]
        if hook is not None and not (callable(hook) and _takes(hook, len(arguments))):
            expected = ", ".join(arguments)
            raise wrong(f"{filter!r}, whose {name} can't be called with ({expected})")


def _takes(function: Callable[..., Any], count: int) -> bool:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return True  # a builtin may have none
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _names(choices: str, choice: str) -> bool:
    return choices == "all" or choice in choices.split("|")
