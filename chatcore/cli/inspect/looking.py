"""The commands of ``chatcore inspect`` that ask the servers of a running cluster how they are."""

from __future__ import annotations

from typing import Any

from chatcore.cli.options import add_reach
from chatcore.cli.parsing import Commands, Parser
from chatcore.cli.running import run_main

_TABS = "; tabs are between them, and a dash is in the place of what there is not."


def add_looking(group: Commands) -> None:
    """Add what reads the options of these commands."""
    _add_remotes(group)
    _add_handlers(group)


def add_servers(parser: Parser) -> None:
    """Add the words and options that say which servers are asked."""
    parser.add_argument(
        "ids", metavar="NODE", nargs="*", help="ask these servers only; all unless given"
    )
    parser.add_argument("--type", metavar="TYPE", help="ask the servers of this type only")


def _add_remotes(group: Commands) -> None:
    parser = group.add_parser(
        "remotes",
        help="show what servers can be called for, as it is declared",
        description="Shows the remotes of servers, as their interfaces declare them. Servers that "
        "agree are shown together; what they don't agree on, with those that call them, is told on "
        "the standard error. Off a terminal, each method is one line with the fields route, "
        "declaration, file and line, 'idempotent', interface, servers and the first line of what "
        "it says of itself" + _TABS,
    )
    _add_declared(parser, "remotes")


def _add_handlers(group: Commands) -> None:
    parser = group.add_parser(
        "handlers",
        help="show what clients can ask servers for, as it is declared",
        description="Shows the handlers of servers, as their interfaces declare them, and which "
        "clients may call them. Servers that agree are shown together; what they don't agree on is "
        "told on the standard error. Off a terminal, each method is one line with the fields "
        "route, declaration, file and line, who may call it, interface, servers and the first line "
        "of what it says of itself" + _TABS,
    )
    _add_declared(parser, "handlers")


def _add_declared(parser: Parser, kind: str) -> None:
    add_servers(parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show all that they say of themselves"
    )
    add_reach(parser)

    async def main(options: Any, output: Any, *, reactor: Any) -> int:
        # Late, so that help and version come at once.
        from chatcore.cli.inspect.declared import show

        return await show(kind, options, output, reactor=reactor)  # type: ignore[arg-type]  # it is

    parser.set_defaults(run=run_main, main=main)
