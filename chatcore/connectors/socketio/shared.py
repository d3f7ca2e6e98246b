"""What all clients of socket.io of a frontend share."""

from __future__ import annotations

from typing import Any

from chatcore.connectors.exchange import Exchange
from chatcore.connectors.parts import ConnectorParts, cut_off
from chatcore.connectors.settings import SocketioSettings
from chatcore.connectors.socketio.answers import answer
from chatcore.connectors.socketio.newcomers import Newcomers
from chatcore.deadlines import Deadlines

FAREWELL_SECONDS = 10.0
"""For which a client that polls may take to come for the last of what there is to say: that it was
kicked, above all. Who never hears of it comes back by itself."""


class SocketioParts:
    """What all clients of socket.io of a frontend share.

    Args:
        parts: what they share with all others.
        settings: what they are told, and may do.

    Attributes:
        clients: those who are here, by id.
    """

    def __init__(self, parts: ConnectorParts, settings: SocketioSettings) -> None:
        self.all, self.settings = parts, settings
        self.clients: dict[str, Any] = {}
        self.newcomers = Newcomers(parts)
        silence = settings.ping_seconds + settings.patience_seconds
        self.silences: Deadlines = parts.deadlines(silence, _silent)
        self.pings: Deadlines = parts.deadlines(settings.ping_seconds, _ping)
        self.farewells: Deadlines = parts.deadlines(FAREWELL_SECONDS, cut_off)

    def has_room(self, exchange: Exchange) -> bool:
        """Whether who makes a request may stay here to poll; if not, it is refused."""
        admission = self.all.admission
        if admission.has_room() and admission.admits(exchange.address[0]):
            return True
        answer(exchange, status=503)
        return False


def _silent(client: Any) -> None:
    client.silent()


def _ping(client: Any) -> None:
    client.ping()
