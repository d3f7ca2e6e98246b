"""``chatcore list``: the servers of the running cluster."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from chatcore.cli.exits import DONE, CommandError
from chatcore.cli.options import add_reach
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands
from chatcore.cli.running import run_main

if TYPE_CHECKING:
    from chatcore.cli.survey import Survey


def add_parser(commands: Commands) -> None:
    """Add what reads the options of this command."""
    parser = commands.add_parser(
        "list",
        help="show the servers of the running cluster",
        description="Shows every server of the running cluster: how it is, where it listens and "
        "what it has to do. Off a terminal, each server is one line with the fields id, type, "
        "state, epoch, pid, host, port, client host, client port, clients, sessions, channels, "
        "requests under way, seconds up, bytes of memory, servers it has no link to, and version; "
        "tabs are between them, and a dash is in the place of what there is not. A server that "
        "does not answer within half of --timeout is shown as silent.",
    )
    parser.add_argument("ids", metavar="ID", nargs="*", help="show these servers only")
    parser.add_argument("--type", metavar="TYPE", help="show the servers of this type only")
    add_reach(parser)
    parser.set_defaults(run=run_main, main=show)


async def show(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Ask how the servers are, and print it.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
    """
    # Late, so that help and version come at once.
    from chatcore.cli.choosing import chosen
    from chatcore.cli.cluster import Cluster
    from chatcore.cli.reaching import reach
    from chatcore.cli.servers import COLUMNS, FIELDS, describe, row

    if options.ids and options.type is not None:
        raise CommandError("IDs and --type can't go together", advice="Give one of them")
    cluster = Cluster(reach(options, reactor=reactor), seconds=options.timeout)
    try:
        survey = await cluster.survey()
        if survey.trouble is not None:
            output.note(f"chatcore: {survey.trouble}")
        # In half the time of a step, so that those who hang keep nobody waiting for long.
        statuses = await cluster.statuses(chosen(options, survey), options.timeout / 2)
        servers = describe(survey, statuses)
    finally:
        await cluster.close()
    output.document(_document(survey, servers))
    if output.on_terminal:
        output.say(_title(survey, servers))
        if servers:
            output.table(COLUMNS, [row(each) for each in servers])
    else:
        for server in servers:
            output.record([server[field] for field in FIELDS], "")
    return DONE


def _document(survey: Survey, servers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "app": survey.app,
        "env": survey.env,
        "epoch": None if survey.view is None else survey.view.epoch,
        "version": survey.version,
        "supervised": survey.supervised,
        "trouble": survey.trouble,
        "servers": servers,
        "exit": DONE,
    }


def _title(survey: Survey, servers: list[dict[str, Any]]) -> str:
    count = f"{len(servers)} server{'' if len(servers) == 1 else 's'}"
    parts = [f"{survey.app} ({survey.env})", count]
    if survey.view is not None:
        parts.append(f"view {survey.view.epoch}")
    versions = sorted({str(each["version"]) for each in servers if each["version"]})
    parts.append(f"chatcore {', '.join(versions) or survey.version}")
    if not survey.supervised:
        parts.append("nothing supervises it")
    return ", ".join(parts)
