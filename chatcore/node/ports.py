"""The places a node listens on, taken before anything else is done."""

from __future__ import annotations

import errno
import os
import resource
import socket
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import DatagramProtocol

from chatcore.config.addresses import NOT_HERE
from chatcore.config.run_folder import RunFolder
from chatcore.errors import ConfigError

BACKLOG = 1024
"""Connections that may wait to be accepted: many come at once when clients reconnect."""

LARGEST_DATAGRAM = 65536
"""Bytes to read at once, so that no datagram is cut."""

DATAGRAMS_WAITING = 4 * 1024 * 1024
"""Bytes of datagrams that may wait to be read, if the system allows as many."""


GIVE_ANOTHER = "give the server another port"

FOR_THIS_USER = 0o600
"""The mode of a unix socket."""


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
        if self._path is not None:
            os.chmod(self._path, FOR_THIS_USER)  # Twisted has opened it to everybody
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


def allow_many_connections() -> None:
    """Raise the limit of open descriptors as far as the system lets this process."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def tcp_place(host: str, port: int, purpose: str, another: str = GIVE_ANOTHER) -> Place:
    """A place for connections over TCP.

    Args:
        another: what else to do where it is in use than to stop who uses it.

    Raises:
        ConfigError: the port can't be had.
    """
    bound = _bound(host, port, socket.SOCK_STREAM, purpose, another)
    return Place(bound, f"port {port} of {host}, for {purpose},")


def datagram_place(host: str, port: int, purpose: str) -> DatagramPlace:
    """A place for datagrams.

    Raises:
        ConfigError: the port can't be had.
    """
    bound = _bound(host, port, socket.SOCK_DGRAM, purpose)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DATAGRAMS_WAITING)
    return DatagramPlace(bound)


def unix_place(path: Path, purpose: str) -> Place:
    """A place for connections on a unix socket, for this user alone.

    Raises:
        ConfigError: it can't be had.
    """
    path.unlink(missing_ok=True)  # left by one that was killed; nobody else runs under this id
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(str(path))
    except OSError as problem:
        bound.close()
        raise ConfigError(f"no socket for {purpose}: {problem}", file=path) from None
    os.chmod(path, FOR_THIS_USER)
    return Place(bound, f"{purpose} on {path}", path)


def admin_place(run_folder: RunFolder, name: str) -> Place:
    """The place where a process takes in administrators of its machine.

    Args:
        name: under which the process is known in the run folder.

    Raises:
        ConfigError: it can't be had.
    """
    return unix_place(run_folder.admin_socket(name), f"administrators of {name}")


def _bound(
    host: str, port: int, kind: socket.SocketKind, purpose: str, another: str = GIVE_ANOTHER
) -> socket.socket:
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
                advice=f"Stop the program that uses it, or {another}",
            ) from None
        advice = NOT_HERE if problem.errno == errno.EADDRNOTAVAIL else None
        raise ConfigError(
            f"{host}:{port}, for {purpose}: {problem.strerror}", advice=advice
        ) from None
    return bound
