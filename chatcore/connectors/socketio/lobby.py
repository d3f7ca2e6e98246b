"""Where requests under ``/socket.io/`` come to: who comes anew, who polls, who is unknown."""

from __future__ import annotations

import secrets
from typing import Any

from chatcore.connectors.guest import Guest
from chatcore.connectors.http import Exchange, query_of
from chatcore.connectors.origins import Origins
from chatcore.connectors.parts import ConnectorParts
from chatcore.connectors.settings import SocketioSettings
from chatcore.connectors.socketio.client import SocketioParts
from chatcore.connectors.socketio.engine import REVISIONS, EngineClient, Revision
from chatcore.connectors.socketio.framing import FRAMES, HELD
from chatcore.connectors.socketio.old_lobby import OldLobby, is_old
from chatcore.connectors.socketio.polling import FORMS, Polling, allowed, posted
from chatcore.connectors.socketio.websocket import (
    Probe,
    Probes,
    SocketioWebSocketFactory,
    reader,
)
from chatcore.errors import EngineError
from chatcore.wire import body, jsonp
from chatcore.wire.http import Head

PATH = "/socket.io"

UNKNOWN_TRANSPORT, UNKNOWN_SID, BAD_METHOD, BAD_REQUEST, FORBIDDEN, UNSUPPORTED = range(6)
MESSAGES = (
    "Transport unknown",
    "Session ID unknown",
    "Bad handshake method",
    "Bad request",
    "Forbidden",
    "Unsupported protocol version",
)
"""What Engine.IO's clients are told, by the number of the error."""

READERS = {number: reader(number) for number in REVISIONS}

_JSON = "application/json"


class Trouble(Exception):
    """A request that is refused, with the number of Engine.IO's error."""

    def __init__(self, code: int) -> None:
        super().__init__(MESSAGES[code])
        self.code = code

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return 403 if self.code == FORBIDDEN else 400

    @property
    def body(self) -> bytes:
        """What the client is told."""
        return body.encode({"code": self.code, "message": MESSAGES[self.code]})


def is_socketio(path: str) -> bool:
    """Whether a path belongs to socket.io."""
    return path == PATH or path.startswith(PATH + "/")


class Lobby:
    """Takes in clients of socket.io.

    Args:
        parts: what all clients share.
        settings: what these are told, and may do.
        reactor: the reactor, or a test's clock.
    """

    def __init__(self, parts: ConnectorParts, settings: SocketioSettings, reactor: Any) -> None:
        self._parts, self.settings = parts, settings
        self._origins = Origins(parts.limits.origins)
        self._shared = SocketioParts(parts, settings)
        self._probes = Probes(parts, settings)
        self._websockets = SocketioWebSocketFactory(parts, reactor)
        self._old = OldLobby(self._shared, self._websockets)

    def stop(self) -> None:
        """Forget the timers."""
        self._shared.stop()
        self._probes.times.clear()
        self._old.stop()

    # Requests.

    def serve(self, exchange: Exchange) -> None:
        """Act on a request."""
        head = exchange.head
        try:
            if not is_socketio(head.path):  # a connection may be used for several things
                raise Trouble(BAD_REQUEST)
            if not self._origins.allow(head.fields.get("origin")):
                self._parts.counters.clients_foreign += 1
                raise Trouble(FORBIDDEN)
            if head.method == "OPTIONS":
                exchange.answer(204, headers=[*allowed(exchange), *_PREFLIGHT])
            elif is_old(head.path) and self.settings.old:
                self._old.serve(exchange)
            else:
                self._serve(exchange)
        except Trouble as trouble:
            self._parts.counters.clients_broken += 1
            exchange.answer(
                trouble.status, trouble.body, kind=_JSON, headers=allowed(exchange), close=False
            )

    def _serve(self, exchange: Exchange) -> None:
        head, query = exchange.head, exchange.query
        revision = _revision(query)
        if query.get("transport") != "polling" or not self.settings.polling:
            raise Trouble(UNKNOWN_TRANSPORT)
        if "j" in query:
            self._check_script(query["j"])
        if "sid" not in query:
            if head.method != "GET":
                raise Trouble(BAD_METHOD)
            self._take_in(exchange, revision)
            return
        client = self._client(query["sid"], revision)
        polling = client.polling
        if polling is None:
            raise Trouble(BAD_REQUEST)
        if head.method == "GET":
            if polling.polled:
                exchange.answer(400, close=True)
                client.broken("two polls at once")
                return
            polling.poll(exchange)
        elif head.method != "POST":
            raise Trouble(BAD_METHOD)
        elif client.closed:
            raise Trouble(UNKNOWN_SID)
        else:
            self._take(exchange, client, revision)

    def _check_script(self, index: str) -> None:
        try:
            jsonp.function("___eio", index)
        except EngineError:
            raise Trouble(BAD_REQUEST) from None

    def _client(self, sid: str, revision: Revision) -> EngineClient:
        client = self._shared.clients.get(sid)
        if client is None:
            raise Trouble(UNKNOWN_SID)
        if not isinstance(client, EngineClient) or client.revision is not revision:
            raise Trouble(BAD_REQUEST)
        return client

    def _take_in(self, exchange: Exchange, revision: Revision) -> None:
        if not self._parts.admission.has_room():
            exchange.answer(503, close=True)
            return
        sid = secrets.token_urlsafe(15)
        polling: Any = None
        client = EngineClient(
            shared=self._shared,
            sid=sid,
            revision=revision,
            framing=HELD,
            query=exchange.query,
            carrier=polling,
            address=exchange.guest.address,
        )
        polling = Polling(client, FORMS[revision.engine])
        client.carried(polling)
        self._parts.admission.entered(client)
        if revision.engine == 3 and self.settings.cookie:
            cookie = f"{self.settings.cookie}={sid}; Path=/; HttpOnly"
            polling.headers = (("Set-Cookie", cookie),)
        polling.poll(exchange)
        client.opened(polling)

    def _take(self, exchange: Exchange, client: EngineClient, revision: Revision) -> None:
        """A client sends packets."""
        try:
            packets = posted(exchange, revision.engine, self._parts.limits.package_bytes)
        except EngineError as problem:
            exchange.answer(400, close=True)
            client.broken(str(problem))
            return
        kind = "text/html"
        exchange.answer(200, b"ok", kind=kind, headers=allowed(exchange))
        client.take(packets)

    # WebSockets.

    def websocket(self, guest: Guest, head: Head) -> Any:
        """What speaks with who asks for a WebSocket.

        Raises:
            Trouble: it may not have one.
            HttpError: its query has too many fields.
        """
        if is_old(head.path) and self.settings.old:
            return self._old.websocket(guest, head.path)
        query = query_of(head)
        revision = _revision(query)
        if query.get("transport") != "websocket":
            raise Trouble(UNKNOWN_TRANSPORT)
        socket: Any = self._websockets.buildProtocol(None)
        socket.read = READERS[revision.engine]
        if "sid" in query:
            client = self._client(query["sid"], revision)
            if client.polling is None or client.polling.upgrading:
                raise Trouble(BAD_REQUEST)
            socket.connection = Probe(
                probes=self._probes,
                client=client,
                socket=socket,
                address=guest.address,
                after=guest,
            )
            return socket
        socket.connection = EngineClient(
            shared=self._shared,
            sid=secrets.token_urlsafe(15),
            revision=revision,
            framing=FRAMES[revision.engine],
            query=query,
            carrier=socket,
            address=guest.address,
            after=guest,
        )
        return socket


_PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE"),
    ("Access-Control-Allow-Headers", "Content-Type, Authorization"),
)


def _revision(query: dict[str, str]) -> Revision:
    """What a client speaks; who does not say so speaks revision 3, as engine.io has it."""
    text = query.get("EIO", "3")
    if text not in ("3", "4"):
        raise Trouble(UNSUPPORTED)
    return REVISIONS[int(text)]
