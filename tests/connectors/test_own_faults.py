"""What raises where it must not, here or in the application, costs the client that met it only."""

from __future__ import annotations

from typing import Any

import pytest

from chatcore.wire import message, package

from .clients import CLOSE, HANDSHAKE, UPGRADE, Client, Connector, frame, is_served
from .udp_clients import BOB, Port, request

REQUEST = package.encode(package.DATA, message.encode_request(1, "a.b.c", b"{}"))
ALL = package.encode(package.HANDSHAKE, HANDSHAKE) + package.encode(package.ACK) + REQUEST

pytestmark = pytest.mark.logs_failures


def raises(*anything: Any) -> Any:
    raise ZeroDivisionError("a mistake of somebody's")


@pytest.fixture
def neighbour(connector: Connector) -> Client:
    client = connector.enter()
    connector.serve = raises
    return client


def is_over(connector: Connector, client: Client) -> bool:
    connector.reactor.advance(2)
    connector.reactor.settle()
    return client.closed and connector.counters.sessions_now == 1


def goes_on(connector: Connector, neighbour: Client) -> bool:
    connector.serve = connector._note
    return is_served(connector, neighbour)


class TestWebSocket:
    def test_behind_the_upgrade(self, connector: Connector, neighbour: Client) -> None:
        """Autobahn reads what comes with the request in a Deferred that nobody looks at."""
        client = connector.connect()
        client.send(UPGRADE + frame(ALL))
        assert b"\x03\xf3the server failed" in client.take()
        assert client.closed
        assert is_over(connector, client)
        assert goes_on(connector, neighbour)

    def test_in_a_frame_alone(self, connector: Connector, neighbour: Client) -> None:
        client = connector.open()
        client.send(frame(ALL))
        opcode, payload = client.frames()[-1]
        assert (opcode, payload) == (CLOSE, b"\x03\xf3the server failed")
        assert is_over(connector, client)
        assert goes_on(connector, neighbour)

    def test_while_it_is_closed(self, connector: Connector, neighbour: Client) -> None:
        """Even so the connection ends."""
        client = connector.enter("alice")
        connector.sessions.on_uid_changed(raises)
        client.send(frame(REQUEST))
        assert is_over(connector, client)
        assert goes_on(connector, neighbour)


class TestOthers:
    def test_over_tcp(self, connector: Connector, neighbour: Client) -> None:
        client = connector.connect()
        client.send(ALL)
        assert is_over(connector, client)
        assert goes_on(connector, neighbour)

    def test_over_udp(self, connector: Connector, neighbour: Client) -> None:
        port = Port(connector)
        port.enter(BOB)
        port.send(request(1), who=BOB)
        assert connector.counters.clients_now == 1
        assert goes_on(connector, neighbour)
        port.finish()
