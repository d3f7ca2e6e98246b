"""What an application's ``configure(app)`` is given, and what it said."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import implementer

from chatcore.application.routes import by_session
from chatcore.config.names import suggestion
from chatcore.config.settings import Assignment
from chatcore.errors import ConfigError
from chatcore.interfaces import BroadcastFilter, CheckClient, HandshakeHook, IConfigurator, Route


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
        self._server_types = server_types

    def set(self, key: str, value: Any) -> None:
        source = "{}:{}".format(*_caller())
        self.assignments.append(Assignment(key=key, value=value, source=source))

    def route(self, server_type: str, choose: Route) -> None:
        if not callable(choose):
            file, line = _caller()
            problem = f"the route for {server_type} is {choose!r}, not a function"
            raise ConfigError(problem, file=file, line=line)
        self._known(server_type, _caller())
        if not _takes(choose, 3):
            file, line = _caller()
            given: object = choose
            raise ConfigError(
                f"the route for {server_type} can't be called with (session, server_type, servers)",
                file=file,
                line=line,
                advice='Write by_session("key")' if given is by_session else None,
            )
        if server_type in self.routes:
            file, line = _caller()
            problem = f"there is a route for {server_type} already"
            raise ConfigError(problem, file=file, line=line, advice="Keep one of the two")
        self.routes[server_type] = choose

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
