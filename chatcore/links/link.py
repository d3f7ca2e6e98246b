"""One link: boxes in, boxes out, calls and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from typing import Protocol as Shape

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.deadlines import Deadlines, IClock, Timeouts
from chatcore.errors import (
    BoxError,
    CallTimedOut,
    IdentityError,
    LinkLost,
    NotConnected,
    RemoteRaised,
    RemoteRefused,
    RpcError,
)
from chatcore.links.outgoing import Outgoing
from chatcore.links.settings import LinkSettings
from chatcore.links.tapping import whole
from chatcore.links.tls import LinkTls, explained
from chatcore.telemetry import Counters
from chatcore.turn import Turn, write_now
from chatcore.wire.box import END, Box, BoxParser, item

Responder = Callable[["Link", Box, bytes | None], None]
"""Acts on a command: the link it came on, the box, and what to answer to, if anything."""

Done = Callable[[Box | None, RpcError | None], None]
"""Told how a call ended: the box of the answer, or why there is none."""

PING = item(b"_command", b"Ping")

PINGED = "ping"
"""What is asked by a ping, for the texts of errors."""

LONGEST_WHY = 1000
"""Characters of why a call failed that are told to who called.

What is told is quoted in what that one tells in turn, and quoting twice more than doubles it.
"""

NOTHING_RAN = ("REFUSED", "UNHANDLED")
"""The codes of errors that are only sent before a method is called."""


def remote_problem(peer: str, what: str, code: str, why: str) -> RpcError:
    """What an error that a peer answered means to who called."""
    if code == "RAISED":
        error_id, _, why = why.partition(" ")
        return RemoteRaised(peer, what, f"the remote raised {why}", error_id)
    text = f"refused ({code}): {why}"
    return RemoteRefused(peer, what, text, nothing_ran=code in NOTHING_RAN)


def too_long(peer: str, what: str, size: int) -> RemoteRefused:
    """A call that does not fit into a box."""
    text = f"{size} bytes are too many for a box"
    return RemoteRefused(peer, what, text, nothing_ran=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkParts:
    """What all links of a node share.

    Attributes:
        tls: the certificates that they show; None where they are not encrypted.
    """

    turn: Turn
    clock: IClock
    settings: LinkSettings
    counters: Counters
    responders: Mapping[bytes, Responder]
    tls: LinkTls | None = None
    outgoing: Outgoing = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "outgoing", Outgoing(self.turn))


class LinkTap(Shape):
    """Is shown what passes on a link that is proven: whole boxes, as they are on the wire.

    It is called for each write and for each read, so it has to be quick, and must not raise.
    """

    def sent(self, link: Link, data: bytes, boxes: int) -> None:
        """So many boxes leave now."""

    def came(self, link: Link, data: bytes, boxes: int) -> None:
        """So many boxes have come, and are about to be acted on."""


@implementer(IPushProducer)
class Link(Protocol):
    """An AMP connection to one other node.

    Until `proven` is called, boxes go to ``greet`` and nowhere else.

    Args:
        parts: what it shares with the node's other links.
        limit: how many bytes are taken before the other side has proven itself.
        greet: acts on a command before the link is proven.
        made: told when the connection is there.
        lost: told when the connection is gone.
        broken: told what is wrong with bytes that broke it before it was proven, and given them.

    Attributes:
        silent: whether it was given up because nothing had come for too long.
        ended: why this side gave it up; empty where it did not, or had no reason of its own.
        came: bytes that have come.
        went: bytes that were written.
        tap: shown all boxes that come and go from now on, if anybody is.
    """

    log = Logger()
    transport: Any
    tap: LinkTap | None = None

    def __init__(
        self,
        *,
        parts: LinkParts,
        limit: int,
        greet: Callable[[Link, Box, bytes | None], None],
        made: Callable[[Link], None],
        lost: Callable[[Link, Failure], None],
        broken: Callable[[Link, BoxError, bytes], None] = lambda link, problem, data: None,
    ) -> None:
        self._broken = broken
        self.peer = ""
        self.peer_incarnation = ""
        self.peer_remotes: Mapping[str, str] = {}
        self.up = self.silent = False
        self._parts = parts
        self._greet, self._made, self._lost = greet, made, lost
        self._responders = parts.responders
        self._parser = BoxParser(limit)
        self._trusted = False
        self._may_take = limit
        self._last_ask = 0
        self._calls: dict[bytes, tuple[str, Done, Deadlines]] = {}
        self._timeouts = Timeouts(parts.clock, self._timed_out)
        self._queue: list[bytes] = []
        self._queued = 0
        self.tells = self.answers = False
        self._blocked = False
        self._over = False
        self.last_heard = parts.clock.seconds()
        self.round_trip: float | None = None
        self.ended = ""
        self.came = self.went = 0

    def __repr__(self) -> str:
        return f"<link to {self.peer or 'somebody unproven'}{'' if self.up else ', not up'}>"

    # What others do with it.

    @property
    def crowded(self) -> bool:
        """Whether so much waits on it that pushes are shed."""
        return self._blocked and self._queued > self._parts.settings.queue_bytes / 2

    @property
    def overloaded(self) -> bool:
        """Whether so much waits on it that calls fail, too."""
        return self._blocked and self._queued > self._parts.settings.queue_bytes

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more can wait on it without that calls fail."""
        return not self._blocked or self._queued + size <= self._parts.settings.queue_bytes

    @property
    def blocked(self) -> bool:
        """Whether the other side does not take what is written just now."""
        return self._blocked

    @property
    def queued(self) -> int:
        """Bytes that wait to be written."""
        return self._queued

    @property
    def under_way(self) -> int:
        """How many commands of this side wait for their answer."""
        return len(self._calls)

    def trust(self) -> None:
        """The other side knows the secret; what it sends may be as long as on any link."""
        self._trusted = True
        self._parser.limit = self._parts.settings.box_bytes

    def proven(self, peer: str, incarnation: str, remotes: Mapping[str, str]) -> None:
        """The hello is through; from now on it serves everything."""
        self.peer, self.peer_incarnation, self.peer_remotes = peer, incarnation, remotes
        self.trust()
        self.up = True

    def serve(self, responders: Mapping[bytes, Responder]) -> None:
        """Act on these commands from now on, and on no others."""
        self._responders = responders

    def ask(
        self,
        payload: bytes,
        done: Done,
        what: str,
        timeout: float | None = None,
        *,
        always: bool = False,
    ) -> None:
        """Send a command and be told its answer.

        Args:
            payload: the encoded items of the box, the command first.
            done: called once, with the answer or with an `RpcError`.
            what: what is called, for the error's text.
            timeout: seconds; the settings' ``call_timeout`` where None.
            always: whether also while so much waits on the link that calls fail.
        """
        if self._over or (self.overloaded and not always):
            self._parts.counters.calls_failed += 1
            done(None, self._unwritable(what))
            return
        key = b"%x" % (self._last_ask + 1)
        data = item(b"_ask", key) + payload + END
        if self._too_long(data):
            self._parts.counters.calls_failed += 1
            done(None, too_long(self.peer, what, len(data)))
            return
        self._last_ask += 1
        seconds = self._parts.settings.call_timeout if timeout is None else timeout
        self._calls[key] = (what, done, self._timeouts.start(key, seconds))
        self.write(data)

    def when_read(self, then: Callable[[], None]) -> None:
        """Call ``then`` once the other side has read all that was written, or the link is lost."""
        self.ask(PING, lambda box, problem: then(), PINGED, 0, always=True)

    def tell(self, payload: bytes, what: str) -> RpcError | None:
        """Send a command that has no answer.

        Args:
            payload: the encoded items of the box, the command first.
            what: what is called, for the error's text.

        Returns:
            Why it was not sent; None where it was.
        """
        problem: RpcError | None = None
        data = payload + END
        if self._over or self.overloaded:
            problem = self._unwritable(what)
        elif self._too_long(data):
            problem = too_long(self.peer, what, len(data))
        else:
            self.write(data)
        if problem is not None:
            self._parts.counters.calls_failed += 1
        return problem

    def answer(self, ask: bytes, payload: bytes) -> None:
        """Answer a command with the encoded items of the response."""
        data = item(b"_answer", ask) + payload + END
        if self._too_long(data):
            self.refuse(ask, b"FAILED", f"an answer of {len(data)} bytes is too long for a box")
        else:
            self._write_answer(data)

    def refuse(self, ask: bytes, code: bytes, description: str) -> None:
        """Answer a command with an error."""
        self._write_answer(
            item(b"_error", ask)
            + item(b"_error_code", code)
            + item(b"_error_description", description[:LONGEST_WHY].encode("utf-8", "replace"))
            + END
        )

    def write(self, data: bytes) -> None:
        """Queue an encoded box; all that a turn wrote leaves in one write at its end."""
        self.tells = True
        self._enqueue(data)

    def _write_answer(self, data: bytes) -> None:
        self._parts.outgoing.answer(self)
        self.answers = True
        self._enqueue(data)

    def _enqueue(self, data: bytes) -> None:
        if self._over:
            return
        if not self._queue:
            self._parts.outgoing.add(self)
        self._queue.append(data)
        self._queued += len(data)
        if self._blocked and self._queued > 2 * self._parts.settings.queue_bytes:
            # Not even what must not be shed gets through. A new link begins with what holds then.
            self.log.warn("{link} has been blocked for too long", link=self)
            self.abort("too much waited on it while it was blocked")

    def ping(self) -> None:
        """Ask whether the other side is there; give the link up if it has long been silent."""
        clock, settings = self._parts.clock, self._parts.settings
        sent = clock.seconds()
        if sent - self.last_heard > settings.ping_timeout:
            self.log.warn("{link} has been silent for too long", link=self)
            self.silent = True
            self.abort("nothing came for too long")
            return

        def done(box: Box | None, problem: RpcError | None) -> None:
            if box is not None:
                self.round_trip = clock.seconds() - sent
                self._parts.counters.link_round_trip_seconds.add(self.round_trip)

        self.ask(PING, done, PINGED)

    def close(self) -> None:
        """Send what waits, then close. What comes in from now on is ignored."""
        self._over = True
        if self.transport is not None:
            self._blocked = False
            self.flush()
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self, why: str = "") -> None:
        """Close at once. What comes in from now on is ignored.

        Args:
            why: for those who look.
        """
        self._over, self.ended = True, self.ended or why
        if self.transport is not None:
            self.transport.abortConnection()

    # What Twisted calls.

    def connectionMade(self) -> None:
        for option in ("setTcpNoDelay", "setTcpKeepAlive"):
            set_option = getattr(self.transport, option, None)
            if set_option is not None:
                set_option(True)
        self.transport.registerProducer(self, True)
        self._made(self)

    def dataReceived(self, data: bytes) -> None:
        if self._over:
            return
        self.last_heard = self._parts.clock.seconds()
        self.came += len(data)
        tap = self.tap
        held = 0 if tap is None else self._parser.waiting
        try:
            if not self._trusted:
                self._take(data)
            boxes = self._parser.feed(data)
        except BoxError as problem:
            if self.peer:
                self.log.warn("{link} is closed: {problem}", link=self, problem=problem)
            else:
                self._broken(self, problem, data)
            self.abort(str(problem))
            return
        if tap is not None and boxes:
            tap.came(self, whole(data, boxes[0], held, self._parser.waiting), len(boxes))
        for box in boxes:
            if self._over:
                return
            self._received(box)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        reason = explained(self.transport, reason)
        why = str(reason.value) if reason.check(IdentityError) else None
        self.transport = None
        self.up, self._over = False, True
        self._queue.clear()
        self._queued = 0
        self._timeouts.clear()
        calls, self._calls = self._calls, {}
        self._parts.counters.calls_failed += len(calls)
        for key, (what, done, deadlines) in calls.items():
            deadlines.stop(key)
            self._tell(done, None, LinkLost(self.peer, what, why))
        self._lost(self, reason)

    def pauseProducing(self) -> None:
        self._blocked = True

    def resumeProducing(self) -> None:
        self._blocked = False
        self.flush()

    def stopProducing(self) -> None:
        pass

    # Its own.

    def _take(self, data: bytes) -> None:
        # Also of boxes that are whole: reading them costs time, however small they are.
        self._may_take -= len(data)
        if self._may_take < 0:
            raise BoxError(f"more than {self._parser.limit} bytes before it has proven itself")

    def _unwritable(self, what: str) -> NotConnected:
        return NotConnected(self.peer, what, "the link is blocked" if self.overloaded else None)

    def _too_long(self, data: bytes) -> bool:
        # The other side would close the link over such a box, and everybody's calls with it.
        return len(data) - len(END) > self._parts.settings.box_bytes

    def flush(self) -> None:
        """Write what is queued, unless the other side can't take it now."""
        if self._blocked or not self._queue or self.transport is None:
            return
        data = b"".join(self._queue)
        if self.tap is not None:
            self.tap.sent(self, data, len(self._queue))
        self._queue.clear()
        self.went += self._queued
        self._queued = 0
        self.tells = self.answers = False
        write_now(self.transport, data)

    def _received(self, box: Box) -> None:
        name = box.get(b"_command")
        if name is None:
            self._ended(box)
            return
        ask = box.get(b"_ask")
        if not self.up:
            self._greet(self, box, ask)
            return
        responder = self._responders.get(name)
        try:
            if responder is not None:
                responder(self, box, ask)
            elif name == b"Ping":
                if ask is not None:
                    self.answer(ask, b"")
            elif ask is not None:
                command = name.decode("utf-8", "replace")
                self.refuse(ask, b"UNHANDLED", f"there is no command {command}")
        except BaseException as problem:
            # A bad box is its sender's trouble; the link stays for everybody else.
            self.log.failure("{link} brought a bad {name} box", link=self, name=name)
            if ask is not None:
                self.refuse(ask, b"FAILED", f"a bad box: {problem!r}")

    def _ended(self, box: Box) -> None:
        key = box.get(b"_answer")
        if key is None:
            key = box.get(b"_error", b"")
        call = self._calls.pop(key, None)
        if call is None:
            return  # too late, or never asked
        what, done, deadlines = call
        if what != PINGED and (seconds := deadlines.passed(key, self.last_heard)) is not None:
            self._parts.counters.call_seconds.add(seconds)
        deadlines.stop(key)
        if b"_answer" in box:
            self._tell(done, box, None)
            return
        self._parts.counters.calls_failed += 1
        code = box.get(b"_error_code", b"UNKNOWN").decode("utf-8", "replace")
        why = box.get(b"_error_description", b"").decode("utf-8", "replace")
        self._tell(done, None, remote_problem(self.peer, what, code, why))

    def _timed_out(self, key: Any) -> None:
        what, done, _ = self._calls.pop(key)
        self._parts.counters.calls_failed += 1
        self._tell(done, None, CallTimedOut(self.peer, what))

    def _tell(self, done: Done, box: Box | None, problem: RpcError | None) -> None:
        try:
            done(box, problem)
        except Exception:
            # The caller's trouble; the link, and who else waits on it, have no part in it.
            self.log.failure("{link}: a caller can't take how its call ended", link=self)
