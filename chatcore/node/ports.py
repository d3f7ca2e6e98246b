"""The places a node listens on, taken before anything else is done."""

from __future__ import annotations

import errno
import os
import resource
import socket
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import DatagramProtocol

from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Server
from chatcore.errors import ConfigError

BACKLOG = 1024
"""Connections that may wait to be accepted: many come at once when clients reconnect."""

DIAL_SECONDS = 5.0

LARGEST_DATAGRAM = 65536
"""Bytes to read at once, so that no datagram is cut."""

DATAGRAMS_WAITING = 4 * 1024 * 1024
"""Bytes of datagrams that may wait to be read, if the system allows as many."""


class Place:
    """A bound socket that does not listen yet.

    It is bound when the node is made, before it goes into the background, so that a port in use is
    told to the person who started it; and it listens when the node is ready for it.
    """

    def __init__(self, bound: socket.socket, purpose: str, path: Path | None = None) -> None:
        self._socket = bound
        self._purpose = purpose
        self._path = path

    def listen(self, reactor: Any, factory: IProtocolFactory) -> IListeningPort:
        """Begin to accept connections.

        Raises:
            ConfigError: another process listens there since.
        """
        self._socket.setblocking(False)
        try:
            self._socket.listen(BACKLOG)
        except OSError as problem:
            raise ConfigError(f"{self._purpose} can't be served: {problem.strerror}") from None
        family = self._socket.family
        port: IListeningPort = reactor.adoptStreamPort(self._socket.fileno(), family, factory)
        self._socket.close()
        self._path = None  # the port removes it when it stops
        return port

    def release(self) -> None:
        """Give the place up."""
        self._socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)


class DatagramPlace:
    """The same for datagrams."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound

    def listen(self, reactor: Any, protocol: DatagramProtocol) -> IListeningPort:
        """Begin to take datagrams in."""
        self._socket.setblocking(False)
        port: IListeningPort = reactor.adoptDatagramPort(
            self._socket.fileno(), self._socket.family, protocol, LARGEST_DATAGRAM
        )
        self._socket.close()
        return port

    def release(self) -> None:
        """Give the place up."""
        self._socket.close()


def client_place(server: Server) -> Place:
    """Where a frontend takes clients in.

    Raises:
        ConfigError: the port can't be had.
    """
    assert server.client_port is not None
    return _tcp(server.listen_host, server.client_port, f"clients of {server.id}")


def datagram_place(server: Server) -> DatagramPlace:
    """Where a frontend takes clients in over UDP: beside its client port.

    Raises:
        ConfigError: the port can't be had.
    """
    assert server.client_port is not None
    purpose = f"clients of {server.id} over UDP"
    bound = _bound(server.listen_host, server.client_port, socket.SOCK_DGRAM, purpose)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DATAGRAMS_WAITING)
    return DatagramPlace(bound)


def link_place(server: Server, run_folder: RunFolder) -> Place:
    """Where a node takes links in: its port, or a socket in the run folder where it has none.

    Raises:
        ConfigError: it can't be had.
    """
    if server.port is not None:
        return _tcp(server.host, server.port, f"links to {server.id}")
    path = run_folder.socket(server.id)
    path.unlink(missing_ok=True)  # left by one that was killed; nobody else runs under this id
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(str(path))
    except OSError as problem:
        bound.close()
        raise ConfigError(f"no socket for links to {server.id}: {problem}", file=path) from None
    os.chmod(path, 0o600)
    return Place(bound, f"links to {server.id} on {path}", path)


def link_endpoint(server: Server, run_folder: RunFolder, reactor: Any) -> IStreamClientEndpoint:
    """How to dial a node."""
    if server.port is None:
        return UNIXClientEndpoint(reactor, str(run_folder.socket(server.id)), DIAL_SECONDS)
    if ":" in server.host:
        return TCP6ClientEndpoint(reactor, server.host, server.port, DIAL_SECONDS)
    return TCP4ClientEndpoint(reactor, server.host, server.port, DIAL_SECONDS)


def allow_many_connections() -> None:
    """Raise the limit of open descriptors as far as the system lets this process."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _tcp(host: str, port: int, purpose: str) -> Place:
    bound = _bound(host, port, socket.SOCK_STREAM, purpose)
    return Place(bound, f"port {port} of {host}, for {purpose},")


def _bound(host: str, port: int, kind: socket.SocketKind, purpose: str) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
    except OSError as problem:
        raise ConfigError(f"no address for {purpose}: {host!r}: {problem}") from None
    family, kind, protocol, _, address = found[0]
    bound = socket.socket(family, kind, protocol)
    if kind == socket.SOCK_STREAM:  # of datagrams, two could have the same address then
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(address)
    except OSError as problem:
        bound.close()
        if problem.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} of {host}, for {purpose}, is in use",
                advice="Stop the program that uses it, or give the server another port",
            ) from None
        raise ConfigError(f"{host}:{port}, for {purpose}: {problem.strerror}") from None
    return bound
