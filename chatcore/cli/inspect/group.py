"""``chatcore inspect``: looking into a running cluster, and at the traffic of AMP peers."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from chatcore.cli.inspect.looking import add_looking, filled
from chatcore.cli.inspect.options import (
    RECORDS,
    add_bodies,
    add_choice,
    add_concerns,
    add_end,
    add_link,
    add_servers,
    positive,
)
from chatcore.cli.options import add_reach
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands
from chatcore.cli.running import run_main


def add_parser(commands: Commands) -> None:
    """Add what reads the options of these commands."""
    group = commands.add_group(
        "inspect",
        help="look into a running cluster, and at the traffic of AMP peers",
        description="Looks into a running cluster, and at the traffic of AMP peers: chatcore's "
        "nodes, and any others.",
    )
    add_looking(group)
    _add_tap(group)
    _add_call(group)
    _add_record(group)
    _add_replay(group)
    _add_why(group)
    _add_show(group)
    _add_decode(group)
    _add_proxy(group)


def _add_tap(group: Commands) -> None:
    parser = group.add_parser(
        "tap",
        help="show what passes between the servers of the running cluster",
        description="Shows what passes between the servers of the running cluster, as it passes, "
        "until Ctrl-C. What it can't keep up with is counted, and delays nobody. Servers that come "
        "are tapped, too. What passes between two that are tapped is shown once, as it was seen by "
        "the one whose id comes first. " + RECORDS,
    )
    add_servers(parser, verb="tap")
    parser.add_argument(
        "--live",
        action="store_true",
        help="show on a full screen how often what is asked, how long it takes and how often it "
        "fails, of the last ten seconds, instead of each message",
    )
    add_choice(parser)
    add_concerns(parser)
    add_bodies(parser, json=False)
    add_end(parser)
    add_reach(parser)
    parser.set_defaults(run=_run_lines, main=_tap, pings=False)


def _add_call(group: Commands) -> None:
    parser = group.add_parser(
        "call",
        help="call a remote of a server, and print its result",
        description="Calls a remote of a server, as another server would, and prints its result. "
        "The arguments are compared with what the interface declares before anything is called. "
        "Needs the cluster's secret, or an administrator's token; the server's log tells who "
        "called. Off a terminal, each server is one line with the fields id, milliseconds, result "
        "as JSON, and what went wrong; tabs are between them, and a dash is in the place of what "
        "there is not.",
    )
    parser.add_argument(
        "node", metavar="NODE", help="the server; or a type, and each server of it is called"
    )
    parser.add_argument("route", metavar="ROUTE", help="the remote, as in chat.chatRemote.get")
    parser.add_argument(
        "args",
        metavar="ARGS",
        nargs="?",
        default="[]",
        help="the arguments as a JSON list, or as an object with their names; none unless given",
    )
    parser.add_argument(
        "--show-secrets",
        action="store_true",
        help="hide nothing in the result, not even passwords",
    )
    add_reach(parser)

    async def main(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
        # Late, so that help and version come at once.
        from chatcore.cli.inspect.calling import call

        return await call(options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main)


def _add_record(group: Commands) -> None:
    parser = group.add_parser(
        "record",
        help="record what passes between the servers of the running cluster",
        description="Records what passes between the servers of the running cluster into a "
        "capture, until Ctrl-C. It holds everything, passwords too, and only its owner may read "
        "it. 'chatcore inspect show' shows it, and 'chatcore inspect replay' plays it to another "
        "cluster. Where a file of that name is a capture already, this is appended.",
    )
    parser.add_argument("file", metavar="FILE", help="the capture")
    add_servers(parser, verb="record")
    add_link(parser)
    add_end(parser)
    add_reach(parser)
    parser.set_defaults(run=_run_lines, main=_record)


def _add_replay(group: Commands) -> None:
    parser = group.add_parser(
        "replay",
        help="play a capture to a running cluster, and compare what it answers",
        description="Has the servers of a running cluster act on the messages and calls of a "
        "capture, as if the frontends that have sent them did so again, and shows where their "
        "answers are others than those that were recorded. Off a terminal, each answer that is "
        "another one is one line with the fields time, node, sender, route, where in the answer, "
        "what was recorded, what is said now, and how many places differ; tabs are between them. "
        "The exit code is 1 where an answer is another one. This changes what the cluster has: "
        "play captures to clusters that were started for it.",
    )
    parser.add_argument("file", metavar="FILE", help="the capture")
    parser.add_argument(
        "--to",
        metavar="PLACE",
        help="the cluster, instead of --app or --at: the application folder, or HOST:PORT",
    )
    parser.add_argument(
        "--speed",
        metavar="X",
        type=positive,
        help="play it so many times as fast as it was recorded; as fast as answers come unless "
        "given",
    )
    parser.add_argument(
        "--ignore",
        metavar="PATH",
        action="append",
        default=[],
        help="don't compare what stands there in answers, as in 'reply.time', 'result.0.id' or "
        "'*.time'; may be given many times",
    )
    parser.add_argument(
        "--notifies", action="store_true", help="play messages and calls without answers, too"
    )
    parser.add_argument(
        "--all-calls",
        action="store_true",
        help="play calls between backends, too, which those that are played may make again by "
        "themselves",
    )
    parser.add_argument(
        "--redact",
        metavar="NAME",
        action="append",
        default=[],
        help="hide the values of keys in whose names this stands; may be given many times",
    )
    parser.add_argument(
        "--show-secrets", action="store_true", help="hide nothing, not even passwords"
    )
    add_reach(parser)
    parser.set_defaults(run=_run_lines, main=_replay)


def _add_why(group: Commands) -> None:
    parser = group.add_parser(
        "why",
        help="tell what happened to a user lately, and why messages did not reach it",
        description="Tells what all servers know of a user: logins and their ends, kicks, what it "
        "did not read, what was not sent to it and why, what it asked and was not answered, the "
        "channels that it came into and left; and what happened meanwhile to the servers that "
        "serve it. The first line says what matters most. Off a terminal, that goes to the "
        "standard error, and each event is one line with the fields time, last time, server, "
        "what, why, count and a text; tabs are between them, and a dash is in the place of what "
        "there is not. Times are UTC. What servers know ends with them, and is bounded.",
    )
    parser.add_argument("uid", metavar="UID", type=filled, help="who, as in bob")
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="tell also what has to do with no trouble, and what both ends of a link say",
    )
    add_reach(parser)

    async def main(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
        # Late, so that help and version come at once.
        from chatcore.cli.inspect.why import show

        return await show(options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main, ids=[], type=None)


def _add_show(group: Commands) -> None:
    parser = group.add_parser(
        "show",
        help="show what a capture holds",
        description="Shows the messages of a capture, as 'proxy --record' writes it. " + RECORDS,
    )
    parser.add_argument("file", metavar="FILE", help="the capture; - is the standard input")
    parser.add_argument(
        "--pcap",
        metavar="OUT",
        help="instead of showing it, write it as pcap, with the boxes as what TCP carries",
    )
    add_choice(parser)
    add_concerns(parser)
    add_bodies(parser)
    parser.set_defaults(run=_late("show"))


def _add_decode(group: Commands) -> None:
    parser = group.add_parser(
        "decode",
        help="decode plain AMP from a file or a pipe",
        description="Decodes the bytes that any AMP peer has sent, and says where they are no AMP. "
        "Both directions may be mixed, box by box. " + RECORDS,
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="-", help="the standard input unless given"
    )
    parser.add_argument(
        "--stamp",
        action="store_true",
        help="take the time at which the bytes come in as theirs, so that durations are known",
    )
    add_choice(parser)
    add_bodies(parser)
    parser.set_defaults(run=_late("decode"))


def _add_proxy(group: Commands) -> None:
    parser = group.add_parser(
        "proxy",
        help="stand between two AMP peers and show what passes",
        description="Listens for AMP peers, connects each of them to the target, and shows what "
        "passes, which it never changes and never delays: what it can't show in time it counts. "
        "What listens is given as a port, HOST:PORT, the path of a socket, or one of Twisted's "
        "endpoint descriptions; so is the target. It listens on the loopback unless told "
        "otherwise. " + RECORDS,
    )
    parser.add_argument("listen", metavar="LISTEN", help="where to listen, as in 8001")
    parser.add_argument("target", metavar="TARGET", help="whom to connect to, as in 10.0.0.1:8000")
    parser.add_argument(
        "--record",
        metavar="FILE",
        help="append all that passes to a capture; with -, it is the standard output, and nothing "
        "is shown",
    )
    add_choice(parser)
    add_bodies(parser)
    parser.set_defaults(run=_run_proxy)


def _late(name: str) -> Callable[[argparse.Namespace, Output], int]:
    def run(options: argparse.Namespace, output: Output) -> int:
        # Late, so that help and version come at once.
        from chatcore.cli.inspect import decoding

        output.by_line = True
        code: int = getattr(decoding, name)(options, output)
        return code

    return run


def _run_lines(options: argparse.Namespace, output: Output) -> int:
    """Run a command that talks to the cluster, and prints line by line."""
    output.by_line = True
    return run_main(options, output)


async def _record(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    from chatcore.cli.inspect.capturing import record

    return await record(options, output, reactor=reactor)


async def _replay(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    from chatcore.cli.inspect.replaying import replay

    return await replay(options, output, reactor=reactor)


async def _tap(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    if options.live:
        from chatcore.cli.inspect.living import live

        return await live(options, output, reactor=reactor)
    from chatcore.cli.inspect.tapping import tap

    return await tap(options, output, reactor=reactor)


def _run_proxy(options: argparse.Namespace, output: Output) -> int:
    async def main(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
        from chatcore.cli.inspect.proxying import proxy

        return await proxy(options, output, reactor=reactor)

    output.by_line = True
    options.main = main
    return run_main(options, output)
