"""A node: started in order, drained, stopped in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

from chatcore.cluster.choosing import (
    RegistryParts,
    chosen_url,
    make_registry,
    of_a_new_secret,
    registry_here,
)
from chatcore.cluster.registry import IRegistry, StaticRegistry
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import View
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server, Servers
from chatcore.config.settings import Assignment
from chatcore.connectors.settings import DrainSettings
from chatcore.dispatch.loading import load_application
from chatcore.errors import ConfigError
from chatcore.links.link import Responder
from chatcore.links.settings import LinkSettings
from chatcore.links.tls import link_tls
from chatcore.node.administered import Process
from chatcore.node.administration import Administration
from chatcore.node.assembly import Assembly
from chatcore.node.configuring import configure
from chatcore.node.lifecycle import NodeSettings
from chatcore.node.network import INetwork, Network
from chatcore.node.ports import allow_many_connections
from chatcore.node.reachable import hint
from chatcore.node.sections import SECTIONS
from chatcore.node.server_types import compare_types
from chatcore.telemetry import Counters

LAST_SECONDS = 1.0
"""How long a node that drains may always take to hand over what it has, and until others have read
what it told them; and how long one that stops may take for the latter."""

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
        self.server, self.listed = server, servers
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
        self._serves = self._told_kept_out = False
        self._joins = ""

        catalogue = load_application(folder)
        compare_types(catalogue, servers)
        configured = configure(catalogue, servers, server, assignments, SECTIONS)
        links = configured.settings[LinkSettings]
        tls = link_tls(links, catalogue.folder, server.id, reactor)
        may_leave = tls is not None or links.insecure
        network = network or Network(run_folder, reactor, may_leave=may_leave)
        asked: dict[bytes, Responder] = {}
        secret = run_folder.secret()
        self._of_a_new_secret: str | None = None
        if registry is None:
            about = configured.settings[RegistrySettings]
            url = partial(chosen_url, registry_url, about, catalogue.folder)
            if not url(otherwise=""):
                found, who = registry_here(run_folder, catalogue.folder, servers.env)
                url = partial(url, otherwise=found)
                self._joins = who and f"the cluster of {who} at {found}"
            self._of_a_new_secret = of_a_new_secret(run_folder, url())
            registry = make_registry(
                url(),
                RegistryParts(
                    folder=catalogue.folder,
                    env=servers.env,
                    view=View.of(servers),
                    settings=about,
                    links=links,
                    secret=secret,
                    secret_file=run_folder.secret_path,
                    link_endpoint=network.link_endpoint,
                    tls=tls,
                    asked=asked,
                    again=url,
                    counters=self.counters,
                    reactor=reactor,
                ),
            )
        if placed and isinstance(registry, StaticRegistry) and len(servers) > 1:
            raise ConfigError(
                f"with the registry static:, others look for {server.id} where servers.json says"
                " or not at all",
                advice="Name a registry that tells them, as in --registry master://127.0.0.1:3005",
            )

        self._parts = parts = Assembly(
            server=server,
            servers=servers,
            configured=configured,
            secret=secret,
            tls=tls,
            network=network,
            registry=registry,
            counters=self.counters,
            reactor=reactor,
            linked=self._open_if_linked,
            stop=self.stop_process,
        )
        self.application, self.servers, self.membership = (
            parts.application,
            parts.servers,
            parts.membership,
        )
        self.links, self.moves, self.channels = parts.links, parts.moves, parts.channels
        self.catalogue, self.dispatcher = configured.catalogue, parts.dispatcher
        self.lag = parts.lag
        self.sessions, self.logins, self.backend = parts.sessions, parts.logins, parts.backend
        self.clients, self._life, self.tracer = parts.clients, parts.life, parts.tracer
        self._administration = Administration(
            node=self,
            about={"app": str(folder), "env": servers.env},
            secret=secret,
            process=process or Process(),
            acting=parts.responders,
            tls=tls,
            reactor=reactor,
        )
        parts.responders.update(self._administration.responders)
        asked.update(self._administration.responders)

        self._drain_seconds = configured.settings[DrainSettings].seconds
        self._drains_first = configured.settings[DrainSettings].on_term
        self.stop_seconds = configured.settings[NodeSettings].stop_seconds
        if self._drains_first:
            self.stop_seconds += self._drain_seconds
        self._take_places(network)

    def _take_places(self, network: INetwork) -> None:
        """Take the ports, so that it is known at once when one is in use."""
        self._place = network.link_place(self.server)
        if self.clients is not None:
            try:
                self.clients.take_places(network)
            except ConfigError:
                self._place.release()
                raise
        self._administration.take_place()

    @property
    def listening(self) -> list[IListeningPort]:
        """The ports that are open now."""
        links = list(self._administration.ports)
        if self._link_port is not None:
            links.append(self._link_port)
        return links if self.clients is None else links + self.clients.ports

    def startService(self) -> None:
        super().startService()
        allow_many_connections()
        self.log.info("Starting {id}", id=self.server.id)
        if self._of_a_new_secret:
            self.log.warn("{what}", what=self._of_a_new_secret)
        if self._joins:
            self.log.info(
                "{id} joins {cluster}, because it was told of no registry; with --registry static:"
                " it would be by itself",
                id=self.server.id,
                cluster=self._joins,
            )
        self._starting = Deferred.fromCoroutine(self._start())
        self._starting.addErrback(self._not_started)

    async def _start(self) -> None:
        self._parts.blocked.start()
        if self._parts.exporter is not None:
            self._parts.exporter.start()
        self._administration.start()
        await self._life.prepare()
        self._link_port = self._place.listen(self._reactor, self.links.factory)
        self.links.on_up(lambda link: self._open_if_linked())
        self.logins.start()
        self._opening = self._reactor.callLater(OPENING_SECONDS, self._open_unless_kept_out)
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
        self.membership.enter("draining")
        end = self._reactor.seconds() + self._drain_seconds
        if self.clients is not None:
            await self.clients.drain()
        await self.moves.emptied(self._rest(end))
        # Answers and pushes may be on their way yet. When it has left the view, they are cut off.
        await self.links.all_read(self._rest(end))

    def _rest(self, end: float) -> float:
        """The seconds until then that something may take which is always given some."""
        rest: float = end - self._reactor.seconds()
        return max(rest, LAST_SECONDS)

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
        if self.clients is not None:
            closing.append(self.clients.close())
        await self._life.leave()
        await self.links.all_read(LAST_SECONDS)
        leaving = self.membership.leave()
        if self.clients is not None:
            closing.append(self.clients.send_away())
        self._place.release()
        await DeferredList(closing)
        await leaving
        await self._life.stop()
        await self.links.stopService()
        self._administration.stop()
        if self._parts.exporter is not None:
            await self._parts.exporter.stop(self._reactor)
        if self._draining is not None:
            self._draining.cancel()
        self._parts.forget_timers()

    def _stop_itself(self) -> None:
        if self.running:
            self.stopService()

    def _open_if_linked(self) -> None:
        waits = self._opening is not None and self._opening.active()
        if waits and self._is_linked and self.moves.settling.settled:
            self._opening.cancel()
            self._linked.callback(None)
        self._tell_if_all_started()

    def _open_unless_kept_out(self) -> None:
        """Wait for links no longer; for the registry, though, as long as it takes."""
        if self.membership.let_in:
            self._linked.callback(None)
            return
        if not self._told_kept_out:
            self._told_kept_out = True
            self.log.warn(
                "{id} is not ready: its registry has not let it into the view yet; it goes on"
                " trying",
                id=self.server.id,
            )
        self._opening = self._reactor.callLater(OPENING_SECONDS, self._open_unless_kept_out)

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
        return all(self.servers.view.get(each.id) is not None for each in self.listed)

    def _tell_if_all_started(self) -> None:
        if not self._serves or self._telling is not None:
            return
        if self.links.complete and self._all_there:
            self._telling = Deferred.fromCoroutine(self._life.all_started())
            self._telling.addErrback(lambda failure: failure.trap(CancelledError))

    async def _open(self) -> None:
        """Take clients in, and be ready."""
        missing = self.links.missing()
        if missing:
            self.log.warn(
                "{id} has no link to {missing} yet{hint}",
                id=self.server.id,
                missing=", ".join(missing),
                hint=hint(self.servers.view, [self.server.id, *missing]),
            )
        if self._draining is None:
            if self.clients is not None:
                await self.clients.open()
            self.membership.enter("up")
        self.log.info("{id} is ready", id=self.server.id)
        self._ready()
