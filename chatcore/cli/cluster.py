"""Asking the running cluster, and having something done with its servers."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.task import deferLater

from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import (
    AWAY,
    BUSY,
    FORBIDDEN,
    LATE,
    LOST,
    MISTAKE,
    UNSUPERVISED,
    What,
)
from chatcore.admin.outcomes import FAILED as NOT_DONE
from chatcore.admin.outcomes import UNKNOWN as NO_SUCH
from chatcore.admin.questions import Question
from chatcore.admin.visit import Visit
from chatcore.cli.exits import FAILED, UNKNOWN, UNREACHABLE, USAGE, CommandError
from chatcore.cli.exits import FORBIDDEN as NOT_ALLOWED
from chatcore.cli.reaching import Reach
from chatcore.cli.survey import Changes, Survey
from chatcore.config.addresses import is_loopback
from chatcore.config.names import START, is_own_name
from chatcore.errors import AdminError

T = TypeVar("T")

Answers = dict[str, dict[str, Any] | AdminError]
"""What servers say, or why they don't, by their ids."""

NOBODY: Final = "nobody"
"""Nobody of the cluster could be asked: a kind of problem that this side has alone."""

_EXITS = {
    NO_SUCH: UNKNOWN,
    UNSUPERVISED: USAGE,
    MISTAKE: USAGE,
    NOBODY: UNREACHABLE,
    FORBIDDEN: NOT_ALLOWED,
}


def exit_of(code: str) -> int:
    """The exit code for a kind of problem."""
    return _EXITS.get(code, FAILED)


LOOK_SECONDS = 3.0
"""Seconds that a server has to say how it is, each time that is looked for."""

ENTER_SECONDS = 20.0
"""Seconds that anybody has to answer at all."""

AT_ONCE = 16
"""Servers that are asked at the same time."""

LOOK = 0.2
"""Seconds between two looks whether a server has gone."""


class Cluster:
    """Asks the cluster, by whoever of it answers.

    Args:
        reach: knows the ways in.
        seconds: how long each step may take.
    """

    def __init__(self, reach: Reach, *, seconds: float) -> None:
        self._reach, self._seconds = reach, seconds
        self._visiting: Visit | None = None
        self._attempt: Deferred[Visit] | None = None
        self._closed = False
        self._survey: Survey | None = None
        self._entering = DeferredSemaphore(1)
        self._asking = DeferredSemaphore(AT_ONCE)

    async def close(self) -> None:
        """Ask no more."""
        self._closed = True
        if self._attempt is not None:
            self._attempt.cancel()
        if self._visiting is not None and not self._visiting.is_over:
            await self._visiting.leave(self._reach.reactor)

    async def survey(self) -> Survey:
        """What there is.

        Raises:
            CommandError: nobody can tell.
        """
        seconds = self._seconds

        async def ask(visiting: Visit) -> Survey:
            return Survey.of(await visiting.survey(seconds))

        try:
            self._survey = await self._ask(ask)
        except AdminError as problem:
            raise CommandError(problem.problem, exit=UNREACHABLE, advice=problem.advice) from None
        return self._survey

    async def status(self, id: str, seconds: float | None = None) -> dict[str, Any]:
        """How a server is.

        Args:
            seconds: that it may take, if less than a step.

        Raises:
            AdminError: it can't be told.
        """
        return await self.inspect("status", id, {}, seconds)

    async def inspect(
        self,
        question: Question,
        id: str,
        given: Mapping[str, Any],
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """What a server answers to a question.

        Args:
            given: what the question needs to be understood.
            seconds: that it may take, if less than a step.

        Raises:
            AdminError: it can't be told.
        """
        within = min(seconds or self._seconds, self._seconds)
        return await self._ask(lambda visiting: visiting.inspect(question, id, given, within))

    async def statuses(self, ids: Iterable[str], seconds: float) -> Answers:
        """How servers are, or why that can't be told.

        Args:
            seconds: that each may take.
        """
        return await self.inspect_all("status", ids, {}, seconds)

    async def inspect_all(
        self, question: Question, ids: Iterable[str], given: Mapping[str, Any], seconds: float
    ) -> Answers:
        """What servers answer to a question, or why that can't be told, by their ids.

        Args:
            given: what the question needs to be understood.
            seconds: that each may take.
        """

        async def one(id: str) -> dict[str, Any] | AdminError:
            try:
                return await self.inspect(question, id, given, seconds)
            except AdminError as problem:
                return problem

        every = list(ids)
        asked = [self._asking.run(one, id) for id in every]
        return dict(zip(every, await gatherResults(asked, consumeErrors=True), strict=True))

    async def invoke(self, invocation: Invocation, id: str) -> dict[str, Any]:
        """Have a remote of a server called; its result and how many milliseconds it took.

        Raises:
            AdminError: the call does not fit, or gave no result.
        """
        seconds = self._seconds
        return await self._ask(lambda it: it.invoke(invocation, id, seconds), again=False)

    async def order(self, what: What, id: str) -> bool:
        """Have something done with a server; returns when it is done.

        Returns:
            Whether there was something to do: False where its process was not there.

        Raises:
            AdminError: it was not done.
        """
        if what == "restart":
            await self._restart(id)
            return True
        return await (self._kill(id) if what == "kill" else self._end(what, id))

    async def _end(self, what: What, id: str) -> bool:
        pid = self._pid(id)
        outcome = await self._ordered(what, id, pid)
        if outcome is None or outcome.get("was_down"):
            return False
        if not outcome.get("ended", True):
            await self._until_gone(id, pid)
        return True

    async def _ordered(self, what: What, id: str, pid: int | None) -> dict[str, Any] | None:
        """Give an order; None where the server's process is not there.

        Whoever was asked, or whom that one asked, may be ending just now, too: somebody else is
        asked again then. Ending something twice does no harm.
        """
        end = self._reach.reactor.seconds() + self._seconds
        while True:
            try:
                return await self._ask(lambda it: it.order(what, id, self._seconds), again=False)
            except AdminError as problem:
                if problem.code in (AWAY, NOBODY) and self._is_certainly_down(id):
                    return None
                late = self._reach.reactor.seconds() >= end
                if problem.code != LOST or what == "start" or late:
                    raise
            if not await self._is_there(id, pid):
                if what == "drain":
                    raise AdminError(
                        f"{id} has ended, and did not say that it had handed over all it had",
                        code=NOT_DONE,
                    )
                return {"ended": True}

    async def _kill(self, id: str) -> bool:
        """Kill a server.

        One of this machine that nobody supervises takes a signal: it may hang, and so may all
        others. So does one whose ``chatcore start`` hangs. Who has a token gives no signals, and is
        told by a server whether that is allowed.
        """
        pid = self._pid(id)
        if pid is None or self._reach.has_token:
            return await self._end("kill", id)
        if self._is_watched(id):
            try:
                return await self._end("kill", id)
            except AdminError as problem:
                if problem.code not in (AWAY, LATE, LOST, NOBODY) or self._pid(id) != pid:
                    raise
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        await self._until_gone(id, pid)
        return True

    def _is_watched(self, id: str) -> bool:
        """Whether a ``chatcore start`` would start a server again that is killed behind its back.

        One that hangs would do so later: that can't be helped.
        """
        survey, run = self._survey, self._reach.run
        if survey is None or survey.trouble is not None:
            return False
        return id in (survey.programs or ()) or (run is not None and run.holder(START) is not None)

    async def _restart(self, id: str) -> None:
        before = await self._pid_told(id)
        try:
            await self._ask(lambda it: it.order("restart", id, self._seconds), again=False)
        except AdminError as problem:
            # Whoever was asked may be what is restarted just now.
            if problem.code != LOST:
                raise
            await self._until_up(id, before)

    async def _until_up(self, id: str, before: int | None) -> None:
        """Wait until another process of a server is up than that before."""
        clock = self._reach.reactor
        end = clock.seconds() + self._seconds
        while await self._pid_told(id, up=True) in (before, None):
            if self._reach.run is not None and not self._reach.doors():
                raise AdminError(f"all has ended while {id} was restarted", code=NOBODY)
            if clock.seconds() >= end:
                raise AdminError(f"{id} is not up yet", code=LATE)
            await deferLater(clock, LOOK)

    async def _pid_told(self, id: str, *, up: bool = False) -> int | None:
        """The process of a server, as it says itself; None where it says nothing, or is not up."""
        try:
            status = await self.status(id, LOOK_SECONDS)
        except AdminError:
            return None
        pid = status.get("pid")
        return pid if isinstance(pid, int) and (not up or status.get("state") == "up") else None

    async def add(self, server_type: str, given: Mapping[str, str], count: int) -> list[str]:
        """Have new servers taken in; the ids of those that are still to be started come back.

        Raises:
            CommandError: they can't be had.
        """
        seconds = self._seconds

        async def ask(visiting: Visit) -> list[str]:
            return list((await visiting.add(server_type, given, count, seconds))["ids"])

        return await self._insist(ask)

    async def changes(self, *, apply: bool) -> Changes:
        """Have servers.json read again.

        Args:
            apply: whether it is followed from now on.

        Raises:
            CommandError: it can't be followed.
        """
        seconds = self._seconds

        async def ask(visiting: Visit) -> Changes:
            return Changes(**await visiting.reload(apply=apply, seconds=seconds))

        return await self._insist(ask)

    async def _insist(self, ask: Callable[[Visit], Awaitable[T]]) -> T:
        try:
            return await self._ask(ask, again=False)
        except AdminError as problem:
            raise CommandError(
                problem.problem, exit=exit_of(problem.code), advice=problem.advice
            ) from None

    def runs_here(self, id: str) -> bool:
        """Whether a server's process runs on this machine, as the run folder says."""
        return self._pid(id) is not None

    def _pid(self, id: str) -> int | None:
        run = self._reach.run
        return None if run is None or is_own_name(id) else run.holder(id)

    def _is_certainly_down(self, id: str) -> bool:
        """Whether a server that can't be reached could run on this machine only, and does not."""
        member = None if self._survey is None else self._survey.member(id)
        if self._reach.run is None or member is None or self.runs_here(id):
            return False
        return member.server.port is None or is_loopback(member.server.host)

    async def _until_gone(self, id: str, pid: int | None) -> None:
        """Wait until a server has ended that is about to."""
        clock = self._reach.reactor
        end = clock.seconds() + self._seconds
        while await self._is_there(id, pid, nobody=False):
            if clock.seconds() >= end:
                raise AdminError(
                    f"{id} has not ended within {self._seconds:g} s",
                    code=LATE,
                    advice=f"'chatcore kill {id}' ends it at once",
                )
            await deferLater(clock, LOOK)
        if self._reach.run is not None:
            self._reach.run.tidy(id)

    async def _is_there(self, id: str, pid: int | None, *, nobody: bool = True) -> bool:
        """Whether a process of a server is still there.

        Args:
            pid: the process, if it runs on this machine.
            nobody: whether it is there where nobody can be asked about it.
        """
        if pid is not None:
            return self._pid(id) == pid
        try:
            await self.status(id, LOOK_SECONDS)
        except AdminError as problem:
            if problem.code == NOBODY:
                return nobody
            return problem.code not in (AWAY, NO_SUCH, LOST)
        return True

    # Whom it asks.

    async def _ask(self, ask: Callable[[Visit], Awaitable[T]], *, again: bool = True) -> T:
        """Ask somebody.

        Args:
            ask: asks who was found.
            again: whether somebody else is asked if that one ends meanwhile.
        """
        clock = self._reach.reactor
        end = clock.seconds() + self._seconds
        while True:
            visiting = await self._enter()
            try:
                return await ask(visiting)
            except AdminError as problem:
                if problem.code == BUSY and clock.seconds() < end:
                    await deferLater(clock, LOOK)
                elif again and visiting.is_over:
                    again = False
                else:
                    raise

    async def _enter(self) -> Visit:
        await self._entering.acquire()
        try:
            if self._closed:
                raise AdminError("nothing is asked any more", code=NOBODY)
            if self._visiting is None or self._visiting.is_over:
                seconds = min(self._seconds, ENTER_SECONDS)
                self._attempt = Deferred.fromCoroutine(self._reach.enter(seconds))
                try:
                    self._visiting = await self._attempt
                except CommandError as none:
                    raise AdminError(none.problem, code=NOBODY, advice=none.advice) from None
            return self._visiting
        finally:
            self._entering.release()
