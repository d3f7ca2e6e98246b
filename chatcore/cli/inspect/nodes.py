"""``chatcore inspect nodes``: who is there, since when, and how each of them is."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any, Final

from chatcore.cli.inspect.asking import Asked, ask_servers
from chatcore.cli.inspect.wording import ago, amount, milliseconds
from chatcore.cli.output import Column, Output
from chatcore.cli.servers import duration, shortened

FIELDS: Final = (
    "id",
    "type",
    "state",
    "uptime",
    "in_view",
    "incarnation",
    "epoch",
    "version",
    "pid",
    "lag",
    "clients",
    "sessions",
    "channels",
    "requests",
    "asked",
    "waiting",
    "outbox_bytes",
    "link_bytes",
    "missing",
    "failures",
    "failure_time",
    "failure",
    "held_up",
    "held_up_last",
    "held_up_seconds",
)
"""The fields of a server, in the order of its record. Times are seconds, sizes are bytes."""

COLUMNS: Final = (
    Column("server"),
    Column("type", 6),
    Column("state"),
    Column("up", 2),
    Column("in the view", 4),
    Column("view", 9),
    Column("incarnation", 12),
    Column("version", 10),
    Column("lag ms", 3),
    Column("sessions", 8),
    Column("channels", 11),
    Column("requests", 5),
    Column("waiting", 7),
    Column("for clients", 5),
    Column("for links", 5),
    Column("not linked to", 1),
    Column("errors", 2),
)
"""The columns of a table for people."""


async def show(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Ask how the servers are, and print it.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
    """
    asked = await ask_servers(options, output, "nodes", {}, reactor=reactor)
    found = [described(asked, id) for id in sorted({*asked.answers, *asked.silent, *asked.down})]
    output.document({"nodes": found, "silent": asked.to_value(), "exit": asked.exit})
    if not output.on_terminal:
        for each in found:
            output.record(_fields(each), "")
        return asked.exit
    output.table(COLUMNS, [_row(each) for each in found])
    for each in found:
        _tell_more(each, output, whole=options.verbose)
    return asked.exit


def described(asked: Asked, id: str) -> dict[str, Any]:
    """What is known of a server; of one that did not answer, what the survey knows."""
    survey = asked.survey
    member = survey.member(id)
    found: dict[str, Any] = {"id": id, "type": survey.type_of(id)}
    if member is not None:
        found |= {"state": member.state, "incarnation": member.incarnation}
    answer = asked.answers.get(id)
    if answer is not None:
        return {**found, **answer}
    program = str((survey.programs or {}).get(id, {}).get("state", "up"))
    silent = "silent" if program == "up" else program
    found["state"] = "down" if id in asked.down else silent
    return found


def _fields(node: Mapping[str, Any]) -> list[object]:
    failure = node.get("failure") or {}
    held = node.get("held_up") or {}
    more = {
        "failure": failure.get("text"),
        "failure_time": failure.get("time"),
        "held_up": held.get("count", 0 if "held_up" in node else None),
        "held_up_last": held.get("last"),
        "held_up_seconds": held.get("seconds"),
    }
    return [{**node, **more}.get(name) for name in FIELDS]


def _row(node: Mapping[str, Any]) -> list[object]:
    return [
        node["id"],
        node["type"],
        node["state"],
        duration(node.get("uptime")),
        duration(node.get("in_view")),
        node.get("epoch"),
        node.get("incarnation"),
        node.get("version"),
        milliseconds(node.get("lag")),
        node.get("sessions"),
        node.get("channels"),
        node.get("requests"),
        node.get("waiting"),
        amount(node.get("outbox_bytes")),
        amount(node.get("link_bytes")),
        shortened(node.get("missing") or ()),
        node.get("failures"),
    ]


def _tell_more(node: Mapping[str, Any], output: Output, *, whole: bool) -> None:
    """What has no room in a table: the last error; and what a node counts."""
    failure = node.get("failure")
    if failure:
        when = ago(time.time() - failure["time"])
        output.say(f"{node['id']}: the last error, {when}: {failure['text']}")
    held = node.get("held_up")
    if held:
        output.say(f"{node['id']}: {_held_up(held, time.time())}")
    if node.get("settled") is False:
        output.say(f"{node['id']}: not all has come yet that it owns in view {node['epoch']}")
    if node.get("registry_lost"):
        output.say(f"{node['id']}: its registry does not answer")
    if whole and node.get("counters"):
        output.say(f"{node['id']} counts")
        for name, value in node["counters"].items():
            output.say(f"  {name} {value}")


def _held_up(held: Mapping[str, Any], now: float) -> str:
    """How often a call has kept a node from everything else, and how long and when the last did."""
    text = f"did nothing else for {held['seconds']} s until {ago(now - held['last'])}"
    if held["count"] == 1:
        return f"{text}; its log tells more"
    return f"{text}, and {held['count']} times since {ago(now - held['since'])}; its log tells more"
