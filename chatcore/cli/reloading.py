"""``chatcore reload``: what a changed servers.json says is brought about."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chatcore.cli.exits import DONE
from chatcore.cli.options import DRAIN_SECONDS, add_reach
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands
from chatcore.cli.running import run_main

if TYPE_CHECKING:
    from chatcore.cli.ordering import Ordering
    from chatcore.cli.survey import Changes


def add_parser(commands: Commands) -> None:
    """Add what reads the options of this command."""
    parser = commands.add_parser(
        "reload",
        help="do what a changed servers.json says",
        description="Reads servers.json again, says what has changed, and then starts the servers "
        "that are new, drains those that are gone and restarts those that have changed, one after "
        "the other. Servers of 'chatcore add' stay, and so do those down that were stopped. When "
        "something fails, what comes behind it is left as it is; reload again for the rest.",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be done, and do nothing"
    )
    add_reach(parser, seconds=DRAIN_SECONDS)
    parser.set_defaults(run=run_main, main=reload)


async def reload(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Follow servers.json.

    Raises:
        CommandError: something in it is wrong, or nobody can follow it.
    """
    # Late, so that help and version come at once.
    from chatcore.cli.cluster import Cluster
    from chatcore.cli.ordering import Ordering
    from chatcore.cli.reaching import reach

    cluster = Cluster(reach(options, reactor=reactor), seconds=options.timeout)
    try:
        survey = await cluster.survey()
        changes = await cluster.changes(apply=False)
        if options.dry_run or not changes:
            _tell(changes, output)
            output.document({**changes.to_value(), "servers": [], "exit": DONE})
            return DONE
        for id, _, what in changes.lines():
            output.note(f"{id}: {what}")
        changes = await cluster.changes(apply=True)
        ordering = Ordering(cluster, output, reactor=reactor)
        gone = sorted(changes.gone, key=lambda id: not survey.is_frontend(id))
        await _bring_about(changes, gone, ordering)
        return ordering.finish(changes.to_value())
    finally:
        await cluster.close()


async def _bring_about(changes: Changes, gone: Sequence[str], ordering: Ordering) -> None:
    """Do it in an order in which no address is needed by two, and nobody is missed."""
    blocked = changes.blocked
    steps = [
        ("start", [id for id in changes.new if id not in blocked]),
        ("drain", list(gone)),
        ("restart", [id for id in changes.changed if id not in blocked]),
        ("drain", [id for id in blocked if id in changes.changed]),
        ("start", blocked),
    ]
    well = True
    for what, ids in steps:
        if not well:
            ordering.leave_out([id for id in ids if id not in ordering.told])
        elif what == "restart":
            well = await ordering.one_by_one("restart", ids)
        else:
            well = await ordering.together("start" if what == "start" else "drain", ids)


def _tell(changes: Changes, output: Output) -> None:
    for id, kind, what in changes.lines():
        output.record((id, kind, what), f"{id}: {what}")
    if not changes:
        output.say("nothing has changed")
