"""``chatcore inspect links``: each link, as both its ends see it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from chatcore.cli.exits import CommandError
from chatcore.cli.inspect.asking import ask_servers
from chatcore.cli.inspect.wording import ago, amount, milliseconds
from chatcore.cli.output import Column, Output
from chatcore.cli.servers import duration

State = Literal["down", "half", "unknown", "up"]

STATES: Final[dict[State, str]] = {
    "down": "no end has it",
    "half": "only one end believes in it",
    "unknown": "neither end could be asked",
    "up": "both ends have it, or the one that could be asked",
}
"""How links are, and in which order they stand."""

OF_ENDS: Final = ("round_trip", "queued", "blocked", "asked", "out", "lost", "why", "problem")
"""What each end says of a link, as it stands in records: first that of the one that dials."""

FIELDS: Final = (
    "dialler",
    "listener",
    "state",
    "seconds",
    *(f"{end}_{name}" for name in OF_ENDS for end in ("dialler", "listener")),
)
"""The fields of a link, in the order of its record. Times are seconds, sizes are bytes."""

COLUMNS: Final = (
    Column("dials"),
    Column("listens"),
    Column("state"),
    Column("for", 2),
    Column("round trip ms", 3),
    Column("waiting", 4),
    Column("blocked", 1),
    Column("asked", 6),
    Column("sent", 7),
    Column("received", 8),
    Column("lost", 1),
    Column("because", 1),
)
"""The columns of a table for people. Of what both ends tell, the first is the one that dials."""

_NOT_KNOWN: Final = {
    "up": False,
    "seconds": None,
    "lost": None,
    "why": None,
    "problem": "one of the two does not have the other in its view",
}
"""What is taken for said of a link by an end that does not know the other."""

_Answers = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A link.

    Args:
        dialler, listener: the ids of its ends.
        at_dialler, at_listener: what each says of it; None where that could not be asked, or does
            not know the other.
    """

    dialler: str
    listener: str
    at_dialler: Mapping[str, Any] | None
    at_listener: Mapping[str, Any] | None

    @property
    def ends(self) -> list[Mapping[str, Any]]:
        """What is said of it."""
        return [each for each in (self.at_dialler, self.at_listener) if each is not None]

    @property
    def state(self) -> State:
        """How it is."""
        believe = [bool(each["up"]) for each in self.ends]
        if not believe:
            return "unknown"
        if all(believe):
            return "up"
        return "half" if any(believe) else "down"

    @property
    def seconds(self) -> float | None:
        """For how long it has been so: since the later of what both ends say."""
        said = [each["seconds"] for each in self.ends]
        return min((each for each in said if each is not None), default=None)

    def both(self, name: str) -> tuple[Any, Any]:
        """What the two ends say, the one that dials first."""
        ends = self.at_dialler, self.at_listener
        one, other = (None if each is None else each.get(name) for each in ends)
        return one, other

    @property
    def problem(self) -> str | None:
        """What is known of why it is down, or was lost."""
        if self.state == "up":
            return None
        for name, ends in (("problem", self.ends), ("why", self.ends)):
            for each in ends:
                if not each["up"] and each.get(name):
                    return str(each[name])
        return None

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types."""
        return {
            "dialler": self.dialler,
            "listener": self.listener,
            "state": self.state,
            "seconds": self.seconds,
            "problem": self.problem,
            "at_dialler": self.at_dialler,
            "at_listener": self.at_listener,
        }


async def show(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Ask servers for their links, and print them.

    Raises:
        CommandError: nobody can be asked, or there is no such server.
    """
    wanted = pairs_of(options.link)
    asked = await ask_servers(options, output, "links", {}, reactor=reactor, both_ends=True)
    found = [
        link
        for link in joined(asked.answers)
        if {link.dialler, link.listener} & asked.meant and wanted(link.dialler, link.listener)
    ]
    values = [link.to_value() for link in found]
    output.document({"links": values, "silent": asked.to_value(), "exit": asked.exit})
    if output.on_terminal:
        if found:
            output.table(COLUMNS, [_row(link) for link in found])
        output.say(_summary(found))
    else:
        for link in found:
            output.record(_fields(link), "")
    return asked.exit


def pairs_of(texts: Iterable[str]) -> Any:
    """What says whether a link is meant by ``A:B``, whichever of the two dials.

    Raises:
        CommandError: one is not made so.
    """
    pairs = []
    for text in texts:
        one, colon, other = text.partition(":")
        if not (one and colon and other):
            raise CommandError(
                f"--link {text!r} names no two servers",
                advice="Write A:B, as in --link 'chat-1:connector-*'",
            )
        pairs.append((one, other))

    def wanted(one: str, other: str) -> bool:
        return not pairs or any(
            (fnmatchcase(one, a) and fnmatchcase(other, b))
            or (fnmatchcase(one, b) and fnmatchcase(other, a))
            for a, b in pairs
        )

    return wanted


def joined(answers: _Answers) -> list[Seen]:
    """The links of servers, those that are down first."""
    pairs = {
        (min(id, peer), max(id, peer)) for id, answer in answers.items() for peer in answer["links"]
    }

    def end(id: str, peer: str) -> Mapping[str, Any] | None:
        answer = answers.get(id)
        if answer is None:
            return None
        said: Mapping[str, Any] = answer["links"].get(peer) or {**_NOT_KNOWN, "dials": id < peer}
        return said

    found = [Seen(a, b, end(a, b), end(b, a)) for a, b in sorted(pairs)]
    order = list(STATES)
    return sorted(found, key=lambda link: order.index(link.state))


def _fields(link: Seen) -> list[object]:
    told: list[object] = [link.dialler, link.listener, link.state, link.seconds]
    for name in OF_ENDS:
        told += link.both(name)
    return told


def _row(link: Seen) -> list[object]:
    lost = min((each["lost"] for each in link.ends if each["lost"] is not None), default=None)
    return [
        link.dialler,
        link.listener,
        _state(link),
        duration(link.seconds),
        _two(*map(milliseconds, link.both("round_trip"))),
        _two(*map(amount, link.both("queued"))),
        "yes" if any(link.both("blocked")) else None,
        _two(*link.both("asked")),
        amount(link.both("out")[0]),
        amount(link.both("out")[1]),
        ago(lost),
        link.problem,
    ]


def _state(link: Seen) -> str:
    if link.state != "half":
        return link.state
    up = link.dialler if link.at_dialler and link.at_dialler["up"] else link.listener
    return f"half: only {up} has it"


def _two(one: object, other: object) -> str | None:
    """What both ends say; once where they say the same."""
    if one is None and other is None:
        return None
    shown = ["?" if each is None else str(each) for each in (one, other)]
    return shown[0] if shown[0] == shown[1] else " / ".join(shown)


def _summary(found: Iterable[Seen]) -> str:
    states = [link.state for link in found]
    if not states:
        return "There are no links"
    counts = [f"{states.count(state)} {state}" for state in STATES if state in states]
    return f"Links: {', '.join(counts)}"
