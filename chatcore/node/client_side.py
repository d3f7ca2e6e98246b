"""A frontend as its clients see it: their port, who serves them, and who of them are members."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort

from chatcore.channels.broadcast import Broadcasts
from chatcore.channels.groups import GroupTable
from chatcore.cluster.servers import ClusterServers
from chatcore.config.servers import Server, Servers
from chatcore.connectors.admission import Blacklist
from chatcore.connectors.draining import Draining
from chatcore.connectors.guest import GOING_AWAY
from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.settings import (
    ConnectorSettings,
    DrainSettings,
    HeartbeatSettings,
    Limits,
    OutboxSettings,
)
from chatcore.connectors.udp import ClientDatagrams
from chatcore.connectors.welcome import Welcome
from chatcore.dispatch.calling import Caller
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.errors import ConfigError, NoSuchServer
from chatcore.links.link import Responder
from chatcore.links.table import LinkTable
from chatcore.node.access import rules
from chatcore.node.client_port import client_factory
from chatcore.node.configuring import Configured
from chatcore.node.dialects import load_dialects, warn_of_mute_answers, watch_schemas
from chatcore.node.from_backends import FromBackends
from chatcore.node.frontend import Choose, Frontend
from chatcore.node.network import INetwork, IPlace
from chatcore.node.ports import DatagramPlace
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters
from chatcore.tracing import Tracer
from chatcore.turn import Turn
from chatcore.wire.handshake import MOVED


class ClientSide:
    """A frontend, as its clients see it.

    Args:
        view: the newest view, which names the frontends that clients can go on to.
        limits: what clients may use up.
        choose: picks the server to forward to.
        stamp: what a box carries after a choice, so that who gets it can tell whether it holds.
        gone: told ``(backend, channel, uid)`` when a member's last session here has ended.

    Attributes:
        groups: the members of channels that are connected here.
        broadcasts: sends to all who are connected here.
        frontend: serves the clients' messages.
        ports: those that are open now.

    Raises:
        ConfigError: a file about what clients are spoken to in, or the certificate, is wrong.
    """

    def __init__(
        self,
        *,
        servers: Servers,
        server: Server,
        view: ClusterServers,
        configured: Configured,
        limits: Limits,
        choose: Choose,
        stamp: Callable[[str], bytes],
        gone: Callable[[str, str, str], None],
        links: LinkTable,
        sessions: SessionService,
        dispatcher: Dispatcher,
        caller: Caller,
        turn: Turn,
        counters: Counters,
        tracer: Tracer,
        reactor: Any,
    ) -> None:
        said, settings, catalogue = configured.said, configured.settings, configured.catalogue
        self._server, self._view, self._reactor = server, view, reactor
        self._speaks = settings[ConnectorSettings]
        self._places: list[IPlace | DatagramPlace] = []
        self._endpoints = said.endpoints
        self.ports: list[IListeningPort] = []
        self.groups = GroupTable(
            sessions=sessions,
            gone=gone,
            counters=counters,
            schedule=said.schedules_pushes,
            tracer=tracer,
        )
        self.broadcasts = Broadcasts(
            sessions=sessions, groups=self.groups, wanted=said.wanted_by_broadcasts
        )
        self._from_backends = FromBackends(
            sessions=sessions, groups=self.groups, broadcasts=self.broadcasts, tracer=tracer
        )
        self.frontend = Frontend(
            server_type=server.type,
            routes=[
                f"{handler.server_type}.{handler.service}.{method}"
                for handler in catalogue.handlers()
                for method in handler.methods
            ],
            choose=choose,
            stamp=stamp,
            dispatcher=dispatcher,
            sessions=sessions,
            links=links,
            counters=counters,
            handler_seconds=limits.handler_seconds,
            most=limits.requests_under_way_in_all,
            tracer=tracer,
            rules=rules(
                catalogue.handlers(),
                server.type,
                {each.type for each in servers if each.frontend},
            ),
        )
        dialects = load_dialects(catalogue, servers, self._speaks, said.codes_bodies)
        warn_of_mute_answers(dialects, catalogue, servers)
        self._connector = ConnectorParts(
            turn=turn,
            clock=reactor,
            limits=limits,
            heartbeat=settings[HeartbeatSettings],
            outbox=settings[OutboxSettings],
            counters=counters,
            sessions=sessions,
            welcome=Welcome(
                heartbeat=settings[HeartbeatSettings].told,
                dialects=dialects,
                signed=self._speaks.signed,
                check_client=said.client_check,
                hook=said.handshake_hook,
                caller=caller,
            ),
            serve=self.frontend.serve,
            tracer=tracer,
        )
        drain = settings[DrainSettings]
        self._draining = Draining(
            parts=self._connector,
            settings=drain,
            elsewhere=self._elsewhere if drain.name_places else lambda key: None,
        )
        self._drained: Deferred[None] | None = None
        self._factory = client_factory(
            parts=self._connector,
            reactor=reactor,
            server=server,
            settings=settings,
            folder=catalogue.folder,
            schemas=watch_schemas(dialects, catalogue.folder, servers.env, self._speaks, reactor),
        )

    @property
    def blacklist(self) -> Blacklist:
        """The addresses that nobody may come from."""
        return self._connector.admission.blacklist

    def waiting(self) -> int:
        """Bytes that wait for all clients."""
        return sum(session.connection.outbox.waiting for session in self._connector.sessions)

    def responders(self) -> Mapping[bytes, Responder]:
        """The commands of other nodes that a frontend acts on."""
        return self._from_backends.responders()

    def take_places(self, network: INetwork) -> None:
        """Take the ports; nothing listens yet.

        Raises:
            ConfigError: one is in use.
        """
        self._places.append(network.client_place(self._server))
        if self._speaks.udp:
            try:
                self._places.append(network.datagram_place(self._server))
            except ConfigError:
                self._release()
                raise

    async def open(self) -> None:
        """Take clients in.

        Raises:
            ConfigError: another process has listened there since the place was taken.
        """
        for place in self._places:
            if isinstance(place, DatagramPlace):
                port = place.listen(self._reactor, ClientDatagrams(self._connector))
            else:
                port = place.listen(self._reactor, self._factory)
            self.ports.append(port)
        for endpoint, (file, line) in self._endpoints:
            if isinstance(endpoint, str):
                endpoint = serverFromString(self._reactor, endpoint)
            try:
                self.ports.append(await endpoint.listen(self._factory))
            except CannotListenError as problem:
                raise ConfigError(f"can't listen: {problem}", file=file, line=line) from None

    def close(self) -> Deferred[Any]:
        """Take no more clients in; those who are here stay."""
        self._release()
        ports, self.ports = self.ports, []
        return DeferredList([maybeDeferred(port.stopListening) for port in ports])

    def drain(self) -> Deferred[None]:
        """Send all clients on to other frontends of this type, and take no new ones.

        Each is told in a kick, ``{"reason": "moved", "host": …, "port": …}``, where to go on;
        without host and port where no other frontend is up. Until the last of them is gone, the
        port stays open to tell newcomers the same: those whom a gate has sent here before it knew.

        Returns:
            What fires when no client is left and the port is closed. It is the same drain, however
            often this is called.
        """
        if self._drained is None:
            self._drained = Deferred.fromCoroutine(self._drain())
        waiting: Deferred[None] = Deferred()
        self._drained.chainDeferred(waiting)
        return waiting

    async def _drain(self) -> None:
        await self._draining.begin()
        closing = self.close()
        await self._connector.close_all(MOVED, GOING_AWAY)
        await closing

    def _elsewhere(self, key: str) -> tuple[str, int] | None:
        """Where a client goes on: at the next of its key's ranking, if possible a connected one."""
        try:
            ranking = self._view.ownership.ranking(self._server.type, key)
        except NoSuchServer:
            return None
        others = [each for each in ranking if each.id != self._server.id]
        connected = [each for each in others if self._view.connected(each.id)]
        for there in connected or others:
            if there.client_port is not None:
                return there.client_host or there.host, there.client_port
        return None

    def send_away(self) -> Deferred[None]:
        """Close every client's connection; fires when the last is gone."""
        return self._connector.close_all("server stops", GOING_AWAY)

    def stop(self) -> None:
        """Forget the timers."""
        self._draining.stop()
        self._connector.stop()

    def _release(self) -> None:
        for place in self._places:
            place.release()
