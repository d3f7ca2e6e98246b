"""From a route to a method, and from its outcome to a reply."""

from __future__ import annotations

import inspect
import secrets
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from chatcore.dispatch.calling import Caller
from chatcore.dispatch.filters import FAILED as FAILED  # who answers clients imports it from here
from chatcore.dispatch.filters import Filters, Request
from chatcore.dispatch.reasons import in_words, reason_of
from chatcore.errors import ClientError, RpcError
from chatcore.interfaces import ISession
from chatcore.telemetry import Counters, Seen
from chatcore.tracing import OFF, Span, Tracer

MOST_UNKNOWN = 100
"""How many different routes are logged that are asked for here and not there."""

OWN_SERVICES = "sys."
"""What the services begin with that chatcore's nodes offer each other; filters don't see them."""


class Refused(Exception):
    """A call that is not made: there is no such method, or the arguments do not fit it."""


Through = Callable[[Callable[[Sequence[Any]], Any]], Any]
"""Called instead of a method, with what calls the method with its arguments."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A method of a component that was made."""

    name: str
    method: Callable[..., Any]
    signature: inspect.Signature

    def check(self, args: Sequence[Any]) -> None:
        """Raise `Refused` if the arguments do not fit."""
        try:
            self.signature.bind(*args)
        except TypeError as problem:
            raise Refused(f"{self.name}{self.signature}: {problem}") from None

    def call(self, args: Sequence[Any]) -> Any:
        """Call the method, if the arguments fit."""
        self.check(args)
        return self.method(*args)


class Dispatcher:
    """Calls the handlers and remotes of this node.

    Args:
        caller: calls them, with a deadline.
        counters: where failures are counted.
        tracer: told what requests fail of that are followed.
    """

    log = Logger()

    def __init__(self, *, caller: Caller, counters: Counters, tracer: Tracer = OFF) -> None:
        self._caller, self._tracer = caller, tracer
        self._counters = counters
        self._handlers: dict[str, Callable[..., Any]] = {}
        self._remotes: dict[tuple[str, str], Bound] = {}
        self._filters: Filters | None = None
        self._unknown = Seen(MOST_UNKNOWN)

    def surround(self, filters: Filters) -> None:
        """Have requests taken through filters to their handlers."""
        self._filters = filters

    def add_handler(self, route: str, method: Callable[..., Any]) -> None:
        """Have requests to a route answered by a method."""
        self._handlers[route] = method

    def add_remote(
        self, service: str, name: str, method: Callable[..., Any], signature: inspect.Signature
    ) -> None:
        """Have calls to ``service.name`` answered by a method."""
        self._remotes[service, name] = Bound(f"{service}.{name}", method, signature)

    def add_own(self, service: str, method: Callable[..., Any]) -> None:
        """Have calls to ``service`` under a method's own name answered by it."""
        self.add_remote(service, method.__name__, method, inspect.signature(method))

    def own_remotes(self) -> Iterator[tuple[str, inspect.Signature]]:
        """Chatcore's own remotes: each one's service and method, and as what it is declared."""
        for bound in self._remotes.values():
            if bound.name.startswith(OWN_SERVICES):
                yield bound.name, bound.signature

    def handle(
        self,
        route: str,
        msg: Any,
        session: ISession,
        reply: Callable[[Any], None],
        notify: bool = False,
    ) -> None:
        """Call the handler of a route; ``reply`` is told what to answer, exactly once.

        Args:
            notify: whether it is a notify; ``reply`` is told all the same.
        """
        span = self._tracer.current() if self._tracer.active else None
        method = self._handlers.get(route)
        if method is None:
            if span is not None:
                span.fail("refused", f"{route}: this server has no such handler")
            self._counters.requests_refused += 1
            self._counters.journal.unanswered(_known(session), "refused", route, "no such handler")
            self._say_unknown(route)
            reply(dict(FAILED))
            return
        if self._filters is not None:
            request = Request(route=route, session=session, notify=notify, msg=msg)
            self._filters.serve(request, lambda each: method(each.msg, session), reply)
            return

        def ended(result: Any, problem: BaseException | None) -> None:
            if problem is None:
                reply({} if result is None else result)
            elif isinstance(problem, ClientError):
                reply(dict(problem.reply))
            else:
                self.failed(problem, route, session, span)
                reply(dict(FAILED))  # filters may change what is answered

        self._caller.call(ended, method, msg, session)

    def failed(
        self, problem: BaseException, route: str, session: object, span: Span | None = None
    ) -> str | None:
        """Count and log what a request failed of; the id under which it stands in the log.

        Args:
            span: what it is followed as; that of the context unless given.
        """
        self._counters.requests_failed += 1
        if isinstance(problem, RpcError):  # says all there is to know
            self.log.warn("{route}: {problem}", route=route, problem=problem)
            error_id = getattr(problem, "error_id", None)
        else:
            error_id = self.report(f"{route} for {session!r}", problem)
        reason = reason_of(problem)
        if span is None and self._tracer.active:
            span = self._tracer.current()
        if span is not None:
            span.fail(reason, in_words(problem, error_id))
        self._counters.journal.unanswered(
            _known(session), reason, route, type(problem).__name__, error_id=error_id
        )
        return error_id

    def _say_unknown(self, route: str) -> None:
        if self._unknown.first(route):
            why = "which has no such handler"
            self.log.warn("{route!r} was forwarded to this server, {why}", route=route, why=why)

    def call(
        self,
        service: str,
        name: str,
        args: Sequence[Any],
        ended: Callable[[Any, BaseException | None], None],
        through: Through | None = None,
    ) -> None:
        """Call a remote; ``ended`` is told its result or what it raised, exactly once.

        Args:
            through: what to call it through, if anything; ``args`` are its business then. What it
                refuses is told to ``ended`` as `Refused`.

        Raises:
            Refused: no such method, or the arguments do not fit.
        """
        bound = self._remotes.get((service, name))
        if bound is None:
            raise Refused(f"there is no {service}.{name}")
        if through is not None:
            self._caller.call(ended, through, bound.call)
            return
        bound.check(args)
        self._caller.call(ended, bound.method, *args)

    def report(self, what: str, problem: BaseException) -> str:
        """Log what went wrong; the id under which it stands in the log comes back."""
        error_id = secrets.token_hex(4)
        self.log.error(
            "Error {error_id} in {what}: {problem!r}\n{trace}",
            error_id=error_id,
            what=what,
            problem=problem,
            trace=_trace(problem),
        )
        return error_id


def _known(session: Any) -> Any:
    """A session, if it can be known whose it is."""
    return session if hasattr(session, "uid") else None


def _trace(problem: BaseException) -> str:
    return "".join(traceback.format_exception(problem)).rstrip()
