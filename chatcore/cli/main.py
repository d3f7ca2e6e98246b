"""The command ``chatcore``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from chatcore import __version__
from chatcore.cli import (
    adding,
    certs,
    completion,
    listing,
    reloading,
    restarting,
    start,
    stopping,
    tokens,
)
from chatcore.cli.exits import DONE, INTERRUPTED, MEANINGS, USAGE, CommandError
from chatcore.cli.inspect import group as inspecting
from chatcore.cli.output import Output
from chatcore.cli.parsing import Commands, Help
from chatcore.cli.streams import make_usable
from chatcore.errors import ConfigError

MODULES = (
    start,
    listing,
    stopping,
    restarting,
    adding,
    reloading,
    certs,
    tokens,
    inspecting,
    completion,
)
"""What adds the commands, in the order in which help tells them."""

_ABOUT = """\
usage: chatcore COMMAND [OPTIONS] [WORDS]

Distributed real-time servers on Twisted.

commands:
{commands}

'chatcore COMMAND --help' tells the options of a command; they may stand before or behind its
words. The running cluster is found by the application's folder (--app), or by the address of any
of its servers (--at) and the cluster's secret, or a token (--secret-file). 'twistd chatnode --help'
tells how to start one server.

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
    make_usable()
    output = Output(sys.stdout, sys.stderr, as_json="--json" in words)
    try:
        code = _run(words, output)
    except Help as asked:
        output.text(asked.text)
        code = DONE
    except (CommandError, ConfigError) as problem:
        code = tell(problem, output)
    except KeyboardInterrupt:
        code = tell(_interrupted(output), output)
    return output.finish(code)


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
        commands="\n".join(each.line(name) for name, each in commands.parsers.items()),
        exits="\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items()),
    )


def _interrupted(output: Output) -> CommandError:
    return CommandError("interrupted", exit=INTERRUPTED, advice=output.unfinished)


def _run(words: list[str], output: Output) -> int:
    commands = make_commands()
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not words or words == ["--json"]:
        raise Help(about(commands))
    parser, rest = commands.find(words)
    if parser is not None:
        options = parser.read(rest)
        code: int = options.run(options, output)
        return code
    if "--version" in words:
        output.document({"version": __version__})
        if not output.as_json:
            output.text(f"chatcore {__version__}\n")
        return DONE
    if "--help" in words or "-h" in words:
        raise Help(about(commands))
    raise CommandError("no command given", advice="'chatcore --help' tells them")
