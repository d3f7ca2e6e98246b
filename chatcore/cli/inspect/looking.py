"""The commands of ``chatcore inspect`` that ask the servers of a running cluster how they are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from chatcore.cli.options import add_reach
from chatcore.cli.parsing import Commands, Parser
from chatcore.cli.running import run_main

if TYPE_CHECKING:
    from chatcore.cli.inspect.declared import Kind

TRACE_SECONDS = 60.0
"""Seconds that a message is waited for, unless somebody says it."""

MOST_COUNT = 100
"""Messages that are waited for."""

_MOST = 10_000_000
"""The highest number of what may be asked for."""

_TABS = "; tabs are between them, and a dash is in the place of what there is not."


def add_looking(group: Commands) -> None:
    """Add what reads the options of these commands."""
    _add_nodes(group)
    _add_links(group)
    _add_remotes(group)
    _add_handlers(group)
    _add_trace(group)
    _add_sessions(group)
    _add_session(group)
    _add_channels(group)
    _add_channel(group)


def add_servers(parser: Parser) -> None:
    """Add the words and options that say which servers are asked."""
    parser.add_argument(
        "ids", metavar="NODE", nargs="*", help="ask these servers only; all unless given"
    )
    parser.add_argument("--type", metavar="TYPE", help="ask the servers of this type only")


def filled(text: str) -> str:
    """A word in which there is something, as an unset variable of a shell has nothing."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def _add_nodes(group: Commands) -> None:
    parser = group.add_parser(
        "nodes",
        help="show how the servers are, for how long, how late, and what went wrong last",
        description="Shows the servers of the running cluster: their state, since when they run "
        "and are in the view, by how many milliseconds the reactor is late, what waits on them, "
        "and the last error of their logs. Off a terminal, each server is one line with the fields "
        "id, type, state, seconds up, seconds in the view, incarnation, epoch, version, pid, "
        "seconds that the reactor is late, clients, sessions, channels, requests under way, asks "
        "to other servers under way, requests that wait for channels that move, bytes that wait "
        "for clients, bytes that wait for links, servers it has no link to, errors logged, the "
        "time of the last one, its text, how often it was held up by a call, when last, and for "
        "how many seconds" + _TABS,
    )
    add_servers(parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show all counters that are not 0, too"
    )
    add_reach(parser)

    async def main(options: Any, output: Any, *, reactor: Any) -> int:
        from chatcore.cli.inspect.nodes import show

        return await show(options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main)


def _add_links(group: Commands) -> None:
    parser = group.add_parser(
        "links",
        help="show the links between servers, as both their ends see them",
        description="Shows the links between servers; those that are down stand first. With NODEs, "
        "those to and from them; all servers are asked, since each link has two ends. A link is "
        "up, down, half (only one end believes in it), or unknown. Off a terminal, each link is "
        "one line with the fields dialling server, listening server, state, seconds that it is so, "
        "and then in pairs, what the one that dials says and what the other says: seconds of the "
        "round trip, bytes that wait, whether it is blocked, asks under way, bytes written, "
        "seconds since it was lost, why it was lost, and what keeps it from being up" + _TABS,
    )
    add_servers(parser)
    parser.add_argument(
        "--link",
        metavar="A:B",
        action="append",
        default=[],
        help="only links between two such servers, as in 'chat-1:front-*'; may be given many times",
    )
    add_reach(parser)

    async def main(options: Any, output: Any, *, reactor: Any) -> int:
        from chatcore.cli.inspect.links import show

        return await show(options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main)


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


def _add_trace(group: Commands) -> None:
    parser = group.add_parser(
        "trace",
        help="follow a client's message to the members of its channel",
        description="Waits for the next message of a route, or of a uid, and tells what became of "
        "it: how long each hop took, and who did not get what was pushed for it, and why. Times "
        "are those since it came; where the clocks of machines differ too much to tell, there is "
        "a ~. Off a terminal, each hop is one line with the fields trace, kind, milliseconds until "
        "it began, milliseconds that it took, server, name, nothing, reason and what is said of "
        "it; each member of a push is one of the kind 'member', with the milliseconds until it was "
        "written, its frontend, the route, the uid, what became of it, and why; who had left the "
        "channel within ten minutes before is one of the kind 'absent', with its name instead of "
        "the route" + _TABS,
    )
    parser.add_argument(
        "word",
        metavar="ROUTE|UID",
        nargs="?",
        help="the route of messages, as in 'chat.chatHandler.*', or the uid of who sends them",
    )
    parser.add_argument(
        "--to", metavar="UID", help="also follow pushes that are meant for this uid"
    )
    parser.add_argument(
        "--count",
        metavar="N",
        type=_count,
        default=1,
        help="how many messages; 1 unless given",
    )
    parser.add_argument(
        "--recent",
        action="store_true",
        help="wait for nothing, and tell of the newest that were followed already",
    )
    add_reach(parser, seconds=TRACE_SECONDS)

    async def main(options: Any, output: Any, *, reactor: Any) -> int:
        from chatcore.cli.inspect.tracing import trace

        return await trace(options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main, ids=[], type=None)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= MOST_COUNT:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_COUNT}")
    return int(text)


def _add_declared(parser: Parser, kind: Kind) -> None:
    add_servers(parser)
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show all that they say of themselves"
    )
    add_reach(parser)

    async def main(options: Any, output: Any, *, reactor: Any) -> int:
        # Late, so that help and version come at once.
        from chatcore.cli.inspect.declared import show

        return await show(kind, options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main)


def _add_sessions(group: Commands) -> None:
    parser = group.add_parser(
        "sessions",
        help="show who is connected, and what waits for them",
        description="Shows the sessions of frontends, those first for which the most waits. On a "
        "terminal, there are 50 unless --most says how many; elsewhere all. Off a terminal, each "
        "session is one line with the fields frontend, number, uid, address, port, transport, "
        "protocol, form of the bodies, state, time of the handshake, time of the login, seconds "
        "since it was heard, requests under way, bytes that wait for it, messages that wait, and "
        "seconds for which it has not read" + _TABS,
    )
    add_servers(parser)
    _add_most(parser, "sessions", ("outbox", "oldest", "newest"))
    parser.add_argument("--uid", metavar="UID", help="only those of this uid")
    add_reach(parser)

    async def main(options: Any, output: Any, *, reactor: Any) -> int:
        from chatcore.cli.inspect.sessions import show

        return await show(options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main)


def _add_session(group: Commands) -> None:
    parser = group.add_parser(
        "session",
        help="show all that is known of a session, by its number or by its uid",
        description="Shows all that frontends know of a session, or of those of a uid: what it "
        "speaks, what waits for it, its settings without passwords and the like, the channels it "
        "is in, and what it did not get lately. Numbers are each frontend's own. Off a terminal, "
        "each fact is one line with the fields frontend, number, what it is, and its value" + _TABS,
    )
    parser.add_argument(
        "who", metavar="ID|UID", type=filled, help="the number of a session, or a uid"
    )
    add_servers(parser)
    add_reach(parser)

    async def main(options: Any, output: Any, *, reactor: Any) -> int:
        from chatcore.cli.inspect.sessions import show_one

        return await show_one(options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main)


def _add_channels(group: Commands) -> None:
    parser = group.add_parser(
        "channels",
        help="show which channels there are, and who holds them",
        description="Shows the channels that servers hold, the largest first. On a terminal, there "
        "are 50 unless --most says how many; elsewhere all. A channel is held by the server whose "
        "it is by its name, moving, or loose: whoever made it keeps it. Off a terminal, each is "
        "one line with the fields name, server type, server that holds it, server whose it is by "
        "its name, state, members, frontends, and keys of its state" + _TABS,
    )
    add_servers(parser)
    _add_most(parser, "channels", ("members", "name"))
    add_reach(parser)

    async def main(options: Any, output: Any, *, reactor: Any) -> int:
        from chatcore.cli.inspect.channels import show

        return await show(options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main)


def _add_channel(group: Commands) -> None:
    parser = group.add_parser(
        "channel",
        help="show a channel, as its owner and the frontends see it",
        description="Shows a channel: whose it is by its name and who holds it, its members on "
        "each frontend and what waits for them. What its owner and the frontends don't agree on "
        "for half a second, and that it is moving, is told on the standard error. Off a terminal, "
        "each frontend is one line with the fields name, server type, server whose it is by its "
        "name, servers that hold it, frontend, members as the holder says, members as the frontend "
        "says, sessions, bytes that wait, bytes that wait for the one for whom the most do, "
        "whether the two agree, and some uids" + _TABS,
    )
    parser.add_argument("name", metavar="NAME", type=filled, help="the name of the channel")
    parser.add_argument(
        "--most",
        metavar="N",
        type=_number,
        default=10,
        help="name so many members on each frontend; 10 unless given",
    )
    add_reach(parser)

    async def main(options: Any, output: Any, *, reactor: Any) -> int:
        from chatcore.cli.inspect.channel import show

        return await show(options, output, reactor=reactor)

    parser.set_defaults(run=run_main, main=main, ids=[], type=None)


def _add_most(parser: Parser, what: str, orders: tuple[str, ...]) -> None:
    parser.add_argument(
        "--most",
        metavar="N",
        type=_number,
        help=f"show so many {what}; 0 is all of them",
    )
    parser.add_argument(
        "--by",
        choices=orders,
        default=orders[0],
        help=f"which ones come first; '{orders[0]}' unless given",
    )


def _number(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = -1
    if not 0 <= count <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number up to {_MOST}")
    return count
