"""Which servers are meant: some by their ids, those of a type, or all."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from chatcore.cli.exits import UNKNOWN, CommandError
from chatcore.config.names import suggestion

if TYPE_CHECKING:
    from chatcore.cli.survey import Survey


ELSEWHERE: Final = (
    "What was stopped on another machine is known there only: say it there, or with --at to a"
    " server that runs there"
)


def check_choice(options: argparse.Namespace) -> None:
    """See that the options name servers in one way.

    Raises:
        CommandError: they don't, or in several.
    """
    ways = [bool(options.ids), options.type is not None, options.all]
    if sum(ways) != 1:
        problem = "no servers given" if not any(ways) else "IDs, --type and --all can't go together"
        raise CommandError(problem, advice="Name them by their IDs, or with --type TYPE, or --all")


def chosen(options: argparse.Namespace, survey: Survey) -> list[str]:
    """The ids of the servers that are meant.

    Raises:
        CommandError: there is one among them that does not exist.
    """
    known = survey.ids
    if options.type is not None:
        found = [id for id in known if survey.type_of(id) == options.type]
        if not found:
            types = dict.fromkeys(survey.type_of(id) for id in known)
            raise CommandError(
                f"there is no server of the type '{options.type}'",
                exit=UNKNOWN,
                advice=suggestion(options.type, types, "types"),
            )
        return found
    for id in options.ids:
        if id not in known:
            raise CommandError(
                f"there is no server '{id}'; nothing was done",
                exit=UNKNOWN,
                advice=f"{suggestion(id, known, 'servers')}. {ELSEWHERE}",
            )
    return list(dict.fromkeys(options.ids)) if options.ids else known
