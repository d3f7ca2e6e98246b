"""A node: made from its parts, started in order, stopped in order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredList,
    maybeDeferred,
)
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.application import Application
from chatcore.application.crons import CronSettings
from chatcore.application.events import Events
from chatcore.application.own_files import OwnFiles
from chatcore.application.sessions import Sessions
from chatcore.channels.service import ChannelService
from chatcore.cluster.balance import balances
from chatcore.cluster.choosing import RegistryParts, chosen_url, make_registry
from chatcore.cluster.logins import Logins
from chatcore.cluster.registry import IRegistry, StaticRegistry
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import Member, View
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server, Servers
from chatcore.config.settings import Assignment
from chatcore.connectors.admission import Blacklist
from chatcore.connectors.settings import DrainSettings
from chatcore.dispatch.calling import Caller
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.lag import Lag
from chatcore.dispatch.loading import load_application
from chatcore.errors import ConfigError
from chatcore.interfaces import ISession
from chatcore.links.calls import Calls
from chatcore.links.filters import RpcFilters
from chatcore.links.link import LinkParts
from chatcore.links.rpc import Rpc
from chatcore.links.settings import LinkSettings
from chatcore.links.table import LinkTable
from chatcore.links.tls import link_tls
from chatcore.node.administered import Process
from chatcore.node.administration import Administration
from chatcore.node.backend import SESSIONS, Backend
from chatcore.node.blocked import Blocked
from chatcore.node.client_port import client_limits
from chatcore.node.client_side import ClientSide
from chatcore.node.configuring import Configured, configure
from chatcore.node.filtering import Surroundings
from chatcore.node.frontends import Frontends
from chatcore.node.incoming import Incoming
from chatcore.node.installing import bring_in, connect_events, crons_of, remotes_of
from chatcore.node.lifecycle import NodeSettings
from chatcore.node.membership import Membership, new_incarnation
from chatcore.node.moves import Moves
from chatcore.node.network import INetwork, Network
from chatcore.node.peers import LOGINS, LinkedPeers, claim_seconds, follow_links
from chatcore.node.ports import allow_many_connections
from chatcore.node.reloading import Reloading
from chatcore.node.sections import SECTIONS
from chatcore.node.server_types import compare_types
from chatcore.node.sessions_here import SessionsHere
from chatcore.sessions.service import SessionService
from chatcore.sessions.settings import SessionSettings
from chatcore.telemetry import Counters
from chatcore.turn import Turn

LAST_SECONDS = 1.0
"""How long a node that drains may always take to hand over what it has."""

OPENING_SECONDS = 5.0
"""How long a frontend waits for its links before it opens its port to clients."""


class Node(Service):
    """One server of an application.

    Making it imports and verifies the application, and takes its ports; nothing listens yet.

    Args:
        folder: the application's.
        server: which of the servers this is.
        servers: all that are known at start, this one among them.
        placed: whether the command line says where this one is; others have to hear of it from a
            registry then.
        run_folder: where sockets and the secret are.
        assignments: settings given where the node is started.
        reactor: the reactor.
        registry_url: where the registry is that knows which nodes there are, where the option
            ``--registry`` says so; see `chosen_url`.
        registry: that registry itself, for a test that has one.
        network: how it is reached and reaches others; by TCP and sockets unless given.
        ready: called once, when the node serves.
        failed: told what keeps a node from serving that was started already.
        stop: stops it and what else there is, when the application says so; itself unless given.
        process: the process that it runs in, as it is administered.

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
        placed: bool = False,
        run_folder: RunFolder,
        assignments: Sequence[Assignment] = (),
        reactor: Any,
        registry_url: str | None = None,
        registry: IRegistry | None = None,
        network: INetwork | None = None,
        ready: Callable[[], object] = lambda: None,
        failed: Callable[[ConfigError], None],
        stop: Callable[[], object] | None = None,
        process: Process | None = None,
    ) -> None:
        self.server = server
        self.setName(server.id)
        self.counters = Counters()
        self._reactor = reactor
        self._ready, self._failed = ready, failed
        self.stop_process = stop or self._stop_itself
        self._link_port: IListeningPort | None = None
        self._opening: Any = None
        self._starting: Deferred[None] | None = None
        self._telling: Deferred[None] | None = None
        self._linked: Deferred[None] = Deferred()
        self._draining: Deferred[None] | None = None
        self._serves = False
        self._responders: dict[bytes, Any] = {}
        self._asked: dict[bytes, Any] = {}

        catalogue = load_application(folder)
        compare_types(catalogue, servers)
        configured = configure(catalogue, servers, server, assignments, SECTIONS)
        self._expected = [each.id for each in servers]
        links = configured.settings[LinkSettings]
        self._tls = link_tls(links, configured.catalogue.folder, server.id, reactor)
        may_leave = self._tls is not None or links.insecure
        self._network = network or Network(run_folder, reactor, may_leave=may_leave)
        if registry is None:
            registry = self._registry(servers, configured, run_folder, registry_url)
        if placed and isinstance(registry, StaticRegistry) and len(servers) > 1:
            raise ConfigError(
                f"with the registry static:, others look for {server.id} where servers.json says"
                " or not at all",
                advice="Name a registry that tells them, as in --registry master://127.0.0.1:3005",
            )
        self._build(servers, configured, run_folder, registry)
        self._administration = Administration(
            node=self,
            about={"app": str(folder), "env": servers.env},
            secret=run_folder.secret(),
            process=process or Process(),
            reactor=reactor,
        )
        self._responders.update(self._administration.responders)
        self._asked.update(self._administration.responders)

        self._place = self._network.link_place(server)
        if self._clients is not None:
            try:
                self._clients.take_places(self._network)
            except ConfigError:
                self._place.release()
                raise
        self._administration.take_place()

    def _registry(
        self,
        servers: Servers,
        configured: Configured,
        run_folder: RunFolder,
        registry_url: str | None,
    ) -> IRegistry:
        settings = configured.settings
        parts = RegistryParts(
            folder=configured.catalogue.folder,
            env=servers.env,
            view=View.of(servers),
            settings=settings[RegistrySettings],
            links=settings[LinkSettings],
            secret=run_folder.secret(),
            link_endpoint=self._network.link_endpoint,
            tls=self._tls,
            asked=self._asked,
            counters=self.counters,
            reactor=self._reactor,
        )
        url = chosen_url(registry_url, settings[RegistrySettings], configured.catalogue.folder)
        return make_registry(url, parts)

    def _build(
        self,
        servers: Servers,
        configured: Configured,
        run_folder: RunFolder,
        registry: IRegistry,
    ) -> None:
        said, settings, catalogue = configured.said, configured.settings, configured.catalogue
        server, reactor, counters = self.server, self._reactor, self.counters
        limits = client_limits(server, settings)
        turn = Turn(reactor.callLater)
        self._caller = Caller(seconds=limits.handler_seconds, clock=reactor)
        dispatcher = Dispatcher(caller=self._caller, counters=counters)
        lag = Lag(reactor)
        sessions = SessionService(
            frontend_id=server.id, counters=counters, settings=settings[SessionSettings]
        )

        responders = self._responders
        member = Member(server=server, incarnation=new_incarnation(), state="starting")
        self.links = LinkTable(
            id=server.id,
            incarnation=member.incarnation,
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
                tls=self._tls,
            ),
            client_port=server.client_port,
        )
        first = registry.view if isinstance(registry, StaticRegistry) else View(0, ())
        view = ClusterServers(
            first,
            rules=said.placements,
            connected=lambda id: id == server.id or self.links.get(id) is not None,
            under_way=lambda id: self._backend.under_way(id),
        )

        self.membership = Membership(
            member=member,
            registry=registry,
            servers=view,
            links=self.links,
            network=self._network,
            changed=self._open_if_linked,
            begin_anew=lambda: self.moves.begin_anew(),
            settings=settings[RegistrySettings],
            owns=self._may_own,
            clock=reactor,
        )

        def choose(server_type: str, session: ISession, tried: Collection[str] = ()) -> str:
            route = said.route_to(server_type)
            view.take_key("")  # of this choice, and of none before
            return route(session, server_type, view.without(tried) if tried else view)

        self._clients: ClientSide | None = None
        if server.frontend:
            self._clients = ClientSide(
                servers=servers,
                server=server,
                view=view,
                configured=configured,
                limits=limits,
                choose=choose,
                stamp=lambda server_id: self.moves.stamp(view.take_key(server_id)),
                gone=lambda *member: self.moves.left(*member),
                links=self.links,
                sessions=sessions,
                dispatcher=dispatcher,
                caller=self._caller,
                turn=turn,
                counters=counters,
                reactor=reactor,
            )
            responders.update(self._clients.responders())
        clients = self._clients
        groups = None if clients is None else clients.groups
        here = SessionsHere(sessions=sessions, groups=groups)
        self.channels = ChannelService(
            frontends=Frontends(
                id=server.id,
                view=view,
                links=self.links,
                groups=groups,
                broadcasts=None if clients is None else clients.broadcasts,
                ask=lambda *args: self._backend.ask_sessions(*args),
                counters=counters,
            ),
            clock=reactor,
            patience=settings[LinkSettings].patience,
            owns=lambda name: self.moves.owns(name),
        )
        self.moves = Moves(
            id=server.id,
            server_type=server.type,
            servers=view,
            member=lambda: self.membership.member,
            key_of=said.channel_key,
            links=self.links,
            channels=self.channels,
            groups=groups,
            settled=self._open_if_linked,
            counters=counters,
            clock=reactor,
        )
        responders.update(self.moves.responders())
        self._backend = Backend(
            id=server.id,
            type_of=lambda id: server.type if (server := view.get(id)) else None,
            fingerprints={
                (remote.server_type, remote.service, method.name): method.fingerprint
                for remote in catalogue.remotes()
                for method in remote.methods.values()
            },
            dispatcher=dispatcher,
            moves=self.moves,
            links=self.links,
            incoming=Incoming(
                id=server.id,
                server_type=server.type,
                dispatcher=dispatcher,
                filters=self._filters(said.remote_filters),
                counters=counters,
            ),
            settings=settings[LinkSettings],
            most=limits.requests_under_way_in_all,
            counters=counters,
            clock=reactor,
        )
        responders.update(self._backend.responders())
        self.logins = Logins(
            id=server.id,
            incarnation=lambda: self.links.incarnation,
            frontend=server.frontend,
            servers=view,
            sessions=sessions,
            settings=settings[SessionSettings],
            peers=LinkedPeers(id=server.id, links=self.links, backend=self._backend),
            later=turn.at_end,
            patience=settings[LinkSettings].patience,
            seconds=claim_seconds(limits.handler_seconds),
            clock=reactor,
            counters=counters,
        )
        follow_links(self.logins, self.links)
        self._calls = Calls(
            sender=self._backend,
            take_key=view.take_key,
            filters=self._filters(said.rpc_filters),
            on_error=said.rpc_errors,
            caller=self._caller,
            settings=settings[LinkSettings],
            clock=reactor,
            counters=counters,
        )

        self.sessions, self.servers = sessions, view
        remotes = remotes_of(catalogue)
        events = Events()
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
                where=self.logins.where if self.logins.shared else None,
            ),
            channels=self.channels,
            lag=lag,
            rpc=Rpc(
                remotes=remotes,
                servers=view,
                choose=choose,
                balances=balances(),
                calls=self._calls,
            ),
            blacklist=Blacklist((), None) if clients is None else clients.blacklist,
            folder=catalogue.folder,
            frontend=server.frontend,
            settings=settings,
            data=said.data,
            crons=crons_of(settings[CronSettings], events, counters, reactor),
            events=events,
            files=OwnFiles(
                folder=catalogue.folder,
                env=servers.env,
                seconds=settings[NodeSettings].reload_seconds,
                clock=reactor,
            ),
            stop=self.stop_process,
            reactor=reactor,
        )
        self._surroundings = Surroundings(
            said,
            seconds=limits.handler_seconds,
            dispatcher=dispatcher,
            counters=counters,
            lag=lag,
            clock=reactor,
        )
        self._surroundings.surround(self.application, None if clients is None else clients.frontend)
        connect_events(events, said, sessions, self.links, view)
        self.channels.on_move(
            partial(events.ask, "channel_moving"), partial(events.ask, "channel_arrived")
        )
        for own in here.remotes():
            dispatcher.add_own(SESSIONS, own)
        for own in self.logins.remotes():
            dispatcher.add_own(LOGINS, own)
        self._life = bring_in(configured, self.application, dispatcher, reactor)
        self._blocked = Blocked(
            id=server.id, seconds=settings[NodeSettings].blocked_seconds, clock=reactor
        )
        if settings[NodeSettings].reload_handlers:
            reloading = Reloading(
                catalogue=catalogue,
                servers=servers,
                app=self.application,
                dispatcher=dispatcher,
                remotes=remotes,
            )
            self.application.files.follow(reloading.files, reloading.load)
        self._drain_seconds = settings[DrainSettings].seconds
        self._drains_first = settings[DrainSettings].on_term
        self.stop_seconds = settings[NodeSettings].stop_seconds
        if self._drains_first:
            self.stop_seconds += settings[DrainSettings].seconds

    @property
    def listening(self) -> list[IListeningPort]:
        """The ports that are open now."""
        links = list(self._administration.ports)
        if self._link_port is not None:
            links.append(self._link_port)
        return links if self._clients is None else links + self._clients.ports

    def startService(self) -> None:
        super().startService()
        allow_many_connections()
        self.log.info("Starting {id}", id=self.server.id)
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._not_started)

    async def _start(self) -> None:
        self._blocked.start()
        self._administration.start()
        await self._life.prepare()
        self._link_port = self._place.listen(self._reactor, self.links.factory)
        self.links.on_up(lambda link: self._open_if_linked())
        self.logins.start()
        self._opening = self._reactor.callLater(OPENING_SECONDS, self._linked.callback, None)
        self.links.startService()
        self.membership.start()
        await self._linked
        await self._life.linked()
        await self._open()
        await self._life.serve()
        self._serves = True
        self._tell_if_all_started()

    def _not_started(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return  # it is being stopped
        problem = failure.value
        if not isinstance(problem, ConfigError):
            self.log.failure("{id} can't start", failure, id=self.server.id)
            problem = ConfigError(f"{self.server.id} can't start: {problem!r}")
        self.log.critical("{problem}", problem=problem)
        self._failed(problem)

    def drain(self) -> Deferred[None]:
        """Take nothing new, and hand over what this node has; fires when that is done.

        A frontend sends its clients on to others. It goes on running without any. It is the same
        drain, however often it is asked for; if the node is stopped meanwhile, it is over.
        """
        if self._draining is None:
            self._draining = Deferred.fromCoroutine(self._drain())
            self._draining.addErrback(self._not_drained)
        waiting: Deferred[None] = Deferred()
        self._draining.chainDeferred(waiting)
        return waiting

    @property
    def is_empty(self) -> bool:
        """Whether it has no client, and nothing to hand over."""
        return self.moves.empty and not self.channels.names() and not self.counters.clients_now

    async def _drain(self) -> None:
        begun = self._reactor.seconds()
        self.membership.enter("draining")
        if self._clients is not None:
            await self._clients.drain()
        passed = self._reactor.seconds() - begun
        await self.moves.emptied(max(self._drain_seconds - passed, LAST_SECONDS))

    def _not_drained(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self.log.failure("Draining {id}", failure, id=self.server.id)

    def stopService(self) -> Deferred[None]:
        """Close to clients, then to other nodes."""
        super().stopService()
        if self._starting is not None:
            self._starting.cancel()
        if self._telling is not None:
            self._telling.cancel()
        if self._opening is not None and self._opening.active():
            self._opening.cancel()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """Take no more clients in, let the application leave, then close everything."""
        if self._drains_first and self._serves:
            await self.drain()
        self.links.leave()
        closing: list[Deferred[Any]] = []
        closing.append(self._administration.close())
        if self._link_port is not None:
            closing.append(maybeDeferred(self._link_port.stopListening))
        if self._clients is not None:
            closing.append(self._clients.close())
        await self._life.leave()
        leaving = self.membership.leave()
        if self._clients is not None:
            closing.append(self._clients.send_away())
        self._place.release()
        await DeferredList(closing)
        await leaving
        await self._life.stop()
        await self._administration.stop()
        await self.links.stopService()
        if self._draining is not None:
            self._draining.cancel()
        self._forget_timers()

    def _stop_itself(self) -> None:
        if self.running:
            self.stopService()

    def _filters(self, filters: Sequence[Any]) -> RpcFilters | None:
        if not filters:
            return None
        return RpcFilters(filters, caller=self._caller, clock=self._reactor)

    def _forget_timers(self) -> None:
        self._blocked.stop()
        self._calls.stop()
        self._backend.stop()
        self.moves.stop()
        self.logins.stop()
        self.channels.stop()
        self._caller.stop()
        self._surroundings.stop()
        if self._clients is not None:
            self._clients.stop()

    def _may_own(self, owns: bool) -> None:
        settling = self.moves.settling
        if owns:
            settling.resume()
        else:
            settling.suspend()
        self.logins.suspend(not owns)

    def _open_if_linked(self) -> None:
        waits = self._opening is not None and self._opening.active()
        if waits and self._is_linked and self.moves.settling.settled:
            self._opening.cancel()
            self._linked.callback(None)
        self._tell_if_all_started()

    @property
    def _is_linked(self) -> bool:
        """Whether this node is linked to all that there are, or, in a cluster that only begins, to
        all that are listed."""
        there = self.membership.let_in and self.links.complete
        return there and (self._runs_already or self._all_there)

    @property
    def _runs_already(self) -> bool:
        """Whether others serve already: whoever is not there then is not about to come."""
        view = self.servers.view
        return view.epoch > 0 and any(each.state == "up" for each in view.members)

    @property
    def _all_there(self) -> bool:
        """Whether all servers that are listed are in the view."""
        return all(self.servers.view.get(id) is not None for id in self._expected)

    def _tell_if_all_started(self) -> None:
        linked = self.links.complete and self._all_there
        if self._serves and linked and self._telling is None:
            self._telling = Deferred.fromCoroutine(self._life.all_started())
            self._telling.addErrback(lambda failure: failure.trap(CancelledError))

    async def _open(self) -> None:
        """Take clients in, and be ready."""
        missing = self.links.missing()
        if missing:
            self.log.warn("{id} has no link to {missing} yet", id=self.server.id, missing=missing)
        if self._draining is None:
            if self._clients is not None:
                await self._clients.open()
            self.membership.enter("up")
        self.log.info("{id} is ready", id=self.server.id)
        self._ready()
