"""What those who look are told of clients, whatever these speak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .clients import Connector
from .socketio.clients import OldPoller, OldSocket, Poller, Socket

Make = Callable[..., Connector]


def told(connector: Connector) -> dict[str, Any]:
    """What is told of the only session."""
    (session,) = connector.sessions
    about: dict[str, Any] = session.connection.about()  # type: ignore[attr-defined]
    return about


def test_a_client_of_pomelo(make: Make) -> None:
    connector = make(heartbeat={"interval": 10})
    client = connector.enter()
    connector.reactor.advance(4)

    client.request(1)

    assert told(connector) == {
        "speaks": "pomelo",
        "transport": "websocket",
        "bodies": "json",
        "dictionary": False,
        "state": "working",
        "seen": 0.0,
        "under_way": 1,
        "outbox_bytes": 0,
        "outbox_messages": 0,
        "unread": 0.0,
    }
    connector.reactor.advance(3)
    assert told(connector)["seen"] == 3.0


def test_nobody_watches_for_signs_of_life(connector: Connector) -> None:
    connector.enter()
    assert told(connector)["seen"] is None


def test_who_does_not_read(make: Make) -> None:
    for policy in ("disconnect", "drop-oldest"):
        connector = make(outbox={"policy": policy, "seconds": 60})
        connector.enter()
        (session,) = connector.sessions
        outbox = session.connection.outbox
        outbox.pauseProducing()
        outbox.push(b"abc", "r")
        outbox.push(b"def", "r")
        connector.reactor.advance(7)

        found = told(connector)

        assert (found["outbox_bytes"], found["outbox_messages"]) == (6, 2)
        assert found["unread"] == 7.0


def test_clients_of_socketio(make: Make) -> None:
    for kind, speaks, transport in (
        (Poller, "socket.io", "polling"),
        (Socket, "socket.io", "websocket"),
        (OldPoller, "socket.io 0.9", "polling"),
        (OldSocket, "socket.io 0.9", "websocket"),
    ):
        connector = make(socketio={})
        client: Any = kind(connector)
        if speaks == "socket.io":
            client.connect()
        else:
            client.packets()

        found = told(connector)

        assert (found["speaks"], found["transport"]) == (speaks, transport)
        assert (found["bodies"], found["namespace"]) == ("events", "/")
        assert found["seen"] == 0.0
