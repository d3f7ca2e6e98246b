"""``chatcore add``: more servers for the running cluster."""

from __future__ import annotations

import argparse
from typing import Any

from chatcore.cli.exits import CommandError
from chatcore.cli.options import add_reach
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands
from chatcore.cli.running import run_main

START_SECONDS = 60.0
"""Seconds that a new server has to be ready."""

TYPE_KEYS = ("serverType", "type")
"""Keys that name the type, as Pomelo's command had it."""

_EXAMPLES = """\
examples:
  chatcore add chat                                  one more, like the last one of its type
  chatcore add --type chat --count 3                 three more
  chatcore add connector clientPort=3060             with a port of your choice
  chatcore add chat clusterCount=2 port=7000++       counted as in servers.json
"""


def add_parser(commands: Commands) -> None:
    """Add what reads the options of this command."""
    parser = commands.add_parser(
        "add",
        help="start more servers",
        description="Starts servers that servers.json does not list, each like the last one of its "
        "type but for the keys that are given; ports that are not given are chosen. They last as "
        "long as the 'chatcore start' that owns them: write them into servers.json to keep them.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "words",
        metavar="TYPE|KEY=VALUE",
        nargs="*",
        help="the type, and keys of an entry of servers.json: id, host, port, clientPort, …",
    )
    parser.add_argument("--type", metavar="TYPE", help="the type, if it is not among the words")
    parser.add_argument("--count", metavar="N", type=int, help="how many; 1 unless given")
    add_reach(parser, seconds=START_SECONDS)
    parser.set_defaults(run=run_main, main=add)


async def add(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Add servers, and wait until they are ready.

    Raises:
        CommandError: it makes no sense, or can't be done.
    """
    # Late, so that help and version come at once.
    from chatcore.cli.cluster import Cluster
    from chatcore.cli.ordering import Ordering
    from chatcore.cli.reaching import reach

    server_type, given = read_words(options)
    cluster = Cluster(reach(options, reactor=reactor), seconds=options.timeout)
    try:
        await cluster.survey()
        ids = await cluster.add(server_type, given, 1 if options.count is None else options.count)
        ordering = Ordering(cluster, output, reactor=reactor)
        await ordering.together("start", ids)
        return ordering.finish()
    finally:
        await cluster.close()


def read_words(options: argparse.Namespace) -> tuple[str, dict[str, str]]:
    """Read the type, and the keys with their values.

    Raises:
        CommandError: they make no sense.
    """
    types = [] if options.type is None else [options.type]
    given: dict[str, str] = {}
    for word in options.words:
        key, equals, value = word.partition("=")
        if not equals:
            types.append(word)
        elif key in TYPE_KEYS:
            types.append(value)
        elif key in given or not key:
            raise CommandError(f"'{word}' makes no sense, or is there twice")
        else:
            given[key] = value
    if len(set(types)) != 1:
        problem = "no type given" if not types else f"one type, please, not {' and '.join(types)}"
        raise CommandError(problem, advice="As in 'chatcore add chat port=6060'")
    if options.count is not None and "clusterCount" in given:
        raise CommandError("--count and clusterCount say the same", advice="Give one of them")
    return types[0], given
