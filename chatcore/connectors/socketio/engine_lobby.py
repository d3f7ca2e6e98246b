"""Where requests of Engine.IO come to, which carries socket.io 1.x to 4.x."""

from __future__ import annotations

import secrets
from functools import partial
from typing import Any

from chatcore.connectors.exchange import Exchange, query_of
from chatcore.connectors.guest import Guest
from chatcore.connectors.socketio.answers import (
    BAD_METHOD,
    BAD_REQUEST,
    UNKNOWN_SID,
    UNKNOWN_TRANSPORT,
    UNSUPPORTED,
    Trouble,
    answer,
    refuse,
)
from chatcore.connectors.socketio.engine import REVISIONS, EngineClient, Revision
from chatcore.connectors.socketio.framing import FRAMES, HELD
from chatcore.connectors.socketio.polling import FORMS, Polling, longest_post, posted
from chatcore.connectors.socketio.shared import SocketioParts
from chatcore.connectors.socketio.upgrading import Probe, Probes
from chatcore.connectors.socketio.websocket import SocketioWebSocketFactory, reader
from chatcore.errors import EngineError
from chatcore.tracing.traceparent import read as read_traceparent
from chatcore.wire import jsonp
from chatcore.wire.http import Head

READERS = {number: reader(number) for number in REVISIONS}


class EngineLobby:
    """Takes in clients of Engine.IO.

    Args:
        shared: what they share with others of socket.io.
        websockets: makes their WebSockets.
    """

    def __init__(self, shared: SocketioParts, websockets: SocketioWebSocketFactory) -> None:
        self._shared, self._parts, self._settings = shared, shared.all, shared.settings
        self._websockets = websockets
        self._probes = Probes(shared.all, shared.settings.upgrade_seconds)

    # Polling.

    def serve(self, exchange: Exchange) -> None:
        """Act on a request.

        Raises:
            Trouble: it is refused.
        """
        method, query = exchange.head.method, exchange.query
        revision = _revision(query)
        if query.get("transport") != "polling" or not self._settings.polling:
            raise Trouble(UNKNOWN_TRANSPORT)
        if "j" in query:
            _check_script(query["j"])
        if "sid" not in query:
            if method != "GET":
                raise Trouble(BAD_METHOD)
            self._take_in(exchange, revision)
            return
        client = self._client(query["sid"], revision)
        polling = client.polling
        if polling is None:
            raise Trouble(BAD_REQUEST)
        if method == "GET":
            self._poll(exchange, client, polling)
        elif method != "POST":
            raise Trouble(BAD_METHOD)
        elif client.closed:
            raise Trouble(UNKNOWN_SID)
        else:
            self._post(exchange, client, polling)

    def _client(self, sid: str, revision: Revision) -> EngineClient:
        client = self._shared.clients.get(sid)
        if client is None:
            raise Trouble(UNKNOWN_SID)
        if not isinstance(client, EngineClient) or client.revision is not revision:
            raise Trouble(BAD_REQUEST)
        self._shared.newcomers.gone(client)
        return client

    def _take_in(self, exchange: Exchange, revision: Revision) -> None:
        newcomers = self._shared.newcomers
        if not (exchange.bears() and self._shared.has_room(exchange)):
            return
        if not newcomers.admits(exchange.address[0]):
            answer(exchange, status=503)
            return
        sid = secrets.token_urlsafe(15)
        client = EngineClient(
            shared=self._shared,
            sid=sid,
            revision=revision,
            framing=HELD,
            query=exchange.query,
            address=exchange.address,
        )
        client.trace = read_traceparent(exchange.head.fields.get("traceparent"))
        polling = client.polls(FORMS[revision.engine])
        newcomers.came(client)
        if revision.engine == 3 and self._settings.cookie:
            cookie = f"{self._settings.cookie}={sid}; Path=/; HttpOnly"
            polling.headers = (("Set-Cookie", cookie),)
        polling.poll(exchange)
        client.opened(polling)

    def _poll(self, exchange: Exchange, client: EngineClient, polling: Polling) -> None:
        if polling.polled:
            refuse(exchange, Trouble(BAD_REQUEST))
            client.broken("two polls at once")
        else:
            polling.poll(exchange)

    def _post(self, exchange: Exchange, client: EngineClient, polling: Polling) -> None:
        if polling.posting:
            refuse(exchange, Trouble(BAD_REQUEST))
            client.broken("two POSTs at once")
            return
        most = longest_post(exchange, client.revision.engine, self._settings.payload_bytes)
        polling.post(exchange, most, partial(self._posted, exchange, client, polling))

    def _posted(
        self, exchange: Exchange, client: EngineClient, polling: Polling, content: bytes
    ) -> None:
        """A client has sent packets."""
        if client.closed or client.polling is not polling:
            refuse(exchange, Trouble(UNKNOWN_SID))
            return
        limit, size = self._parts.limits.package_bytes, self._settings.payload_bytes
        try:
            packets = posted(exchange, content, client.revision.engine, limit=limit, size=size)
        except EngineError as problem:
            refuse(exchange, Trouble(BAD_REQUEST))
            client.broken(str(problem))
            return
        # A text of another type would be offered for saving where a form has sent it.
        answer(exchange, b"ok", kind="text/html")
        client.take(packets)

    # WebSockets.

    def websocket(self, guest: Guest, head: Head) -> Any:
        """What speaks with who asks for a WebSocket.

        Raises:
            Trouble: it may not have one.
            HttpError: its query has too many fields.
        """
        query = query_of(head)
        revision = _revision(query)
        if query.get("transport") != "websocket":
            raise Trouble(UNKNOWN_TRANSPORT)
        if "sid" in query:
            return self._probe(guest, self._client(query["sid"], revision))
        socket = self._websockets.reading(READERS[revision.engine])
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
        socket.connection.trace = read_traceparent(head.fields.get("traceparent"))
        return socket

    def _probe(self, guest: Guest, client: EngineClient) -> Any:
        polling = client.polling
        if client.closed:
            raise Trouble(UNKNOWN_SID)
        if polling is None or client.probe is not None:
            raise Trouble(BAD_REQUEST)
        socket = self._websockets.reading(READERS[client.revision.engine])
        socket.connection = Probe(
            probes=self._probes,
            client=client,
            polling=polling,
            socket=socket,
            address=guest.address,
            after=guest,
        )
        return socket


def _check_script(index: str) -> None:
    try:
        jsonp.function("___eio", index)
    except EngineError:
        raise Trouble(BAD_REQUEST) from None


def _revision(query: dict[str, str]) -> Revision:
    """What a client speaks; who does not say so speaks revision 3, as engine.io has it."""
    text = query.get("EIO", "3")
    if text not in ("3", "4"):
        raise Trouble(UNSUPPORTED)
    return REVISIONS[int(text)]
