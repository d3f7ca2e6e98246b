"""Where requests of socket.io 0.9 come to: its handshake, and the transports after it."""

from __future__ import annotations

import re
import secrets
from typing import Any

from chatcore.connectors.guest import Guest
from chatcore.connectors.http import Exchange
from chatcore.connectors.socketio.client import SocketioParts
from chatcore.connectors.socketio.framing import FRAMES, HELD
from chatcore.connectors.socketio.old import (
    NOT_HANDSHAKEN,
    OLD_FORM,
    RECONNECT,
    OldClient,
    old_posted,
)
from chatcore.connectors.socketio.polling import MOST_PACKETS, Polling, allowed
from chatcore.connectors.socketio.websocket import SocketioWebSocketFactory, read_old
from chatcore.deadlines import Deadlines
from chatcore.errors import WireError
from chatcore.wire import jsonp, socketio0

POLL_SECONDS = 20.0
"""After which a poll is answered with nothing, so that no proxy gives it up."""

TRANSPORTS = ("websocket", "xhr-polling", "jsonp-polling")

_PATH = re.compile(r"/socket\.io/1(?:/(?:([a-z-]+)/([\w-]{1,64}))?)?/?")
_NOT_HANDSHAKEN = socketio0.encode_error(NOT_HANDSHAKEN, RECONNECT)
_SCRIPT = "application/javascript"


def is_old(path: str) -> bool:
    """Whether a path is one of socket.io 0.9."""
    return _PATH.fullmatch(path) is not None


class OldLobby:
    """Takes in clients of socket.io 0.9.

    Args:
        shared: what they share with others of socket.io.
        websockets: makes their WebSockets.
    """

    def __init__(self, shared: SocketioParts, websockets: SocketioWebSocketFactory) -> None:
        self._shared, self._parts = shared, shared.all
        self._websockets = websockets
        # What those said who have shaken hands, until they come by a transport.
        self._expected: dict[str, dict[str, str]] = {}
        self._times = Deadlines(
            self._parts.limits.handshake_seconds, self._parts.clock, self._forget
        )
        self._polls = Deadlines(POLL_SECONDS, self._parts.clock, Polling.ease)

    def stop(self) -> None:
        """Forget the timers."""
        self._times.clear()
        self._polls.clear()

    def _forget(self, sid: str) -> None:
        self._expected.pop(sid, None)

    def serve(self, exchange: Exchange) -> None:
        """Act on a request."""
        found = _PATH.fullmatch(exchange.head.path)
        assert found is not None
        transport, sid = found.groups()
        if transport is None:
            self._shake_hands(exchange)
        elif transport not in TRANSPORTS[1:] or not self._shared.settings.polling:
            exchange.answer(500, b"unknown transport", headers=allowed(exchange))
        elif "disconnect" in exchange.query:
            self._part(exchange, sid)
        elif exchange.head.method == "POST":
            self._take(exchange, sid)
        else:
            self._poll(exchange, sid)

    def _shake_hands(self, exchange: Exchange) -> None:
        settings, most = self._shared.settings, self._parts.limits.connections
        if not self._parts.admission.has_room() or (most and len(self._expected) >= most):
            exchange.answer(503, close=True)
            return
        sid = secrets.token_urlsafe(15)
        self._expected[sid] = exchange.query
        self._times.start(sid)
        silence = round(settings.ping_seconds + settings.patience_seconds)
        transports = TRANSPORTS if settings.polling else TRANSPORTS[:1]
        said = socketio0.encode_handshake(sid, silence, silence, transports)
        index = exchange.query.get("jsonp")
        if index is not None and index.isdigit():
            script = jsonp.encode(jsonp.function("io.j", index), said)
            exchange.answer(200, script, kind=_SCRIPT)
        else:
            exchange.answer(200, said, headers=allowed(exchange))

    def _client(self, sid: str) -> OldClient | None:
        client = self._shared.clients.get(sid)
        return client if isinstance(client, OldClient) else None

    def _poll(self, exchange: Exchange, sid: str) -> None:
        client = self._client(sid)
        if client is None:
            query = self._expected.pop(sid, None)
            if query is None:
                self._refuse(exchange)
                return
            client = self._take_in(exchange, sid, query)
        polling = client.polling
        if polling is None or polling.polled:
            self._refuse(exchange)
            return
        polling.poll(exchange)
        self._polls.start(polling)

    def _take_in(self, exchange: Exchange, sid: str, query: dict[str, str]) -> OldClient:
        self._times.stop(sid)
        carrier: Any = None
        client = OldClient(
            shared=self._shared,
            sid=sid,
            framing=HELD,
            query=query,
            carrier=carrier,
            address=exchange.guest.address,
        )
        polling = Polling(client, OLD_FORM)
        client.carried(polling)
        self._parts.admission.entered(client)
        client.opened(polling)
        return client

    def _take(self, exchange: Exchange, sid: str) -> None:
        client = self._client(sid)
        if client is None or client.polling is None:
            self._refuse(exchange)
            return
        limit = self._parts.limits.package_bytes
        try:
            packets = old_posted(exchange, limit, MOST_PACKETS)
        except WireError as problem:
            exchange.answer(400, close=True, headers=allowed(exchange))
            client.broken(str(problem))
            return
        exchange.answer(200, b"1", headers=allowed(exchange))
        client.take(packets)

    def _part(self, exchange: Exchange, sid: str) -> None:
        """A client says that it goes."""
        client = self._client(sid)
        if client is not None:
            client.close("disconnect")
        exchange.answer(200, b"1", headers=allowed(exchange))

    def _refuse(self, exchange: Exchange) -> None:
        """Nobody with that id has shaken hands here."""
        self._parts.counters.clients_broken += 1
        kind, content = OLD_FORM.payload(exchange, HELD.text(_NOT_HANDSHAKEN))
        exchange.answer(200, content, kind=kind, headers=allowed(exchange))

    def websocket(self, guest: Guest, path: str) -> Any:
        """What speaks with who asks for a WebSocket."""
        found = _PATH.fullmatch(path)
        sid = found.group(2) if found is not None else None
        query = self._expected.pop(sid or "", None)
        socket: Any = self._websockets.buildProtocol(None)
        socket.read = read_old
        client = OldClient(
            shared=self._shared,
            sid=sid if sid and query is not None else secrets.token_urlsafe(15),
            framing=FRAMES[3],
            query=query or {},
            carrier=socket,
            address=guest.address,
            after=guest,
        )
        socket.connection = client
        if query is None:
            client.unknown()
        else:
            self._times.stop(sid or "")
        return socket
