"""What happened to the clients of a chat, and what was done to its servers, in order of time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple


class What(StrEnum):
    """The kinds of events. ``who`` is a client, or nobody for what an operator did."""

    CHANGED = "changed"
    """An operator did ``detail``, or it is done."""
    CONNECTED = "connected"
    """To the client port ``detail``."""
    TURNED_AWAY = "turned away"
    """No connection came about where there should be a frontend; ``detail`` says why."""
    ENTERING = "entering"
    """Asked to enter ``room``."""
    ENTERED = "entered"
    """``detail`` is the list of users that came back."""
    REFUSED = "refused"
    """Not let in; ``detail`` is what came back."""
    SENT = "sent"
    """Message ``number`` went out, to ``room``."""
    ACKNOWLEDGED = "acknowledged"
    """Message ``number`` was answered as done."""
    FAILED = "failed"
    """Message ``number`` was answered with an error: ``detail``."""
    CUT_OFF = "cut off"
    """The connection ended before message ``number`` was answered."""
    UNANSWERED = "unanswered"
    """The connection stood, and nothing came for message ``number`` in all the time it had."""
    HEARD = "heard"
    """Message ``number`` of ``other``, said in ``room``, was pushed."""
    ADDED = "added"
    """``other`` was said to have entered."""
    GONE = "gone"
    """``other`` was said to have left."""
    KICKED = "kicked"
    """The server ended the connection and said why: ``detail``."""
    LOST = "lost"
    """The connection ended by itself: ``detail``."""
    LEFT = "left"
    """The client ended the connection."""


ENDINGS = frozenset({What.KICKED, What.LOST, What.LEFT})


class Event(NamedTuple):
    """One thing that happened; ``at`` is in seconds since the history began."""

    at: float
    who: str
    what: What
    room: str = ""
    number: int = 0
    other: str = ""
    detail: Any = None

    def __str__(self) -> str:
        parts = [f"{self.at:9.3f}", self.who or "--", self.what.value]
        if self.other:
            parts.append(self.other)
        if self.number:
            parts.append(f"#{self.number}")
        if self.room:
            parts.append(f"in {self.room}")
        if self.detail is not None:
            parts.append(json.dumps(self.detail, default=str))
        return " ".join(parts)


class History:
    """All events so far, the oldest first.

    Args:
        clock: tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._begin = clock, clock()
        self.events: list[Event] = []

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._begin

    def add(
        self,
        who: str,
        what: What,
        room: str = "",
        number: int = 0,
        other: str = "",
        detail: Any = None,
    ) -> None:
        """Record what happens now."""
        self.events.append(
            Event(self._clock() - self._begin, who, what, room, number, other, detail)
        )

    def changed(self, what: str) -> float:
        """Record what an operator does, or that it is done; the time comes back."""
        self.add("", What.CHANGED, detail=what)
        return self.events[-1].at

    def save(self, file: Path) -> None:
        """Write it, an event a line, to be checked again with `checking.py`."""
        file.write_text("".join(json.dumps(event, default=str) + "\n" for event in self.events))


def load(file: Path) -> list[Event]:
    """Read what `History.save` wrote."""
    rows = (json.loads(line) for line in file.read_text().splitlines())
    return [Event(at, who, What(what), *rest) for at, who, what, *rest in rows]


def lines(events: Iterable[Event], most: int = 40) -> str:
    """Events for people to read; the middle is left out where there are too many."""
    every = list(dict.fromkeys(map(str, sorted(events, key=lambda event: event.at))))
    if len(every) > most:
        left_out = f"          … {len(every) - most} more …"
        every = [*every[: most // 2], left_out, *every[-most // 2 :]]
    return "\n".join(f"    {line}" for line in every)
