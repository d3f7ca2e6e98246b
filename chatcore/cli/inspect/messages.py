"""How messages between AMP peers are printed, as soon as they are known."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from chatcore.cli.output import Output
from chatcore.inspector.choosing import Choice
from chatcore.inspector.commands import Dictionary, load
from chatcore.inspector.exchange import Exchange
from chatcore.inspector.redaction import Redaction
from chatcore.inspector.seen import Seen

LONGEST_VALUE = 200
"""Characters of a value that people are shown on a terminal."""


class Printer:
    """Prints messages, each in a line.

    Args:
        output: where to.
        choice: which ones.

    Attributes:
        printed: how many were.
    """

    def __init__(self, output: Output, choice: Choice) -> None:
        self.printed = 0
        self._output, self._choice = output, choice
        self._for_people = output.on_terminal

    def tell(self, seen: Seen) -> None:
        """Print a message, if it is one of those that are meant."""
        if seen not in self._choice:
            return
        self.printed += 1
        output, body = self._output, seen.body
        if output.as_json:
            output.line(seen.to_value())
            return
        fields = seen.fields()
        if body is not None and not self._for_people:
            fields.append(json.dumps(body, ensure_ascii=False))
        output.record(fields, seen.text())
        if body and self._for_people:
            output.say(f"    {_short(body)}")


def choice_of(options: argparse.Namespace) -> Choice:
    """Which messages the options mean."""
    return Choice(
        options.route,
        errors=options.errors,
        slow=options.slow,
        uid=getattr(options, "uid", None),
        channel=getattr(options, "channel", None),
        link=getattr(options, "link", None),
        pings=options.verbose or getattr(options, "pings", True),
    )


def dictionary_of(options: argparse.Namespace) -> Dictionary:
    """The commands that the options name.

    Raises:
        ConfigError: they can't be had.
    """
    return load(options.commands)


def exchange_of(options: argparse.Namespace, dictionary: Dictionary) -> Exchange:
    """What makes messages of boxes, as the options say."""
    rule = Redaction(options.redact, off=options.show_secrets)
    concerns = [getattr(options, name, None) for name in ("uid", "channel")]
    return Exchange(dictionary, rule, bodies=options.verbose, concerns=concerns != [None, None])


def _short(body: Mapping[str, Any]) -> str:
    return "  ".join(f"{key}={_cut(value)}" for key, value in body.items())


def _cut(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    more = len(text) - LONGEST_VALUE
    return text if more <= 0 else f"{text[:LONGEST_VALUE]}… ({more} more)"
