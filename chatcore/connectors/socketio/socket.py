"""A client's place in one namespace: what has a session there."""

from __future__ import annotations

from typing import Any, Protocol

from chatcore.connectors.socketio.encoding import SocketEncoding
from chatcore.interfaces import Address
from chatcore.sessions.session import Session


class IOwner(Protocol):
    """The client, as its places see it."""

    address: Address
    outbox: Any

    def about(self) -> dict[str, Any]:
        """What those who look are told of it."""

    def kick_from(self, socket: Socket, reason: str) -> None:
        """Tell it that it is kicked out of a namespace."""


class Socket:
    """A client in a namespace; its session's connection.

    Args:
        client: whose it is.
        namespace: where.
        encoding: how it is written to.
    """

    __slots__ = ("_client", "encoding", "namespace", "session")

    def __init__(self, client: IOwner, namespace: str, encoding: SocketEncoding) -> None:
        self._client = client
        self.namespace, self.encoding = namespace, encoding
        self.session: Session | None = None

    @property
    def address(self) -> Address:
        return self._client.address

    @property
    def outbox(self) -> Any:
        return self._client.outbox

    def about(self) -> dict[str, Any]:
        """What those who look are told of it, and of where it is."""
        how = "pomelo's messages" if self.encoding.pomelo else "events"
        return {**self._client.about(), "bodies": how, "namespace": self.namespace}

    def kick(self, reason: str) -> None:
        self._client.kick_from(self, reason)

    def kicked(self, told: bytes) -> bytes:
        """What tells the client that it is kicked.

        Args:
            told: a kick's body in JSON, as Pomelo's clients get it.
        """
        encoding = self.encoding
        if encoding.pomelo:
            first = encoding.message(b'{"route":"onKick",' + told[1:])
        else:
            first = encoding.event("onKick", told)
        return first + encoding.disconnect()
