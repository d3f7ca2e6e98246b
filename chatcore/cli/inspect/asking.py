"""Asking the servers of the running cluster a question each."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatcore.admin.questions import Question
from chatcore.cli.choosing import chosen
from chatcore.cli.cluster import Cluster, exit_of
from chatcore.cli.exits import DONE, CommandError
from chatcore.cli.output import Output
from chatcore.cli.reaching import reach
from chatcore.cli.survey import Survey
from chatcore.errors import AdminError


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
    cluster = Cluster(reach(options, reactor=reactor), seconds=options.timeout)
    try:
        survey = await cluster.survey()
        meant = chosen(options, survey)
        if frontends and not options.ids:
            meant = [id for id in meant if survey.is_frontend(id)]
        ids = [id for id in (survey.ids if both_ends else meant) if not survey.is_down(id)]
        found = await cluster.inspect_all(question, ids, given, options.timeout / 2)
        if pages:
            for id, answer in found.items():
                if not isinstance(answer, AdminError):
                    found[id] = await _all_of(cluster, question, id, given, answer, pages, options)
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


async def _all_of(
    cluster: Cluster,
    question: Question,
    id: str,
    given: Mapping[str, Any],
    answer: dict[str, Any],
    pages: str,
    options: argparse.Namespace,
) -> dict[str, Any] | AdminError:
    """An answer with all that the further ones have, or why they could not be had."""
    rows, after = list(answer[pages]), answer.get("next")
    while after is not None:
        try:
            more = await cluster.inspect(
                question, id, {**given, "after": after}, options.timeout / 2
            )
        except AdminError as problem:
            return problem
        rows += more[pages]
        after = more.get("next")
    return {**answer, pages: rows}
