"""What a node does for other nodes: handlers for forwarded requests, remotes, channels' members."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.deadlines import IClock
from chatcore.dispatch.dispatcher import (
    FAILED,
    OWN_SERVICES,
    Dispatcher,
)
from chatcore.dispatch.reasons import in_words, reason_of
from chatcore.errors import (
    BodyError,
    NoSuchServer,
    NotConnected,
    RemoteRaised,
    RemoteRefused,
    RpcError,
    SessionError,
)
from chatcore.links.link import Link, Responder, too_long
from chatcore.links.settings import LinkSettings
from chatcore.links.table import LinkTable
from chatcore.node.answers import NOBODY, AfterPushes, Answer, LinkAnswer, OwnCalls, Tracked
from chatcore.node.incoming import EXPECTED, Incoming
from chatcore.node.moves import Moves
from chatcore.node.replies import FAILED_VALUE, UNREADABLE
from chatcore.sessions.copy import FarHome, SessionCopy, import_copy
from chatcore.telemetry import Counters
from chatcore.tracing import OFF, Kind, Span, Tracer, trace_item
from chatcore.wire import body
from chatcore.wire.box import Box, item, join
from chatcore.wire.values import UNPACKABLE, pack, unpack

CALL = item(b"_command", b"Call")
CALL_NOTIFY = item(b"_command", b"CallNotify")

SESSIONS = f"{OWN_SERVICES}sessions"

DEEPEST = 20
"""Calls of a node to itself that may stand one inside the other: Python's stack has an end."""


class Backend:
    """Answers other nodes.

    Args:
        id: of this node.
        type_of: the server type of a server, None where the view has no such server.
        fingerprints: of the remotes known here, by server type, service and method.
        incoming: makes the calls that this node is asked to make.
        tracer: told of what is followed.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str,
        type_of: Callable[[str], str | None],
        fingerprints: Mapping[tuple[str, str, str], str],
        dispatcher: Dispatcher,
        moves: Moves,
        links: LinkTable,
        incoming: Incoming,
        settings: LinkSettings,
        most: int,
        counters: Counters,
        clock: IClock,
        tracer: Tracer = OFF,
    ) -> None:
        self.id, self._tracer = id, tracer
        self._type_of = type_of
        self._fingerprints = fingerprints
        self._dispatcher = dispatcher
        self._moves, self._under_way = moves, moves.under_way
        self._admit = moves.arrivals.admit
        self._links = links
        self._incoming = incoming
        self._settings = settings
        self._most = most
        self._counters = counters
        self._clock = clock
        self._own = OwnCalls(id, clock, counters)
        self._depth = 0
        self._homes: dict[str, tuple[str, FarHome]] = {}

    def stop(self) -> None:
        """Forget the timers."""
        self._own.stop()

    def responders(self) -> Mapping[bytes, Responder]:
        """The commands that every node acts on."""
        return {
            b"Forward": self._forward,
            b"ForwardNotify": self._forward,
            b"Call": self._call,
            b"CallNotify": self._call,
        }

    def send(self, server_id: str, service: str, method: str, args: Sequence[Any]) -> Deferred[Any]:
        """Call a remote, here or elsewhere.

        Raises:
            TypeError: an argument can't cross a link; nothing was sent.
        """
        packed = self.pack(f"{service}.{method}", args)
        return self.send_packed(server_id, service, method, packed)

    def pack(self, what: str, args: Sequence[Any]) -> bytes:
        """Arguments as they cross a link.

        Raises:
            TypeError: one of them can't.
        """
        try:
            return pack(args)
        except UNPACKABLE as problem:
            raise TypeError(f"arguments of {what} can't cross a link: {problem}") from None

    def send_packed(
        self,
        server_id: str,
        service: str,
        method: str,
        packed: bytes,
        *,
        notify: bool = False,
        timeout: float | None = None,
        key: str | None = None,
    ) -> Deferred[Any]:
        """Call a remote, here or elsewhere, with packed arguments.

        Args:
            notify: whether nobody waits for an answer; the Deferred gives None once it is sent.
            timeout: seconds; ``links.call_timeout`` where None.
            key: by which the server was chosen, if by one.
        """
        what = f"{service}.{method}"
        span = self._tracer.current() if self._tracer.active else None
        if span is not None:
            span = span.child(what, "call", server=server_id, notify=notify, bytes=len(packed))
        sent = self._send_packed(server_id, what, packed, notify, timeout, key, span)
        return sent if span is None else sent.addBoth(_call_ended, span)

    def _send_packed(
        self,
        server_id: str,
        what: str,
        packed: bytes,
        notify: bool,
        timeout: float | None,
        key: str | None,
        span: Span | None,
    ) -> Deferred[Any]:
        if server_id == self.id:
            return self._send_here(what, packed, notify, timeout, key, span)
        link = self._links.get(server_id)
        if link is None:
            called: Deferred[Any] = Deferred()

            def linked(link: Link | None) -> None:
                if link is None:
                    self._unsent(self._missing(server_id, what)).chainDeferred(called)
                else:
                    sent = self._send_to(link, what, packed, notify, timeout, key, span)
                    sent.chainDeferred(called)

            if self._links.wait_for(server_id, linked):
                return called
            return self._unsent(self._missing(server_id, what))
        return self._send_to(link, what, packed, notify, timeout, key, span)

    def _send_to(
        self,
        link: Link,
        what: str,
        packed: bytes,
        notify: bool,
        timeout: float | None,
        key: str | None,
        span: Span | None,
    ) -> Deferred[Any]:
        """Call a remote of the node at the other end of a link."""
        server_id = link.peer
        service, _, method = what.rpartition(".")
        mine = self._fingerprints.get((self._type_of(server_id) or "", service, method))
        theirs = link.peer_remotes.get(what)
        if mine and theirs and mine != theirs:
            why = "it is declared differently there"
            return self._unsent(RemoteRefused(server_id, what, why, nothing_ran=True))
        payload = (
            item(b"service", service.encode())
            + item(b"method", method.encode())
            + item(b"args", packed)
            + self._moves.stamp(key)
        )
        if span is not None:
            payload += trace_item(span)
        if notify:
            problem = link.tell(CALL_NOTIFY + payload, what)
            return succeed(None) if problem is None else fail(problem)
        called: Deferred[Any] = Deferred()
        link.ask(CALL + payload, partial(_answered, called, server_id, what), what, timeout)
        return called

    def home(self, frontend: str) -> FarHome:
        """Where the sessions of another frontend live.

        Raises:
            NotConnected: it can't be told which life of the frontend is meant.
        """
        link = self._links.get(frontend)
        if link is None:
            raise NotConnected(frontend, "its sessions")
        return self._home(link)

    def under_way(self, server_id: str) -> int:
        """How many requests and calls of this node wait for a server's answer."""
        if server_id == self.id:
            return self._own.under_way
        link = self._links.get(server_id)
        return 0 if link is None else link.under_way

    def _missing(self, server_id: str, what: str) -> RpcError:
        known = self._type_of(server_id) is not None
        return NotConnected(server_id, what) if known else NoSuchServer(server_id, what)

    def _unsent(self, problem: RpcError) -> Deferred[Any]:
        self._counters.calls_failed += 1
        return fail(problem)

    def _home(self, link: Link) -> FarHome:
        """Where the sessions of a frontend live: this life of it, for the next counts anew."""
        frontend, incarnation = link.peer, link.peer_incarnation
        known, home = self._homes.get(frontend, (None, None))
        if home is None or known != incarnation:
            home = FarHome(partial(self._ask_home, frontend, incarnation))
            gone = [id for id in self._homes if not self._links.knows(id)]
            for id in gone:
                del self._homes[id]
            self._homes[frontend] = incarnation, home
        return home

    async def _ask_home(self, frontend: str, incarnation: str, method: str, *args: Any) -> Any:
        link = self._links.get(frontend)
        if link is not None and link.peer_incarnation != incarnation:
            raise SessionError(f"{frontend} has started anew; its sessions are gone")
        return await self.ask_sessions(frontend, method, *args)

    async def ask_sessions(self, frontend: str, method: str, *args: Any) -> Any:
        """Ask a frontend, maybe this one, something about its sessions.

        Raises:
            SessionError: as the frontend raised it.
            RpcError: there was no answer.
        """
        try:
            return await self.send(frontend, SESSIONS, method, args)
        except RemoteRaised as problem:
            if problem.error_id != EXPECTED:
                raise
            raise SessionError(str(problem)) from None

    def _send_here(
        self,
        what: str,
        packed: bytes,
        notify: bool,
        timeout: float | None,
        key: str | None,
        span: Span | None,
    ) -> Deferred[Any]:
        if len(packed) > self._settings.box_bytes:
            return self._unsent(too_long(self.id, what, len(packed)))
        if self._depth >= DEEPEST:
            why = f"{DEEPEST} calls of this node to itself stand one inside the other"
            return self._unsent(RemoteRefused(self.id, what, why, nothing_ran=True))
        seconds = self._settings.call_timeout if timeout is None else timeout
        self._depth += 1
        try:
            run = partial(self._run_here, what, packed, key, span)
            if notify:
                run(NOBODY)
                return succeed(None)
            return self._own.make(what, seconds, run)
        finally:
            self._depth -= 1

    def _run_here(
        self, what: str, packed: bytes, key: str | None, span: Span | None, answer: Answer
    ) -> None:
        """Call a remote of this node for this node, once it may answer for the key."""
        if key is not None:
            again = partial(self._run_here, what, packed, key, span, answer)
            if not self._moves.arrivals.admit_own(key, again, partial(answer.error, "REFUSED")):
                return
            answer = Tracked(answer, self._under_way, key)
        service, _, method = what.rpartition(".")
        if span is None and not self._tracer.active:
            self._incoming.run(service, method, packed, self.id, answer)
            return
        remote = None if span is None else span.child(what, "remote", peer=self.id)
        run = self._incoming.run
        self._tracer.within(remote, run, service, method, packed, self.id, answer, remote)

    # What other nodes ask.

    def _forward(self, link: Link, box: Box, ask: bytes | None) -> None:
        if not self._admit(link, box, ask, self._forward):
            return
        route, span = box[b"route"].decode(), None
        origin = box.get(b"origin")
        if origin is not None and self._links.get(origin.decode()) is None:
            # Of the frontend's sessions it can't be said yet which life of it they are of.
            self._moves.arrivals.put_off(link, box, ask, self._forward)
            return
        session = self._import(link, box)
        if b"trace" in box:
            about = {"uid": session.uid, "frontend": session.frontend_id, "notify": ask is None}
            span = self._began(box, route, "handler", **about)

        def reply(value: Any) -> None:
            if span is not None:
                span.finish()
            if ask is None:
                return
            try:
                packed = pack(value)
            except UNPACKABLE as problem:
                self._dispatcher.report(f"the answer of {route}", problem)
                packed = FAILED_VALUE
            link.answer(ask, item(b"reply", packed))

        data = join(box, b"body")
        try:
            msg = unpack(data) if box.get(b"coding") == b"msgpack" else body.decode(data)
        except (BodyError, *UNREADABLE) as wrong:
            if span is not None:
                span.fail("refused", f"its body can't be read: {wrong}")
            self._counters.journal.unanswered(session, "refused", route, "its body can't be read")
            reply(FAILED)
            return
        if self._most and self._counters.requests_now >= self._most:
            self._counters.requests_refused += 1
            why = f"{self._most} requests wait on this server already"
            if span is not None:
                span.fail("refused", why)
            self._counters.journal.unanswered(session, "refused", route, why)
            reply(FAILED)
            return

        number = self._under_way.begin(_key(box))

        def ended(value: Any) -> None:
            self._counters.requests_now -= 1
            reply(value)
            self._under_way.end(number)

        told: Callable[[Any], None] = ended
        if origin is not None and ask is not None:
            told = lambda value: self._when_read(origin, partial(ended, value))  # noqa: E731
        self._counters.requests_now += 1
        if self._tracer.active:  # also what is not followed: somebody may be who brings this about
            handle = self._dispatcher.handle
            self._tracer.within(span, handle, route, msg, session, told, ask is None)
            return
        self._dispatcher.handle(route, msg, session, told, ask is None)

    def _began(self, box: Box, name: str, kind: Kind, **about: Any) -> Span | None:
        """What something that has come is followed as from now on, and how long it has waited."""
        trace, waited = box[b"trace"], self._moves.arrivals.waited
        if waited:
            start = self._tracer.now() - round(waited * 1_000_000)
            waiting = self._tracer.came(trace, name, "waited", start=start)
            if waiting is not None:
                waiting.finish()
        return self._tracer.came(trace, name, kind, **about)

    def _call(self, link: Link, box: Box, ask: bytes | None) -> None:
        service, method = box[b"service"].decode(), box[b"method"].decode()
        answer: Answer = NOBODY if ask is None else LinkAnswer(link, ask)
        if not service.startswith(OWN_SERVICES):
            if not self._admit(link, box, ask, self._call):
                return
            answer = Tracked(answer, self._under_way, _key(box))
        peer = link.peer
        if b"origin" in box:
            peer = box[b"origin"].decode()
        if b"origin" in box and ask is not None:
            answer = AfterPushes(answer, partial(self._when_read, box[b"origin"]))
        if not self._tracer.active and b"trace" not in box:
            self._incoming.run(service, method, join(box, b"args"), peer, answer)
            return
        span = None
        if b"trace" in box:
            span = self._began(box, f"{service}.{method}", "remote", peer=peer)
        run, args = self._incoming.run, join(box, b"args")
        self._tracer.within(span, run, service, method, args, peer, answer, span)

    def _when_read(self, origin: bytes, then: Callable[[], None]) -> None:
        """Call ``then`` when a node has read all that was pushed to it, if there is a link."""
        link = self._links.get(origin.decode())
        if link is None:
            then()
        else:
            link.when_read(then)

    def _import(self, link: Link, box: Box) -> SessionCopy:
        """The session that a request came from; another node may have passed it on."""
        packed, frontend = join(box, b"session"), box.get(b"origin")
        if frontend is None:
            return import_copy(packed, link.peer, self._home(link))
        return import_copy(packed, frontend.decode(), self.home(frontend.decode()))


def _call_ended(result: Any, span: Span) -> Any:
    """A call that is followed has ended in some way."""
    if isinstance(result, Failure):
        problem: Any = result.value
        span.finish(reason_of(problem), in_words(problem))
    else:
        span.finish()
    return result


def _key(box: Box) -> str | None:
    """By which key a box came here, if by one."""
    key = box.get(b"key")
    return None if key is None else key.decode("utf-8", "surrogatepass")


def _answered(
    called: Deferred[Any], server_id: str, what: str, box: Box | None, problem: RpcError | None
) -> None:
    """Tell who called how the call ended."""
    if box is None:
        called.errback(problem)
        return
    try:
        result = unpack(join(box, b"result"))
    except UNREADABLE as wrong:
        called.errback(RemoteRefused(server_id, what, f"a bad answer: {wrong!r}"))
        return
    called.callback(result)
