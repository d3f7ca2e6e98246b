"""The options that the commands of the inspector share."""

from __future__ import annotations

import argparse
import math

from chatcore.cli.parsing import Parser

RECORDS = (
    "Off a terminal, each message is one line with the fields time, node, peer, direction, kind, "
    "route, size in bytes, milliseconds, error, offset, and with -v the body as JSON; tabs are "
    "between them, and a dash is in the place of what there is not."
)
"""What the lines of these commands are, in their help."""


def add_choice(parser: Parser) -> None:
    """Add the options that say which messages are shown."""
    group = parser.add_argument_group("which messages")
    group.add_argument(
        "--route",
        metavar="GLOB",
        action="append",
        default=[],
        help="only those of such a route or command, as in 'chat.*'; may be given many times",
    )
    group.add_argument("--errors", action="store_true", help="only what went wrong")
    group.add_argument(
        "--slow",
        metavar="MS",
        type=_milliseconds,
        help="only answers that took at least so many milliseconds",
    )


def add_bodies(parser: Parser) -> None:
    """Add the options that say what of them is shown."""
    group = parser.add_argument_group("what of them")
    group.add_argument("-v", "--verbose", action="store_true", help="show bodies, too")
    group.add_argument(
        "--commands",
        metavar="MODULE",
        action="append",
        default=[],
        help="decode bodies with the amp.Command classes of this module, as in package.module; the "
        "current directory is looked into first; may be given many times",
    )
    group.add_argument(
        "--redact",
        metavar="NAME",
        action="append",
        default=[],
        help="hide the values of keys in whose names this stands, beside passwords, tokens and "
        "the like; may be given many times",
    )
    group.add_argument(
        "--show-secrets", action="store_true", help="hide nothing, not even passwords"
    )
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document a line, also for errors"
    )


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds")
    return value
