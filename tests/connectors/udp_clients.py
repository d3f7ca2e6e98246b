"""Clients over UDP in memory."""

from __future__ import annotations

from typing import Any

from chatcore.connectors.udp import ClientDatagrams
from chatcore.wire import message, package
from chatcore.wire.body import Body

from .clients import HANDSHAKE, Connector

HELLO = package.encode(package.HANDSHAKE, HANDSHAKE)
ACK = package.encode(package.ACK)
HEARTBEAT = package.encode(package.HEARTBEAT)
WELCOME = package.encode(package.HANDSHAKE, b'{"code":200,"sys":{"heartbeat":3}}')
REFUSED = package.encode(package.HANDSHAKE, b'{"code":500}')
ALICE, BOB = ("192.0.2.10", 5000), ("192.0.2.11", 5000)


def request(number: int, route: str = "a.b.c") -> bytes:
    return package.encode(package.DATA, message.encode_request(number, route, b"{}"))


class Wire:
    """A port's transport, which notes what is sent to whom."""

    def __init__(self) -> None:
        self.sent: dict[Any, list[bytes]] = {}
        self.refuses: Exception | None = None

    def write(self, data: bytes, where: Any) -> None:
        if self.refuses is not None:
            raise self.refuses
        assert len(data) <= 65507
        self.sent.setdefault(where, []).append(data)

    def take(self, where: Any) -> list[bytes]:
        return self.sent.pop(where, [])


class Port:
    """A connector's UDP port."""

    def __init__(self, connector: Connector) -> None:
        self.connector = connector
        self.wire = Wire()
        self.datagrams = ClientDatagrams(connector.parts)
        self.datagrams.makeConnection(self.wire)

    def send(self, *packages: bytes, who: Any = ALICE) -> list[bytes]:
        """Send a datagram; what comes back."""
        self.datagrams.datagramReceived(b"".join(packages), who)
        self.connector.reactor.settle()
        return self.wire.take(who)

    def enter(self, who: Any = ALICE, uid: str | None = None) -> Any:
        """Shake hands; the session."""
        before = set(self.connector.sessions)
        self.send(HELLO, who=who)
        self.send(ACK, who=who)
        (session,) = set(self.connector.sessions) - before
        if uid is not None:
            self.connector.sessions.bind(session.id, uid)
        return session

    def is_served(self, who: Any = ALICE) -> bool:
        """Whether who has shaken hands is answered."""
        before = len(self.connector.asked)
        self.wire.take(who)
        self.send(request(77), who=who)
        if len(self.connector.asked) != before + 1:
            return False
        reply = self.connector.asked.pop().reply
        assert reply is not None
        reply(Body("here"))
        answer = package.encode(package.DATA, message.encode_response(77, b'"here"'))
        return self.wire.take(who) == [answer]

    def finish(self) -> None:
        """All clients go; nothing may be left of them."""
        self.datagrams.doStop()
        assert (len(self.datagrams), self.datagrams._new) == (0, {})
