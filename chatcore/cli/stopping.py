"""``chatcore stop``, ``drain`` and ``kill``: ending servers of the running cluster."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from chatcore.cli.choosing import check_choice, chosen
from chatcore.cli.exits import UNREACHABLE, CommandError
from chatcore.cli.options import DRAIN_SECONDS, QUICK_SECONDS, add_choice, add_reach
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands
from chatcore.cli.running import run_main

if TYPE_CHECKING:
    from chatcore.admin.outcomes import What
    from chatcore.cli.cluster import Cluster
    from chatcore.cli.ordering import Ordering
    from chatcore.cli.survey import Survey

_STAYS = "It stays down until 'chatcore restart'."

_COMMANDS: tuple[tuple[What, str, str, float], ...] = (
    (
        "stop",
        "stop servers in order",
        "Stops servers in order, without handing over what they have: clients are disconnected, "
        f"and the channels of a backend are made anew by others. {_STAYS}",
        QUICK_SECONDS,
    ),
    (
        "drain",
        "have servers hand over what they have, and stop",
        "Has servers hand over what they have, and stops them: a frontend sends its clients on to "
        f"others, a backend hands its channels over. Nothing is lost. {_STAYS}",
        DRAIN_SECONDS,
    ),
    (
        "kill",
        "end servers at once",
        "Ends servers at once, whatever they are at: for those that hang. What they had and had "
        f"told nobody is lost. {_STAYS}",
        QUICK_SECONDS,
    ),
)


def add_parser(commands: Commands) -> None:
    """Add what reads the options of these commands."""
    for what, summary, description, seconds in _COMMANDS:
        parser = commands.add_parser(what, help=summary, description=description)
        add_choice(parser, verb=what)
        add_reach(parser, seconds=seconds)
        parser.set_defaults(run=run_main, main=partial(end, what))


async def end(what: What, options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """End servers.

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
        ordering = Ordering(cluster, output, reactor=reactor)
        try:
            survey = await cluster.survey()
        except CommandError as nobody:
            if what == "kill" and options.ids and nobody.exit == UNREACHABLE:
                return await _kill_here(options.ids, cluster, ordering, nobody)
            raise
        if survey.trouble is not None:
            output.note(f"chatcore: {survey.trouble}")
        ids = chosen(options, survey)
        for said in lonely(ids, survey) if what == "drain" else ():
            output.note(f"chatcore: {said}")
        for some in in_order(ids, survey):
            await ordering.together(what, some)
        return ordering.finish()
    finally:
        await cluster.close()


def in_order(ids: Sequence[str], survey: Survey) -> list[list[str]]:
    """Which servers are ended together, and in which order.

    Frontends come first, because they need the others to the last; and whoever is asked comes last.
    """
    rest = [id for id in ids if id != survey.asked]
    frontends = [id for id in rest if survey.is_frontend(id)]
    backends = [id for id in rest if id not in frontends]
    return [some for some in (frontends, backends, [id for id in ids if id not in rest]) if some]


def lonely(ids: Sequence[str], survey: Survey) -> list[str]:
    """What it means to drain servers of types of which none is up then, in words."""
    members = [] if survey.view is None else survey.view.members
    types = dict.fromkeys(member.server.type for member in members if member.id in ids)
    left = {each.server.type for each in members if each.id not in ids and each.state == "up"}
    said = []
    for server_type in types:
        if server_type in left:
            continue
        means = "nobody takes over its channels, whose state is lost, and requests are refused"
        if any(survey.is_frontend(id) for id in ids if survey.type_of(id) == server_type):
            means = "its clients are disconnected and not told of another, and none is let in"
        said.append(
            f"no server of the type '{server_type}' will be up then: {means} until one is started"
        )
    return said


async def _kill_here(
    ids: Sequence[str], cluster: Cluster, ordering: Ordering, nobody: CommandError
) -> int:
    """Kill processes of this machine though all hang, so that nobody answers."""
    if not all(cluster.runs_here(id) for id in ids):
        raise nobody
    await ordering.together("kill", ids)
    return ordering.finish()
