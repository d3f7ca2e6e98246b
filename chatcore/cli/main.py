"""The command ``chatcore``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from chatcore import __version__
from chatcore.cli import certs
from chatcore.errors import ConfigError

CONFIG_EXIT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what stands behind the command; taken from ``sys.argv`` unless given.

    Returns:
        The exit code: 0 when all went well, 2 for a mistake in options, files or components.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except ConfigError as error:
        sys.stdout.flush()
        sys.stderr.write(f"chatcore: {error}\n")
        return CONFIG_EXIT
    except KeyboardInterrupt:  # before there was anything to stop
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Make what reads the options."""
    parser = argparse.ArgumentParser(
        prog="chatcore",
        description="Distributed real-time servers on Twisted.",
        epilog="'chatcore start --help' tells its options. 'twistd chatnode --help' tells how to "
        "start one server.",
    )
    parser.add_argument("--version", action="version", version=f"chatcore {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    start = commands.add_parser(
        "start",
        help="start every server of an application, and its page",
        description="Starts every server that the application's servers.json lists, and its page "
        "where it has a folder web. They run until Ctrl-C, are started again when they die, and "
        "leave when this command ends, however it ends.",
    )
    start.add_argument(
        "--app",
        metavar="DIR",
        default=".",
        help="the application folder; the current directory unless given",
    )
    start.add_argument(
        "--env",
        metavar="ENV",
        default="development",
        help="the environment of servers.json to start; 'development' unless given",
    )
    start.add_argument(
        "--run-dir",
        metavar="DIR",
        help="the folder for the secret, logs and sockets; $CHATCORE_RUN_DIR or .chatcore in the "
        "application folder unless given",
    )
    start.add_argument(
        "--registry",
        metavar="URL",
        help="what knows which servers there are: static:, or a master that runs already, as "
        "master://127.0.0.1:3005; this command keeps one itself unless given",
    )
    start.add_argument(
        "--set",
        metavar="KEY=VALUE",
        dest="assignments",
        action="append",
        default=[],
        help="change a setting, as in page.port=8080 or limits.messages_per_second=0; may be "
        "given many times",
    )
    start.set_defaults(run=_start)
    certs.add_parser(commands)
    return parser


def _start(options: argparse.Namespace) -> int:
    # Late, so that help and version come at once.
    from chatcore.master.plan import make_plan

    plan = make_plan(
        options.app, options.env, options.run_dir, options.assignments, options.registry
    )

    from twisted.internet import reactor

    from chatcore.master.start import start

    return start(plan, reactor=reactor)
