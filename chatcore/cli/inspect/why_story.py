"""What happened to a user, put together from what all servers know of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Answers = Mapping[str, Mapping[str, Any]]
"""What each server says to the question ``why``, by its id."""

AROUND_SECONDS = 30.0
"""Seconds before a session and after it in which what happened to its server matters to it."""

SAME_SECONDS = 5.0
"""Seconds within which both ends of a link note that it is lost; one that hung notes it later, but
not after the other one has the link back."""

LATELY_SECONDS = 900.0
"""Seconds for which a trouble stands in the first line of who is connected again."""

_KEYS = frozenset(("what", "why", "first", "last", "count", "routes"))


@dataclass(slots=True)
class Event:
    """Something that happened, as a server has noted it.

    Args:
        node: the server.
        of_node: whether it happened to the server, and not to the user alone.
        what: happened; see `chatcore.telemetry.reasons.HAPPENINGS`.
        why: it did.
        first: when, in seconds since the epoch.
        last: when it happened last, where it did many times.
        count: how often.
        routes: of messages, how many of each route.
        about: what it has to do with.
        until: of a link that was lost, when it was up again.
    """

    node: str
    of_node: bool
    what: str
    why: str
    first: float
    last: float
    count: int = 1
    routes: Mapping[str, int] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    until: float | None = None

    @classmethod
    def of(cls, node: str, value: Mapping[str, Any], *, of_node: bool) -> Event:
        """As the server has said it."""
        return cls(
            node=node,
            of_node=of_node,
            what=str(value["what"]),
            why=str(value["why"]),
            first=float(value["first"]),
            last=float(value["last"]),
            count=int(value["count"]),
            routes=value.get("routes") or {},
            about={key: each for key, each in value.items() if key not in _KEYS},
        )

    def to_value(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            "time": self.first,
            "last": self.last,
            "node": self.node,
            "what": self.what,
            "why": self.why or None,
            "count": self.count,
            "routes": dict(self.routes),
            "about": dict(self.about),
            "until": self.until,
            "of_node": self.of_node,
        }


@dataclass(frozen=True, slots=True)
class Stay:
    """That a user had a session on a frontend.

    Args:
        frontend: its id.
        begin: when it began.
        end: when it was over; of one that goes on, now.
    """

    frontend: str
    begin: float
    end: float

    def touches(self, event: Event) -> bool:
        """Whether it was there, or nearly, when something happened."""
        over = max(event.last, event.until or 0.0)
        return over >= self.begin - AROUND_SECONDS and event.first <= self.end + AROUND_SECONDS


@dataclass(frozen=True, slots=True)
class Session:
    """A session that a user has now.

    Args:
        frontend: where.
        said: what that says of it.
    """

    frontend: str
    said: Mapping[str, Any]


class Story:
    """What happened to a user, and how it is now.

    Args:
        uid: who it is.
        answers: what the servers say.
        whole: whether also what has nothing to do with a trouble is told.
    """

    def __init__(self, uid: str, answers: Answers, *, whole: bool = False) -> None:
        self.uid = uid
        self.now = max((float(each["time"]) for each in answers.values()), default=0.0)
        self.known_since = min((float(each["since"]) for each in answers.values()), default=0.0)
        self.began = {node: float(said["since"]) for node, said in answers.items()}
        self.sessions = [
            Session(node, each) for node, said in answers.items() for each in said["sessions"]
        ]
        self.groups = [
            (node, backend, channel)
            for node, said in answers.items()
            for backend, channel in said["groups"]
        ]
        self.members = [
            (node, frontend, channel)
            for node, said in answers.items()
            for channel, frontend in said["members"]
        ]
        self.similar = sorted({each for said in answers.values() for each in said["similar"]})
        own = [
            Event.of(node, each, of_node=False)
            for node, said in answers.items()
            for each in said["happened"]
        ]
        own.sort(key=lambda event: event.first)
        stays = list(self._stays(own))
        others = _of_nodes(answers)
        if not whole:
            others = _once(others)
        about = [each for each in others if self._matters(each, own, stays, whole)]
        self.own = own
        self.events = sorted(own + about, key=lambda event: event.first)

    @property
    def is_known(self) -> bool:
        """Whether any server knows anything of the user."""
        return bool(self.own or self.sessions or self.groups or self.members)

    @property
    def channels(self) -> list[tuple[str, str, str, bool, bool]]:
        """Where it is a member: channel, backend, frontend, and which of both say so."""
        both: dict[tuple[str, str, str], tuple[bool, bool]] = {}
        for backend, frontend, channel in self.members:
            both[channel, backend, frontend] = True, False
        for frontend, backend, channel in self.groups:
            says, _ = both.get((channel, backend, frontend), (False, False))
            both[channel, backend, frontend] = says, True
        return [(*where, *says) for where, says in sorted(both.items())]

    def _stays(self, own: Iterable[Event]) -> Iterator[Stay]:
        begun: dict[tuple[str, Any], float] = {}
        for event in own:
            session = event.node, event.about.get("session")
            if event.what == "logged in":
                begun[session] = event.first
            elif event.what in ("closed", "logged out"):
                begin = begun.pop(session, self.known_since)
                yield Stay(event.node, begin, event.last)
        for (frontend, _), begin in begun.items():
            yield Stay(frontend, begin, self.now)
        for each in self.sessions:
            if (each.frontend, each.said["id"]) not in begun:
                yield Stay(each.frontend, each.said["since"] or self.known_since, self.now)

    def _matters(
        self, event: Event, own: Iterable[Event], stays: Iterable[Stay], whole: bool
    ) -> bool:
        """Whether what happened to a server has to do with this user."""
        if event.what in ("link up", "refused handshake") and not whole:
            return False
        ends = {event.node, event.about.get("peer")}
        owners = {each.node for each in own if each.what in ("joined", "left")}
        if event.what == "held up":
            owners |= {backend for backend, _, _ in self.members}
            owners |= {backend for _, backend, _ in self.groups}
            return any(
                stay.touches(event) and event.node in owners | {stay.frontend} for stay in stays
            )
        if not any(stay.frontend in ends and stay.touches(event) for stay in stays):
            return False
        channels = {each.about.get("channel") for each in own if each.what == "joined"}
        channels |= {channel for _, _, channel in self.members + self.groups}
        channel = event.about.get("channel")
        if channel is not None:
            return channel in channels
        if event.what.startswith("link") and owners and not whole:
            return bool(ends & owners)
        return True


def _of_nodes(answers: Answers) -> list[Event]:
    """What happened to the servers; that a link is up again is told with its loss."""
    events = [
        Event.of(node, each, of_node=True)
        for node, said in answers.items()
        for each in said["node"]
    ]
    events.sort(key=lambda event: event.first)
    lost: dict[tuple[str, Any], Event] = {}
    for event in events:
        ends = event.node, event.about.get("peer")
        if event.what == "link lost":
            lost[ends] = event
        elif event.what == "link up" and ends in lost:
            lost.pop(ends).until = event.first
    return events


def _once(events: Iterable[Event]) -> list[Event]:
    """Of what both ends of a link have noted, only what one of them has."""
    told: list[Event] = []
    last: dict[frozenset[Any], Event] = {}
    for event in events:
        if event.what == "link lost":
            ends = frozenset((event.node, event.about.get("peer")))
            before = last.get(ends)
            other = before is not None and before.node != event.node
            if before is not None and other and _is_same_loss(before, event):
                before.until = before.until or event.until
                continue
            last[ends] = event
        told.append(event)
    return told


def _is_same_loss(before: Event, event: Event) -> bool:
    """Whether the other end of a link has noted the same loss later."""
    if event.first - before.first <= SAME_SECONDS:
        return True
    return before.until is not None and event.first <= before.until


def clock(time: float, now: float) -> str:
    """A time of day, in UTC; with the day, if it is not today's."""
    when, today = datetime.fromtimestamp(time, UTC), datetime.fromtimestamp(now, UTC)
    return f"{when:%H:%M:%S}" if when.date() == today.date() else f"{when:%Y-%m-%d %H:%M:%S}"
