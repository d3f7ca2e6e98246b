"""Where requests of socket.io 0.9 come to: its handshake, and the transports after it.

After LearnBoost's socket.io-spec, version 1 of the protocol: "Handshake", "Transport connection",
"Forced socket disconnection".
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from chatcore.connectors.exchange import Exchange, query_of
from chatcore.connectors.guest import Guest
from chatcore.connectors.socketio.answers import BAD_REQUEST, Trouble, answer
from chatcore.connectors.socketio.framing import FRAMES, HELD
from chatcore.connectors.socketio.old import (
    NOBODY,
    OLD_FORM,
    SCRIPTED,
    OldClient,
    in_script,
    old_posted,
    script_function,
)
from chatcore.connectors.socketio.polling import MOST_PACKETS, SCRIPT, Polling
from chatcore.connectors.socketio.shared import SocketioParts
from chatcore.connectors.socketio.tickets import Tickets
from chatcore.connectors.socketio.websocket import SocketioWebSocketFactory, read_old
from chatcore.deadlines import Deadlines
from chatcore.errors import EngineError, WireError
from chatcore.tracing.traceparent import read as read_traceparent
from chatcore.wire import jsonp, socketio0
from chatcore.wire.http import Head

POLL_SECONDS = 20.0
"""After which a poll is answered with nothing, so that no proxy gives it up."""

HANDSHAKE_SECONDS = 30.0
"""For which an id is good before a transport opens: clients try one for ten, then the next."""

MOST_POSTS = 4
"""Requests in which a client may send something at the same time. Its library waits for one to end
before the next, but not to answer heartbeats."""

TRANSPORTS = ("websocket", "xhr-polling", SCRIPTED)

# Who leaves a page names no transport.
_PATH = re.compile(r"/socket\.io/1(?:/(?:([a-z-]*)/([\w-]{1,64}))?)?/?")


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
        used = self._parts.deadlines(HANDSHAKE_SECONDS, _forget)
        self._tickets = Tickets(HANDSHAKE_SECONDS, self._parts.clock, used)
        self._polls: Deadlines = self._parts.deadlines(POLL_SECONDS, Polling.ease)

    def serve(self, exchange: Exchange) -> None:
        """Act on a request.

        Raises:
            Trouble: it asks for a script that would be none.
        """
        try:
            if in_script(exchange.head):
                script_function(exchange)
            self._serve(exchange)
        except EngineError:
            raise Trouble(BAD_REQUEST) from None

    def _serve(self, exchange: Exchange) -> None:
        found = _PATH.fullmatch(exchange.head.path)
        assert found is not None
        transport, sid = found.groups()
        if sid is None:
            self._shake_hands(exchange)
        elif "disconnect" in exchange.query:
            self._part(exchange, sid)
        elif transport not in TRANSPORTS[1:] or not self._shared.settings.polling:
            answer(exchange, b"unknown transport", status=500)
        elif exchange.head.method == "POST":
            self._post(exchange, sid)
        else:
            self._poll(exchange, sid)

    def _shake_hands(self, exchange: Exchange) -> None:
        if not (exchange.bears() and self._shared.has_room(exchange)):
            return
        settings = self._shared.settings
        silence = round(settings.ping_seconds + settings.patience_seconds)
        transports = TRANSPORTS if settings.polling else TRANSPORTS[:1]
        said = socketio0.encode_handshake(self._tickets.issue(), silence, silence, transports)
        index = exchange.query.get("jsonp")
        if index is None:
            answer(exchange, said)
        else:
            script = jsonp.encode(jsonp.function("io.j", index), said)
            answer(exchange, script, kind=SCRIPT)

    def _client(self, sid: str) -> OldClient | None:
        client = self._shared.clients.get(sid)
        return client if isinstance(client, OldClient) else None

    def _poll(self, exchange: Exchange, sid: str) -> None:
        client = self._client(sid)
        if client is None:
            if not self._tickets.use(sid):
                self._refuse(exchange)
                return
            if not self._shared.has_room(exchange):
                return
            client = self._take_in(exchange, sid)
        polling = client.polling
        if polling is None:
            self._refuse(exchange)
            return
        if polling.polled and client.bears():
            polling.ease()  # there are clients that try again while the poll before is on its way
        client.polled()
        polling.poll(exchange)

    def _take_in(self, exchange: Exchange, sid: str) -> OldClient:
        client = OldClient(
            shared=self._shared,
            sid=sid,
            framing=HELD,
            query=exchange.query,
            address=exchange.address,
        )
        client.scripted = in_script(exchange.head)
        client.trace = read_traceparent(exchange.head.fields.get("traceparent"))
        client.opened(client.polls(OLD_FORM, self._polls))
        return client

    def _post(self, exchange: Exchange, sid: str) -> None:
        client = self._client(sid)
        polling = None if client is None else client.polling
        if client is None or polling is None or client.closed:
            self._refuse(exchange)
            return
        if polling.posting >= MOST_POSTS:
            answer(exchange, status=400)
            client.broken("too many POSTs at once")
            return
        most = self._shared.settings.payload_bytes
        if in_script(exchange.head):
            most = jsonp.longest_form(most)
        polling.post(exchange, most, partial(self._posted, exchange, client))

    def _posted(self, exchange: Exchange, client: OldClient, content: bytes) -> None:
        """A client has sent packets."""
        if client.closed:
            self._refuse(exchange)
            return
        limit = self._parts.limits.package_bytes
        try:
            if in_script(exchange.head):
                form = jsonp.decode_form(content, limit=self._shared.settings.payload_bytes)
                content = jsonp.string(form)
            packets = old_posted(content, limit, MOST_PACKETS)
        except WireError as problem:
            answer(exchange, status=400)
            client.broken(str(problem))
            return
        answer(exchange, b"1")
        client.take(packets)

    def _part(self, exchange: Exchange, sid: str) -> None:
        """A client says that it goes."""
        client = self._client(sid)
        if client is not None:
            client.part()
        elif not exchange.bears():
            return
        answer(exchange)

    def _refuse(self, exchange: Exchange) -> None:
        """Nobody with that id has shaken hands here."""
        self._parts.counters.http_answers += 1
        if exchange.bears():
            kind, content = OLD_FORM.payload(exchange, HELD.text(NOBODY))
            answer(exchange, content, kind=kind)

    def websocket(self, guest: Guest, head: Head) -> Any:
        """What speaks with who asks for a WebSocket; raises as `query_of` does."""
        query = query_of(head)
        found = _PATH.fullmatch(head.path)
        sid = (found.group(2) if found is not None else None) or ""
        known = self._tickets.use(sid)
        socket = self._websockets.reading(read_old)
        client = socket.connection = OldClient(
            shared=self._shared,
            sid=sid if known else self._tickets.issue(),
            framing=FRAMES[3],
            query=query,
            carrier=socket,
            address=guest.address,
            after=guest,
        )
        client.trace = read_traceparent(head.fields.get("traceparent"))
        if not known:
            client.unknown()
        return socket


def _forget(ticket: str) -> None:
    """A ticket that was used is not good any more in any case."""
