"""Calling a method of the application, and being told how it ended."""

from __future__ import annotations

import types
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from chatcore.deadlines import Deadlines, IClock

Ended = Callable[[Any, BaseException | None], None]
"""Told the result of a call, or what it raised."""


class DeadlinePassed(Exception):
    """A method did not return within its time. It was cancelled."""


class Caller:
    """Calls methods that may return at once, or a coroutine, or a Deferred.

    What returns at once costs no Deferred and no timer.

    Args:
        seconds: how long a method may take.
        clock: the reactor, or a test's clock.
    """

    def __init__(self, *, seconds: float, clock: IClock) -> None:
        self._deadlines = Deadlines(seconds, clock, self._expired)

    def call(self, ended: Ended, method: Callable[..., Any], *args: Any) -> Waiting | None:
        """Call ``method``; ``ended`` is told exactly once, before or after this returns.

        Returns:
            What it can be called off with; None if it ended already.
        """
        try:
            result = method(*args)
            if isinstance(result, types.CoroutineType):
                result = run(result, copy_context())
        except BaseException as problem:  # no handler ends the node, or a link that others use
            ended(None, problem)
            return None
        if not isinstance(result, Deferred):
            ended(result, None)
            return None
        return Waiting(result, ended, self._deadlines)

    def stop(self) -> None:
        """Cancel what waits and has a deadline; nobody is told how it ends."""
        for waiting in self._deadlines.clear():
            waiting.call_off()

    def _expired(self, waiting: Waiting) -> None:
        waiting.expire(DeadlinePassed(f"no result within {self._deadlines.seconds:g} s"))


class Waiting:
    """A call that did not end at once."""

    __slots__ = ("_deadlines", "_deferred", "_ended")

    def __init__(self, deferred: Deferred[Any], ended: Ended, deadlines: Deadlines) -> None:
        self._deferred = deferred
        self._ended: Ended | None = ended
        self._deadlines = deadlines
        deadlines.start(self)
        deferred.addCallbacks(self._returned, self._raised)

    def call_off(self) -> None:
        """Cancel it: nobody is there any more to be told how it ends."""
        self._ended = None
        self._deadlines.stop(self)
        self._deferred.cancel()

    def expire(self, problem: Exception) -> None:
        self._finish(None, problem)
        self._deferred.cancel()

    def _returned(self, result: Any) -> None:
        self._deadlines.stop(self)
        self._finish(result, None)

    def _raised(self, failure: Failure) -> None:
        self._deadlines.stop(self)
        self._finish(None, failure.value)

    def _finish(self, result: Any, problem: BaseException | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(result, problem)


def outcome(function: Callable[..., Any], *args: Any) -> Any | Deferred[Any]:
    """Call what may return at once, or be a coroutine, or return a Deferred.

    Returns:
        Its result, or a Deferred of it if it waits. What returns at once costs no Deferred.

    Raises:
        Exception: what it raised before it waited for anything.
    """
    result = function(*args)
    return run(result, copy_context()) if isinstance(result, types.CoroutineType) else result


def run(coroutine: Coroutine[Deferred[Any], Any, Any], context: Context) -> Any:
    """Run a coroutine to its first wait: its result, or a Deferred of it if it does wait.

    Args:
        context: a copy, because what one call sets is its own.
    """
    try:
        waited_for = context.run(coroutine.send, None)
    except StopIteration as stop:
        return stop.value
    return Deferred.fromCoroutine(_rest(coroutine, waited_for, context))


@types.coroutine
def _rest(
    coroutine: Coroutine[Deferred[Any], Any, Any], waited_for: Deferred[Any], context: Context
) -> Generator[Deferred[Any], Any, Any]:
    """The part of a coroutine from its first wait on."""
    while True:
        raised: BaseException | None = None
        value = None
        try:
            value = yield waited_for
        except GeneratorExit:  # nobody waits for it any more
            coroutine.close()
            raise
        except BaseException as problem:
            raised = problem
        try:
            if raised is None:
                waited_for = context.run(coroutine.send, value)
            else:
                waited_for = context.run(coroutine.throw, raised)
        except StopIteration as stop:
            if isinstance(stop.value, Deferred):  # nobody awaited it, as where nothing waited
                return (yield stop.value)
            return stop.value
