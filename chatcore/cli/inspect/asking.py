"""Asking the servers of the running cluster a question each."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import DeferredSemaphore, gatherResults

from chatcore.admin.outcomes import AWAY
from chatcore.admin.questions import Question
from chatcore.cli.choosing import chosen
from chatcore.cli.cluster import AT_ONCE, Answers, Cluster, exit_of
from chatcore.cli.exits import DONE, CommandError
from chatcore.cli.output import Output
from chatcore.cli.reaching import Reach, reach
from chatcore.cli.survey import Survey
from chatcore.errors import AdminError, ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What servers have said.

    Args:
        survey: what there is.
        answers: of those that answered, by id.
        silent: why the others did not, by id.
        meant: the ids of all who are meant.
        down: those of them that ``chatcore start`` keeps down, and that were not asked.
    """

    survey: Survey
    answers: Mapping[str, Mapping[str, Any]]
    silent: Mapping[str, AdminError]
    meant: frozenset[str]
    down: frozenset[str]

    @property
    def exit(self) -> int:
        """The exit code: of the first that did not answer, if any."""
        return exit_of(next(iter(self.silent.values())).code) if self.silent else DONE

    def to_value(self) -> dict[str, str]:
        """Who did not answer and why, in JSON's types."""
        return {id: problem.problem for id, problem in self.silent.items()}


async def ask_servers(
    options: argparse.Namespace,
    output: Output,
    question: Question,
    given: Mapping[str, Any],
    *,
    reactor: Any,
    both_ends: bool = False,
    frontends: bool = False,
    pages: str = "",
    tells: bool = True,
) -> Asked:
    """Ask all servers that are meant, or all there are; who does not answer is told of.

    All are asked by way of one of them. Those that this one has no link to are asked directly, if
    that can be.

    Args:
        options: those of `chatcore.cli.options.add_reach`, and ``ids`` and ``type``.
        given: what the question needs to be understood.
        both_ends: whether the others are asked, too, because they know of those that are meant.
        frontends: whether no others are asked, unless they are named.
        pages: the list in an answer that goes on in further ones, for as long as one says ``next``.
        tells: whether who does not answer is told of.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
        ConfigError: as from `chatcore.cli.reaching.reach`.
    """
    if options.ids and options.type is not None:
        raise CommandError("NODEs and --type can't go together", advice="Give one of them")
    reaching = reach(options, reactor=reactor)
    cluster = Cluster(reaching, seconds=options.timeout)
    try:
        survey = await cluster.survey()
        meant = chosen(options, survey)
        if frontends and not options.ids:
            meant = [id for id in meant if survey.is_frontend(id)]
        ids = [id for id in (survey.ids if both_ends else meant) if not survey.is_down(id)]
        asking = _Asking(cluster, reaching, survey, options.timeout / 2, pages)
        found = await asking.all(question, ids, given)
    finally:
        await cluster.close()
    silent = {id: each for id, each in found.items() if isinstance(each, AdminError)}
    for id, problem in silent.items():
        if tells:
            output.note(f"chatcore: {id} does not tell: {problem}")
    return Asked(
        survey=survey,
        answers={id: each for id, each in found.items() if not isinstance(each, AdminError)},
        silent=silent,
        meant=frozenset(meant),
        down=frozenset(id for id in meant if survey.is_down(id)),
    )


_Ask = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]


class _Asking:
    """Asks servers a question each.

    Args:
        cluster: asks by way of one of them.
        reaching: knows the ways to each.
        survey: what there is.
        seconds: that each answer may take.
        pages: the list in an answer that goes on in further ones; empty if there is none.
    """

    def __init__(
        self, cluster: Cluster, reaching: Reach, survey: Survey, seconds: float, pages: str
    ) -> None:
        self._cluster, self._reaching, self._survey = cluster, reaching, survey
        self._seconds, self._pages = seconds, pages

    async def all(
        self, question: Question, ids: Sequence[str], given: Mapping[str, Any]
    ) -> Answers:
        """What they answer, or why they don't, by their ids."""
        at_once = DeferredSemaphore(AT_ONCE)
        asked = [at_once.run(self._one, question, id, given) for id in ids]
        return dict(zip(ids, await gatherResults(asked, consumeErrors=True), strict=True))

    async def _one(
        self, question: Question, id: str, given: Mapping[str, Any]
    ) -> dict[str, Any] | AdminError:
        def ask(more: Mapping[str, Any]) -> Awaitable[dict[str, Any]]:
            return self._cluster.inspect(question, id, more, self._seconds)

        try:
            return await self._whole(ask, given)
        except AdminError as problem:
            found = problem
        if found.code == AWAY:
            with suppress(AdminError, ConfigError):
                return await self._directly(question, id, given)
        return found

    async def _directly(
        self, question: Question, id: str, given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Ask a server itself; AdminError or ConfigError where that can't be."""
        seconds = self._seconds
        visiting = await self._reaching.visit(id, self._survey.member(id), seconds)
        try:
            return await self._whole(
                lambda more: visiting.inspect(question, id, more, seconds), given
            )
        finally:
            await visiting.leave(self._reaching.reactor)

    async def _whole(self, ask: _Ask, given: Mapping[str, Any]) -> dict[str, Any]:
        """An answer with all that the further ones have."""
        answer = await ask(given)
        if not self._pages:
            return answer
        rows, after = list(answer[self._pages]), answer.get("next")
        while after is not None:
            more = await ask({**given, "after": after})
            rows += more[self._pages]
            after = more.get("next")
        return {**answer, self._pages: rows}
