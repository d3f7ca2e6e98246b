"""A node's parts, made and joined to each other; `chatcore.node.node` has them begin and end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from chatcore.application import Application
from chatcore.application.crons import CronSettings
from chatcore.application.events import Events
from chatcore.application.own_files import OwnFiles
from chatcore.application.sessions import Sessions
from chatcore.channels.service import ChannelService
from chatcore.cluster.balance import balances
from chatcore.cluster.logins import Logins
from chatcore.cluster.registry import IRegistry, StaticRegistry
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import Member, View
from chatcore.config.servers import Server, Servers
from chatcore.connectors.admission import Blacklist
from chatcore.dispatch.calling import Caller
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.lag import Lag
from chatcore.interfaces import ISession
from chatcore.links.calls import Calls
from chatcore.links.filters import RpcFilters
from chatcore.links.link import LinkParts, Responder
from chatcore.links.rpc import Rpc
from chatcore.links.settings import LinkSettings
from chatcore.links.table import LinkTable
from chatcore.links.tls import LinkTls
from chatcore.node.arrivals import longest_wait
from chatcore.node.backend import SESSIONS, Backend
from chatcore.node.blocked import Blocked
from chatcore.node.client_port import client_limits
from chatcore.node.client_side import ClientSide
from chatcore.node.configuring import Configured
from chatcore.node.exporting import OpenTelemetry
from chatcore.node.filtering import Surroundings
from chatcore.node.frontends import Frontends
from chatcore.node.incoming import Incoming
from chatcore.node.installing import bring_in, connect_events, crons_of, remotes_of
from chatcore.node.lifecycle import NodeSettings
from chatcore.node.measuring import watch
from chatcore.node.membership import Membership, new_incarnation
from chatcore.node.moves import Moves
from chatcore.node.network import INetwork
from chatcore.node.peers import LOGINS, LinkedPeers, claim_seconds, follow_links
from chatcore.node.reloading import Reloading
from chatcore.node.sessions_here import SessionsHere
from chatcore.sessions.service import SessionService
from chatcore.sessions.settings import SessionSettings
from chatcore.telemetry import Counters
from chatcore.tracing import Tracer, TracingSettings
from chatcore.turn import Turn


class Assembly:
    """The parts of a node.

    Many need each other. What is made later is named in a ``lambda``, and looked up when it is
    needed.

    Args:
        server: which of the servers this is.
        servers: all that are known at start.
        configured: what the application said, and what the settings came to.
        secret: the cluster's.
        tls: the certificates of links, where those are encrypted.
        network: how others are reached.
        registry: knows which nodes there are.
        counters: what counts.
        reactor: the reactor.
        linked: called when this node may be linked to more than before.
        stop: stops the process, when the application says so.

    Attributes:
        responders: what acts on the boxes of other nodes; more may be put there.

    Raises:
        ConfigError: something in the application is wrong.
    """

    def __init__(
        self,
        *,
        server: Server,
        servers: Servers,
        configured: Configured,
        secret: bytes,
        tls: LinkTls | None,
        network: INetwork,
        registry: IRegistry,
        counters: Counters,
        reactor: Any,
        linked: Callable[[], None],
        stop: Callable[[], object],
    ) -> None:
        self._server, self._listed, self._configured = server, servers, configured
        self._counters, self._reactor = counters, reactor
        self._said, self._settings = configured.said, configured.settings
        self._limits = client_limits(server, configured.settings)
        self.responders: dict[bytes, Responder] = {}
        self.turn = Turn(reactor.callLater)
        self.caller = Caller(seconds=self._limits.handler_seconds, clock=reactor)
        self.tracer = Tracer(
            node=server.id, settings=self._settings[TracingSettings], clock=reactor.seconds
        )
        self.exporter: OpenTelemetry | None = None
        if self._settings[TracingSettings].export:
            self.exporter = OpenTelemetry(id=server.id, server_type=server.type)
            self.tracer.exporter = self.exporter
        self.dispatcher = Dispatcher(caller=self.caller, counters=counters, tracer=self.tracer)
        self.sessions = SessionService(
            frontend_id=server.id, counters=counters, settings=self._settings[SessionSettings]
        )
        self._make_links(secret, tls, network, registry, linked)
        self._make_clients()
        self._make_channels(linked)
        self._make_answers()
        self._make_application(stop)
        self._bring_in_application()

    def _make_links(
        self,
        secret: bytes,
        tls: LinkTls | None,
        network: INetwork,
        registry: IRegistry,
        linked: Callable[[], None],
    ) -> None:
        """Who is there, and how they are reached."""
        server, settings = self._server, self._settings
        member = Member(server=server, incarnation=new_incarnation(), state="starting")
        self.links = LinkTable(
            id=server.id,
            incarnation=member.incarnation,
            secret=secret,
            remotes={
                f"{remote.service}.{method.name}": method.fingerprint
                for remote in self._configured.catalogue.remotes(server.type)
                for method in remote.methods.values()
            },
            parts=LinkParts(
                turn=self.turn,
                clock=self._reactor,
                settings=settings[LinkSettings],
                counters=self._counters,
                responders=self.responders,
                tls=tls,
            ),
            client_port=server.client_port,
        )
        self.servers = ClusterServers(
            registry.view if isinstance(registry, StaticRegistry) else View(0, ()),
            rules=self._said.placements,
            connected=lambda id: id == server.id or self.links.get(id) is not None,
            under_way=lambda id: self.backend.under_way(id),
        )
        self.membership = Membership(
            member=member,
            registry=registry,
            servers=self.servers,
            links=self.links,
            network=network,
            changed=linked,
            begin_anew=lambda: self.moves.begin_anew(),
            settings=settings[RegistrySettings],
            owns=self._may_own,
            clock=self._reactor,
        )

    def _make_clients(self) -> None:
        """What clients are served with, where this is a frontend."""
        self.clients: ClientSide | None = None
        if not self._server.frontend:
            return
        self.clients = ClientSide(
            servers=self._listed,
            server=self._server,
            view=self.servers,
            configured=self._configured,
            limits=self._limits,
            choose=self._choose,
            stamp=lambda server_id: self.moves.stamp(self.servers.take_key(server_id)),
            gone=lambda *member: self.moves.left(*member),
            links=self.links,
            sessions=self.sessions,
            dispatcher=self.dispatcher,
            caller=self.caller,
            turn=self.turn,
            counters=self._counters,
            tracer=self.tracer,
            reactor=self._reactor,
        )
        self.responders.update(self.clients.responders())

    def _make_channels(self, linked: Callable[[], None]) -> None:
        """Channels, and how they move."""
        server, clients = self._server, self.clients
        groups = None if clients is None else clients.groups
        self._here = SessionsHere(sessions=self.sessions, groups=groups)
        self.channels = ChannelService(
            frontends=Frontends(
                id=server.id,
                view=self.servers,
                links=self.links,
                groups=groups,
                broadcasts=None if clients is None else clients.broadcasts,
                ask=lambda *args: self.backend.ask_sessions(*args),
                counters=self._counters,
                members=self._members,
                tracer=self.tracer,
            ),
            clock=self._reactor,
            patience=self._settings[LinkSettings].patience,
            owns=lambda name: self.moves.owns(name),
            journal=self._counters.journal,
        )
        self.moves = Moves(
            id=server.id,
            server_type=server.type,
            servers=self.servers,
            member=lambda: self.membership.member,
            key_of=self._said.channel_key,
            links=self.links,
            channels=self.channels,
            groups=groups,
            settled=linked,
            counters=self._counters,
            clock=self._reactor,
            longest_wait=longest_wait(
                self._settings[LinkSettings].call_timeout, self._limits.handler_seconds
            ),
            tracer=self.tracer,
        )
        self.responders.update(self.moves.responders())

    def _make_answers(self) -> None:
        """What answers other nodes, and asks them."""
        server, settings, servers = self._server, self._settings, self.servers
        clock, counters = self._reactor, self._counters
        self.backend = Backend(
            id=server.id,
            type_of=lambda id: server.type if (server := servers.get(id)) else None,
            fingerprints={
                (remote.server_type, remote.service, method.name): method.fingerprint
                for remote in self._configured.catalogue.remotes()
                for method in remote.methods.values()
            },
            dispatcher=self.dispatcher,
            moves=self.moves,
            links=self.links,
            incoming=Incoming(
                id=server.id,
                server_type=server.type,
                dispatcher=self.dispatcher,
                filters=self._filters(self._said.remote_filters),
                counters=counters,
            ),
            settings=settings[LinkSettings],
            most=self._limits.requests_under_way_in_all,
            counters=counters,
            clock=clock,
            tracer=self.tracer,
        )
        self.responders.update(self.backend.responders())
        self.logins = Logins(
            id=server.id,
            incarnation=lambda: self.links.incarnation,
            frontend=server.frontend,
            servers=servers,
            sessions=self.sessions,
            settings=settings[SessionSettings],
            peers=LinkedPeers(
                id=server.id, own=lambda: self.logins, links=self.links, backend=self.backend
            ),
            later=self.turn.at_end,
            patience=settings[LinkSettings].patience,
            seconds=claim_seconds(self._limits.handler_seconds),
            clock=clock,
            counters=counters,
        )
        follow_links(self.logins, self.links)
        self.calls = Calls(
            sender=self.backend,
            take_key=servers.take_key,
            filters=self._filters(self._said.rpc_filters),
            on_error=self._said.rpc_errors,
            caller=self.caller,
            settings=settings[LinkSettings],
            clock=clock,
            counters=counters,
        )

    def _make_application(self, stop: Callable[[], object]) -> None:
        """What handlers and remotes are given as ``app``."""
        server, settings, reactor = self._server, self._settings, self._reactor
        clients, catalogue = self.clients, self._configured.catalogue
        self._remotes = remotes_of(catalogue)
        self._events = Events()
        self.lag = Lag(reactor)
        self.application = Application(
            server_id=server.id,
            server_type=server.type,
            env=self._listed.env,
            servers=self.servers,
            sessions=Sessions(
                self.sessions,
                pushes=self._here,
                servers=self.servers,
                ask=self.backend.ask_sessions,
                far_home=self.backend.home,
                where=self.logins.where if self.logins.shared else None,
            ),
            channels=self.channels,
            lag=self.lag,
            rpc=Rpc(
                remotes=self._remotes,
                servers=self.servers,
                choose=self._choose,
                balances=balances(),
                calls=self.calls,
            ),
            blacklist=Blacklist((), None) if clients is None else clients.blacklist,
            folder=catalogue.folder,
            frontend=server.frontend,
            settings=settings,
            data=self._said.data,
            crons=crons_of(settings[CronSettings], self._events, self._counters, reactor),
            events=self._events,
            files=OwnFiles(
                folder=catalogue.folder,
                env=self._listed.env,
                seconds=settings[NodeSettings].reload_seconds,
                clock=reactor,
            ),
            stop=stop,
            reactor=reactor,
            tracer=self.tracer,
        )

    def _bring_in_application(self) -> None:
        """Let the application in: its filters, events, components, and what changes of them."""
        said, clients, events = self._said, self.clients, self._events
        settings = self._settings[NodeSettings]
        self.surroundings = Surroundings(
            said,
            seconds=self._limits.handler_seconds,
            dispatcher=self.dispatcher,
            counters=self._counters,
            lag=self.lag,
            clock=self._reactor,
            tracer=self.tracer,
        )
        self.surroundings.surround(self.application, None if clients is None else clients.frontend)
        connect_events(events, said, self.sessions, self.links, self.servers)
        self.channels.on_move(
            partial(events.ask, "channel_moving"), partial(events.ask, "channel_arrived")
        )
        for own in self._here.remotes():
            self.dispatcher.add_own(SESSIONS, own)
        for own in self.logins.remotes():
            self.dispatcher.add_own(LOGINS, own)
        self.life = bring_in(self._configured, self.application, self.dispatcher, self._reactor)
        self.blocked = Blocked(
            id=self._server.id,
            seconds=settings.blocked_seconds,
            clock=self._reactor,
            counters=self._counters,
        )
        watch(
            self._counters,
            links=self.links,
            sessions=self.sessions,
            groups=None if clients is None else clients.groups,
            channels=self.channels,
            servers=self.servers,
            logins=self.logins,
        )
        if settings.reload_handlers:
            reloading = Reloading(
                catalogue=self._configured.catalogue,
                servers=self._listed,
                app=self.application,
                dispatcher=self.dispatcher,
                remotes=self._remotes,
            )
            self.application.files.follow(reloading.files, reloading.load)

    def forget_timers(self) -> None:
        """Have nothing happen any more."""
        self.blocked.stop()
        self.calls.stop()
        self.backend.stop()
        self.moves.stop()
        self.logins.stop()
        self.channels.stop()
        self.caller.stop()
        self.surroundings.stop()
        if self.clients is not None:
            self.clients.stop()

    def _choose(self, server_type: str, session: ISession, tried: Collection[str] = ()) -> str:
        """Where a client's message, or a call for it, goes."""
        servers = self.servers
        route = self._said.route_to(server_type)
        servers.take_key("")  # of this choice, and of none before
        return route(session, server_type, servers.without(tried) if tried else servers)

    def _members(self, name: str) -> Mapping[str, Collection[str]]:
        """The members of a channel of this node, by their frontend."""
        channel = self.channels.get(name)
        return {} if channel is None else channel.by_frontend

    def _filters(self, filters: Sequence[Any]) -> RpcFilters | None:
        if not filters:
            return None
        return RpcFilters(filters, caller=self.caller, clock=self._reactor)

    def _may_own(self, owns: bool) -> None:
        settling = self.moves.settling
        if owns:
            settling.resume()
        else:
            settling.suspend()
        self.logins.suspend(not owns)
