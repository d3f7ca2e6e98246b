"""``chatcore restart``: servers drained and started again, one after the other."""

from __future__ import annotations

import argparse
from typing import Any

from chatcore.cli.choosing import check_choice, chosen
from chatcore.cli.options import DRAIN_SECONDS, add_choice, add_reach
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands
from chatcore.cli.running import run_main


def add_parser(commands: Commands) -> None:
    """Add what reads the options of this command."""
    parser = commands.add_parser(
        "restart",
        help="drain servers and start them again, one after the other",
        description="Drains servers and starts them again, one after the other: each has to be "
        "ready before it is the turn of the next, and when one fails, those behind it are left as "
        "they are. Servers that stay down are started first, all together. It takes a 'chatcore "
        "start' that owns the servers.",
    )
    add_choice(parser, verb="restart")
    add_reach(parser, seconds=DRAIN_SECONDS)
    parser.set_defaults(run=run_main, main=restart)


async def restart(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Restart servers.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
    """
    # Late, so that help and version come at once.
    from chatcore.cli.cluster import Cluster
    from chatcore.cli.ordering import Ordering
    from chatcore.cli.reaching import reach

    check_choice(options)
    cluster = Cluster(reach(options, reactor=reactor), seconds=options.timeout)
    try:
        survey = await cluster.survey()
        ordering = Ordering(cluster, output, reactor=reactor)
        ids = chosen(options, survey)
        down = [id for id in ids if survey.is_down(id)]
        rest = [id for id in ids if id not in down]
        if await ordering.together("restart", down):
            await ordering.one_by_one("restart", rest)
        else:
            ordering.leave_out(rest)
        return ordering.finish()
    finally:
        await cluster.close()
