"""The options that the commands for a running cluster share."""

from __future__ import annotations

import argparse
import math

from chatcore.cli.parsing import Parser

QUICK_SECONDS = 10.0
"""Seconds that a command waits unless it is told otherwise, where it takes no longer by nature."""

DRAIN_SECONDS = 120.0
"""The same for what waits until a server has handed over what it has."""

LONGEST_SECONDS = 24 * 3600.0


def add_reach(parser: Parser, *, seconds: float = QUICK_SECONDS) -> None:
    """Add the options that say where the cluster is, and how long it may take.

    Args:
        seconds: how long, unless somebody says it.
    """
    where = parser.add_argument_group("the cluster")
    where.add_argument(
        "--app",
        metavar="DIR",
        default=".",
        help="the application folder; the current directory unless given",
    )
    where.add_argument(
        "--run-dir",
        metavar="DIR",
        help="the run folder, if it is not .chatcore in the application folder",
    )
    where.add_argument(
        "--at",
        metavar="HOST:PORT",
        action="append",
        default=[],
        help="the address of the master, or the port for links of any server, instead of the "
        "application folder; may be given many times, and the first that answers is asked",
    )
    where.add_argument(
        "--secret-file",
        metavar="FILE",
        help="the file with the cluster's secret, or with a token; $CHATCORE_SECRET_FILE, or the "
        "secret in the run folder, unless given",
    )
    where.add_argument(
        "--tls",
        metavar="DIR",
        help="for a cluster whose links are encrypted: the folder with the certificate for "
        "administrators, or for viewers, which 'chatcore certs' has made; that of the servers "
        "themselves unless given, where they are found by the application folder",
    )
    where.add_argument(
        "--insecure-links",
        action="store_true",
        help="with --at, ask another machine without encryption",
    )
    where.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=seconds,
        help=f"how long each step may take; {seconds:g} unless given",
    )
    add_json(parser)


def add_json(parser: Parser) -> None:
    """Add the option for JSON."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document, also for errors"
    )


def add_choice(parser: Parser, *, verb: str) -> None:
    """Add the words and options that say which servers are meant.

    Args:
        verb: what is done with them.
    """
    parser.add_argument("ids", metavar="ID", nargs="*", help=f"a server to {verb}")
    parser.add_argument("--type", metavar="TYPE", help=f"{verb} all servers of this type")
    parser.add_argument(
        "--all",
        action="store_true",
        help=f"{verb} all servers that are up, and those of the 'chatcore start' that is asked",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of seconds up to {LONGEST_SECONDS:.0f}"
        )
    return seconds
