"""Doing one thing after another for a request, and never for longer than allowed.

A stage is a filter, the handler, an error handler. As long as none of them waits there is no timer
and no Deferred. One that does not end in time is cancelled and left to itself, so that those after
it get their turn whatever it does about that.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from chatcore.deadlines import Deadlines, IClock
from chatcore.dispatch.calling import DeadlinePassed, run

LATE_SECONDS = 0.5
"""What error handlers and after filters still get when the time of their request is over.

A frontend waits one second longer than a handler may take; the answer has to be there by then.
"""

_FRESH, _TIMED, _LATE, _SPENT = range(4)
_MISSING = object()


class Patience:
    """How long the stages of a request may take together.

    Args:
        seconds: the time of each request; 0 for ever.
        clock: the reactor, or a test's clock.
    """

    def __init__(self, *, seconds: float, clock: IClock) -> None:
        self._deadlines = Deadlines(seconds, clock, self._passed)
        self._late = Deadlines(LATE_SECONDS, clock, self._over)

    def stop(self) -> None:
        """Forget the timers."""
        self._deadlines.clear()
        self._late.clear()

    def start(self, stages: Stages) -> None:
        """A stage begins to wait: from the first on the time runs, and when it is over none may."""
        if stages.phase == _FRESH:
            stages.phase = _TIMED
            self._deadlines.start(stages)
        elif stages.phase == _SPENT:
            stages.interrupt(self._problem())

    def forget(self, stages: Stages) -> None:
        """All is done, or what comes next has its own time."""
        if stages.phase == _TIMED:
            self._deadlines.stop(stages)
        elif stages.phase == _LATE:
            self._late.stop(stages)
        stages.phase = _FRESH

    def _passed(self, stages: Stages) -> None:
        stages.phase = _LATE
        self._late.start(stages)
        stages.interrupt(self._problem())

    def _over(self, stages: Stages) -> None:
        stages.phase = _SPENT
        stages.interrupt(self._problem())

    def _problem(self) -> DeadlinePassed:
        return DeadlinePassed(f"no result within {self._deadlines.seconds:g} s")


class Stages:
    """The stages of one request, of which at most one is under way.

    Args:
        patience: how long they may take.
    """

    __slots__ = ("_called_off", "_patience", "_wait", "may_be_called_off", "phase")

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._wait: _Wait | None = None
        self._called_off: Exception | None = None
        self.may_be_called_off = True
        self.phase = _FRESH

    async def run(self, function: Callable[..., Any], *args: Any, timed: bool = True) -> Any:
        """The result of a stage, which may return at once, wait, or return a Deferred.

        What it sets in context variables is there for the stages after it.

        Args:
            function: the stage; it is called with ``args``.
            timed: False if it sees to it itself that it ends.

        Raises:
            DeadlinePassed: the time was over before it ended.
            Exception: what it raised, or what the request was called off with.
        """
        context: Context | None = None
        result = function(*args)
        if isinstance(result, types.CoroutineType):
            context = copy_context()
            result = run(result, context)
        if isinstance(result, Deferred):
            result = await self._until(result, timed)
        elif self._called_off is not None:
            raise self._called_off
        if context is not None:
            _adopt(context)
        return result

    def call_off(self, problem: Exception) -> None:
        """End what is under way with a problem, if that may be."""
        if not self.may_be_called_off or self._called_off is not None:
            return
        self._called_off = problem
        self.interrupt(problem)

    def interrupt(self, problem: Exception) -> None:
        """Wait no longer for the stage that is under way."""
        wait, self._wait = self._wait, None
        if wait is not None:
            wait.give_up(problem)

    def may_not_be_called_off(self) -> None:
        """What comes now is done in any case."""
        self.may_be_called_off = False
        self._called_off = None

    def renew(self) -> None:
        """Begin a new time."""
        self._patience.forget(self)

    def _until(self, result: Deferred[Any], timed: bool) -> Deferred[Any]:
        wait = self._wait = _Wait(result)
        if self._called_off is not None:
            self.interrupt(self._called_off)
        elif timed and not wait.over:
            self._patience.start(self)
        return wait.outcome


class _Wait:
    """Waits for a Deferred, and gives up when told to, whether that ends or not."""

    __slots__ = ("_waited_for", "outcome", "over")

    def __init__(self, waited_for: Deferred[Any]) -> None:
        self.outcome: Deferred[Any] = Deferred()
        self.over = False
        self._waited_for = waited_for
        waited_for.addCallbacks(self._came, self._raised)

    def give_up(self, problem: Exception) -> None:
        if self.over:
            return
        self.over = True
        try:
            self._waited_for.cancel()
        finally:
            self.outcome.errback(problem)

    def _came(self, result: Any) -> None:
        if not self.over:
            self.over = True
            self.outcome.callback(result)

    def _raised(self, failure: Failure) -> None:
        if not self.over:
            self.over = True
            self.outcome.errback(failure)


def _adopt(context: Context) -> None:
    """Set what was set in a copy of the context that this runs in."""
    for variable, value in context.items():
        if variable.get(_MISSING) is not value:
            variable.set(value)
