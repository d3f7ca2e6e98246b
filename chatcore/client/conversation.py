"""The client's side of Pomelo's protocol, without a socket.

A conversation is told what came in and how time passes, and says what to send. It begins before
there is a connection, so that one deadline covers everything up to the handshake, and it ends
once, for whatever reason; then nothing that it promised is left open.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

import chatcore
from chatcore.client.dialect import Dialect, decode_json
from chatcore.client.errors import (
    Disconnected,
    HandshakeRefused,
    HeartbeatLost,
    Kicked,
    Moved,
    ProtocolBroken,
    TimedOut,
)
from chatcore.client.kept import Kept
from chatcore.deadlines import OVERSLEPT
from chatcore.errors import BodyError, HandshakeError, MessageError, PackageError, WireError
from chatcore.wire import body, handshake, message, package
from chatcore.wire.package import Package

_LONGEST_HEARTBEAT = 86_400
_LARGEST_ID = 0x7FFFFFFF  # Pomelo's JavaScript reads ids with 32-bit shifts, which have a sign.


class Wire(Protocol):
    """What carries a conversation."""

    def send(self, frame: bytes) -> None:
        """Send one frame."""

    def close(self) -> None:
        """End the connection, or the attempt to make one."""


class Listener(Protocol):
    """Whom a conversation tells what happens."""

    def happened(self, event: str, data: Any) -> None:
        """A push came, with its route as the event, or a kick, as ``onKick``."""

    def ended(self, why: Exception, worked: bool) -> None:
        """It is over; told before what still waited is failed.

        Args:
            why: the reason.
            worked: whether the handshake had been made.
        """


class _State(Enum):
    CONNECTING = auto()
    HANDSHAKE = auto()
    WORKING = auto()
    ENDED = auto()


class Conversation:
    """One connection's worth of Pomelo's protocol (package, message, handshake, heartbeat, kick).

    Args:
        clock: the reactor, or a test's clock.
        listener: whom to tell what happens.
        max_package: the longest package body accepted, in bytes.
        kept: what the server said before.
        client_type: what the handshake says that this client is.
        client_version: which version of it.
    """

    def __init__(
        self,
        *,
        clock: IReactorTime,
        listener: Listener,
        max_package: int = package.LARGEST,
        kept: Kept | None = None,
        client_type: str = "python",
        client_version: str = chatcore.__version__,
    ) -> None:
        self._clock = clock
        self._listener = listener
        self._max_package = max_package
        self._state = _State.CONNECTING
        self._names = {"type": client_type, "version": client_version}
        self._wire: Wire | None = None
        self._user: Any = None
        self._ready: Deferred[Any] = Deferred(self._abandoned)
        self._deadline: IDelayedCall | None = None
        self._heartbeat = 0.0
        self._beat: IDelayedCall | None = None
        self._silence: IDelayedCall | None = None
        self._last_heard = self._look = 0.0
        self.bytes_received = 0
        self._last_id = 0
        self._dialect = Dialect()
        self._kept = Kept({}, "") if kept is None else kept
        self._pending: dict[int, tuple[str, Deferred[Any], IDelayedCall]] = {}

    @property
    def working(self) -> bool:
        """Whether the handshake is made and the connection is up."""
        return self._state is _State.WORKING

    @property
    def _over(self) -> bool:
        return self._state is _State.ENDED

    def begin(self, wire: Wire, user: Any, timeout: float) -> Deferred[Any]:
        """Begin: the connection is being made.

        Args:
            wire: what carries the conversation.
            user: what the handshake tells the server's application.
            timeout: seconds until the handshake has to be made.

        Returns:
            The ``user`` data of the server's handshake, or what prevented it.
        """
        self._wire, self._user = wire, user
        self._deadline = self._clock.callLater(timeout, self._took_too_long, timeout)
        return self._ready

    def opened(self) -> None:
        """Take note that the connection is open: the handshake goes out."""
        if self._state is not _State.CONNECTING:
            return
        self._state = _State.HANDSHAKE
        hello: dict[str, Any] = {"sys": {**self._names, **self._kept.offer()}}
        if self._user is not None:
            hello["user"] = self._user
        try:
            self._send(package.HANDSHAKE, body.encode(hello))
        except WireError as error:
            self.end(error)

    def received(self, frame: bytes) -> None:
        """Take one frame, which holds one or more whole packages."""
        try:
            self.received_packages(package.decode_frame(frame, self._max_package))
        except WireError as error:
            self.broke(error)

    def received_packages(self, packages: Iterable[Package]) -> None:
        """Take packages, where there are no frames around them."""
        if self._over:
            return
        self._last_heard = self._clock.seconds()
        try:
            for kind, content in packages:
                self.bytes_received += package.HEAD + len(content)
                self._take(kind, content)
                if self._over:
                    return
        except WireError as error:
            self.broke(error)

    def broke(self, problem: WireError) -> None:
        """Take note that what came breaks the protocol."""
        broken = ProtocolBroken(f"the server broke the protocol: {problem}")
        broken.__cause__ = problem
        self.end(broken)

    def end(self, why: Exception) -> None:
        """End the conversation: everything that waits fails with ``why``; only the first counts."""
        if self._over:
            return
        worked, self._state = self.working, _State.ENDED
        pending, self._pending = self._pending, {}
        timers = [
            self._deadline,
            self._beat,
            self._silence,
            *(timer for _, _, timer in pending.values()),
        ]
        for timer in timers:
            if timer is not None and timer.active():
                timer.cancel()
        if self._wire is not None:
            self._wire.close()
        self._listener.ended(why, worked)
        if not self._ready.called:
            self._ready.errback(why)
        for _, waiting, _ in pending.values():
            waiting.errback(why)

    def request(self, route: str, msg: Any, timeout: float) -> Deferred[Any]:
        """Ask the server; the Deferred fires with its reply.

        Args:
            route: ``serverType.service.method``.
            msg: what JSON can express.
            timeout: seconds to wait for the reply.

        Raises:
            Disconnected: there is no connection.
            WireError: the route or the message can't be sent.
        """
        self._refuse_unless_working()
        number = self._next_id()
        code, data = self._dialect.encode(route, msg)
        self._send(package.DATA, message.encode_request(number, code, data))
        answer: Deferred[Any] = Deferred(lambda _: self._forget(number))
        timer = self._clock.callLater(timeout, self._no_answer, number, route, timeout)
        self._pending[number] = (route, answer, timer)
        return answer

    def notify(self, route: str, msg: Any) -> None:
        """Tell the server something and expect no answer; raises as :meth:`request` does."""
        self._refuse_unless_working()
        self._send(package.DATA, message.encode_notify(*self._dialect.encode(route, msg)))

    def send_raw(self, frame: bytes) -> None:
        """Send a frame of any bytes; raises Disconnected when there is no connection."""
        self._refuse_unless_working()
        assert self._wire is not None
        self._wire.send(frame)

    def _send(self, kind: int, content: bytes = b"") -> None:
        assert self._wire is not None
        self._wire.send(package.encode(kind, content))

    def _refuse_unless_working(self) -> None:
        if not self.working:
            raise Disconnected("there is no connection to a server")

    def _take(self, kind: int, content: bytes) -> None:
        if kind == package.KICK:
            self._take_kick(content)
        elif self._state is _State.HANDSHAKE:
            if kind != package.HANDSHAKE:
                raise PackageError(
                    f"a {package.NAMES[kind]} package where the handshake's reply was due"
                )
            self._take_handshake(content)
        elif kind == package.HEARTBEAT:
            if self._heartbeat and not (self._beat and self._beat.active()):
                self._beat = self._clock.callLater(self._heartbeat, self._send, package.HEARTBEAT)
        elif kind == package.DATA:
            self._take_message(message.decode(content))
        else:
            raise PackageError(f"a {package.NAMES[kind]} package after the handshake")

    def _take_handshake(self, content: bytes) -> None:
        reply = decode_json(content)
        code = reply.get("code") if isinstance(reply, dict) else None
        if code != handshake.OK:
            if not isinstance(code, int):
                raise HandshakeError("a handshake's reply without a code")
            self.end(HandshakeRefused(code))
            return
        sys = reply.get("sys")
        if isinstance(sys, dict):
            self._heartbeat = _seconds(sys.get("heartbeat"))
            self._dialect = self._kept.agree(sys)
        self._send(package.ACK)
        self._state = _State.WORKING
        if self._deadline is not None:
            self._deadline.cancel()
        if self._heartbeat:
            self._listen_in(2 * self._heartbeat)
        self._ready.callback(reply.get("user"))

    def _take_kick(self, content: bytes) -> None:
        try:
            data = decode_json(content)
        except BodyError:
            data = {}
        self._listener.happened("onKick", data)
        why = Kicked(data)
        self.end(Moved(data) if why.reason == handshake.MOVED else why)

    def _take_message(self, came: message.Message) -> None:
        if came.kind == message.RESPONSE:
            if came.id in self._pending:
                route, answer, timer = self._pending[came.id]
                value = self._dialect.decode(route, came.body)
                del self._pending[came.id]
                timer.cancel()
                answer.callback(value)
            return
        if came.kind != message.PUSH:
            raise MessageError("a request from the server")
        route = self._dialect.route(came.route)
        self._listener.happened(route, self._dialect.decode(route, came.body))

    def _listen(self) -> None:
        """Give up when the server was silent for two heartbeats."""
        now = self._clock.seconds()
        left = self._last_heard + 2 * self._heartbeat - now
        if now - self._look > OVERSLEPT:
            self._listen_in(0)  # this process was held up: read first what came meanwhile
        elif left <= 0:
            self.end(HeartbeatLost(f"nothing came from the server for {2 * self._heartbeat:g} s"))
        else:
            self._listen_in(left)

    def _listen_in(self, seconds: float) -> None:
        self._look = self._clock.seconds() + seconds
        self._silence = self._clock.callLater(seconds, self._listen)

    def _took_too_long(self, timeout: float) -> None:
        what = "no connection" if self._state is _State.CONNECTING else "no answer to the handshake"
        self.end(TimedOut(f"{what} within {timeout:g} s"))

    def _no_answer(self, number: int, route: str, timeout: float) -> None:
        _, answer, _ = self._pending.pop(number)
        answer.errback(TimedOut(f"no answer to {route} within {timeout:g} s"))

    def _forget(self, number: int) -> None:
        entry = self._pending.pop(number, None)
        if entry is not None:
            entry[2].cancel()

    def _abandoned(self, _: Deferred[Any]) -> None:
        self.end(Disconnected("given up before the handshake was made"))

    def _next_id(self) -> int:
        number = self._last_id % _LARGEST_ID + 1
        while number in self._pending:
            number = number % _LARGEST_ID + 1
        self._last_id = number
        return number


def _seconds(given: Any) -> float:
    if given is None:
        return 0.0
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise HandshakeError("a heartbeat that is not a number")
    if not 0 <= given <= _LONGEST_HEARTBEAT:
        raise HandshakeError(f"a heartbeat of {given} seconds")
    return float(given)
