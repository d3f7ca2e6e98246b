"""``chatcore inspect channels``: which there are, who holds them, and who is in them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any, Final

from chatcore.cli.inspect.asking import Asked, ask_servers
from chatcore.cli.output import Column, Output
from chatcore.cli.servers import shortened

MOST_AT_ONCE: Final = 1000
"""Channels that a server picks out by itself; where more are wanted, it tells all it has."""

MOST_ON_TERMINAL: Final = 50
"""Channels that people are shown unless they say how many."""

FIELDS: Final = (
    "name",
    "type",
    "node",
    "owner",
    "state",
    "members",
    "frontends",
    "state_keys",
)
"""The fields of a channel, in the order of its record."""

STATES: Final = {
    "held": "by the server whose it is by its name",
    "moving": "it is to go to the server whose it is by its name now",
    "loose": "it stays with whoever made it: its name places it elsewhere, or nowhere",
}
"""What is told of how a server holds a channel."""

COLUMNS: Final = (
    Column("channel"),
    Column("on"),
    Column("members", 2),
    Column("frontends", 4),
    Column("state"),
    Column("state keys", 5),
)
"""The columns of a table for people."""

_ORDERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Any]]] = {
    "members": lambda each: (-each["members"], each["name"]),
    "name": lambda each: each["name"],
}

ORDERS: Final = tuple(_ORDERS)
"""By what channels can be sorted."""


async def show(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Ask servers for their channels, and print them.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
    """
    most = options.most
    if most is None:
        most = MOST_ON_TERMINAL if output.on_terminal else 0
    picks = options.by == "members" and 0 < most <= MOST_AT_ONCE
    given: dict[str, Any] = {"most": most} if picks else {"all": True}
    asked = await ask_servers(options, output, "channels", given, reactor=reactor, pages="channels")
    found = [
        {"node": id, "type": asked.survey.type_of(id), **each, "state": state_of(id, each, answer)}
        for id, answer in sorted(asked.answers.items())
        for each in answer["channels"]
    ]
    found.sort(key=_ORDERS[options.by])
    some = found[:most] if most else found
    counts = {id: answer["count"] for id, answer in sorted(asked.answers.items())}
    unsettled = [id for id, answer in asked.answers.items() if not answer["settled"]]
    output.document(
        {
            "channels": some,
            "count": sum(counts.values()),
            "counts": counts,
            "unsettled": sorted(unsettled),
            "silent": asked.to_value(),
            "exit": asked.exit,
        }
    )
    if output.on_terminal:
        if some:
            output.table(COLUMNS, [_row(each) for each in some])
        output.say(_summary(len(some), counts))
    else:
        for each in some:
            output.record(_fields(each), "")
    _tell_unsettled(asked, sorted(unsettled), output)
    return asked.exit


def state_of(holder: str, channel: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    """How a server holds a channel: one of `STATES`."""
    if not channel["placed"]:
        return "loose"
    if answer["epoch"] and channel["owner"] != holder:
        return "moving"
    return "held"


def _fields(channel: Mapping[str, Any]) -> list[object]:
    told = {**channel, "frontends": sorted(channel["frontends"])}
    return [told[name] for name in FIELDS]


def _row(channel: Mapping[str, Any]) -> list[object]:
    to = f" to {channel['owner']}" if channel["state"] == "moving" else ""
    return [
        channel["name"],
        channel["node"],
        channel["members"],
        shortened(sorted(channel["frontends"])),
        f"{channel['state']}{to}",
        channel["state_keys"],
    ]


def _summary(shown: int, counts: Mapping[str, int]) -> str:
    count = sum(counts.values())
    where = ", ".join(f"{id} {each}" for id, each in counts.items() if each)
    if shown < count:
        return f"{shown} of {count} channels; --most shows more ({where})"
    return f"{count} channels ({where})" if count else "There are no channels"


def _tell_unsettled(asked: Asked, ids: list[str], output: Output) -> None:
    for id in ids:
        epoch = asked.answers[id]["epoch"]
        output.note(f"chatcore: not all has come yet that belongs to {id} in view {epoch}")
