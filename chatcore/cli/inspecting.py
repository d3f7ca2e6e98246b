"""``chatcore inspect``: looking at the traffic of AMP peers."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Any

from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands, Parser

_RECORDS = (
    "Off a terminal, each message is one line with the fields time, node, peer, direction, kind, "
    "route, size in bytes, milliseconds, error, offset, and with -v the body as JSON; tabs are "
    "between them, and a dash is in the place of what there is not."
)


def add_parser(commands: Commands) -> None:
    """Add what reads the options of these commands."""
    group = commands.add_group(
        "inspect",
        help="look at the traffic of AMP peers, chatcore's or any others",
        description="Looks at the traffic of AMP peers: chatcore's nodes, and any others.",
    )
    _add_show(group)
    _add_decode(group)
    _add_proxy(group)


def _add_show(group: Commands) -> None:
    parser = group.add_parser(
        "show",
        help="show what a capture holds",
        description="Shows the messages of a capture, as 'proxy --record' writes it. " + _RECORDS,
    )
    parser.add_argument("file", metavar="FILE", help="the capture; - is the standard input")
    parser.add_argument(
        "--pcap",
        metavar="OUT",
        help="instead of showing it, write it as pcap, with the boxes as what TCP carries",
    )
    _add_choice(parser)
    _add_bodies(parser)
    parser.set_defaults(run=_late("show"))


def _add_decode(group: Commands) -> None:
    parser = group.add_parser(
        "decode",
        help="decode plain AMP from a file or a pipe",
        description="Decodes the bytes that any AMP peer has sent, and says where they are no AMP. "
        "Both directions may be mixed, box by box. " + _RECORDS,
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="the standard input unless given"
    )
    parser.add_argument(
        "--stamp",
        action="store_true",
        help="take the time at which the bytes come in as theirs, so that durations are known",
    )
    _add_choice(parser)
    _add_bodies(parser)
    parser.set_defaults(run=_late("decode"))


def _add_proxy(group: Commands) -> None:
    parser = group.add_parser(
        "proxy",
        help="stand between two AMP peers and show what passes",
        description="Listens for AMP peers, connects each of them to the target, and shows what "
        "passes, which it never changes and never delays: what it can't show in time it counts. "
        "What listens is given as a port, HOST:PORT, the path of a socket, or one of Twisted's "
        "endpoint descriptions; so is the target. It listens on the loopback unless told "
        "otherwise. " + _RECORDS,
    )
    parser.add_argument("listen", metavar="LISTEN", help="where to listen, as in 8001")
    parser.add_argument("target", metavar="TARGET", help="whom to connect to, as in 10.0.0.1:8000")
    parser.add_argument(
        "--record",
        metavar="FILE",
        help="append all that passes to a capture; with -, it is the standard output, and nothing "
        "is shown",
    )
    _add_choice(parser)
    _add_bodies(parser)
    parser.set_defaults(run=_run_proxy)


def _add_choice(parser: Parser) -> None:
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


def _add_bodies(parser: Parser) -> None:
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


def _late(name: str) -> Callable[[argparse.Namespace, Output], int]:
    def run(options: argparse.Namespace, output: Output) -> int:
        # Late, so that help and version come at once.
        from chatcore.cli import decoding

        output.by_line = True
        code: int = getattr(decoding, name)(options, output)
        return code

    return run


def _run_proxy(options: argparse.Namespace, output: Output) -> int:
    from chatcore.cli.running import run_main

    async def main(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
        from chatcore.cli.proxying import proxy

        return await proxy(options, output, reactor=reactor)

    output.by_line = True
    options.main = main
    return run_main(options, output)
