"""What a frontend does for its clients, and for the backends whose members they are."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from twisted.logger import Logger

from chatcore.connectors.encoding import REFUSED
from chatcore.connectors.parts import Reply
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.filters import FAILED, Failed, Filters, Request
from chatcore.dispatch.reasons import reason_of
from chatcore.errors import BodyError, ChatcoreError, NoSuchServer, NotConnected, RpcError
from chatcore.links.link import Link
from chatcore.links.table import LinkTable
from chatcore.node.access import Rule
from chatcore.node.filtering import Outcome, body_items
from chatcore.node.following import Followed, received
from chatcore.node.replies import UNREADABLE, VALUE, to_body
from chatcore.sessions.copy import SessionCopy, copy_of
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.telemetry import Counters, Reason, Seen
from chatcore.tracing import OFF, Span, Tracer, trace_item
from chatcore.wire.body import EMPTY, Body
from chatcore.wire.box import END, Box, item, join
from chatcore.wire.message import Message
from chatcore.wire.values import UNPACKABLE, pack

FORWARD = item(b"_command", b"Forward")
FORWARD_NOTIFY = item(b"_command", b"ForwardNotify")

_ALIKE = 0.8
"""How much alike a route and an unknown one are, if one was meant to be the other."""

MOST_REFUSALS = 100
"""How many different reasons of one kind for refusing requests are logged."""

LONGEST_REASON = 300

UNREADABLE_BODY = "its body can't be read"

Choose = Callable[[str, Any], str]
"""The id of the server of a type that a session's requests go to."""


class Frontend:
    """Serves clients' messages: here, or by forwarding them.

    Args:
        server_type: of this node.
        routes: all routes there are, with the server type that answers each.
        rules: of the routes that not everyone may call here.
        choose: picks the server to forward to.
        stamp: what a box carries after a choice, so that who gets it can tell whether it holds.
        handler_seconds: how long a handler may take; 0 for ever.
        most: how many requests and notifies may wait on this node; 0 for any number.
        tracer: told of messages and pushes that are followed.
    """

    log = Logger()

    def __init__(
        self,
        *,
        server_type: str,
        routes: Iterable[str],
        choose: Choose,
        stamp: Callable[[str], bytes] = lambda server_id: b"",
        dispatcher: Dispatcher,
        sessions: SessionService,
        links: LinkTable,
        counters: Counters,
        handler_seconds: float,
        rules: Mapping[str, Rule] = {},
        most: int = 0,
        tracer: Tracer = OFF,
    ) -> None:
        self._tracer = tracer
        self._server_type = server_type
        self._targets: dict[str | int, tuple[str, bytes, Rule | None]] = {
            r: (r.partition(".")[0], item(b"route", r.encode()), rules.get(r)) for r in routes
        }
        self._filters: Filters | None = None
        self._choose, self._stamp = choose, stamp
        self._dispatcher = dispatcher
        self._sessions = sessions
        self._links = links
        self._counters = counters
        self._most = most
        # The backend answers in this time, also when its handler does not.
        self._patience = handler_seconds + 1 if handler_seconds else 0
        self._unknown_routes = Seen(MOST_REFUSALS)
        self._unchosen = Seen(MOST_REFUSALS)
        self._barred = Seen(MOST_REFUSALS)

    def surround(self, filters: Filters) -> None:
        """Take requests and notifies through filters, wherever they are answered."""
        self._filters = filters

    def serve(self, session: Session, message: Message, reply: Reply | None) -> None:
        """Act on a client's request or notify; each request gets exactly one reply."""
        if self._tracer.active:
            self._follow(session, message, reply)
        else:
            self._serve(session, message, reply)

    def _follow(self, session: Session, message: Message, reply: Reply | None) -> None:
        """Act on a message while some are followed."""
        span = self._tracer.message(str(message.route), session.uid, session.trace)
        if span is not None:
            span.add(
                uid=session.uid,
                session=session.id,
                what="notify" if reply is None else "request",
                bytes=len(message.body),
            )
            if reply is not None:
                reply = Followed(span, session, reply).reply
        self._tracer.within(span, self._serve, session, message, reply)

    def _serve(self, session: Session, message: Message, reply: Reply | None) -> None:
        target = self._targets.get(message.route)
        if target is None:
            self._say_unknown(message.route)
            self._refuse(reply, session, message.route, "there is no such route")
            return
        server_type, route, rule = target
        if rule is not None and (why := rule(session.uid)) is not None:
            self._say_barred(message.route, why)
            self._refuse(reply, session, message.route, why)
        elif self._most and self._counters.requests_now >= self._most:
            why = f"{self._most} requests wait on this server already"
            self._refuse(reply, session, message.route, why)
        elif self._filters is not None:
            self._filter(session, message, reply, server_type, route)
        elif server_type == self._server_type:
            self._answer_here(session, message, reply)
        else:
            self._forward(session, message, reply, server_type, route)

    def _filter(
        self,
        session: Session,
        message: Message,
        reply: Reply | None,
        server_type: str,
        route: bytes,
    ) -> None:
        """Serve a message in the midst of filters, which may wait."""
        text, encoding = str(message.route), session.connection.encoding
        decode = partial(encoding.decode, message)
        copy = copy_of(session, self._sessions)
        request = Request(route=text, session=copy, notify=reply is None, decode=decode)

        def act(request: Request) -> Any:
            if session.closed is not None:  # while a filter waited: nobody is there to be served
                self._counters.requests_refused += 1
                self._note(copy, text, "gone", "its client went while a filter waited")
                return dict(FAILED)
            outcome = Outcome()
            if server_type == self._server_type:
                self._handle(text, request.msg, copy, outcome.came, request.notify)
                return outcome.result

            def done(box: Box | None, problem: Exception | None) -> None:
                body = self._heard(box, problem, session, text)
                if body is None:
                    outcome.came(Failed(problem or ChatcoreError("a bad answer of a backend")))
                else:
                    outcome.came({} if body is EMPTY else body.value)  # filters may change it

            sent = message.body if encoding.is_json(message) else None
            payload = route + body_items(request, sent)
            problem = self._send(copy, text, payload, None if reply is None else done, server_type)
            if problem is not None:
                return Failed(problem)
            return None if reply is None else outcome.result

        span = self._tracer.current() if self._tracer.active else None

        def answer(value: Any) -> None:
            self._counters.requests_now -= 1
            if reply is not None:
                reply(Body(value))
            elif span is not None:
                span.finish()

        assert self._filters is not None
        self._counters.requests_now += 1
        self._filters.serve(request, act, answer)

    def _answer_here(self, session: Session, message: Message, reply: Reply | None) -> None:
        route = str(message.route)
        try:
            msg = session.connection.encoding.decode(message)
        except BodyError as wrong:
            self._refuse(reply, session, route, UNREADABLE_BODY, str(wrong))
            return

        def replied(value: Any) -> None:
            self._counters.requests_now -= 1
            if reply is not None:
                reply(Body(value))

        copy = copy_of(session, self._sessions)
        self._counters.requests_now += 1
        self._handle(route, msg, copy, replied, reply is None)

    def _handle(
        self,
        route: str,
        msg: Any,
        session: SessionCopy,
        came: Callable[[Any], None],
        notify: bool,
    ) -> None:
        """Have a handler of this node act on a message."""
        handle = self._dispatcher.handle
        span = self._tracer.current() if self._tracer.active else None
        if span is None:
            handle(route, msg, session, came, notify)
            return
        received(span)
        handler = span.child(route, "handler", uid=session.uid, frontend=session.frontend_id)

        def ended(value: Any) -> None:
            handler.finish()
            came(value)
            if notify:
                span.finish()

        self._tracer.within(handler, handle, route, msg, session, ended, notify)

    def _forward(
        self,
        session: Session,
        message: Message,
        reply: Reply | None,
        server_type: str,
        route: bytes,
    ) -> None:
        encoding = session.connection.encoding
        if encoding.is_json(message):
            payload = route + item(b"body", message.body)
        else:
            # Schemas are an affair of the frontend and its client: who comes after a change of
            # them has others than who was there before, and no backend knows which.
            try:
                value = pack(encoding.decode(message))
            except (BodyError, *UNPACKABLE) as wrong:  # a coder reads whatever it likes
                self._refuse(reply, session, message.route, UNREADABLE_BODY, str(wrong))
                return
            payload = route + VALUE + item(b"body", value)
        name = str(message.route)
        if reply is None:  # it waits on the other node
            problem = self._send(session, name, payload, None, server_type)
            if problem is not None and self._tracer.active:
                self._refused_notify()
            return
        self._counters.requests_now += 1
        done = partial(self._forwarded, reply, session, name)
        problem = self._send(session, name, payload, done, server_type)
        if problem is not None:
            self._counters.requests_now -= 1
            reply(REFUSED)

    def _refused_notify(self) -> None:
        span = self._tracer.current()
        if span is not None:
            span.finish()

    def _forwarded(
        self,
        reply: Reply,
        session: Session,
        route: str,
        box: Box | None,
        problem: RpcError | None,
    ) -> None:
        self._counters.requests_now -= 1
        reply(self._heard(box, problem, session, route) or REFUSED)

    def _send(
        self,
        session: Session | SessionCopy,
        route: str,
        payload: bytes,
        done: Callable[[Box | None, RpcError | None], None] | None,
        server_type: str,
    ) -> Exception | None:
        """Have another node act on a message; why it can't, if so, counted and logged.

        Args:
            payload: the items of the box, but for the session.
            done: told the answer; None for a notify.
        """
        try:
            server = self._choose(server_type, session)
            payload += self._stamp(server)
            link = self._links.get(server)
            payload += item(b"session", session.export())
        except (LookupError, ChatcoreError) as problem:
            self._counters.requests_refused += 1
            self._note(session, route, "no server", f"the route to {server_type}", str(problem))
            self._say_unchosen(server_type, problem)
            return problem  # nobody to route to, or not yet
        except Exception as problem:
            self._counters.requests_refused += 1
            error_id = self._dispatcher.report(f"the route to {server_type}", problem)
            why = f"the route to {server_type} raised {type(problem).__name__}"
            self._note(session, route, "failed", why, error_id=error_id)
            return problem
        span = self._tracer.current() if self._tracer.active else None
        if link is None:
            send = partial(self._send_to, session, server, route, payload, done, span)
            if self._links.wait_for(server, send):
                return None
        return self._send_to(session, server, route, payload, done, span, link, waited=False)

    def _send_to(
        self,
        session: Session | SessionCopy,
        server: str,
        route: str,
        payload: bytes,
        done: Callable[[Box | None, RpcError | None], None] | None,
        span: Span | None,
        link: Link | None,
        *,
        waited: bool = True,
    ) -> Exception | None:
        """Send a message on; why it can't be sent, if so, counted and logged.

        Args:
            waited: whether nobody waits for what comes back: then ``done`` is told.
        """
        problem: RpcError | None = None
        if span is not None:
            payload, done = self._follow_on(span, server, payload, done, link)
        if link is None and not self._links.knows(server):
            self._counters.requests_refused += 1
            why = f"the route chose {server!r:.100}, which is no other server's id"
            server_type = route.partition(".")[0]
            problem = NoSuchServer(server_type, route, why)
            self._say_unchosen(server_type, problem)
        elif link is None or link.overloaded:
            self._counters.requests_failed += 1
            problem = NotConnected(server, route, None if link is None else "the link is blocked")
        elif done is None:
            link.write(FORWARD_NOTIFY + payload + END)
        else:
            link.ask(FORWARD + payload, done, route, self._patience)
        if span is not None and problem is not None:
            span.fail(reason_of(problem), str(problem))
        if span is not None and done is None:
            span.finish()
        if problem is not None and waited and done is not None:
            done(None, problem)
        elif problem is not None:
            self._note_unanswered(session, route, problem)
        return problem

    def _follow_on(
        self,
        span: Span,
        server: str,
        payload: bytes,
        done: Callable[[Box | None, RpcError | None], None] | None,
        link: Link | None,
    ) -> tuple[bytes, Callable[[Box | None, RpcError | None], None] | None]:
        """Have a message followed that is sent on; its box and who is told its answer come back."""
        received(span)
        queued = 0 if link is None else link.queued
        forward = span.child(span.name, "forward", server=server, queued=queued)
        payload += trace_item(forward)
        if done is None:
            forward.finish()
            return payload, None

        def ended(box: Box | None, problem: RpcError | None) -> None:
            if problem is None:
                forward.finish()
            else:
                forward.finish(reason_of(problem), str(problem))
            done(box, problem)

        return payload, ended

    def _note(
        self,
        session: Session | SessionCopy,
        route: str | int,
        reason: Reason,
        why: str,
        said: str = "",
        *,
        error_id: str | None = None,
    ) -> None:
        """Note that a client's message comes to nothing, also where it is followed.

        Args:
            said: what a problem says besides, in which something of the body may stand.
        """
        self._counters.journal.unanswered(session, reason, route, why, error_id=error_id)
        if self._tracer.active and (span := self._tracer.current()) is not None:
            span.fail(reason, f"{why}: {said}" if said else why)

    def _note_unanswered(
        self, session: Session | SessionCopy, route: str, problem: Exception
    ) -> None:
        """Note that another node did not answer."""
        what = type(problem).__name__
        why = f"{what} of {problem.server}" if isinstance(problem, RpcError) else what
        self._counters.journal.unanswered(session, reason_of(problem), route, why)

    def _heard(
        self,
        box: Box | None,
        problem: Exception | None,
        session: Session | SessionCopy,
        route: str,
    ) -> Body | None:
        """What a backend answered; None if it did not, which is counted and noted."""
        if box is not None:
            try:
                return to_body(join(box, b"reply"))
            except UNREADABLE as wrong:
                self.log.error("A backend's answer can't be passed on: {why!r}", why=wrong)
        self._counters.requests_failed += 1
        self._note_unanswered(session, route, problem or BodyError("a bad answer"))
        return None

    def _refuse(
        self,
        reply: Reply | None,
        session: Session,
        route: str | int,
        why: str,
        said: str = "",
    ) -> None:
        self._counters.requests_refused += 1
        self._note(session, route, "refused", why, said)
        if reply is not None:
            reply(REFUSED)
        elif self._tracer.active and (span := self._tracer.current()) is not None:
            span.finish()

    def _say_unknown(self, route: str | int) -> None:
        if not self._unknown_routes.first(route):
            return
        near = difflib.get_close_matches(str(route), map(str, self._targets), 1, _ALIKE)
        self.log.warn(
            "{route}: no such route{near}",
            route=_printable(str(route)),
            near=f"; did you mean {near[0]}?" if near else "",
        )

    def _say_unchosen(self, server_type: str, problem: Exception) -> None:
        why = f"{type(problem).__name__}: {problem}"[:LONGEST_REASON]
        if self._unchosen.first((server_type, why)):
            self.log.warn("The route to {type}: {why}", type=server_type, why=_printable(why))

    def _say_barred(self, route: str | int, why: str) -> None:
        if self._barred.first((route, why)):
            self.log.warn("{route} was refused: {why}", route=route, why=why)


def _printable(text: str) -> str:
    """Text of a client's, so that it can't pass for other lines of the log."""
    return text if text.isprintable() else repr(text)
