"""The master: nodes announce themselves to it, and it tells them who is in the view."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger

from chatcore.cluster.master_registry import watched
from chatcore.cluster.settings import RegistrySettings
from chatcore.config.addresses import is_loopback
from chatcore.config.names import MASTER
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server
from chatcore.errors import ConfigError
from chatcore.links.door import Door
from chatcore.links.link import Link, LinkParts, Responder
from chatcore.links.settings import ENCRYPT, LinkSettings
from chatcore.links.tls import LinkTls
from chatcore.master.nodes import Nodes
from chatcore.node.network import IPlace
from chatcore.node.ports import admin_place, tcp_place
from chatcore.telemetry import Counters
from chatcore.turn import Turn
from chatcore.wire.box import Box


def epoch_now() -> int:
    """Where a master that starts now begins to count its views.

    No earlier one has got there, since views are made more slowly than milliseconds pass.
    """
    return int(time.time() * 1000)


class IGuests(Protocol):
    """Those of one kind who come to the master's port, and what it does for them."""

    def expects(self, id: str) -> bool:
        """Whether somebody of that id is one of them."""

    def responders(self) -> Mapping[bytes, Responder]:
        """What acts on their commands; nobody else's commands come here."""

    def arrived(self, link: Link) -> None:
        """One of them has proven itself."""

    def left(self, link: Link, silent: bool) -> None:
        """The link to one of them has ended; whether because nothing came for too long."""

    def held_up(self) -> None:
        """This process did nothing for a while: what they have said has yet to be read."""

    def stop(self) -> None:
        """Forget all timers."""


class Reception(Service):
    """Takes in all who come to a process that is no node, wherever they come in.

    Args:
        id: as whom it answers.
        places: where it listens.
        secret: the cluster's.
        links: the settings of links.
        guests: who may come.
        counters: what counts.
        reactor: the reactor.
        tls: the certificates of links, where those are encrypted.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str = MASTER,
        places: Sequence[IPlace],
        secret: bytes,
        links: LinkSettings,
        guests: Sequence[IGuests],
        counters: Counters,
        reactor: Any,
        tls: LinkTls | None = None,
    ) -> None:
        self._places, self._reactor = list(places), reactor
        self._ports: list[IListeningPort] = []
        self._guests = guests
        self._responders = [(each, each.responders()) for each in guests]
        commands = {command for _, known in self._responders for command in known}
        self._door = Door(
            id=id,
            incarnation=secrets.token_hex(8),
            secret=secret,
            parts=LinkParts(
                turn=Turn(reactor.callLater),
                clock=reactor,
                settings=links,
                counters=counters,
                responders={command: partial(self._act, command) for command in commands},
                tls=tls,
            ),
            expects=lambda id, incarnation: self._host(id) is not None,
            up=self._arrived,
            down=self._left,
            held_up=self._held_up,
        )

    def startService(self) -> None:
        """Listen.

        Raises:
            ConfigError: another process listens there since.
        """
        super().startService()
        while self._places:
            self._ports.append(self._places[0].listen(self._reactor, self._door.factory))
            del self._places[0]
        self._door.start()

    def stopService(self) -> Deferred[None]:
        """Take nobody in any more, and end all links; nobody is taken out of the view."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for place in self._places:
            place.release()
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        await self._door.stop()
        for guests in self._guests:
            guests.stop()

    # Who has come is told by its id, which is proven.

    def _host(self, peer: str) -> IGuests | None:
        return next((each for each in self._guests if each.expects(peer)), None)

    def _act(self, command: bytes, link: Link, box: Box, ask: bytes | None) -> None:
        host = self._host(link.peer)
        responder = next(known.get(command) for each, known in self._responders if each is host)
        if responder is not None:
            responder(link, box, ask)
        elif ask is not None:
            link.refuse(ask, b"UNHANDLED", f"{command.decode()} is nothing for {link.peer}")

    def _arrived(self, link: Link) -> None:
        host = self._host(link.peer)
        assert host is not None  # the door lets nobody else in
        host.arrived(link)

    def _left(self, link: Link, silent: bool) -> None:
        host = self._host(link.peer)
        assert host is not None
        host.left(link, silent)

    def _held_up(self) -> None:
        for guests in self._guests:
            guests.held_up()


class Master(Reception):
    """Keeps the embedded registry: it numbers the views.

    Args:
        place: where it listens.
        secret: the cluster's.
        registry: the settings of the registry.
        links: those of links.
        learning: whether there may be nodes already that know of a cluster. They are heard first.
        others: where else it listens.
        guests: who else may come, beside the nodes.
        reactor: the reactor.
        tls: the certificates of links, where those are encrypted.
        epoch: where its views begin to count; `epoch_now` unless given.
    """

    def __init__(
        self,
        *,
        place: IPlace,
        secret: bytes,
        registry: RegistrySettings,
        links: LinkSettings,
        learning: bool,
        others: Sequence[IPlace] = (),
        guests: Sequence[IGuests] = (),
        reactor: Any,
        tls: LinkTls | None = None,
        epoch: int | None = None,
    ) -> None:
        self.counters = Counters()
        self.nodes = Nodes(
            settings=registry,
            learning=learning,
            epoch=epoch_now() if epoch is None else epoch,
            counters=self.counters,
            clock=reactor,
        )
        super().__init__(
            places=[place, *others],
            secret=secret,
            links=watched(links, registry),
            guests=[self.nodes, *guests],
            counters=self.counters,
            reactor=reactor,
            tls=tls,
        )

    def startService(self) -> None:
        super().startService()
        self.log.info("The master is ready")


def make_master(
    address: Server,
    *,
    registry: RegistrySettings,
    links: LinkSettings,
    learning: bool,
    guests: Sequence[IGuests] = (),
    tls: LinkTls | None = None,
    name: str,
    run_folder: RunFolder,
    reactor: Any,
) -> Master:
    """Make a master, and take its port and its socket; it does not listen yet.

    Args:
        address: where it listens.
        name: under which its process is known in the run folder.
        run_folder: where its socket is, and the cluster's secret.

    Raises:
        ConfigError: the port can't be had, or others could reach it and links are not encrypted.
    """
    if not (tls or links.insecure or is_loopback(address.host)):
        raise ConfigError(
            f"the master would listen on {address.host}, which others may reach, and links are not"
            " encrypted",
            advice=ENCRYPT,
        )
    secret = run_folder.secret()
    assert address.port is not None  # a master's always has one
    another = "--port" if name == MASTER else f"--set {MASTER}.port"
    place = tcp_place(
        address.host,
        address.port,
        f"the {MASTER}",
        f"give the {MASTER} another one with {another}={address.port + 1} or the like",
    )
    try:
        socket = admin_place(run_folder, name)
    except ConfigError:
        place.release()
        raise
    return Master(
        place=place,
        others=[socket],
        secret=secret,
        registry=registry,
        links=links,
        learning=learning,
        tls=tls,
        guests=guests,
        reactor=reactor,
    )
