"""A node: made from its parts, started in order, stopped in order."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger

from chatcore.application import Application, Configurator
from chatcore.application.sessions import Sessions
from chatcore.channels.broadcast import Broadcasts
from chatcore.channels.groups import GroupTable
from chatcore.channels.service import ChannelService
from chatcore.cluster.balance import balances
from chatcore.cluster.view import View
from chatcore.config.addresses import is_loopback
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server, Servers
from chatcore.config.settings import Assignment, Settings, resolve
from chatcore.connectors.connection import GOING_AWAY, ConnectorParts
from chatcore.connectors.settings import (
    ConnectorSettings,
    HeartbeatSettings,
    Limits,
    OutboxSettings,
)
from chatcore.connectors.websocket import ClientFactory
from chatcore.connectors.welcome import Welcome
from chatcore.dispatch.calling import Caller
from chatcore.dispatch.components import Catalogue, Component
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.loading import guarded, instantiate, load_application
from chatcore.errors import ConfigError
from chatcore.interfaces import ISession
from chatcore.links.calls import Calls
from chatcore.links.filters import RpcFilters
from chatcore.links.link import LinkParts
from chatcore.links.rpc import Remotes, Rpc
from chatcore.links.settings import LinkSettings
from chatcore.links.table import LinkTable
from chatcore.node.backend import SESSIONS, Backend
from chatcore.node.dialects import load_dialects
from chatcore.node.frontend import Frontend
from chatcore.node.frontends import Frontends
from chatcore.node.incoming import Incoming
from chatcore.node.ports import (
    Place,
    allow_many_connections,
    client_place,
    link_endpoint,
    link_place,
)
from chatcore.node.server_types import compare_types
from chatcore.node.sessions_here import SessionsHere
from chatcore.sessions.service import SessionService
from chatcore.sessions.settings import SessionSettings
from chatcore.telemetry import Counters
from chatcore.turn import Turn

SECTIONS: dict[str, type] = {
    "connector": ConnectorSettings,
    "limits": Limits,
    "heartbeat": HeartbeatSettings,
    "outbox": OutboxSettings,
    "links": LinkSettings,
    "sessions": SessionSettings,
}
"""The settings of a node, by section."""

OPENING_SECONDS = 5.0
"""How long a frontend waits for its links before it opens its port to clients."""


def verify(folder: Path, servers: Servers, assignments: Sequence[Assignment]) -> None:
    """Check an application as each of its servers would, without starting any.

    Raises:
        ConfigError: something in the application or in the settings is wrong.
    """
    catalogue = load_application(folder)
    compare_types(catalogue, servers)
    for server_type in servers.types:
        for server in servers.of_type(server_type)[:1]:
            _, settings = _configure(catalogue, servers, server, assignments)
            if server.frontend:
                load_dialects(catalogue, servers, settings[ConnectorSettings])


class Node(Service):
    """One server of an application.

    Making it imports and verifies the application, and takes its ports; nothing listens yet.

    Args:
        folder: the application's.
        server: which of the servers this is.
        servers: all there are.
        run_folder: where sockets and the secret are.
        assignments: settings given where the node is started.
        reactor: the reactor.
        ready: called once, when the node serves.
        failed: told what keeps a node from serving that was started already.

    Raises:
        ConfigError: something in the application or in the settings is wrong, or a port is in use.
    """

    log = Logger()

    def __init__(
        self,
        *,
        folder: Path,
        server: Server,
        servers: Servers,
        run_folder: RunFolder,
        assignments: Sequence[Assignment] = (),
        reactor: Any,
        ready: Callable[[], object] = lambda: None,
        failed: Callable[[ConfigError], None],
    ) -> None:
        self.server = server
        self.setName(server.id)
        self.counters = Counters()
        self._reactor = reactor
        self._ready, self._failed = ready, failed
        self._ports: list[IListeningPort] = []
        self._opening: Any = None

        catalogue = load_application(folder)
        compare_types(catalogue, servers)
        configured, settings = _configure(catalogue, servers, server, assignments)
        self._build(catalogue, servers, configured, settings, run_folder)

        self._places: list[Place] = []
        try:
            self._places.append(link_place(server, run_folder))
            if server.frontend:
                self._places.append(client_place(server))
        except ConfigError:
            self._release()
            raise

    def _build(
        self,
        catalogue: Catalogue,
        servers: Servers,
        configured: Configurator,
        settings: Settings,
        run_folder: RunFolder,
    ) -> None:
        server, reactor, counters = self.server, self._reactor, self.counters
        limits = settings[Limits]
        turn = Turn(reactor.callLater)
        self._caller = Caller(seconds=limits.handler_seconds, clock=reactor)
        dispatcher = Dispatcher(caller=self._caller, counters=counters)
        sessions = SessionService(
            frontend_id=server.id, counters=counters, settings=settings[SessionSettings]
        )

        responders: dict[bytes, Any] = {}
        others = [each for each in servers if each.id != server.id]
        self.links = LinkTable(
            id=server.id,
            peers={each.id: link_endpoint(each, run_folder, reactor) for each in others},
            incarnation=secrets.token_hex(8),
            secret=run_folder.secret(),
            remotes={
                f"{remote.service}.{method.name}": method.fingerprint
                for remote in catalogue.remotes(server.type)
                for method in remote.methods.values()
            },
            parts=LinkParts(
                turn=turn,
                clock=reactor,
                settings=settings[LinkSettings],
                counters=counters,
                responders=responders,
            ),
        )
        view = View(
            servers,
            connected=lambda id: id == server.id or self.links.get(id) is not None,
            under_way=lambda id: self._backend.under_way(id),
        )

        def choose(server_type: str, session: ISession, tried: Collection[str] = ()) -> str:
            route = configured.route_to(server_type)
            return route(session, server_type, view.without(tried) if tried else view)

        groups = broadcasts = None
        if server.frontend:
            groups = GroupTable(
                sessions=sessions,
                gone=self._gone,
                counters=counters,
            )
            broadcasts = Broadcasts(
                sessions=sessions, groups=groups, wanted=configured.wanted_by_broadcasts
            )
        here = SessionsHere(sessions=sessions, groups=groups)
        self.channels = ChannelService(
            frontends=Frontends(
                id=server.id,
                view=view,
                links=self.links,
                groups=groups,
                broadcasts=broadcasts,
                ask=lambda *args: self._backend.ask_sessions(*args),
                counters=counters,
            ),
            clock=reactor,
            patience=settings[LinkSettings].patience,
        )
        self._backend = Backend(
            id=server.id,
            frontends=[each.id for each in others if each.frontend],
            type_of=lambda id: server.type if (server := view.get(id)) else None,
            fingerprints={
                (remote.server_type, remote.service, method.name): method.fingerprint
                for remote in catalogue.remotes()
                for method in remote.methods.values()
            },
            dispatcher=dispatcher,
            channels=self.channels,
            links=self.links,
            incoming=Incoming(
                id=server.id,
                server_type=server.type,
                dispatcher=dispatcher,
                filters=self._filters(configured.remote_filters),
                counters=counters,
            ),
            settings=settings[LinkSettings],
            counters=counters,
            clock=reactor,
        )
        responders.update(self._backend.responders())
        self._calls = Calls(
            sender=self._backend,
            filters=self._filters(configured.rpc_filters),
            on_error=configured.rpc_errors,
            caller=self._caller,
            settings=settings[LinkSettings],
            clock=reactor,
            counters=counters,
        )

        self.sessions = sessions
        self._frontend: Frontend | None = None
        self._connector: ConnectorParts | None = None
        if groups is not None and broadcasts is not None:
            self._frontend = Frontend(
                server_type=server.type,
                routes=[
                    f"{handler.server_type}.{handler.service}.{method}"
                    for handler in catalogue.handlers()
                    for method in handler.methods
                ],
                choose=choose,
                dispatcher=dispatcher,
                sessions=sessions,
                groups=groups,
                broadcasts=broadcasts,
                links=self.links,
                counters=counters,
                handler_seconds=limits.handler_seconds,
            )
            responders.update(self._frontend.responders())

            self._connector = ConnectorParts(
                turn=turn,
                clock=reactor,
                limits=limits,
                heartbeat=settings[HeartbeatSettings],
                outbox=settings[OutboxSettings],
                counters=counters,
                sessions=sessions,
                welcome=Welcome(
                    heartbeat=settings[HeartbeatSettings].interval,
                    dialects=load_dialects(catalogue, servers, settings[ConnectorSettings]),
                    signed=settings[ConnectorSettings].signed,
                    check_client=configured.client_check,
                    hook=configured.handshake_hook,
                    caller=self._caller,
                ),
                serve=self._frontend.serve,
            )

        self.application = Application(
            server_id=server.id,
            server_type=server.type,
            env=servers.env,
            servers=view,
            sessions=Sessions(
                sessions,
                pushes=here,
                servers=view,
                ask=self._backend.ask_sessions,
                far_home=self._backend.home,
            ),
            channels=self.channels,
            rpc=Rpc(
                remotes=_remotes(catalogue),
                servers=view,
                choose=choose,
                balances=balances(),
                calls=self._calls,
            ),
            reactor=reactor,
        )
        _install(catalogue, self.application, dispatcher)
        for own in here.remotes():
            dispatcher.add_own(SESSIONS, own)

    def startService(self) -> None:
        super().startService()
        allow_many_connections()
        self.log.info("Starting {id}", id=self.server.id)
        self._listen(self._places[0], self.links.factory)
        self._backend.start(self._open_if_linked)
        self.links.on_up(lambda link: self._open_if_linked())
        self._opening = self._reactor.callLater(OPENING_SECONDS, self._open)
        self.links.startService()
        self._open_if_linked()

    def stopService(self) -> Deferred[None]:
        """Close to clients, then to other nodes."""
        super().stopService()
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        closing: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in self._ports]
        if self._connector is not None:
            closing.append(self._connector.close_all("server stops", GOING_AWAY))
        self._release()

        stopped: Deferred[Any] = DeferredList(closing)
        stopped.addCallback(lambda _: self.links.stopService())
        stopped.addCallback(lambda _: self._forget_timers())
        return stopped

    def _filters(self, filters: Sequence[Any]) -> RpcFilters | None:
        if not filters:
            return None
        return RpcFilters(filters, caller=self._caller, clock=self._reactor)

    def _forget_timers(self) -> None:
        self._calls.stop()
        self._backend.stop()
        self.channels.stop()
        self._caller.stop()
        if self._connector is not None:
            self._connector.stop()

    def _open_if_linked(self) -> None:
        if self._opening is not None and self.links.complete and self._backend.settled:
            self._opening.cancel()
            self._open()

    def _open(self) -> None:
        """Take clients in, and be ready."""
        self._opening = None
        missing = self.links.missing()
        if missing:
            self.log.warn("{id} has no link to {missing} yet", id=self.server.id, missing=missing)
        if self._connector is not None:
            factory = ClientFactory(self._connector, self._reactor)
            self._listen(self._places[1], factory)
        self.log.info("{id} is ready", id=self.server.id)
        self._ready()

    def _listen(self, place: Place, factory: IProtocolFactory) -> None:
        try:
            self._ports.append(place.listen(self._reactor, factory))
        except ConfigError as problem:  # somebody was quicker between binding and listening
            self._failed(problem)

    def _gone(self, owner: str, channel: str, uid: str) -> None:
        """A member of a channel is connected here no more: tell who owns the channel."""
        if owner == self.server.id:
            self.channels.gone(owner, channel, uid)
        elif self._frontend is not None:
            self._frontend.gone(owner, channel, uid)

    def _release(self) -> None:
        for place in self._places:
            place.release()


def _refuse_open_links(servers: Servers) -> None:
    for server in servers:
        if server.port is not None and not is_loopback(server.host):
            raise ConfigError(
                f"the link port of {server.id} is on {server.host}, which others may reach,"
                " and links are not encrypted",
                file=servers.file,
                line=server.line,
                advice="Use a loopback address,"
                " or accept it on a network of your own with --set links.insecure=true",
            )


def _configure(
    catalogue: Catalogue, servers: Servers, server: Server, assignments: Sequence[Assignment]
) -> tuple[Configurator, Settings]:
    """Let the application configure a server, and give every setting its value."""
    types = dict.fromkeys([*servers.types, *catalogue.server_types])
    configured = Configurator(env=servers.env, server_type=server.type, server_types=list(types))
    if catalogue.configure is not None:
        guarded(catalogue.configure, configured, folder=catalogue.folder, doing="configure(app)")
    settings = resolve(SECTIONS, [*configured.assignments, *assignments])
    if not settings[LinkSettings].insecure:
        _refuse_open_links(servers)
    return configured, settings


def _install(catalogue: Catalogue, app: Application, dispatcher: Dispatcher) -> None:
    """Make this node's components, and have their methods called."""

    def made(component: Component) -> Any:
        return instantiate(component, app, catalogue.folder)

    for handler in catalogue.handlers(app.server_type):
        instance = made(handler)
        for name in handler.methods:
            route = f"{handler.server_type}.{handler.service}.{name}"
            dispatcher.add_handler(route, getattr(instance, name))
    for remote in catalogue.remotes(app.server_type):
        instance = made(remote)
        for method in remote.methods.values():
            dispatcher.add_remote(
                remote.service, method.name, getattr(instance, method.name), method.signature
            )


def _remotes(catalogue: Catalogue) -> Remotes:
    by_interface: dict[Any, list[tuple[str, str]]] = {}
    signatures = {}
    idempotent = []
    for remote in catalogue.remotes():
        place = (remote.server_type, remote.service)
        signatures[place] = {m.name: m.signature for m in remote.methods.values()}
        idempotent += [(*place, m.name) for m in remote.methods.values() if m.idempotent]
        for interface in remote.interfaces:
            by_interface.setdefault(interface, []).append(place)
    return Remotes(by_interface, signatures, idempotent)
