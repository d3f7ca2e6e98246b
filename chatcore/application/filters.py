"""Ready-made filters."""

from __future__ import annotations

import sys
from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.deadlines import Deadlines, IClock
from chatcore.dispatch.calling import DeadlinePassed
from chatcore.dispatch.filters import ReadyMade
from chatcore.dispatch.lag import Lag
from chatcore.errors import ClientError, ConfigError
from chatcore.interfaces import IRequest
from chatcore.telemetry import Counters

_Key = tuple[str, int]
_REFUSED = 500

# Not in the classes: as an attribute of one, a logger takes its name.
_serial_log = Logger(namespace="chatcore.serial")
_time_log = Logger(namespace="chatcore.time")
_busy_log = Logger(namespace="chatcore.too_busy")


def serial(timeout: float = 3.0, most: int = 100) -> Serial:
    """A filter: the requests and notifies of one session run one after the other.

    Args:
        timeout: seconds after which the next one runs although the one before has not ended.
        most: how many may wait for each session; those beyond are answered ``{"code": 500}``.
    """
    _positive("serial", timeout=timeout, most=most)
    return Serial(timeout, most)


def time_log(slow: float = 0.0) -> TimeLog:
    """A filter: logs how long each request took, under ``chatcore.time``.

    Args:
        slow: seconds; those that took less are not logged.
    """
    if slow != 0:
        _positive("time_log", slow=slow)
    return TimeLog(slow)


def timeout(seconds: float = 3.0) -> Timeout:
    """A filter: what takes longer is cancelled and answered ``{"code": 500}``.

    Args:
        seconds: how long each may take; the setting ``limits.handler_seconds`` holds beside it.
    """
    _positive("timeout", seconds=seconds)
    return Timeout(seconds)


def too_busy(max_lag: float = 0.07) -> TooBusy:
    """A filter: refuses everything with ``{"code": 500}`` while the reactor is late.

    It is for clients' requests and for calls between servers alike.

    Args:
        max_lag: seconds by which the reactor may be late; see ``app.lag``.
    """
    _positive("too_busy", max_lag=max_lag)
    return TooBusy(max_lag)


class _Line:
    """The messages of one session: the one that runs, and those that wait."""

    __slots__ = ("running", "waiting")

    def __init__(self, running: IRequest) -> None:
        self.running: IRequest | None = running
        self.waiting: deque[tuple[IRequest, Deferred[None]]] = deque()


class Serial(ReadyMade):
    """Made by `serial`. A session has a line only while one of its messages is under way."""

    def __init__(self, timeout: float, most: int) -> None:
        self._timeout, self._most = timeout, most
        self._lines: dict[_Key, _Line] = {}
        self._next: dict[_Key, None] = {}
        self._timer: Any = None

    def __repr__(self) -> str:
        return f"serial(timeout={self._timeout:g})"

    def __len__(self) -> int:
        """How many sessions have messages under way."""
        return len(self._lines)

    def attach(self, *, clock: IClock, lag: Lag, counters: Counters) -> None:
        self._clock, self._counters = clock, counters
        self._late = Deadlines(self._timeout, clock, self._too_long)

    def before(self, request: IRequest) -> Deferred[None] | None:
        key = _key(request)
        line = self._lines.get(key)
        if line is None:
            self._lines[key] = _Line(request)
            self._late.start(request)
            return None
        if len(line.waiting) >= self._most:
            self._counters.requests_refused += 1
            why = f"{self._most} messages of its session wait already"
            self._counters.journal.unanswered(request.session, "refused", request.route, why)
            raise ClientError(_REFUSED)
        turn: Deferred[None] = Deferred(lambda _: line.waiting.remove((request, turn)))
        line.waiting.append((request, turn))
        return turn

    def after(self, request: IRequest, reply: Any, problem: BaseException | None) -> None:
        self._late.stop(request)
        self._leave(request)

    def stop(self) -> None:
        self._late.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_long(self, request: IRequest) -> None:
        _serial_log.warn(
            "{route} of {session} runs for more than {seconds} s; the next one does not wait",
            route=request.route,
            session=request.session,
            seconds=self._timeout,
        )
        self._leave(request)

    def _leave(self, request: IRequest) -> None:
        key = _key(request)
        line = self._lines.get(key)
        if line is None or line.running is not request:
            return  # it was refused, gave up waiting, or has run for too long
        line.running = None
        if not line.waiting:
            del self._lines[key]
            return
        # In the next turn: the answer of this one leaves first, and calls don't pile up.
        self._next[key] = None
        if self._timer is None:
            self._timer = self._clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._timer = None
        due, self._next = self._next, {}
        for key in due:
            line = self._lines[key]
            if not line.waiting:
                del self._lines[key]
                continue
            request, turn = line.waiting.popleft()
            line.running = request
            self._late.start(request)
            turn.callback(None)


class TimeLog(ReadyMade):
    """Made by `time_log`."""

    def __init__(self, slow: float) -> None:
        self._slow = slow

    def __repr__(self) -> str:
        return f"time_log(slow={self._slow:g})"

    def attach(self, *, clock: IClock, lag: Lag, counters: Counters) -> None:
        self._clock = clock

    def before(self, request: IRequest) -> None:
        request.context[self] = self._clock.seconds()

    def after(self, request: IRequest, reply: Any, problem: BaseException | None) -> None:
        began = request.context.get(self)
        if began is None:
            return  # a filter in front of this one refused it
        seconds = self._clock.seconds() - began
        if seconds >= self._slow:
            _time_log.info(
                "{route} {ms:.1f} ms, uid {uid!r}{failed}",
                route=request.route,
                ms=seconds * 1000,
                uid=request.session.uid,
                failed="" if problem is None else f", {type(problem).__name__}",
            )


class Timeout(ReadyMade):
    """Made by `timeout`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __repr__(self) -> str:
        return f"timeout({self._seconds:g})"

    def attach(self, *, clock: IClock, lag: Lag, counters: Counters) -> None:
        self._deadlines = Deadlines(self._seconds, clock, self._expired)

    def before(self, request: IRequest) -> None:
        self._deadlines.start(request)

    def after(self, request: IRequest, reply: Any, problem: BaseException | None) -> None:
        self._deadlines.stop(request)

    def stop(self) -> None:
        self._deadlines.clear()

    def _expired(self, request: IRequest) -> None:
        request.call_off(DeadlinePassed(f"no result within {self._seconds:g} s"))


class TooBusy(ReadyMade):
    """Made by `too_busy`."""

    for_calls = True

    def __init__(self, max_lag: float) -> None:
        self._max_lag = max_lag
        self._refusing = False

    def __repr__(self) -> str:
        return f"too_busy(max_lag={self._max_lag:g})"

    def attach(self, *, clock: IClock, lag: Lag, counters: Counters) -> None:
        self._lag, self._counters = lag, counters

    def before(self, each: Any) -> None:
        """Refuse a request or a call while the node is too busy."""
        lag = self._lag.seconds
        busy = lag > self._max_lag
        if busy is not self._refusing:  # said once, not for each
            self._refusing = busy
            what = "Too busy: refuses until it is no more" if busy else "Not too busy any more"
            _busy_log.warn("{what}; the reactor is {lag:.3f} s late", what=what, lag=lag)
        if not busy:
            return
        if hasattr(each, "refuse"):
            each.refuse(f"the reactor is {lag:.3f} s late")
        self._counters.requests_refused += 1
        session = getattr(each, "session", None)  # a call between servers may have none
        if session is not None and hasattr(each, "route"):
            why = "the server is too busy"
            self._counters.journal.unanswered(session, "refused", each.route, why)
        raise ClientError(_REFUSED)


def _key(request: IRequest) -> _Key:
    return request.session.frontend_id, request.session.id


def _positive(name: str, **numbers: float) -> None:
    for argument, value in numbers.items():
        good = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        if not good:
            frame = sys._getframe(2)
            raise ConfigError(
                f"{name}: {argument} is {value!r}, not a number above 0",
                file=frame.f_code.co_filename,
                line=frame.f_lineno,
            )
