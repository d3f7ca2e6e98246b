"""Whom a remote of this node answers: a link, nobody, or this node itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from chatcore.deadlines import Deadlines, IClock, Timeouts
from chatcore.errors import CallTimedOut, RemoteRefused, RpcError
from chatcore.links.link import LONGEST_WHY, Link, remote_problem
from chatcore.node.replies import UNREADABLE
from chatcore.node.under_way import UnderWay
from chatcore.telemetry import Counters
from chatcore.wire.box import item
from chatcore.wire.values import unpack


class Answer(Protocol):
    """Is told how a call ended, once.

    Attributes:
        wanted: whether anybody waits for it; nobody does for that of a notify.
    """

    @property
    def wanted(self) -> bool: ...

    def result(self, packed: bytes) -> None:
        """What the method returned."""

    def error(self, code: str, why: str) -> None:
        """Why there is no result; the codes are those that cross links."""


class LinkAnswer:
    """The node at the other end of a link."""

    __slots__ = ("_ask", "_link")

    wanted = True

    def __init__(self, link: Link, ask: bytes) -> None:
        self._link, self._ask = link, ask

    def result(self, packed: bytes) -> None:
        self._link.answer(self._ask, item(b"result", packed))

    def error(self, code: str, why: str) -> None:
        self._link.refuse(self._ask, code.encode(), why)


class Nobody:
    """A notify has no answer."""

    wanted = False

    def result(self, packed: bytes) -> None:
        pass

    def error(self, code: str, why: str) -> None:
        pass


NOBODY = Nobody()


class Tracked:
    """Another answer, with a note of what is under way until then."""

    __slots__ = ("_answer", "_number", "_under_way", "wanted")

    def __init__(self, answer: Answer, under_way: UnderWay, key: str | None) -> None:
        self._answer, self._under_way, self.wanted = answer, under_way, answer.wanted
        self._number = under_way.begin(key)

    def result(self, packed: bytes) -> None:
        self._answer.result(packed)
        self._under_way.end(self._number)

    def error(self, code: str, why: str) -> None:
        self._answer.error(code, why)
        self._under_way.end(self._number)


class AfterPushes:
    """Another answer, which is given when ``ready`` calls what it is given.

    What another node passed on is answered by the way that it came, and pushes have a shorter one:
    whoever called has to have them first.
    """

    __slots__ = ("_answer", "_ready", "wanted")

    def __init__(self, answer: Answer, ready: Callable[[Callable[[], None]], None]) -> None:
        self._answer, self._ready, self.wanted = answer, ready, answer.wanted

    def result(self, packed: bytes) -> None:
        self._ready(partial(self._answer.result, packed))

    def error(self, code: str, why: str) -> None:
        self._ready(partial(self._answer.error, code, why))


class _Own:
    """A call of this node to itself that is under way."""

    __slots__ = ("_calls", "called", "deadlines", "what")

    wanted = True

    def __init__(self, calls: OwnCalls, what: str) -> None:
        self._calls, self.what = calls, what
        self.called: Deferred[Any] = Deferred()
        self.deadlines: Deadlines | None = None

    def result(self, packed: bytes) -> None:
        if not self._calls.ended(self):
            return
        try:
            result = unpack(packed)
        except UNREADABLE as wrong:
            id, what = self._calls.id, self.what
            self._calls.failed(self, RemoteRefused(id, what, f"a bad answer: {wrong!r}"))
            return
        self.called.callback(result)

    def error(self, code: str, why: str) -> None:
        if self._calls.ended(self):
            id, what = self._calls.id, self.what
            self._calls.failed(self, remote_problem(id, what, code, why[:LONGEST_WHY]))


class OwnCalls:
    """The calls of a node to itself: they end as those to other nodes do, and in time.

    Args:
        id: of this node.
        clock: the reactor, or a test's clock.
        counters: where failures are counted.
    """

    def __init__(self, id: str, clock: IClock, counters: Counters) -> None:
        self.id = id
        self._counters = counters
        self._timeouts = Timeouts(clock, self._timed_out)
        self._under_way: set[_Own] = set()

    @property
    def under_way(self) -> int:
        """How many wait for their answer."""
        return len(self._under_way)

    def make(self, what: str, seconds: float, run: Callable[[Answer], None]) -> Deferred[Any]:
        """Make a call.

        Args:
            what: what is called, for the error's text.
            seconds: how long it may take.
            run: calls the method.
        """
        own = _Own(self, what)
        self._under_way.add(own)
        try:
            run(own)
        except BaseException:  # whatever it is, nobody waits for this call
            self._under_way.discard(own)
            raise
        if own in self._under_way:  # what ended at once needs no timer
            own.deadlines = self._timeouts.start(own, seconds)
        return own.called

    def ended(self, own: _Own) -> bool:
        """Note that a call has ended; False if it is too late for that."""
        if own not in self._under_way:
            return False
        self._under_way.discard(own)
        if own.deadlines is not None:
            own.deadlines.stop(own)
        return True

    def failed(self, own: _Own, problem: RpcError) -> None:
        """Tell who called that there is no result."""
        self._counters.calls_failed += 1
        own.called.errback(problem)

    def stop(self) -> None:
        """Forget the timers."""
        self._timeouts.clear()
        for own in self._under_way:
            if own.deadlines is not None:
                own.deadlines.stop(own)

    def _timed_out(self, own: _Own) -> None:
        self._under_way.discard(own)
        self.failed(own, CallTimedOut(self.id, own.what))
