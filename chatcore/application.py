"""What an application is given: `app` for its components, and for its ``configure(app)``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from chatcore.channels.service import ChannelService
from chatcore.cluster.view import View
from chatcore.config.names import suggestion
from chatcore.config.settings import Assignment
from chatcore.errors import ConfigError
from chatcore.interfaces import (
    IApplication,
    IConfigurator,
    IServers,
    ISession,
    ISessions,
    Route,
    T,
)
from chatcore.links.rpc import Rpc
from chatcore.sessions.copy import copy_of
from chatcore.sessions.service import SessionService


def by_session(key: str) -> Route:
    """A route: the server that owns what the session has under ``key``."""

    def choose(session: ISession, server_type: str, servers: IServers) -> str:
        value = session.get(key)
        if value is None:
            raise LookupError(f"the session has no {key!r} to route by; set and push it first")
        return servers.owner(server_type, str(value)).id

    return choose


def by_uid(session: ISession, server_type: str, servers: IServers) -> str:
    """The route where none is set: by the uid, or by the connection while there is none."""
    return servers.owner(server_type, session.uid or f"{session.frontend_id} {session.id}").id


@implementer(ISessions)
class Sessions:
    """The sessions of this frontend, as the application sees them."""

    def __init__(self, service: SessionService) -> None:
        self._service = service

    def __len__(self) -> int:
        return len(self._service)

    def get(self, id: int) -> ISession | None:
        session = self._service.get(id)
        return None if session is None else copy_of(session, self._service)

    def by_uid(self, uid: str) -> Sequence[ISession]:
        return [copy_of(session, self._service) for session in self._service.by_uid(uid)]

    def kick(self, uid: str, reason: str = "kick") -> int:
        sessions = list(self._service.by_uid(uid))
        for session in sessions:
            session.connection.kick(reason)
        return len(sessions)


@implementer(IApplication)
class Application:
    """The ``app`` that handlers and remotes are made with."""

    def __init__(
        self,
        *,
        server_id: str,
        server_type: str,
        env: str,
        servers: View,
        sessions: SessionService,
        channels: ChannelService,
        rpc: Rpc,
        reactor: Any,
    ) -> None:
        self.server_id, self.server_type, self.env = server_id, server_type, env
        self.servers, self.sessions = servers, Sessions(sessions)
        self.channels, self.rpc = channels, rpc
        self._reactor = reactor

    def in_thread(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> Deferred[T]:
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, function, *args, **kwargs)


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
        if not _takes_three(choose):
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


def _caller() -> tuple[str, int]:
    """The file and line of the application that called who calls this."""
    frame = sys._getframe(2)
    return frame.f_code.co_filename, frame.f_lineno


def _takes_three(choose: Callable[..., Any]) -> bool:
    try:
        signature = inspect.signature(choose)
    except (ValueError, TypeError):
        return True  # a builtin may have none
    try:
        signature.bind(1, 2, 3)
    except TypeError:
        return False
    return True


def _names(choices: str, choice: str) -> bool:
    return choices == "all" or choice in choices.split("|")
