"""A client for bots and for tests, with the calls of Pomelo's clients.

::

    client = Client(reactor=reactor)
    await client.init(host="127.0.0.1", port=3014)
    found = await client.request("gate.gateHandler.queryEntry", {"uid": "alice"})
    await client.disconnect()
"""

from chatcore.client.client import Client
from chatcore.client.errors import (
    ClientFailure,
    ConnectFailed,
    Disconnected,
    HandshakeRefused,
    HeartbeatLost,
    Kicked,
    Moved,
    ProtocolBroken,
    TimedOut,
)

__all__ = [
    "Client",
    "ClientFailure",
    "ConnectFailed",
    "Disconnected",
    "HandshakeRefused",
    "HeartbeatLost",
    "Kicked",
    "Moved",
    "ProtocolBroken",
    "TimedOut",
]
