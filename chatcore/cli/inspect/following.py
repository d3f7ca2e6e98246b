"""Tapping the servers of the cluster that are meant, and following the view."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from chatcore.admin.outcomes import FAILED, FORBIDDEN
from chatcore.admin.visit import Visit
from chatcore.cli.cluster import Cluster, exit_of
from chatcore.cli.exits import CommandError
from chatcore.cli.reaching import Reach
from chatcore.cli.survey import Survey
from chatcore.errors import AdminError, ConfigError
from chatcore.inspector.own import Declared

LOOK_SECONDS = 0.5
"""Seconds between two looks at the view, and between attempts to tap a server."""

FIRST_SECONDS = 1.0
"""Seconds that are waited at the beginning for those who take long."""

Took = Callable[[str, int, bytes, Callable[[], None]], object]
"""Given who tells, the number of the visit to it, a batch, and what to call once it is read."""


class Following:
    """Visits all servers that are meant, and has them show what passes.

    A link between two that are tapped is shown by the one whose id comes first.

    Args:
        reach: knows the ways in.
        cluster: knows the view.
        means: which of the servers that there are.
        given: what else they are to show; see `chatcore.links.commands.Tap`.
        link: the only link that is meant, by its two ends.
        took: given what they tell.
        note: told, in words, what people should know.
        seconds: that each step may take.
        askers_first: whether frontends show their links to backends, and not these.

    Attributes:
        tapped: who is tapped now; replaced whenever that changes, so that threads may look at it.
        types: of all servers that were ever there.
        declared: what is known of methods, by their routes.
        frontends: those of these servers that were frontends.
    """

    def __init__(
        self,
        *,
        reach: Reach,
        cluster: Cluster,
        means: Callable[[Survey], Iterable[str]],
        given: dict[str, Any],
        link: frozenset[str] | None,
        took: Took,
        note: Callable[[str], object],
        seconds: float,
        askers_first: bool = False,
    ) -> None:
        self.tapped: frozenset[str] = frozenset()
        self.types: dict[str, str] = {}
        self.declared: dict[str, Declared] = {}
        self._reach, self._cluster, self._means = reach, cluster, means
        self._given, self._link = given, link
        self._took, self._note, self._seconds = took, note, seconds
        self._survey: Survey | None = None
        self._meant: frozenset[str] = frozenset()
        self._tending: dict[str, Deferred[None]] = {}
        self._tried: dict[str, Deferred[None]] = {}
        self._visits: dict[str, Visit] = {}
        self._hopeless: set[str] = set()
        self._is_over = False
        self._askers_first = askers_first
        self._asked: dict[str, frozenset[str]] = {}
        self._told: dict[str, str] = {}
        self._last = 0
        self.frontends: set[str] = set()
        self.failed: Deferred[None] = Deferred()
        """Fails with what nobody has foreseen."""

    async def begin(self) -> int:
        """Tap all that are there; how many of them are tapped by now comes back.

        Raises:
            CommandError: nobody can be asked, or there is no such server.
        """
        self._look_at(await self._cluster.survey())
        # One that hangs keeps nobody from seeing what the others show.
        await self._all_tried().addTimeout(
            FIRST_SECONDS, self._reach.reactor, onTimeoutCancel=lambda result, timeout: None
        )
        if not self.tapped:
            await self._all_tried()
        for id in sorted(each for each in self._meant if not self._tried[each].called):
            self._say(id, f"{id} does not answer yet, and is not shown")
        return len(self.tapped)

    def _all_tried(self) -> Deferred[Any]:
        """What fires when each that is meant is tapped, or is not for the first time."""
        tried = [_end_of(each) for each in self._tried.values()]
        return DeferredList(tried, consumeErrors=True)

    async def follow(self) -> None:
        """Go on with those who come, until this is cancelled."""
        silent = False
        while True:
            await deferLater(self._reach.reactor, LOOK_SECONDS)
            try:
                self._look_at(await self._cluster.survey())
                silent = False
            except CommandError as problem:
                if not silent:
                    self._note(f"chatcore: who is there is not known now: {problem.problem}")
                silent = True

    async def close(self) -> None:
        """Tap nobody any more."""
        self._is_over = True  # one that has brought this about goes on behind it
        tending, self._tending = self._tending, {}
        visits = list(self._visits.values())
        for each in tending.values():
            each.cancel()
        for visit in visits:
            await visit.leave(self._reach.reactor)

    def _look_at(self, survey: Survey) -> None:
        self._survey = survey
        for id in survey.ids:
            self.types[id] = survey.type_of(id)
            if survey.is_frontend(id):
                self.frontends.add(id)
        self._meant = frozenset(self._means(survey))
        for id in [id for id in self._tending if id not in self._meant]:
            self._note(f"chatcore: {id} has left")
            self._tending.pop(id).cancel()
        for id in sorted(self._meant - self._tending.keys()):
            self._tried[id] = Deferred()
            self._tending[id] = Deferred.fromCoroutine(self._tend(id))
            self._tending[id].addErrback(self._ended, id)
        self._tell_others()

    def _ended(self, failure: Failure, id: str) -> None:
        self._tried_once(id)
        if not failure.check(CancelledError) and not self.failed.called:
            self.failed.errback(failure)

    async def _tend(self, id: str) -> None:
        """Keep one server tapped, for as long as it is there."""
        while not self._is_over:
            try:
                visiting = await self._tap(id)
            except AdminError as problem:
                if problem.code == FORBIDDEN:
                    exit = exit_of(problem.code)
                    raise CommandError(problem.problem, exit=exit, advice=problem.advice) from None
                self._hopeless.add(id)
                self._say(id, f"{id} can't be tapped: {problem.problem}")
                self._tried_once(id)
                self._tell_others()
                await deferLater(self._reach.reactor, LOOK_SECONDS)
                continue
            try:
                await _end_of(visiting.closed)
            finally:
                self._visits.pop(id, None)
                self.tapped = self.tapped - {id}
                visiting.close()
            if self._is_over:
                return
            self._hopeless.add(id)
            self._say(id, f"{id} has closed the link; it is tried again")
            self._tell_others()

    async def _tap(self, id: str) -> Visit:
        survey = self._survey
        member = None if survey is None else survey.member(id)
        try:
            visiting = await self._reach.visit(id, member, self._seconds)
        except ConfigError as problem:
            raise AdminError(str(problem), code=FAILED) from None
        self._last += 1
        number = self._last
        try:
            self._hopeless.discard(id)
            self._asked[id] = self._but(id)
            about = await visiting.tap(
                self._wanted(id),
                self._seconds,
                lambda data, read: self._took(id, number, data, read),
            )
            self._learn(id, about)
        except BaseException:
            visiting.close()
            raise
        self._visits[id] = visiting
        self.tapped = self.tapped | {id}
        self._tried_once(id)
        if id in self._told:
            del self._told[id]
            self._note(f"chatcore: tapping {id} again")
        self._tell_others()
        return visiting

    def _learn(self, id: str, about: dict[str, Any]) -> None:
        """Take in what a server says of the application.

        Raises:
            AdminError: it can't be read.
        """
        try:
            self.types.update((str(each), str(type)) for each, type in about["types"].items())
            self.declared.update(
                (route, Declared.of(value)) for route, value in about["declared"].items()
            )
        except (KeyError, ValueError, AttributeError) as problem:
            raise AdminError(f"what {id} says can't be read: {problem!r}", code=FAILED) from None

    def _wanted(self, id: str) -> dict[str, Any]:
        wanted = dict(self._given, but=sorted(self._asked[id]))
        if self._link is not None:
            wanted["peers"] = sorted(self._link - {id})
        return wanted

    def _but(self, id: str) -> frozenset[str]:
        """Whose links another one shows."""
        own = self.rank(id)
        others = self._meant - self._hopeless
        return frozenset(other for other in others if self.rank(other) < own)

    def rank(self, id: str) -> tuple[bool, str]:
        """Who comes first of two shows their link."""
        return self._askers_first and id not in self.frontends, id

    def _tell_others(self) -> None:
        """Have others show what this one shows no more, or now does."""
        for id, visit in self._visits.items():
            but = self._but(id)
            if but != self._asked[id]:
                self._asked[id] = but
                telling = Deferred.fromCoroutine(visit.tap(self._wanted(id), self._seconds))
                telling.addErrback(lambda failure: failure.trap(AdminError, CancelledError))

    def _tried_once(self, id: str) -> None:
        if not self._tried[id].called:
            self._tried[id].callback(None)

    def _say(self, id: str, text: str) -> None:
        if self._told.get(id) != text:
            self._told[id] = text
            self._note(f"chatcore: {text}")


def _end_of(waiting: Deferred[None]) -> Deferred[None]:
    """What fires when something else does, and may be cancelled without harm to that."""
    ended: Deferred[None] = Deferred()

    def end(_: object) -> None:
        if not ended.called:
            ended.callback(None)

    waiting.addBoth(end)
    return ended
