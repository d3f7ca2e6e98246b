"""Reading the words of ``chatcore``: a command, its options before or after its words."""

from __future__ import annotations

import argparse
import difflib
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any, NoReturn

from chatcore.cli.exits import CommandError
from chatcore.config.names import nearest

WIDEST, NARROWEST = 98, 40
"""Characters of a line of help."""


def width() -> int:
    """How wide help is: as wide as the terminal, within reason."""
    return min(max(shutil.get_terminal_size((WIDEST, 24)).columns, NARROWEST), WIDEST)


class Help(Exception):
    """Somebody asked for help.

    Args:
        text: what it says.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)


class Parser(argparse.ArgumentParser):
    """The words of one command. A mistake is a `CommandError`, with the nearest that exists."""

    def __init__(
        self,
        name: str,
        *,
        help: str = "",
        description: str | None = None,
        epilog: str | None = None,
    ) -> None:
        super().__init__(
            prog=f"chatcore {name}",
            description=None if description is None else textwrap.fill(description, width()),
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=_Formatter,
        )
        self.name, self.summary = name, help

    def takes_value(self, flag: str) -> bool:
        """Whether something has to follow behind that option."""
        action = self.option(flag)
        return action is not None and action.nargs != 0

    def option(self, flag: str) -> argparse.Action | None:
        """What argparse keeps of an option."""
        # It has no public way to ask for this, nor for what is below.
        return self._option_string_actions.get(flag)

    @property
    def flags(self) -> list[str]:
        """All long options."""
        return [each for each in self._option_string_actions if each.startswith("--")]

    def positional(self, place: int) -> argparse.Action | None:
        """What stands in a place among the words that are no options, if something may."""
        actions = self._get_positional_actions()
        if place < len(actions):
            return actions[place]
        return actions[-1] if actions and actions[-1].nargs in ("*", "+") else None

    def line(self, name: str) -> str:
        """What a list of commands says of it.

        Args:
            name: what it is called there.
        """
        lead = f"  {name:<10} "
        return textwrap.fill(
            self.summary, width(), initial_indent=lead, subsequent_indent=" " * len(lead)
        )

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """Read all words but the command itself.

        Raises:
            CommandError: they don't fit.
            Help: they asked for it.
        """
        options, strange = self.parse_known_intermixed_args(words)
        if strange:
            self._refuse(strange[0])
        return options

    def print_help(self, file: object = None) -> NoReturn:
        raise Help(self.format_help())

    def error(self, message: str) -> NoReturn:
        if message.startswith(_MISSING):
            # Between options, argparse also counts words as missing that need not be there.
            needless = [
                each.metavar for each in self._get_positional_actions() if each.nargs in _ANY
            ]
            given = message.removeprefix(_MISSING).split(", ")
            message = _MISSING + ", ".join(each for each in given if each not in needless)
        raise CommandError(message, advice=f"'{self.prog} --help' tells how it is used")

    def _refuse(self, word: str) -> NoReturn:
        flag = word.partition("=")[0]
        if not flag.startswith("-"):
            self.error(f"nobody knows what '{word}' is for")
        near = _nearest_option(flag, self.flags)
        advice = f"Did you mean {near}?" if near else f"'{self.prog} --help' tells its options"
        raise CommandError(f"there is no option {flag}", advice=advice)


_MISSING = "the following arguments are required: "
_ANY = ("*", "?")


class Commands:
    """All commands; each adds itself with `add_parser`.

    Args:
        under: the word that stands before all of them, where these are the commands of a group.
    """

    def __init__(self, under: str = "") -> None:
        self.parsers: dict[str, Parser] = {}
        self.groups: dict[str, Commands] = {}
        self._under = under

    def add_parser(
        self, name: str, *, help: str, description: str, epilog: str | None = None
    ) -> Parser:
        """Add a command.

        Its parser is to be given a default ``run``, which is called with the options and the
        output, and returns the exit code.

        Args:
            help: what it does, in a line.
            description: the same, in full.
            epilog: lines that stand behind everything else.
        """
        prog = f"{self._under} {name}".strip()
        parser = Parser(prog, help=help, description=description, epilog=epilog)
        self.parsers[name] = parser
        return parser

    def add_group(self, name: str, *, help: str, description: str) -> Commands:
        """Add a command that has commands of its own, which are to be added to what comes back."""
        self.parsers[name] = Parser(name, help=help, description=description)
        self.groups[name] = Commands(under=name)
        return self.groups[name]

    def takes_value(self, flag: str) -> bool:
        """Whether something has to follow behind that option of any command."""
        parsers = any(each.takes_value(flag) for each in self.parsers.values())
        return parsers or any(each.takes_value(flag) for each in self.groups.values())

    def find(self, words: Sequence[str]) -> tuple[Parser | None, list[str]]:
        """Find the command among the words; the others come back, too.

        Raises:
            CommandError: there is no such command.
            Help: the words name a group, and ask for help or for nothing.
        """
        place = self.place(words)
        if place is None:
            return None, list(words)
        word, rest = words[place], [*words[:place], *words[place + 1 :]]
        parser = self.get(word)
        return self._within(word, rest) if word in self.groups else (parser, rest)

    def place(self, words: Sequence[str]) -> int | None:
        """Where the command stands among the words, which other commands' options may precede."""
        value_follows = False
        for place, word in enumerate(words):
            if value_follows:
                value_follows = False
            elif word.startswith("-"):
                value_follows = self.takes_value(word)
            else:
                return place
        return None

    def _within(self, group: str, words: Sequence[str]) -> tuple[Parser, list[str]]:
        parser, rest = self.groups[group].find(words)
        if parser is not None:
            return parser, rest
        asked = [word for word in words if word != "--json"]
        if asked and asked[0] not in ("-h", "--help"):
            self.parsers[group].read(words)
        raise Help(self._about(group))

    def _about(self, group: str) -> str:
        own = self.parsers[group]
        lines = [
            f"usage: {own.prog} COMMAND [OPTIONS] [WORDS]",
            "",
            own.description or "",
            "",
            "commands:",
            *(each.line(name) for name, each in self.groups[group].parsers.items()),
            "",
            f"'{own.prog} COMMAND --help' tells the options of a command.",
        ]
        return "\n".join(lines) + "\n"

    def get(self, name: str) -> Parser:
        """The command of that name; CommandError when there is none."""
        if name in self.parsers:
            return self.parsers[name]
        half = [each for each in self.parsers if each.startswith(name)]
        near = half[0] if len(half) == 1 else nearest(name, self.parsers)
        meant = f"Did you mean '{near}'? " if near else ""
        every = ", ".join(self.parsers)
        full = f"{self._under} {name}".strip()
        raise CommandError(f"there is no command '{full}'", advice=f"{meant}There are {every}")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=width())


def _nearest_option(flag: str, known: Sequence[str]) -> str | None:
    half = [each for each in known if each.startswith(flag)]
    if len(half) == 1:
        return half[0]
    close: list[Any] = difflib.get_close_matches(flag, known, n=1, cutoff=0.6)
    return close[0] if close else None
