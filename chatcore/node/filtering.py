"""The filters of a node: what is between them and what they are around."""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.defer import Deferred

from chatcore.application import Configurator
from chatcore.deadlines import IClock
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.filters import FilterHooks, Filters, Request
from chatcore.dispatch.lag import Lag
from chatcore.dispatch.stages import Patience
from chatcore.errors import BodyError
from chatcore.interfaces import IApplication
from chatcore.node.replies import VALUE
from chatcore.telemetry import Counters
from chatcore.tracing import OFF, Tracer
from chatcore.wire import body
from chatcore.wire.box import item
from chatcore.wire.values import UNPACKABLE, pack

_PENDING = object()


class ISurrounded(Protocol):
    """What filters can be put around."""

    def surround(self, filters: Filters) -> None: ...


class Outcome:
    """What comes of a message that may be answered at once or later."""

    __slots__ = ("_value", "_waiting")

    def __init__(self) -> None:
        self._value: Any = _PENDING
        self._waiting: Deferred[Any] | None = None

    def came(self, value: Any) -> None:
        """It is there."""
        if self._waiting is not None:
            self._waiting.callback(value)
        else:
            self._value = value

    @property
    def result(self) -> Any:
        """The value, or a Deferred of it if it is not there yet."""
        if self._value is not _PENDING:
            return self._value
        self._waiting = Deferred()
        return self._waiting


def body_items(request: Request, json: bytes | None) -> bytes:
    """The items of a box that carry a request's body, as `Forward` declares them.

    Whoever has looked at a value may have changed it, so that it is written anew then.

    Args:
        json: the body as the client sent it, if that was JSON.

    Raises:
        BodyError: the client's body can't be read, or what a filter made of it can't travel.
    """
    if json is not None and request.as_received:
        return item(b"body", json)
    msg = request.msg
    try:
        return VALUE + item(b"body", pack(msg))
    except UNPACKABLE:  # JSON has longer integers
        return item(b"body", body.encode(msg))


class Surroundings:
    """What is around the handlers of a node.

    Args:
        configured: what the application has registered.
        seconds: how long a request may take; 0 for ever.
        tracer: told of requests that are followed and do not pass.
    """

    def __init__(
        self,
        configured: Configurator,
        *,
        seconds: float,
        dispatcher: Dispatcher,
        counters: Counters,
        lag: Lag,
        clock: IClock,
        tracer: Tracer = OFF,
    ) -> None:
        self._tracer = tracer
        self._dispatcher, self._counters, self._lag = dispatcher, counters, lag
        self._inner, self._outer = configured.inner_filters, configured.outer_filters
        self._patience = Patience(seconds=seconds, clock=clock)
        self._ready_made = tuple(configured.ready_made)
        for each in self._ready_made:
            each.attach(clock=clock, lag=lag, counters=counters)

    def surround(self, app: IApplication, outermost: ISurrounded | None) -> None:
        """Put the filters where messages pass; where there are none, nothing is put.

        Args:
            outermost: what serves the clients' messages, on a frontend.
        """
        if self._inner:
            self._dispatcher.surround(self._filters(self._inner, app))
        if self._outer and outermost is not None:
            outermost.surround(self._filters(self._outer, app, outer=True))

    def _filters(self, hooks: FilterHooks, app: IApplication, *, outer: bool = False) -> Filters:
        return Filters(
            hooks,
            patience=self._patience,
            app=app,
            note=self._note,
            report=self._dispatcher.report,
            outer=outer,
            refused=self._refused,
        )

    def stop(self) -> None:
        """Forget the timers."""
        self._patience.stop()
        self._lag.stop()
        for each in self._ready_made:
            each.stop()

    def _refused(self) -> None:
        if self._tracer.active and (span := self._tracer.current()) is not None:
            span.fail("refused", "a filter did not let it pass")

    def _note(self, problem: BaseException, request: Request) -> str | None:
        if request.unreadable and isinstance(problem, BodyError):
            self._counters.requests_refused += 1
            self._counters.journal.unanswered(
                request.session, "refused", request.route, "its body can't be read"
            )
            return None
        return self._dispatcher.failed(problem, request.route, request.session)
