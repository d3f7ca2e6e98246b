"""``chatcore inspect why``: what happened to a user lately, and why messages did not reach it."""

from __future__ import annotations

import argparse
from typing import Any

from chatcore.cli.inspect.asking import Asked, ask_servers
from chatcore.cli.inspect.why_story import Event, Story
from chatcore.cli.inspect.why_words import first_line, sentence, states, times
from chatcore.cli.output import Column, Output
from chatcore.inspector.seen import clock_time

COLUMNS = (Column("time (UTC)"), Column("server"), Column("what happened"))

FIELDS = ("time", "last", "server", "what", "why", "count", "text")
"""The fields of a record, in their order."""

HARMLESS = ("joined", "logged in")
"""What people are only shown where it is asked for, if there is much of it."""

FEW = 20
"""So many lines are shown in any case."""


async def show(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Ask what is known of a user, and tell it.

    Raises:
        CommandError: nobody can be asked.
    """
    asked = await ask_servers(options, output, "why", {"uid": options.uid}, reactor=reactor)
    story = Story(options.uid, asked.answers, whole=options.verbose)
    code = asked.exit
    line = first_line(story)
    output.document(_document(story, line, asked, code))
    if output.on_terminal:
        _tell(story, line, output, whole=options.verbose)
    else:
        for event in story.events:
            output.record(_record(event, story.now), "")
        if not output.as_json:
            output.note(line)
    return code


def _document(story: Story, line: str, asked: Asked, code: int) -> dict[str, Any]:
    return {
        "uid": story.uid,
        "line": line,
        "known": story.is_known,
        "since": story.known_since,
        "sessions": [{"server": each.frontend, **each.said} for each in story.sessions],
        "channels": [
            {"channel": channel, "owner": owner, "frontend": frontend, "says": [one, other]}
            for channel, owner, frontend, one, other in story.channels
        ],
        "events": [{**each.to_value(), "text": sentence(each, story.now)} for each in story.events],
        "similar": story.similar,
        "silent": asked.to_value(),
        "exit": code,
    }


def _record(event: Event, now: float) -> list[object]:
    first, last = clock_time(int(event.first * 1e6)), clock_time(int(event.last * 1e6))
    text = sentence(event, now)
    return [first, last, event.node, event.what, event.why, event.count, text]


def _tell(story: Story, line: str, output: Output, *, whole: bool) -> None:
    output.say(line)
    for state in states(story):
        output.say(f"  now: {state}")
    events = story.events if whole else _telling(story.events)
    if not events:
        return
    output.table(
        COLUMNS,
        [(times(each, story.now), each.node, sentence(each, story.now)) for each in events],
    )
    left_out = len(story.events) - len(events)
    if left_out:
        output.say(f"{left_out} more, such as logins, with -v")


def _telling(events: list[Event]) -> list[Event]:
    """What of many events is shown: troubles, and the newest of the others."""
    if len(events) <= FEW:
        return events
    newest = events[-FEW:]
    return [each for each in events[:-FEW] if each.what not in HARMLESS] + newest
