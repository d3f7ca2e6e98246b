"""The command ``chatcore``."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence

from chatcore import __version__
from chatcore.cli import adding, certs, listing, reloading, restarting, start, stopping
from chatcore.cli.exits import DONE, FAILED, INTERRUPTED, MEANINGS, USAGE, CommandError
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands, Parser
from chatcore.errors import ConfigError

MODULES = (start, listing, stopping, restarting, adding, reloading, certs)
"""What adds the commands, in the order in which help tells them."""

_ABOUT = """\
usage: chatcore COMMAND [OPTIONS] [WORDS]

Distributed real-time servers on Twisted.

commands:
{commands}

'chatcore COMMAND --help' tells the options of a command; they may stand before or behind its
words. The running cluster is found by the application's folder (--app), or by the address of any
of its servers and the cluster's secret (--at, --secret-file). 'twistd chatnode --help' tells how to
start one server.

  --json                    one JSON document instead of text, for errors, too
  --version                 the version of chatcore
  -h, --help                this

exit codes:
{exits}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: what stands behind the command; taken from ``sys.argv`` unless given.

    Returns:
        The exit code, one of those in `chatcore.cli.exits`.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    output = Output(sys.stdout, sys.stderr, as_json="--json" in words)
    try:
        return _run(words)
    except (CommandError, ConfigError) as problem:
        return tell(problem, output)
    except KeyboardInterrupt:
        output.error("interrupted", exit=INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:
        # Who read the output has gone. Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def tell(problem: CommandError | ConfigError, output: Output) -> int:
    """Tell why a command can't be done; the exit code comes back."""
    if isinstance(problem, CommandError):
        output.error(problem.problem, exit=problem.exit, advice=problem.advice)
        return problem.exit
    output.error(str(problem), exit=USAGE)
    return USAGE


def make_commands() -> Commands:
    """Make what reads the options of all commands."""
    commands = Commands()
    for module in MODULES:
        module.add_parser(commands)
    return commands


def about(commands: Commands) -> str:
    """What ``chatcore --help`` says."""
    return _ABOUT.format(
        commands="\n".join(_line(each) for each in commands.parsers.values()),
        exits="\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items()),
    )


def _line(parser: Parser) -> str:
    lead = f"  {parser.name:<10} "
    return textwrap.fill(parser.summary, 98, initial_indent=lead, subsequent_indent=" " * len(lead))


def _run(words: list[str]) -> int:
    commands = make_commands()
    if not words or words in (["help"], ["--json"]):
        sys.stdout.write(about(commands))
        return DONE
    if words[0] == "help":
        words = [words[1], "--help"]
    parser, rest = commands.find(words)
    if parser is not None:
        options = parser.read(rest)
        code: int = options.run(options)
        return code
    if "--version" in words:
        sys.stdout.write(f"chatcore {__version__}\n")
        return DONE
    if "--help" in words or "-h" in words:
        sys.stdout.write(about(commands))
        return DONE
    raise CommandError("no command given", advice="'chatcore --help' tells them")
