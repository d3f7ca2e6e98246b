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


def add_concerns(parser: Parser) -> None:
    """Add the options that say which messages of chatcore's own links are shown."""
    group = parser.add_argument_group("which messages between chatcore's servers")
    group.add_argument(
        "--uid",
        metavar="UID",
        help="only those that concern this one: by their session, the members or receivers that "
        "they name, or an argument",
    )
    group.add_argument("--channel", metavar="NAME", help="only those that concern this channel")
    add_link(group)


def add_link(parser: Parser | argparse._ArgumentGroup) -> None:
    """Add the option that says between which two servers."""
    parser.add_argument(
        "--link", metavar="A:B", type=_link, help="only what passes between these two servers"
    )


def add_servers(parser: Parser, *, verb: str) -> None:
    """Add the words and the option that say which servers are meant.

    Args:
        verb: what is done with them.
    """
    parser.add_argument(
        "ids", metavar="NODE", nargs="*", help=f"a server to {verb}; all unless given"
    )
    parser.add_argument("--type", metavar="TYPE", help=f"{verb} all servers of this type")


def add_end(parser: Parser) -> None:
    """Add the options that say when a command ends by itself."""
    group = parser.add_argument_group("how long")
    group.add_argument(
        "--seconds", metavar="S", type=positive, help="end after so many seconds; else at Ctrl-C"
    )
    group.add_argument(
        "--boxes", metavar="N", type=_count, help="end after so many boxes; else at Ctrl-C"
    )


def add_bodies(parser: Parser, *, json: bool = True) -> None:
    """Add the options that say what of them is shown.

    Args:
        json: whether this is to add ``--json``, too.
    """
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
    if json:
        parser.add_argument(
            "--json", action="store_true", help="print one JSON document a line, also for errors"
        )


def _link(text: str) -> frozenset[str]:
    one, _, other = text.partition(":")
    if not one or not other or one == other or ":" in other:
        raise argparse.ArgumentTypeError(f"{text!r} does not name two servers, as in chat-1:chat-2")
    return frozenset((one, other))


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of milliseconds")
    return value


def positive(text: str) -> float:
    """A number over 0, as somebody has written it."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number over 0")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of boxes")
    return int(text)
