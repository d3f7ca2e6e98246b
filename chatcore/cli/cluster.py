"""The running cluster, as the commands see it."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.task import deferLater

from chatcore.admin.outcomes import AWAY, LATE, LOST, MISTAKE, UNSUPERVISED, What
from chatcore.admin.outcomes import FAILED as NOT_DONE
from chatcore.admin.outcomes import UNKNOWN as NO_SUCH
from chatcore.admin.visit import Visit
from chatcore.cli.exits import FAILED, UNKNOWN, UNREACHABLE, USAGE, CommandError
from chatcore.cli.reaching import Reach
from chatcore.cluster.view import Member, View
from chatcore.config.addresses import is_loopback
from chatcore.config.names import is_own_name
from chatcore.errors import AdminError, ViewError

T = TypeVar("T")

_EXITS = {NO_SUCH: UNKNOWN, UNSUPERVISED: USAGE, MISTAKE: USAGE}


def exit_of(code: str) -> int:
    """The exit code for a kind of problem."""
    return _EXITS.get(code, FAILED)


STATUS_SECONDS = 3.0
"""Seconds that a server has to say how it is; it is shown as silent then."""

ENTER_SECONDS = 5.0
"""Seconds that anybody has to answer at all."""

AT_ONCE = 16
"""Servers that are asked at the same time."""

LOOK = 0.2
"""Seconds between two looks whether a server has gone."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is, as the process knows it that was asked.

    Args:
        asked: the id of that process.
        app: the application's folder, on its machine.
        env: the environment.
        version: of chatcore.
        view: the view; None where no node could tell it.
        programs: what ``chatcore start`` says of its servers, by id; None where there is none.
    """

    asked: str
    app: str
    env: str
    version: str
    view: View | None
    programs: Mapping[str, Mapping[str, Any]] | None

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Survey:
        """Read what was answered; AdminError when that can't be."""
        try:
            view = value["view"]
            programs = value["programs"]
            return cls(
                asked=str(value["id"]),
                app=str(value["app"]),
                env=str(value["env"]),
                version=str(value["version"]),
                view=None if view is None else View.from_value(view),
                programs=None if programs is None else {each["id"]: each for each in programs},
            )
        except (KeyError, TypeError, ViewError) as problem:
            raise AdminError(f"a survey that can't be read: {problem!r}", code=NOT_DONE) from None

    @property
    def supervised(self) -> bool:
        """Whether a ``chatcore start`` was found."""
        return self.programs is not None

    @property
    def ids(self) -> list[str]:
        """All servers there are, sorted."""
        members = [] if self.view is None else [member.id for member in self.view.members]
        return sorted({*members, *(self.programs or ())})

    def member(self, id: str) -> Member | None:
        """A server of the view."""
        return None if self.view is None else self.view.get(id)

    def type_of(self, id: str) -> str:
        """The type of a server; empty where nobody knows it."""
        member = self.member(id)
        if member is not None:
            return member.server.type
        return str((self.programs or {}).get(id, {}).get("type", ""))

    def is_frontend(self, id: str) -> bool:
        """Whether a server is a frontend, as far as is known."""
        member = self.member(id)
        if member is not None:
            return member.server.frontend
        return bool((self.programs or {}).get(id, {}).get("frontend"))

    def is_down(self, id: str) -> bool:
        """Whether ``chatcore start`` has a server that stays down."""
        return (self.programs or {}).get(id, {}).get("state") in ("stopped", "refused")


@dataclass(frozen=True, slots=True)
class Changes:
    """What a changed servers.json comes to.

    Args:
        new: servers to be started.
        gone: servers to be drained.
        changed: servers to be restarted, with what has changed in words.
        blocked: those of them that need an address which another server has yet to leave.
    """

    new: Sequence[str]
    gone: Sequence[str]
    changed: Mapping[str, str]
    blocked: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed)

    def lines(self) -> list[tuple[str, str, str]]:
        """Each server, what kind of change it is, and that in words."""
        return [
            *((id, "new", "new, and to be started") for id in self.new),
            *((id, "gone", "gone, and to be drained") for id in self.gone),
            *((id, "changed", f"to be restarted ({what})") for id, what in self.changed.items()),
        ]

    def to_value(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {"new": list(self.new), "gone": list(self.gone), "changed": dict(self.changed)}


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
        if self._visiting is not None and not self._visiting.closed.called:
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

    async def status(self, id: str, seconds: float = STATUS_SECONDS) -> dict[str, Any]:
        """How a server is.

        Raises:
            AdminError: it can't be told.
        """
        seconds = min(seconds, self._seconds)
        return await self._ask(lambda visiting: visiting.status(id, seconds))

    async def statuses(self, ids: Iterable[str]) -> dict[str, dict[str, Any] | AdminError]:
        """How servers are, or why that can't be told."""

        async def one(id: str) -> dict[str, Any] | AdminError:
            try:
                return await self.status(id)
            except AdminError as problem:
                return problem

        every = list(ids)
        asked = [self._asking.run(one, id) for id in every]
        return dict(zip(every, await gatherResults(asked, consumeErrors=True), strict=True))

    async def order(self, what: What, id: str) -> bool:
        """Have something done with a server; returns when it is done.

        Returns:
            Whether there was something to do: False where its process was not there.

        Raises:
            AdminError: it was not done.
        """
        if what == "kill" and not self._is_supervised(id) and self._kill_here(id):
            await self._until_gone(id)
            return True
        if what == "restart":
            await self._restart(id)
            return True
        outcome = await self._ordered(what, id)
        if outcome is None:
            return False
        if not outcome.get("ended", True):
            await self._until_gone(id)
        return True

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
            if clock.seconds() >= end:
                raise AdminError(f"{id} is not up yet", code=LATE)
            await deferLater(clock, LOOK)

    async def _pid_told(self, id: str, *, up: bool = False) -> int | None:
        """The process of a server, as it says itself; None where it says nothing, or is not up."""
        try:
            status = await self.status(id)
        except AdminError:
            return None
        pid = status.get("pid")
        return pid if isinstance(pid, int) and (not up or status.get("state") == "up") else None

    async def _ordered(self, what: What, id: str) -> dict[str, Any] | None:
        """Give an order; None where the server's process is not there.

        Whoever was asked, or whom that one asked, may be ending just now, too: somebody else is
        asked again then. Ending something twice does no harm.
        """
        end = self._reach.reactor.seconds() + self._seconds
        while True:
            try:
                return await self._ask(lambda it: it.order(what, id, self._seconds), again=False)
            except AdminError as problem:
                if problem.code == AWAY and self._is_certainly_down(id):
                    return None
                late = self._reach.reactor.seconds() >= end
                if problem.code != LOST or what == "start" or late:
                    raise
            if not await self._is_there(id):
                return {"ended": False}

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

    def _kill_here(self, id: str) -> bool:
        """Kill a process of this machine, without asking anybody; whether there was one."""
        pid = self._pid(id)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return True

    def _pid(self, id: str) -> int | None:
        run = self._reach.run
        return None if run is None or is_own_name(id) else run.holder(id)

    def _is_supervised(self, id: str) -> bool:
        return self._survey is not None and id in (self._survey.programs or ())

    def _is_certainly_down(self, id: str) -> bool:
        """Whether a server that can't be reached could run on this machine only, and does not."""
        member = None if self._survey is None else self._survey.member(id)
        if self._reach.run is None or member is None or self.runs_here(id):
            return False
        return member.server.port is None or is_loopback(member.server.host)

    async def _until_gone(self, id: str) -> None:
        clock = self._reach.reactor
        end = clock.seconds() + self._seconds
        while await self._is_there(id):
            if clock.seconds() >= end:
                raise AdminError(
                    f"{id} has not ended within {self._seconds:g} s",
                    code=LATE,
                    advice=f"'chatcore kill {id}' ends it at once",
                )
            await deferLater(clock, LOOK)
        if self._reach.run is not None:
            self._reach.run.tidy(id)

    async def _is_there(self, id: str) -> bool:
        if self.runs_here(id):
            return True
        try:
            await self.status(id)
        except AdminError as problem:
            return problem.code not in (AWAY, NO_SUCH, LOST)
        return True

    # Whom it asks.

    async def _ask(self, ask: Callable[[Visit], Awaitable[T]], *, again: bool = True) -> T:
        visiting = await self._enter()
        try:
            return await ask(visiting)
        except AdminError:
            if not again or not visiting.closed.called:
                raise
        return await ask(await self._enter())  # who was asked has gone: ask somebody else

    async def _enter(self) -> Visit:
        await self._entering.acquire()
        try:
            if self._closed:
                raise AdminError("nothing is asked any more", code=AWAY)
            if self._visiting is None or self._visiting.closed.called:
                seconds = min(self._seconds, ENTER_SECONDS)
                self._attempt = Deferred.fromCoroutine(self._reach.enter(seconds))
                try:
                    self._visiting = await self._attempt
                except CommandError as nobody:
                    raise AdminError(nobody.problem, code=AWAY, advice=nobody.advice) from None
            return self._visiting
        finally:
            self._entering.release()
