"""Calling the remotes of this node for a node, maybe for this one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.reflect import safe_repr

from chatcore.dispatch.chain import then
from chatcore.dispatch.dispatcher import (
    OWN_SERVICES,
    Dispatcher,
    Refused,
)
from chatcore.dispatch.reasons import in_words, reason_of
from chatcore.errors import CallRefused, SessionError
from chatcore.links.filters import RpcCall, RpcFilters
from chatcore.node.answers import Answer
from chatcore.node.replies import UNREADABLE
from chatcore.telemetry import Counters
from chatcore.tracing import Span
from chatcore.wire.values import UNPACKABLE, pack, unpack

EXPECTED = "-"
"""The error id of what a remote raises on purpose: its log has no more to say."""


class Incoming:
    """Calls the remotes of this node.

    Args:
        id: of this node.
        server_type: its type.
        dispatcher: knows the remotes.
        filters: what sees the calls, if anything does.
        counters: where refusals are counted.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str,
        server_type: str,
        dispatcher: Dispatcher,
        filters: RpcFilters | None,
        counters: Counters,
    ) -> None:
        self._id, self._type = id, server_type
        self._dispatcher, self._filters, self._counters = dispatcher, filters, counters

    def run(
        self,
        service: str,
        method: str,
        packed: bytes,
        peer: str,
        answer: Answer,
        span: Span | None = None,
    ) -> None:
        """Call a remote.

        Args:
            packed: the arguments as they crossed the link.
            peer: the node that calls.
            answer: told how it ended.
            span: what it is followed as, if it is; it ends with it.
        """
        try:
            args = unpack(packed)
        except UNREADABLE as wrong:
            unreadable = Refused(f"its arguments can't be read: {wrong}")
            self._refuse(answer, f"{service}.{method}", peer, unreadable, span)
            return
        filters = None if service.startswith(OWN_SERVICES) else self._filters
        through, call = None, None
        if filters is not None:
            call = self._call(service, method, args, len(packed), peer, not answer.wanted)
            through = partial(_through, filters, call)

        def ended(result: Any, problem: BaseException | None) -> None:
            packed_result = b""
            if problem is None:
                try:
                    packed_result = pack(result)
                except UNPACKABLE as unpackable:
                    problem = unpackable
            if filters is not None and call is not None:
                refused = isinstance(problem, Refused)
                seen = CallRefused(self._id, call.what, str(problem)) if refused else problem
                filters.after(call, result, seen)
            if problem is None:
                if span is not None:
                    span.finish()
                answer.result(packed_result)
            elif isinstance(problem, Refused):
                self._refuse(answer, f"{service}.{method}", peer, problem, span)
            else:
                error_id = self._report(f"{service}.{method}", problem)
                if span is not None:
                    span.finish(reason_of(problem), in_words(problem, error_id))
                answer.error("RAISED", f"{error_id} {safe_repr(problem)}")

        try:
            self._dispatcher.call(service, method, args, ended, through)
        except Refused as problem:
            self._refuse(answer, f"{service}.{method}", peer, problem, span)

    def _call(
        self, service: str, method: str, args: list[Any], size: int, peer: str, notify: bool
    ) -> RpcCall:
        """A call as filters see it."""
        return RpcCall(
            server_id=self._id,
            server_type=self._type,
            service=service,
            method=method,
            args=args,
            notify=notify,
            peer=peer,
            size=size,
        )

    def _refuse(
        self, answer: Answer, what: str, peer: str, problem: Refused, span: Span | None
    ) -> None:
        self._counters.calls_refused += 1
        if span is not None:
            span.finish("refused", str(problem))
        if not answer.wanted:
            self.log.warn(
                "A notify of {what} from {peer} is refused: {problem}",
                what=what,
                peer=peer,
                problem=problem,
            )
        answer.error("REFUSED", str(problem))

    def _report(self, what: str, problem: BaseException) -> str:
        if isinstance(problem, SessionError):
            return EXPECTED  # says all there is to know
        return self._dispatcher.report(what, problem)


def _through(filters: RpcFilters, call: RpcCall, run: Callable[[Sequence[Any]], Any]) -> Any:
    """Call a remote once the filters have let its call pass."""

    def refused(failure: Failure) -> Failure:
        if isinstance(failure.value, CallRefused):
            raise Refused(failure.value.why)
        return failure

    try:
        passed = filters.before(call)
    except CallRefused as problem:
        raise Refused(problem.why) from None
    if passed is not None:
        passed.addErrback(refused)
    return then(passed, lambda: run(call.args))
