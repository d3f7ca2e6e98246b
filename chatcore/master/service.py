"""The master: nodes announce themselves to it, and it tells them who is in the view."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
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
from chatcore.links.tls import LinkTls, link_tls
from chatcore.master.nodes import Nodes
from chatcore.node.network import IPlace, Network
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


class Master(Service):
    """Keeps the embedded registry: it listens, and numbers the views.

    Args:
        place: where it listens.
        secret: the cluster's.
        registry: the settings of the registry.
        links: those of links.
        learning: whether there may be nodes already that know of a cluster. They are heard first.
        guests: who else may come, beside the nodes.
        reactor: the reactor.
        tls: the certificates of links, where those are encrypted.
        epoch: where its views begin to count; `epoch_now` unless given.
    """

    log = Logger()

    def __init__(
        self,
        *,
        place: IPlace,
        secret: bytes,
        registry: RegistrySettings,
        links: LinkSettings,
        learning: bool,
        guests: Sequence[IGuests] = (),
        reactor: Any,
        tls: LinkTls | None = None,
        epoch: int | None = None,
    ) -> None:
        self._place, self._reactor = place, reactor
        self._port: IListeningPort | None = None
        self.counters = Counters()
        self.nodes = Nodes(
            settings=registry,
            learning=learning,
            epoch=epoch_now() if epoch is None else epoch,
            counters=self.counters,
            clock=reactor,
        )
        self._guests: list[IGuests] = [self.nodes, *guests]
        self._responders = {id(each): each.responders() for each in self._guests}
        commands = {command for known in self._responders.values() for command in known}
        self._door = Door(
            id=MASTER,
            incarnation=secrets.token_hex(8),
            secret=secret,
            parts=LinkParts(
                turn=Turn(reactor.callLater),
                clock=reactor,
                settings=watched(links, registry),
                counters=self.counters,
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
        self._port = self._place.listen(self._reactor, self._door.factory)
        self._door.start()
        self.log.info("The master is ready")

    def stopService(self) -> Deferred[None]:
        """Close the port and all links; nobody is taken out of the view."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._port is None:
            self._place.release()
        else:
            await maybeDeferred(self._port.stopListening)
            await self._door.stop()
        for guests in self._guests:
            guests.stop()

    # Who has come is told by its id, which is proven.

    def _host(self, peer: str) -> IGuests | None:
        return next((each for each in self._guests if each.expects(peer)), None)

    def _act(self, command: bytes, link: Link, box: Box, ask: bytes | None) -> None:
        responder = self._responders[id(self._host(link.peer))].get(command)
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


def make_master(
    address: Server,
    *,
    registry: RegistrySettings,
    links: LinkSettings,
    learning: bool,
    guests: Sequence[IGuests] = (),
    folder: Path,
    run_folder: RunFolder,
    reactor: Any,
) -> Master:
    """Make a master, and take its port; it does not listen yet.

    Args:
        address: where it listens.
        folder: the application's.
        run_folder: where the cluster's secret is.

    Raises:
        ConfigError: the port can't be had, or others could reach it and links are not encrypted.
    """
    if not (links.tls or links.insecure or is_loopback(address.host)):
        raise ConfigError(
            f"the master would listen on {address.host}, which others may reach, and links are not"
            " encrypted",
            advice=ENCRYPT,
        )
    secret = run_folder.secret()
    tls = link_tls(links, folder, MASTER, reactor)
    return Master(
        place=Network(run_folder, reactor).link_place(address),
        secret=secret,
        registry=registry,
        links=links,
        learning=learning,
        tls=tls,
        guests=guests,
        reactor=reactor,
    )
