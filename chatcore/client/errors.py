"""What the client raises.

::

    ChatcoreError
    └── ClientFailure           the client can't do what it was asked to
        ├── ConnectFailed       nothing speaks WebSocket there
        ├── HandshakeRefused    the server doesn't want this client; carries the code
        ├── TimedOut            the deadline passed
        └── Disconnected        there is no connection, or no longer
            ├── Kicked          the server said so; carries what it gave as reason
            │   └── Moved       it named another one to go on at
            ├── HeartbeatLost   nothing came for twice the heartbeat's length
            └── ProtocolBroken  what came is not Pomelo's protocol; the WireError is its cause
"""

from __future__ import annotations

from typing import Any

from chatcore.errors import ChatcoreError


class ClientFailure(ChatcoreError):
    """The client can't do what it was asked to."""


class ConnectFailed(ClientFailure):
    """No WebSocket connection came about."""


class HandshakeRefused(ClientFailure):
    """The server refused the handshake.

    Args:
        code: 501 when it wants another kind or version of client, usually 500 otherwise.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        why = "it does not accept this kind of client" if code == 501 else "it gives no reason"
        super().__init__(f"the server refused the handshake with code {code}: {why}")


class TimedOut(ClientFailure):
    """What was waited for did not come in time."""


class Disconnected(ClientFailure):
    """There is no connection, or it ended before an answer came."""


class Kicked(Disconnected):
    """The server ended the connection on purpose.

    Args:
        data: what the kick package held, usually ``{"reason": …}``.
    """

    def __init__(self, data: Any) -> None:
        self.data = data
        self.reason = data.get("reason") if isinstance(data, dict) else None
        super().__init__(f"kicked by the server: {self.reason}")


class Moved(Kicked):
    """The server sends its clients to others, before it stops.

    What it had not answered by then it did not act on, unless the answer took it too long
    (``drain.client_seconds``, 5 s).

    Attributes:
        place: the host and the port to go on at; None where it names none.
    """

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        host, port = data.get("host"), data.get("port")
        named = isinstance(host, str) and host and type(port) is int and 0 < port < 65536
        self.place: tuple[str, int] | None = (host, port) if named else None


class HeartbeatLost(Disconnected):
    """Nothing came from the server for twice the heartbeat's length."""


class ProtocolBroken(Disconnected):
    """The server sent what is not Pomelo's protocol."""
