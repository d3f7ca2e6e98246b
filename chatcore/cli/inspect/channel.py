"""``chatcore inspect channel``: one channel, as its owner and the frontends see it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any, Final

from twisted.internet.task import deferLater

from chatcore.cli.exits import FAILED
from chatcore.cli.inspect.asking import Asked, ask_servers
from chatcore.cli.inspect.comparing import Held, OfType, Part, brought_together, keep_lasting
from chatcore.cli.inspect.wording import amount
from chatcore.cli.output import Column, Output

LOOK_AGAIN: Final = 0.5
"""Seconds after which it is looked again whether servers still don't agree: what they say crosses
links, and they are not asked at the same moment."""

MOST_COMPARED: Final = 10_000
"""Members of a frontend that are compared one by one."""

FIELDS: Final = (
    "name",
    "type",
    "owner",
    "holder",
    "frontend",
    "members",
    "there",
    "sessions",
    "outbox_bytes",
    "outbox_most",
    "agree",
    "uids",
)
"""The fields of a frontend's part of a channel, in the order of its record."""

COLUMNS: Final = (
    Column("frontend"),
    Column("members"),
    Column("there"),
    Column("sessions", 2),
    Column("waiting", 3),
    Column("most for one", 4),
    Column("who"),
)
"""The columns of a table for people."""


async def show(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Ask all servers for a channel, and print what they know of it.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
    """
    name = options.name
    given = {"name": name, "most": options.most}
    asked = await ask_servers(options, output, "channel", given, reactor=reactor, both_ends=True)
    found = brought_together(asked)
    if any(each.problems for each in found):
        await deferLater(reactor, LOOK_AGAIN)
        more = {"name": name, "most": max(options.most, MOST_COMPARED)}
        again = await ask_servers(
            options, output, "channel", more, reactor=reactor, both_ends=True, tells=False
        )
        keep_lasting(found, brought_together(again))
    code = asked.exit if found or asked.exit else FAILED
    values = [{"name": name, **each.to_value()} for each in found]
    output.document({"channels": values, "silent": asked.to_value(), "exit": code})
    if not found:
        output.note(f"chatcore: nobody has a channel {name!r:.100}{_would_be(asked)}")
    for each in found:
        if output.on_terminal:
            _describe(name, each, output)
        else:
            for told in _records({"name": name, **each.to_value()}):
                output.record([told.get(field) for field in FIELDS], "")
        for line in (*each.moves, *each.problems.values()):
            output.note(f"chatcore: {name!r:.100} of {each.type}: {line}")
    return code


def _would_be(asked: Asked) -> str:
    """Whose a channel would be that nobody has; frontends own channels rarely."""
    survey, owners = asked.survey, dict[str, str]()
    for id, answer in sorted(asked.answers.items(), key=lambda each: survey.is_frontend(each[0])):
        if answer["owner"] and (not survey.is_frontend(id) or not owners):
            owners[answer["type"]] = answer["owner"]
    would = " or ".join(f"{owner} ({type})" for type, owner in sorted(owners.items()))
    return f"; by its name it would be on {would}" if would else ""


def _records(value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A line for each frontend of each holder, or one that says that there is none."""
    for held in value["held"] or [{"frontends": []}]:
        for part in held["frontends"] or [{}]:
            yield {**value, **held, "members": None, **part}


def _describe(name: str, found: OfType, output: Output) -> None:
    """Show a channel to people."""
    if not found.held:
        whose = f"by its name it is {found.owner}'s (view {found.epoch})"
        output.say(f"{name} of {found.type}: nobody has it; {whose}")
    for each in found.held:
        value = each.to_value()
        output.say(f"{name} of {found.type}: {each.holder} has it{_by_name(found, each)}")
        keys = ", ".join(value["state"])
        more = value["state_keys"] - len(value["state"])
        state = f"state: {keys}{f' and {more} more' if more > 0 else ''}" if keys else "no state"
        waiting = amount(value["outbox_bytes"])
        output.say(f"  {value['members']} members, {waiting} wait for them, {state}")
        if each.parts:
            output.table(COLUMNS, [_row(part) for part in each.parts])


def _by_name(found: OfType, each: Held) -> str:
    if not each.placed:
        return ", which made it: it does not go by its name"
    if found.owner == each.holder:
        return f", whose it is by its name (view {found.epoch})"
    return f"; by its name it is {found.owner}'s (view {found.epoch})"


def _row(part: Part) -> list[object]:
    told = part.to_value()
    more = max(told["members"], told["there"] or 0) - len(told["uids"])
    names = ", ".join(told["uids"]) + (f" and {more} more" if more > 0 else "")
    return [
        told["frontend"],
        told["members"],
        "silent" if part.silent else told["there"],
        told["sessions"],
        amount(told["outbox_bytes"]),
        amount(told["outbox_most"]),
        names,
    ]
