"""What is wrong with a history, in words, with the lines around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from history import Event, What, lines
from stays import Record

GRACE = 0.25
"""Seconds for which the end of a connection may be on its way to a client: what is acknowledged
to somebody else meanwhile need not have reached it."""


@dataclass(frozen=True)
class Violation:
    """Something that must not be.

    Args:
        kind: which rule is broken.
        says: by whom and how.
        around: the events that show it.
        marks: what was done to servers, of which the nearest are shown.
    """

    kind: str
    says: str
    around: Sequence[Event]
    marks: Sequence[Event] = ()

    def __str__(self) -> str:
        at = self.around[0].at if self.around else 0.0
        near = [mark for mark in self.marks if -20 < mark.at - at < 5]
        return f"{self.kind}: {self.says}\n{lines([*self.around, *near])}"


def marks(record: Record) -> list[Event]:
    """What was done to servers."""
    return record.of(What.CHANGED)
