"""Where requests under ``/socket.io`` come to."""

from __future__ import annotations

from typing import Any

from chatcore.connectors.exchange import Exchange
from chatcore.connectors.guest import Guest
from chatcore.connectors.origins import Origins, origin_of
from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.settings import SocketioSettings
from chatcore.connectors.socketio.answers import FORBIDDEN, Trouble, answer_preflight, refuse
from chatcore.connectors.socketio.client import SocketioClient
from chatcore.connectors.socketio.engine_lobby import EngineLobby
from chatcore.connectors.socketio.old import in_script
from chatcore.connectors.socketio.old_lobby import OldLobby, is_old
from chatcore.connectors.socketio.script import Script, is_script
from chatcore.connectors.socketio.shared import SocketioParts
from chatcore.connectors.socketio.websocket import SocketioWebSocketFactory
from chatcore.wire.http import Head

PATH = "/socket.io"


def is_polling(head: Head) -> bool:
    """Whether a request is one of socket.io, and for no WebSocket."""
    return is_socketio(head.path) and not head.asks_for_websocket


def is_socketio(path: str) -> bool:
    """Whether a path belongs to socket.io."""
    return path == PATH or path.startswith(PATH + "/")


def _wants_script(exchange: Exchange) -> bool:
    if is_old(exchange.head.path):
        return "jsonp" in exchange.query or in_script(exchange.head)
    return "j" in exchange.query


class Lobby:
    """Takes in clients of socket.io.

    Args:
        parts: what all clients share.
        settings: what these are told, and may do.
        reactor: the reactor, or a test's clock.
        script: the library that pages load from here.

    Attributes:
        websockets: makes their WebSockets.
    """

    def __init__(
        self,
        parts: ConnectorParts,
        settings: SocketioSettings,
        reactor: Any,
        *,
        script: Script | None = None,
    ) -> None:
        self._parts, self.settings, self._script = parts, settings, script or Script()
        self._origins = Origins(parts.limits.origins)
        self._shared = SocketioParts(parts, settings)
        self.websockets = SocketioWebSocketFactory(parts, reactor)
        self._engine = EngineLobby(self._shared, self.websockets)
        self._old = OldLobby(self._shared, self.websockets)

    @property
    def clients(self) -> dict[str, SocketioClient]:
        """Who is here, by id."""
        return self._shared.clients

    def serve(self, exchange: Exchange) -> None:
        """Act on a request."""
        try:
            self._check(exchange)
            self._serve(exchange)
        except Trouble as trouble:
            self._parts.counters.http_answers += 1
            if exchange.bears():
                refuse(exchange, trouble)

    def _check(self, exchange: Exchange) -> None:
        head, counters = exchange.head, self._parts.counters
        origin = origin_of(head.fields, script=_wants_script(exchange))
        if not self._origins.allow(origin):
            counters.clients_foreign += 1
            raise Trouble(FORBIDDEN)
        if exchange.is_forwarded and exchange.address[0] in self._parts.admission.blacklist:
            counters.clients_blacklisted += 1
            raise Trouble(FORBIDDEN)

    def _serve(self, exchange: Exchange) -> None:
        head = exchange.head
        if head.method == "OPTIONS":
            if exchange.bears():
                answer_preflight(exchange)
        elif is_script(head.path):
            if exchange.bears():
                self._script.serve(exchange)
        elif is_old(head.path) and self.settings.old:
            self._old.serve(exchange)
        else:
            self._engine.serve(exchange)

    def websocket(self, guest: Guest, head: Head) -> Any:
        """What speaks with who asks for a WebSocket.

        Raises:
            Trouble: it may not have one.
            HttpError: its query has too many fields.
        """
        if is_old(head.path) and self.settings.old:
            return self._old.websocket(guest, head)
        return self._engine.websocket(guest, head)
