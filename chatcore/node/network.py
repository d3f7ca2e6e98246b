"""How nodes and clients reach a node: the places it takes, and the way to the others."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from chatcore.config.addresses import is_loopback
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server
from chatcore.errors import ConfigError
from chatcore.links.settings import ENCRYPT
from chatcore.node.ports import DatagramPlace, Place, datagram_place, tcp_place, unix_place

DIAL_SECONDS = 5.0


class IPlace(Protocol):
    """A place that is taken, and listened at later."""

    def listen(self, reactor: Any, factory: IProtocolFactory) -> IListeningPort: ...

    def release(self) -> None:
        """Give it up."""


class INetwork(Protocol):
    """What a node needs of the network."""

    def link_place(self, server: Server) -> IPlace:
        """Where a node takes links in.

        Raises:
            ConfigError: it can't be had.
        """

    def link_endpoint(self, server: Server) -> IStreamClientEndpoint:
        """How to dial a node."""

    def client_place(self, server: Server) -> IPlace:
        """Where a frontend takes clients in.

        Raises:
            ConfigError: it can't be had.
        """

    def datagram_place(self, server: Server) -> DatagramPlace:
        """Where a frontend takes clients in over UDP: beside its client port.

        Raises:
            ConfigError: it can't be had.
        """


class Network:
    """TCP, UDP, and the sockets in the run folder.

    Args:
        run_folder: where the sockets of the servers without a port are.
        reactor: the reactor.
        may_leave: whether links may leave this machine: they are encrypted, or that is accepted.
    """

    def __init__(self, run_folder: RunFolder, reactor: Any, *, may_leave: bool = True) -> None:
        self._run_folder, self._reactor, self._may_leave = run_folder, reactor, may_leave

    def link_place(self, server: Server) -> Place:
        purpose = f"links to {server.id}"
        if server.port is not None:
            return tcp_place(server.host, server.port, purpose)
        return unix_place(self._run_folder.socket(server.id), purpose)

    def link_endpoint(self, server: Server) -> IStreamClientEndpoint:
        if server.port is None:
            path = str(self._run_folder.socket(server.id))
            return UNIXClientEndpoint(self._reactor, path, DIAL_SECONDS)
        if not (self._may_leave or is_loopback(server.host)):
            return _Refused(f"{server.host} is on another machine, and the link is not encrypted")
        endpoint = TCP6ClientEndpoint if ":" in server.host else TCP4ClientEndpoint
        return endpoint(self._reactor, server.host, server.port, DIAL_SECONDS)

    def client_place(self, server: Server) -> Place:
        assert server.client_port is not None
        return tcp_place(server.listen_host, server.client_port, f"clients of {server.id}")

    def datagram_place(self, server: Server) -> DatagramPlace:
        assert server.client_port is not None
        purpose = f"clients of {server.id} over UDP"
        return datagram_place(server.listen_host, server.client_port, purpose)


@implementer(IStreamClientEndpoint)
class _Refused:
    """A way that must not be gone."""

    def __init__(self, why: str) -> None:
        self._why = why

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        return fail(ConfigError(self._why, advice=ENCRYPT))
