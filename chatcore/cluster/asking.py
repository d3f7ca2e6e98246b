"""Asking the home of a uid, until it has answered or the time is up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.cluster.homes import Homes
from chatcore.deadlines import Deadlines, IClock
from chatcore.errors import RpcError

SWEEP_SECONDS = 1.0
"""How soon a home is asked again where nothing says that it can answer now."""

LAST_SECONDS = 0.5
"""What a home leaves of the time, so that who asks hears why there is no answer."""


class IPeers(Protocol):
    """The other frontends, and this one, as they ask each other.

    What one is told or asked arrives in that order, as do its answers and what it tells in turn.
    What can't be told is lost with its link.
    """

    def ask(self, peer: str, method: str, args: Sequence[Any], seconds: float) -> Deferred[Any]:
        """Ask for an answer; the Deferred fails with an `RpcError` where there is none."""

    def tell(self, peer: str, method: str, args: Sequence[Any]) -> None:
        """Tell something; nothing happens where there is no link."""

    def reachable(self, peer: str) -> bool:
        """Whether there is a link to it, or it is this node."""


class Question:
    """Something that is asked of the home of a uid.

    Args:
        uid: which.
        method: what is asked.
        args: called for each try: what is asked with.
        answered: told the answer.
        failed: told why there is none.
        undone: told which home may have acted on a try that is given up.
        unfit: why it can't be asked now, if so.
    """

    __slots__ = (
        "answered",
        "args",
        "asked",
        "attempt",
        "end",
        "failed",
        "method",
        "over",
        "run",
        "uid",
        "undone",
        "unfit",
        "why",
    )

    def __init__(
        self,
        uid: str,
        method: str,
        *,
        args: Callable[[], Sequence[Any]],
        answered: Callable[[Sequence[Any]], None],
        failed: Callable[[str], None],
        undone: Callable[[str], None] = lambda home: None,
        unfit: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.uid, self.method, self.args = uid, method, args
        self.answered, self.failed, self.undone, self.unfit = answered, failed, undone, unfit
        self.asked: str | None = None
        self.attempt = self.run = 0
        self.end = 0.0
        self.why = "nobody was asked"
        self.over = False


class Asking:
    """Asks homes, wherever they are in the newest view that this node has heard of.

    Args:
        homes: those of the first view.
        peers: reaches them.
        seconds: how long each question may take.
        clock: the reactor, or a test's clock.

    Attributes:
        homes: those of the newest view.
        run: changes whenever the homes do.
        since: the epoch in which that happened last.
    """

    log = Logger()

    def __init__(self, *, homes: Homes, peers: IPeers, seconds: float, clock: IClock) -> None:
        self.homes = homes
        self.run, self.since = 0, homes.epoch
        self._peers = peers
        self._clock = clock
        self._seconds = seconds
        self._deadlines = Deadlines(seconds, clock, self._expired)
        self._waiting: dict[Question, None] = {}
        self._sweep: Any = None

    def ask(self, question: Question) -> None:
        """Ask something; the question is told how that ends, maybe before this returns."""
        question.end = self._clock.seconds() + self._seconds
        self._deadlines.start(question)
        self._try(question)

    def withdraw(self, question: Question) -> None:
        """Ask no more; nobody is told the answer."""
        home = self._end(question)
        if home is not None:
            question.undone(home)

    def follow(self, homes: Homes) -> None:
        """There is a newer view. Whoever has to know of it first, has been told."""
        if homes.lives != self.homes.lives:
            self.run, self.since = self.run + 1, homes.epoch
        self.homes = homes

    def wake(self) -> None:
        """Something has changed: what waits is asked again."""
        waiting, self._waiting = self._waiting, {}
        for question in waiting:
            if not question.over:
                self._try(question)

    def stop(self) -> None:
        """Forget the timers."""
        self._deadlines.clear()
        self._waiting.clear()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _try(self, question: Question) -> None:
        why = question.unfit()
        home = self.homes.of(question.uid)
        if why is None and home is None:
            why = "the view has no frontend"
        if why is None and not self._peers.reachable(home or ""):
            why = f"{home}, which knows who has it, can't be reached"
        if why is not None or home is None:
            self._put_off(question, why or "")
            return
        question.attempt += 1
        question.run, question.asked = self.run, home
        args = [self.homes.epoch, *question.args(), max(self._left(question) - LAST_SECONDS, 0)]
        # Rounded, because equal times share a timer.
        asked = self._peers.ask(
            home, question.method, args, max(round(self._left(question), 1), 0.1)
        )
        of = (question, question.attempt, home)
        asked.addCallbacks(self._answered, self._unanswered, callbackArgs=of, errbackArgs=of)
        asked.addErrback(self._broken, question)

    def _answered(self, answer: Any, question: Question, attempt: int, home: str) -> None:
        if question.over or question.attempt != attempt:
            return  # the home was told when it was given up
        kind = answer[0]
        if kind == "behind":
            question.asked = None
            if answer[1] <= self.homes.epoch:
                self._try(question)
            else:
                self._put_off(question, f"{home} is in view {answer[1]} already")
        elif kind == "again":
            question.asked = None
            self._put_off(question, str(answer[1]))
            if self._left(question) <= LAST_SECONDS:
                self._fail(question)
        elif question.run != self.run:
            # What an old home says counts no more: others may have asked the new one meanwhile.
            question.asked = None
            question.undone(home)
            self._try(question)
        else:
            self._end(question)
            question.answered(answer)

    def _unanswered(self, failure: Failure, question: Question, attempt: int, home: str) -> None:
        failure.trap(RpcError)
        if question.over or question.attempt != attempt:
            return
        question.asked = None
        problem: Any = failure.value
        if not problem.nothing_ran:
            question.undone(home)
        self._put_off(question, str(problem))

    def _broken(self, failure: Failure, question: Question) -> None:
        self.log.failure("A home was asked, and {method} broke", failure, method=question.method)
        if not question.over:
            self._put_off(question, repr(failure.value))

    def _put_off(self, question: Question, why: str) -> None:
        question.why = why
        self._waiting[question] = None
        if self._sweep is None:
            self._sweep = self._clock.callLater(SWEEP_SECONDS, self._swept)

    def _swept(self) -> None:
        self._sweep = None
        self.wake()

    def _left(self, question: Question) -> float:
        return question.end - self._clock.seconds()

    def _expired(self, question: Question) -> None:
        home = self._end(question)
        if home is not None:
            question.why = f"{home}, which knows who has it, has not answered"
            question.undone(home)
        question.failed(question.why)

    def _fail(self, question: Question) -> None:
        self._end(question)
        question.failed(question.why)

    def _end(self, question: Question) -> str | None:
        """Ask no more; which home may act on what it was asked comes back."""
        question.over = True
        self._deadlines.stop(question)
        self._waiting.pop(question, None)
        asked, question.asked = question.asked, None
        return asked
