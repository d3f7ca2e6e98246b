"""What the last word of a line may be, for shells."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chatcore.cli.parsing import Commands, Parser

ASKING_SECONDS: Final = 0.8
"""Seconds that the running cluster has to answer."""

FILES: Final = "files"
"""What is answered where the shell should complete names of files by itself."""

MOST: Final = 1000
"""Words that are offered."""

_SERVERS: Final = ("ID", "NODE")
_TYPES: Final = ("TYPE", "TYPE|KEY=VALUE")
_ROUTES: Final = ("ROUTE",)
_FILES: Final = ("FILE", "DIR", "OUT")


def complete(current: str, line: str, commands: Commands) -> list[str]:
    """What the last word of a line may be.

    Args:
        current: that word as far as it is written, as the shell sees it: bash takes ``:`` and
            ``=`` for ends of words.
        line: the line up to there, as it is written.
        commands: all commands.

    Returns:
        Words in place of the current one; `FILES` alone where it may be any file.
    """
    words = _split(line)[1:]
    if not words:
        return []
    *before, last = words
    found = list(_offered(commands, before, last))
    if found == [FILES]:
        return found
    current = "" if current in ("=", ":") else current
    cut = len(last) - len(current) if last.endswith(current) else 0
    # What shells would take for more than a word is none of ours.
    fitting = [each for each in found if each.startswith(last) and each.isprintable()]
    return sorted({each[cut:] for each in fitting})[:MOST]


def _split(line: str) -> list[str]:
    """The words of a line, also where a quote has not ended; the last may be empty."""
    for end in ("", "'", '"'):
        try:
            # Something stands behind the last word, so that it is there even if it is empty.
            *words, last = shlex.split(f"{line}\ue000{end}")
        except ValueError:
            continue
        return [*words, last.removesuffix("\ue000")]
    return []


@dataclass(slots=True)
class _Read:
    """What the words before the last one say.

    Args:
        parser: of the command.
        options: their values, by the names under which argparse keeps them.
        others: the other words.
        waiting: the option whose value comes next.
    """

    parser: Parser
    options: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    waiting: argparse.Action | None = None

    def take(self, word: str) -> None:
        """Read one more word."""
        if self.waiting is not None:
            self.options.setdefault(self.waiting.dest, []).append(word)
            self.waiting = None
            return
        flag, equals, value = word.partition("=")
        action = self.parser.option(flag)
        if not word.startswith("-") or word == "-":
            self.others.append(word)
        elif action is not None and self.parser.takes_value(flag):
            if equals:
                self.options.setdefault(action.dest, []).append(value)
            else:
                self.waiting = action

    def value(self, name: str) -> Any:
        """The value of an option; as argparse has it unless it was given."""
        given = self.options.get(name)
        usual = self.parser.get_default(name)
        if given is None:
            return usual
        return given if isinstance(usual, list) else given[-1]


def _offered(commands: Commands, before: Sequence[str], last: str) -> Iterable[str]:
    """All that may stand in the place of the last word, whatever it begins with."""
    place = commands.place(before)
    if place is None:  # no command yet
        if last.startswith("-"):
            return ["--help", "--json", "--version"]
        return list(commands.parsers)
    name, rest = before[place], [*before[:place], *before[place + 1 :]]
    if name in commands.groups:
        return _offered_in(commands.groups[name], rest, last)
    parser = commands.parsers.get(name)
    return [] if parser is None else _words_of(parser, rest, last)


def _offered_in(group: Commands, before: Sequence[str], last: str) -> Iterable[str]:
    place = group.place(before)
    if place is None:
        return ["--help"] if last.startswith("-") else list(group.parsers)
    parser = group.parsers.get(before[place])
    rest = [*before[:place], *before[place + 1 :]]
    return [] if parser is None else _words_of(parser, rest, last)


def _words_of(parser: Parser, before: Sequence[str], last: str) -> Iterable[str]:
    """What a command may be given."""
    read = _Read(parser)
    for word in before:
        read.take(word)
    if read.waiting is not None:
        return _values(read, read.waiting)
    flag, equals, _ = last.partition("=")
    if equals and last.startswith("-"):
        action = parser.option(flag)
        if action is None or not parser.takes_value(flag):
            return []
        found = _values(read, action)
        return found if found == [FILES] else [f"{flag}={each}" for each in found]
    if last.startswith("-"):
        return parser.flags
    action = parser.positional(len(read.others))
    return [] if action is None else _values(read, action)


def _values(read: _Read, action: argparse.Action) -> list[str]:
    """The values that an option or a place among the words may have."""
    metavar = str(action.metavar)
    if action.choices is not None:
        # What the help does not tell is not for people.
        told = None if action.metavar is None else metavar.split("|")
        return [each for each in map(str, action.choices) if told is None or each in told]
    if metavar in _FILES:
        return [FILES]
    if not read.parser.takes_value("--at"):
        return []
    if metavar in (*_SERVERS, *_TYPES, *_ROUTES):
        # Late, because only this needs Twisted.
        from chatcore.cli.knowing import known

        what = known(_reach(read), ASKING_SECONDS, routes_of=_node(read, metavar))
        if metavar in _ROUTES:
            return what.routes
        return what.types if metavar in _TYPES else [e for e in what.ids if e not in read.others]
    return []


def _node(read: _Read, metavar: str) -> str | None:
    """The server whose routes are wanted."""
    return read.others[0] if metavar in _ROUTES and read.others else None


def _reach(read: _Read) -> argparse.Namespace:
    """Where the cluster is, as the words say it."""
    names = ("app", "run_dir", "at", "secret_file", "tls")
    options = {name: read.value(name) for name in names}
    return argparse.Namespace(**options, insecure_links=True)
