"""A client of socket.io, of whatever version: its namespaces, and what it asks there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from chatcore.connectors.encoding import REFUSED
from chatcore.connectors.guest import State
from chatcore.connectors.parts import Reply
from chatcore.connectors.socketio.carried import CarriedClient
from chatcore.connectors.socketio.encoding import SocketEncoding, encoding_of
from chatcore.connectors.socketio.socket import Socket
from chatcore.connectors.welcome import Handshake, Refused, trace_named_in
from chatcore.dispatch.calling import Waiting
from chatcore.errors import BodyError, MessageError
from chatcore.wire import composed, handshake, message
from chatcore.wire.body import Body
from chatcore.wire.message import Message

RESERVED = frozenset(("EIO", "transport", "sid", "t", "j", "b64"))
"""Fields of a query that are the protocol's own."""

TYPE = "socket.io"
"""The type that these clients have in a handshake."""

SEVERAL = "{client} emits {why} with several arguments, and is refused: put them into one object"
TOO_LONG = "{client} emits {why}…, and is refused: no route is longer than 255 characters"
NO_MESSAGE = "{client} sends a text where Pomelo's messages come in, and is refused: {why}"
NO_NAMESPACE = "{client} asks for the namespace {why}, which is not in socketio.namespaces"
"""What the log says of what is never right, and easily done."""

TURNED_AWAY = "The handshake of {client} is refused: {why}"

_LONGEST_NAME = 100
"""Characters of a name of a client's in the log."""

_LONGEST_ANSWER = 200
"""Bytes of the answer to a refused handshake that are logged."""

UNKNOWN_NAMESPACE = "Invalid namespace"
"""What socket.io says of namespaces that there are not."""


def said_in(query: Mapping[str, str]) -> dict[str, str]:
    """What a client says of itself in a query."""
    return {name: value for name, value in query.items() if name not in RESERVED}


class SocketioClient(CarriedClient):
    """A client of socket.io; those who know a version of the protocol build on this.

    It has a session in each namespace that it is connected to, nearly always one.

    Args:
        version: of the protocol, as the handshake hook is told.
        others: those of `CarriedClient`.
    """

    __slots__ = ("_asking", "_sockets", "version")

    is_old = False
    """Whether it speaks socket.io 0.9."""

    def __init__(self, *, version: str, **others: Any) -> None:
        super().__init__(**others)
        self.version = version
        self._sockets: dict[str, Socket] = {}
        self._asking: dict[str, Waiting] = {}

    @property
    def session(self) -> Any:
        """The first of its sessions."""
        return next((each.session for each in self._sockets.values() if each.session), None)

    def about(self) -> dict[str, Any]:
        return {
            "speaks": f"socket.io {self.version}" if self.is_old else "socket.io",
            "engine": None if self.is_old else self.version,
            "transport": "websocket" if self.polling is None else "polling",
            **super().about(),
        }

    # What those say who know the protocol.

    @abstractmethod
    def _say_connected(self, socket: Socket) -> None:
        """Tell it that it is in a namespace."""

    @abstractmethod
    def _say_refused(self, namespace: str, why: str, told: bytes | None = None) -> None:
        """Tell it that it is not.

        Args:
            told: what the application says to that, in JSON.
        """

    # Namespaces.

    def _connect(self, namespace: str, said: Any) -> None:
        """It wants to be in a namespace.

        Args:
            said: what it says of itself.
        """
        if namespace in self._sockets or self._state is State.LEAVING:
            return
        if namespace not in self._shared.settings.namespaces:
            self._tell(NO_NAMESPACE, f"{namespace[:_LONGEST_NAME]!r}")
            self._say_refused(namespace, UNKNOWN_NAMESPACE)
            return
        encoding = self._encoding(namespace, pomelo=False)
        socket = self._sockets[namespace] = Socket(self, namespace, encoding)
        self.trace = trace_named_in(said) or self.trace
        about = {"type": TYPE, "version": self.version, "namespace": namespace}
        shaken = Handshake(about, said, self.address)

        def consulted(user: Any, refused: Refused | None) -> None:
            self._asking.pop(namespace, None)
            if self._sockets.get(namespace) is not socket or self._state is State.CLOSED:
                return  # it did not wait for the answer
            if refused is None:
                self._connected(socket, shaken.settings)
                return
            del self._sockets[namespace]
            self._parts.counters.clients_turned_away += 1
            self._parts.counters.journal.note_node(
                "refused handshake", "the application refused it"
            )
            answer = (refused.told or b"")[:_LONGEST_ANSWER].decode("utf-8", "replace")
            self._tell(TURNED_AWAY, f"{answer} {refused.why}".strip())
            self._say_refused(namespace, refused.why, refused.told)

        waiting = self._parts.welcome.consult(shaken, consulted)
        if waiting is not None:
            self._asking[namespace] = waiting

    def _connected(self, socket: Socket, settings: Mapping[str, Any]) -> None:
        parts = self._parts
        if self._state is not State.WORKING:
            self._shook_hands()
            self._state = State.WORKING
            if parts.draining is not None:
                self._say_connected(socket)
                parts.draining.arrived(self)
                return
            if parts.idlers is not None:
                parts.idlers.start(self)
        socket.session = parts.sessions.open(socket, settings)
        if self.trace is not None:
            self._continue_trace(socket.session)
        self._say_connected(socket)

    def _disconnect(self, socket: Socket) -> None:
        """It wants to be in a namespace no more; it may connect to another then, if soon."""
        self._leave(socket, "disconnect")
        if self._sockets:
            return
        if self._state is State.WORKING:
            self._state = State.WAITING_FOR_HANDSHAKE
            if self._parts.idlers is not None:
                self._parts.idlers.stop(self)
            self._parts.handshakes.start(self)
        else:
            self.close("disconnect")

    def _leave(self, socket: Socket, reason: str) -> None:
        del self._sockets[socket.namespace]
        session, socket.session = socket.session, None
        if session is not None:
            self._parts.sessions.close(session, reason)

    # Events.

    def _event(
        self,
        socket: Socket,
        name: str,
        arguments: Sequence[msgspec.Raw],
        id: int | None,
        value: Any = None,
    ) -> None:
        """An event, which is a request where it asks for an acknowledgement.

        Args:
            arguments: in JSON.
            value: the first argument, where it has bytes in it.
        """
        now = self._parts.clock.seconds()
        if not self._listens(now):
            return
        reply = None
        if id is not None:
            self._under_way += 1
            reply = partial(self._acknowledge, socket, id, name, now)
        size = sum(len(bytes(each)) for each in arguments)
        body = bytes(arguments[0]) if arguments else b""
        if len(arguments) > 1 or len(name) > message.LONGEST_ROUTE:
            self.bears(size + len(name), now)
            self._tell(SEVERAL if len(arguments) > 1 else TOO_LONG, f"{name[:_LONGEST_NAME]!r}")
            self._refuse(socket, reply, name, "what it emits is no message")
        else:
            each = Message(message.REQUEST, 0, name, body, value)
            self._serve(socket, each, reply, size, now)

    def _composed(self, socket: Socket, text: str) -> None:
        """One of Pomelo's messages: from the first on, that is how the client is written to."""
        now = self._parts.clock.seconds()
        if not self._listens(now):
            return
        try:
            request = composed.decode(text)
        except MessageError as problem:
            self.bears(len(text), now)
            self._tell(NO_MESSAGE, str(problem))
            self._refuse(socket, None, "", "a text that is no message")
            return
        if not socket.encoding.pomelo:
            self._speak_pomelo(socket)
        reply = None
        if request.id:
            self._under_way += 1
            reply = partial(self._respond, socket, request.id, request.route, now)
        each = Message(message.REQUEST, request.id, request.route, request.body)
        self._serve(socket, each, reply, len(request.body), now)

    def _speak_pomelo(self, socket: Socket) -> None:
        """It speaks as Pomelo's library does: it is to be spoken to like that.

        Where outboxes collect for a while, it gets what they have collected in one message, as from
        Pomelo where that collects.
        """
        if self._parts.outboxes.settings.interval:
            self._hold()
        self._write_to(socket, pomelo=True)

    @property
    def _holds(self) -> bool:
        return any(socket.encoding.batches for socket in self._sockets.values())

    def _reframe(self) -> None:
        for socket in self._sockets.values():
            self._write_to(socket, pomelo=socket.encoding.pomelo)

    def _encoding(self, namespace: str, *, pomelo: bool) -> SocketEncoding:
        """How it is written to."""
        batches = pomelo and self._parts.outboxes.settings.interval > 0
        return encoding_of(
            self._framing, namespace, pomelo=pomelo, batches=batches, old=self.is_old
        )

    def _write_to(self, socket: Socket, *, pomelo: bool) -> None:
        """Write in another way to a client from now on."""
        socket.encoding = self._encoding(socket.namespace, pomelo=pomelo)
        if socket.session is not None:
            self._parts.sessions.speaks_otherwise(socket.session)

    def _listens(self, now: float) -> bool:
        if self._state is not State.WORKING:
            self.bears(now=now)
            return False
        if self._parts.idlers is not None:
            self._parts.idlers.start(self, now)
        return True

    def _serve(
        self, socket: Socket, each: Message, reply: Reply | None, size: int, now: float
    ) -> None:
        parts = self._parts
        if reply is None:
            parts.counters.notifies += 1
        else:
            parts.counters.requests += 1
        if socket.session is not None and self._may_ask(size, now, request=reply is not None):
            parts.serve(socket.session, each, reply)
        else:
            self._refuse(socket, reply, str(each.route), "a limit forbids it")

    def _refuse(self, socket: Socket, reply: Reply | None, route: str, detail: str) -> None:
        self._parts.counters.requests_refused += 1
        self._parts.counters.journal.unanswered(socket.session, "refused", route, detail)
        if reply is not None:
            reply(REFUSED)

    def _acknowledge(
        self, socket: Socket, id: int, route: str | int, asked: float, body: Body
    ) -> None:
        self._measure(route, asked, body)
        self._answer(socket, socket.encoding.acknowledgement, id, route, body)

    def _respond(self, socket: Socket, id: int, route: str | int, asked: float, body: Body) -> None:
        self._measure(route, asked, body)
        self._answer(socket, socket.encoding.response, id, route, body)

    def _answer(
        self,
        socket: Socket,
        encode: Callable[[int, Body], bytes],
        id: int,
        route: str | int,
        body: Body,
    ) -> None:
        self._under_way -= 1
        if not self.works or socket.session is None:
            return
        try:
            answer = encode(id, body)
        except BodyError as problem:
            self._parts.counters.requests_failed += 1
            self.log.error("An answer can't be sent: {problem}", problem=problem)
            self._parts.counters.journal.unanswered(socket.session, "unencodable", route)
            answer = encode(id, REFUSED)
        self.outbox.send(answer)

    # How it ends.

    def kick_from(self, socket: Socket, reason: str) -> None:
        """Tell it that it is kicked out of a namespace, and close if it is in no other."""
        if self._sockets.get(socket.namespace) is not socket:
            return
        self._parts.counters.clients_kicked += 1
        self._parts.sessions.note_kick(socket.session, reason)
        self.outbox.send(socket.kicked(handshake.encode_kick(reason)))
        self._leave(socket, reason)
        if not self._sockets:
            self._dismiss(reason)

    def _say_kicked(self, told: bytes) -> None:
        # The main one last: with it, libraries of 0.9 end everything.
        for socket in reversed(self._sockets.values()):
            self.outbox.send(socket.kicked(told))
        if self.polling is not None:
            self.polling.dismiss()

    def _end_session(self, reason: str) -> None:
        for socket in list(self._sockets.values()):
            session, socket.session = socket.session, None
            if session is not None:
                self._parts.sessions.close(session, reason)

    def _end(self, reason: str) -> None:
        if self._state is State.CLOSED:
            return
        for waiting in self._asking.values():
            self._parts.turn.at_end(waiting.call_off)
        self._asking.clear()
        super()._end(reason)
