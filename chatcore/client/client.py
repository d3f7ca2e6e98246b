"""A client of chatcore, or of Pomelo, for bots and for tests."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger

import chatcore
from chatcore.client.conversation import Conversation
from chatcore.client.dialing import Dialing
from chatcore.client.errors import Disconnected, HeartbeatLost, Moved, ProtocolBroken
from chatcore.client.following import Find, Following, HostAndPort
from chatcore.client.kept import Kept
from chatcore.client.places import Place, parse_url
from chatcore.client.socket import Socket
from chatcore.client.stream import Stream
from chatcore.config.addresses import is_wildcard
from chatcore.errors import ChatcoreError
from chatcore.wire import package

Listener = Callable[[Any], object]

MAX_FRAME = package.LARGEST + package.HEAD

REQUEST_TIMEOUT = 15.0
"""Seconds to wait for a reply; a server gives its handlers less, so that it answers first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """How a connection is made, but for where to."""

    user: Any
    timeout: float
    trust: Any
    endpoint: IStreamClientEndpoint | None
    names: dict[str, str]


class Client:
    """A client with the calls of Pomelo's own: init, request, notify, on, disconnect.

    One client has one connection at a time. After :meth:`disconnect` it may :meth:`init` another,
    as somebody does who asks a gate for a connector; what was given to :meth:`on` stays.

    Args:
        reactor: the reactor.
        max_frame: the longest frame accepted from a server, in bytes.
        cache: where to keep what servers say of route codes and schemas, by their addresses, so
            that they need not say it again: a dict that several clients share, say, or one that
            is loaded from a file of JSON and saved there.
        chance: where numbers from 0 to 1 come from, for waits that differ from client to client.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        reactor: Any,
        max_frame: int = MAX_FRAME,
        cache: MutableMapping[str, Any] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._reactor = reactor
        self._chance = chance
        self._cache = {} if cache is None else cache
        self._max_frame = max_frame
        self._listeners: dict[str, list[Listener]] = {}
        self._conversation: Conversation | None = None
        self._following: Following | None = None
        self._place = Place("ws", "127.0.0.1", 80)
        self._sockets: set[Dialing] = set()

    @property
    def connected(self) -> bool:
        """Whether the handshake is made and the connection is up."""
        return self._conversation is not None and self._conversation.working

    @property
    def bytes_received(self) -> int:
        """Bytes of Pomelo's protocol that came over this connection; 0 without one."""
        return 0 if self._conversation is None else self._conversation.bytes_received

    def init(
        self,
        *,
        url: str | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        user: Any = None,
        timeout: float = 10.0,
        endpoint: IStreamClientEndpoint | None = None,
        trust: Any = None,
        client_type: str = "python",
        client_version: str = chatcore.__version__,
        follow: bool | Find = False,
    ) -> Deferred[Any]:
        """Connect and make the handshake.

        Args:
            url: where and how, as in ``wss://chat.example.org:3010``: by WebSocket with ``ws`` or
                ``wss``, by plain TCP with ``tcp`` or ``tls``; of each pair, the second encrypts.
            host: the server's host name or address, for WebSocket without a ``url``.
            port: its client port; needed unless ``url`` or ``endpoint`` is given.
            user: what the handshake tells the server's application.
            timeout: seconds until it has to be done.
            endpoint: how to connect instead of to that place.
            trust: whose certificates are accepted, as Twisted's `trustRootFromCertificates` makes
                it; those that the system trusts unless given.
            client_type: what the handshake says that this client is: ``sys.type``.
            client_version: which version of it: ``sys.version``.
            follow: whether to go on by itself where a server that is emptied sends this client:
                there, then by the function, if one is given, which finds a server. It returns the
                host and the port, or what gives them when it is awaited; to ask a gate, it has to
                take another `Client`. The application is told by ``reconnect`` that it has to log
                in again.

        Returns:
            The ``user`` data of the server's handshake; None when it has none.

        Raises:
            ConnectFailed: there is no server, or none whose certificate is accepted.
            ValueError: that is no URL.
            HandshakeRefused: the server doesn't want this client.
            TimedOut: it took too long.
            Disconnected: the connection ended, or was made already.
        """
        if not self.connected:
            self._stop_following()
        if self._conversation is not None:
            return fail(Disconnected("there is a connection already; disconnect() it first"))
        if url is not None:
            place = parse_url(url)
        elif port is not None or endpoint is not None:
            place = Place("ws", host, port or 80)
        else:
            raise TypeError("init() needs a url, a port or an endpoint")
        names = {"client_type": client_type, "client_version": client_version}
        how = _How(user=user, timeout=timeout, trust=trust, names=names, endpoint=endpoint)
        self._place = place
        if follow:
            self._following = Following(
                clock=self._reactor,
                chance=self._chance,
                connect=lambda named: self._connect_anew(how, named),
                find=None if follow is True else follow,
                came=lambda told: self._emit("reconnect", told),
                gave_up=lambda why: self._emit("disconnect", why),
            )
        return self._connect(how, endpoint)

    async def _connect_anew(self, how: _How, named: HostAndPort | None) -> dict[str, Any]:
        endpoint = how.endpoint
        if named is not None:
            host, port = named
            host = self._place.host if is_wildcard(host) else host
            self._place, endpoint = replace(self._place, host=host, port=port), None
        user = await self._connect(how, endpoint)
        return {"host": self._place.host, "port": self._place.port, "user": user}

    def _connect(self, how: _How, endpoint: IStreamClientEndpoint | None) -> Deferred[Any]:
        place = self._place
        if endpoint is None:
            endpoint = place.endpoint(self._reactor, how.timeout, how.trust)
        conversation = Conversation(
            clock=self._reactor,
            listener=_Listener(self),
            max_package=min(self._max_frame, package.LARGEST),
            kept=Kept(self._cache, place.url),
            **how.names,
        )
        socket: Socket | Stream
        if place.is_websocket:
            socket = Socket(
                reactor=self._reactor,
                endpoint=endpoint,
                url=place.url,
                receiver=conversation,
                max_frame=self._max_frame,
            )
        else:
            socket = Stream(
                reactor=self._reactor,
                endpoint=endpoint,
                receiver=conversation,
                max_package=min(self._max_frame, package.LARGEST),
            )
        self._conversation = conversation
        self._sockets.add(socket)
        socket.gone().addCallback(lambda _: self._sockets.discard(socket))
        ready = conversation.begin(socket, how.user, how.timeout)
        socket.dial()
        return ready

    def request(
        self, route: str, msg: Any = None, *, timeout: float = REQUEST_TIMEOUT
    ) -> Deferred[Any]:
        """Ask the server; it goes out at once, whether or not the result is awaited.

        Args:
            route: ``serverType.service.method``.
            msg: what JSON can express; an empty object unless given.
            timeout: seconds to wait for the reply.

        Returns:
            The reply, whatever its ``code``.

        Raises:
            Disconnected: there is no connection, or it ended before the reply came.
            TimedOut: no reply came in time.
            WireError: the route or the message can't be sent.
        """
        try:
            return self._current().request(route, {} if msg is None else msg, timeout)
        except ChatcoreError as error:
            return fail(error)

    def notify(self, route: str, msg: Any = None) -> None:
        """Tell the server something that needs no answer.

        Raises:
            Disconnected: there is no connection.
            WireError: the route or the message can't be sent.
        """
        self._current().notify(route, {} if msg is None else msg)

    def send_raw(self, frame: bytes) -> None:
        """Send any bytes, in a frame if by WebSocket, to see what a server makes of them.

        Raises:
            Disconnected: there is no connection.
        """
        self._current().send_raw(frame)

    def on(self, event: str, listener: Listener) -> None:
        """Call ``listener`` with the data of each ``event``.

        Events are the routes of pushes, and ``onKick`` with what the kick holds, ``disconnect``
        with the reason when a connection ends that had made its handshake, and before that
        ``error`` with the reason where it ended by a mistake of the server or by its silence.

        A server that is emptied sends its clients elsewhere: ``moved`` has the ``host`` and the
        ``port``, or None for both. A client that follows by itself then tells ``reconnect``, with
        those and the ``user`` data of the handshake, when the application has to log in again; and
        ``disconnect`` only if it finds no server.

        A listener may be async. What it raises is logged.
        """
        self._listeners.setdefault(event, []).append(listener)

    def off(self, event: str, listener: Listener | None = None) -> None:
        """Stop calling ``listener``, or every listener, for ``event``."""
        if listener is None:
            self._listeners.pop(event, None)
        elif listener in self._listeners.get(event, ()):
            self._listeners[event].remove(listener)

    def disconnect(self) -> Deferred[None]:
        """End the connection; what still waits fails. Fires when nothing is left of it."""
        self._stop_following()
        if self._conversation is not None:
            self._conversation.end(Disconnected("disconnect() was called"))
        return self.closed()

    def closed(self) -> Deferred[None]:
        """Return a Deferred that fires when nothing is left of any connection so far."""
        every = gatherResults([socket.gone() for socket in self._sockets], consumeErrors=True)
        return every.addCallback(lambda _: None)

    def _current(self) -> Conversation:
        if self._conversation is None:
            raise Disconnected("there is no connection to a server")
        return self._conversation

    def _ended(self, why: Exception, worked: bool) -> None:
        self._conversation = None
        if not worked:
            return
        if isinstance(why, HeartbeatLost | ProtocolBroken):
            self._emit("error", why)
        if isinstance(why, Moved):
            host, port = why.place or (None, None)
            following = self._following
            self._emit("moved", {"host": host, "port": port})
            if following is not None:
                if following is self._following:  # or it was told to go elsewhere, or nowhere
                    following.go_on(why)
                return
        self._emit("disconnect", why)

    def _stop_following(self) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.stop()

    def _emit(self, event: str, data: Any) -> None:
        for listener in tuple(self._listeners.get(event, ())):
            try:
                result = listener(data)
                if isinstance(result, Coroutine):
                    result = Deferred.fromCoroutine(result)
            except Exception:
                self._log.failure("a listener for {event!r} raised", event=event)
                continue
            if isinstance(result, Deferred):
                result.addErrback(self._listener_failed, event)

    def _listener_failed(self, failure: Any, event: str) -> None:
        self._log.failure("a listener for {event!r} raised", failure, event=event)


class _Listener:
    """Passes on what a conversation tells, without making it a part of the client's calls."""

    def __init__(self, client: Client) -> None:
        self.happened = client._emit
        self.ended = client._ended
