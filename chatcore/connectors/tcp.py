"""Clients over plain TCP: packages one after the other, as Pomelo's C client sends them."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.connectors.connection import Connection
from chatcore.connectors.guest import GOING_AWAY, NORMAL
from chatcore.errors import PackageError
from chatcore.turn import is_plain
from chatcore.wire.package import PackageParser


@implementer(IProtocol)
class ClientTcp:
    """One client's stream of packages.

    Args:
        connection: what they mean.
        longest: bytes that a package's body may have.
    """

    __slots__ = ("_connection", "_parser", "_transport")

    def __init__(self, connection: Connection, longest: int) -> None:
        self._connection = connection
        self._parser = PackageParser(longest)
        self._transport: Any = None

    def makeConnection(self, transport: Any) -> None:
        self._transport = transport
        self._connection.outbox.open(transport)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        parser, connection = self._parser, self._connection
        try:
            connection.received_packages(parser.feed(data))
            if parser.waiting:
                parser.feed(b"")  # what breaks the stream is told after what came in front of it
        except PackageError as problem:
            connection.broken(str(problem))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._connection.lost("disconnect")

    # ICarrier

    def end(self, code: int, reason: str) -> None:
        if code in (NORMAL, GOING_AWAY) and is_plain(self._transport):
            # Closing while something comes in would take back what was said last, a kick above
            # all. So the client closes, or is cut off.
            self._transport.loseWriteConnection()
        else:
            self._transport.loseConnection()

    def abort(self) -> None:
        self._transport.abortConnection()
