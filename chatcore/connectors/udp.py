"""Clients over UDP: a datagram holds whole packages, and a client is where it sends from.

It begins with a handshake, and ends with a kick or when nothing comes for too long. Nobody proves
that a datagram comes from where it says, and an ack holds nothing that could not be guessed. So
only a handshake is answered where nobody is known, a few times, and few at one address: answers
are much longer than what asks for them, and may hit somebody who never asked. And clients over UDP
may use up no more than their share of the connections.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from twisted.internet.error import MessageLengthError
from twisted.internet.protocol import DatagramProtocol

from chatcore.config.peers import neighbourhood, plain
from chatcore.connectors.connection import Connection
from chatcore.connectors.encoding import UDP
from chatcore.connectors.outbox import INote, Outbox, OutboxParts
from chatcore.connectors.parts import ConnectorParts
from chatcore.errors import PackageError
from chatcore.wire import package
from chatcore.wire.package import Package

MOST_REPEATS = 4
"""How often the answer to one handshake is sent again while its ack has not come."""

MOST_ADDRESSES = 65536
"""Of how many addresses handshakes are counted: beyond, all are counted anew."""

_SECONDS = 10.0
"""Within which handshakes of one address are counted, where they may take for ever."""

Source = tuple[str, int]
"""Where a datagram came from, as the socket says."""


class DatagramOutbox(Outbox):
    """Writes each package at once, in a datagram of its own: nothing ever waits.

    What the system does not take is lost, as it may be on its way.

    Args:
        transport: the port.
        where: the client.
    """

    __slots__ = ("_first", "_repeats", "_where")

    def __init__(self, *, parts: OutboxParts, transport: Any, where: Source) -> None:
        super().__init__(parts=parts, full=lambda why: None)
        self._transport = transport
        self._where = where
        self._first: bytes | None = None
        self._repeats = 0

    def send(self, data: bytes, route: str = "", note: INote | None = None) -> None:
        if self._transport is None:
            if note is not None:
                note.lost("gone")
            return
        if self._first is None:
            self._first = data
        try:
            self._transport.write(data, self._where)
        except (OSError, MessageLengthError) as problem:
            self._parts.counters.datagrams_unsent += 1
            if note is not None:
                note.lost("failed", f"the system did not take the datagram: {problem}")
            return
        if note is not None:
            note.left()

    push = send

    def repeat(self) -> None:
        """Send the first package again, the answer to the handshake: it may have been lost."""
        if self._first is not None and self._repeats < MOST_REPEATS:
            self._repeats += 1
            self.send(self._first)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self._transport = None


class DatagramClient:
    """One client, as long as it is known.

    Args:
        port: where it came to.
        parts: what all connections share.
        source: where it sends from.
    """

    __slots__ = ("_port", "connection", "outbox", "source")

    def __init__(self, port: ClientDatagrams, parts: ConnectorParts, source: Source) -> None:
        self._port = port
        self.source = source
        self.outbox = DatagramOutbox(parts=parts.outboxes, transport=port.transport, where=source)
        self.connection = Connection(
            parts=parts,
            carrier=self,
            encoding=UDP,
            address=(plain(source[0]), source[1]),
            outbox=self.outbox,
        )

    # ICarrier

    def end(self, code: int, reason: str) -> None:
        self._port.forget(self)
        self.connection.lost(reason)

    def abort(self) -> None:
        self.end(0, "")


class ClientDatagrams(DatagramProtocol):
    """Takes datagrams in, and knows which client each belongs to.

    Args:
        parts: what all connections share.
    """

    noisy = False

    def __init__(self, parts: ConnectorParts) -> None:
        self._parts = parts
        limits = parts.limits
        self._most_new = limits.udp_handshakes
        if limits.connections and self._most_new:
            self._most_new = min(self._most_new, limits.connections // 4 or 1)
        self._clients: dict[Source, DatagramClient] = {}
        # Those whose ack has not come, the oldest first.
        self._new: OrderedDict[Source, DatagramClient] = OrderedDict()
        # How many handshakes each address has begun, since when. They count also when they are
        # through or over: an ack and a kick can be invented like the rest.
        self._begun: dict[str | int, int] = {}
        self._since = parts.clock.seconds()

    def __len__(self) -> int:
        return len(self._clients)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        source: Source = addr
        try:
            packages = package.decode_frame(datagram, self._parts.limits.package_bytes)
        except PackageError:
            self._parts.counters.datagrams_dropped += 1
            return
        client = self._clients.get(source)
        begins = packages[0][0] == package.HANDSHAKE
        if client is None:
            client = self._take_in(source) if begins else None
            if client is None:
                self._parts.counters.datagrams_dropped += 1
                return
        elif begins and source in self._new:
            client.outbox.repeat()
            packages = packages[1:]
        self._hand_over(client, packages)

    def _hand_over(self, client: DatagramClient, packages: Sequence[Package]) -> None:
        client.connection.received_packages(packages)
        if client.source in self._new and client.connection.works:
            del self._new[client.source]

    def _take_in(self, source: Source) -> DatagramClient | None:
        """Let a client in that may come."""
        admission, host = self._parts.admission, plain(source[0])
        if not admission.admits(host) or not self._may_begin(host) or not admission.has_room():
            return None
        client = DatagramClient(self, self._parts, source)
        admission.entered(client.connection)
        self._clients[source] = self._new[source] = client
        return client

    def _may_begin(self, host: str) -> bool:
        """Whether there is room for one more handshake; of all, the oldest makes room."""
        limits, counters = self._parts.limits, self._parts.counters
        if limits.udp_connections and len(self._clients) >= limits.udp_connections:
            counters.clients_refused += 1
            return False
        if limits.udp_handshakes_per_address and not self._count(neighbourhood(host)):
            counters.clients_crowded += 1
            return False
        if self._most_new and len(self._new) >= self._most_new:
            next(iter(self._new.values())).connection.no_handshake()
        return True

    def _count(self, where: str | int) -> bool:
        """Count one more handshake of an address; False if that is one too many."""
        limits, now = self._parts.limits, self._parts.clock.seconds()
        passed = now - self._since
        over = not 0 <= passed < (limits.handshake_seconds or _SECONDS)
        if over or len(self._begun) >= MOST_ADDRESSES:
            self._begun.clear()
            self._since = now
        begun = self._begun.get(where, 0)
        if begun >= limits.udp_handshakes_per_address:
            return False
        self._begun[where] = begun + 1
        return True

    def forget(self, client: DatagramClient) -> None:
        """A client is gone."""
        self._new.pop(client.source, None)
        self._clients.pop(client.source, None)

    def stopProtocol(self) -> None:
        for client in list(self._clients.values()):
            client.connection.close("server stops")
