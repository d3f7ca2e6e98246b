"""Who was where, and when: read from a history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from history import ENDINGS, Event, What

FOREVER = float("inf")


@dataclass(eq=False)
class Stay:
    """A client's time in a room over one connection.

    Attributes:
        asked: when it asked to enter; where it was refused before, for the first time.
        asked_last: when it asked to enter for the last time.
        since: when `enter` was answered; `FOREVER` where it never was.
        until: when its connection ended; `FOREVER` where that stands.
        users: who came back from `enter`.
        events: all that happened to the client meanwhile.
    """

    who: str
    room: str
    asked: float
    asked_last: float
    since: float = FOREVER
    until: float = FOREVER
    ended: Event | None = None
    users: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def is_member(self) -> bool:
        """Whether it was let in."""
        return self.since < FOREVER

    @property
    def lasts(self) -> bool:
        """Whether it is in the room when the history ends."""
        return self.is_member and self.until == FOREVER


@dataclass
class Message:
    """What a client said."""

    sender: str
    room: str
    number: int
    sent: Event
    answer: Event | None = None

    @property
    def acknowledged(self) -> bool:
        """Whether the server said that it is done."""
        return self.answer is not None and self.answer.what is What.ACKNOWLEDGED


Told = tuple[str, int]
"""A message: its sender and its number."""

_ANSWERS = frozenset({What.ACKNOWLEDGED, What.FAILED, What.CUT_OFF, What.UNANSWERED})


class Record:
    """A history, sorted by what checking it asks for.

    Attributes:
        stays: by client, one after the other.
        by_room: the same, by room.
        messages: by sender and number.
        heard: by client, all it was pushed, in order.
        outside: what was pushed to somebody who was in no room and asked for none.
    """

    def __init__(self, history: Iterable[Event]) -> None:
        self.events = list(history)
        self.end = self.events[-1].at if self.events else 0.0
        self.stays: defaultdict[str, list[Stay]] = defaultdict(list)
        self.by_room: defaultdict[str, list[Stay]] = defaultdict(list)
        self.messages: dict[Told, Message] = {}
        self.heard: defaultdict[str, list[Event]] = defaultdict(list)
        self.outside: list[Event] = []
        self._now: dict[str, Stay] = {}
        for event in self.events:
            self._take(event)

    def all_stays(self) -> Iterable[Stay]:
        """All stays of all clients."""
        return (stay for stays in self.stays.values() for stay in stays)

    def of(self, what: What) -> list[Event]:
        """All events of one kind."""
        return [event for event in self.events if event.what is what]

    def _take(self, event: Event) -> None:
        who, what = event.who, event.what
        if what is What.ENTERING:
            self._asks(event)
        stay = self._now.get(who)
        if stay is not None:
            stay.events.append(event)
        if what is What.SENT:
            message = Message(who, event.room, event.number, event)
            self.messages[who, event.number] = message
        elif what in _ANSWERS:
            self.messages[who, event.number].answer = event
        elif what is What.HEARD:
            self.heard[who].append(event)
        elif what is What.ENTERED and stay is not None:
            stay.since, stay.users = event.at, list(event.detail)
        elif what in ENDINGS and stay is not None:
            stay.until, stay.ended = event.at, event
            del self._now[who]
        if stay is None and what in (What.HEARD, What.ADDED, What.GONE):
            self.outside.append(event)

    def _asks(self, event: Event) -> None:
        stay = self._now.get(event.who)
        if stay is not None:
            stay.asked_last = event.at
            return
        stay = Stay(event.who, event.room, event.at, event.at)
        self._now[event.who] = stay
        self.stays[event.who].append(stay)
        self.by_room[event.room].append(stay)
