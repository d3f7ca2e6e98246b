"""What a running cluster has that words can be completed with."""

from __future__ import annotations

import argparse
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError

from chatcore.cli.cluster import Cluster
from chatcore.cli.reaching import reach
from chatcore.cli.running import run_until_done
from chatcore.cli.survey import Survey
from chatcore.errors import ChatcoreError


@dataclass(slots=True)
class Known:
    """What there is; nothing where no cluster answers.

    Args:
        ids: its servers.
        types: their types.
        routes: the remotes of the server that was asked for.
    """

    ids: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    routes: list[str] = field(default_factory=list)


def known(options: argparse.Namespace, seconds: float, *, routes_of: str | None) -> Known:
    """Ask a running cluster what it has.

    Args:
        options: those of `chatcore.cli.options.add_reach`.
        seconds: that it may take.
        routes_of: the server, or the type, whose remotes are wanted.
    """
    found = Known()

    async def main(reactor: Any) -> int:
        asking = Deferred.fromCoroutine(_ask(found, options, seconds, routes_of, reactor))
        asking.addTimeout(seconds, reactor)
        # Nobody who presses Tab wants to hear why there is nothing.
        with suppress(ChatcoreError, CancelledError, TimeoutError, OSError):
            await asking
        return 0

    run_until_done(main)
    return found


async def _ask(
    found: Known, options: argparse.Namespace, seconds: float, routes_of: str | None, reactor: Any
) -> None:
    cluster = Cluster(reach(options, reactor=reactor), seconds=seconds)
    survey = await cluster.survey()
    found.ids = survey.ids
    found.types = list(dict.fromkeys(filter(None, map(survey.type_of, survey.ids))))
    if routes_of is not None:
        told = await cluster.inspect("remotes", _one(routes_of, survey), {})
        found.routes = [
            method["route"] for service in told["services"] for method in service["methods"]
        ]


def _one(name: str, survey: Survey) -> str:
    """A server, or the first that is up of a type."""
    of_type = [id for id in survey.ids if survey.type_of(id) == name and not survey.is_down(id)]
    return name if name in survey.ids or not of_type else of_type[0]
