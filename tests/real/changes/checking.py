"""Finds every loss, duplicate and reordering in a history, and whoever is seen where they are not.

::

    python tests/real/changes/checking.py HISTORY

checks one that was saved.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, pairwise
from pathlib import Path

from history import Event, What, load
from presence import presence
from stays import FOREVER, Message, Record, Stay, Told
from violations import GRACE, Violation, marks

SHOWN = 3
"""How many violations of each kind are explained."""

SETTLED = 10.0
"""Seconds after which rooms stay where they are when something was done to servers."""

_NOT_SERVED = (What.FAILED, What.UNANSWERED)
_SAID_NO = (What.FAILED, What.REFUSED, What.TURNED_AWAY)


@dataclass(frozen=True)
class Findings:
    """What a history comes to.

    Attributes:
        violations: what must not be, whatever is done to servers.
        refused: every message and every entry that was answered with an error, and every
            connection that did not come about. Whether it may be depends on what was done.
        cut_off: messages that were not answered because the client's connection ended first.
        kicks: every kick.
        losses: every connection that ended by itself.
        messages: how many messages were sent.
        acknowledged: how many of them were acknowledged.
        deliveries: how often one of them had to reach somebody, and did or did not.
        on_the_edge: how often one was missed by a client whose connection was ending just then.
    """

    record: Record
    violations: Sequence[Violation]
    refused: Sequence[Event]
    cut_off: Sequence[Event]
    kicks: Sequence[Event]
    losses: Sequence[Event]
    messages: int
    acknowledged: int
    deliveries: int
    on_the_edge: int

    def refused_between(self, start: float, end: float) -> list[Event]:
        """What was refused in a window of time, by the time of the answer."""
        return [event for event in self.refused if start <= event.at < end]

    def refused_outside(self, windows: Iterable[tuple[float, float]]) -> list[Event]:
        """What was refused in none of these windows of time."""
        spans = list(windows)
        return [
            event
            for event in self.refused
            if not any(start <= event.at < end for start, end in spans)
        ]

    def served_again(self, since: float, until: float = FOREVER) -> Mapping[str, float]:
        """By room, the seconds from `since` until messages were acknowledged, and none that was
        sent later was refused; `FOREVER` for a room in which that never came.

        Args:
            since: when something was done.
            until: when the next thing was done: what was sent or answered later says nothing.
        """
        sent: dict[str, list[Message]] = {room: [] for room in self.record.by_room}
        for message in self.record.messages.values():
            answered = message.sent.at if message.answer is None else message.answer.at
            if since <= message.sent.at and answered < until:
                sent[message.room].append(message)
        return {room: _first_served(messages) - since for room, messages in sent.items()}

    def __str__(self) -> str:
        kinds = Counter(violation.kind for violation in self.violations)
        refused = Counter(f"{event.what}: {event.detail}" for event in self.refused)
        told = [
            f"{self.messages} messages, {self.acknowledged} acknowledged, "
            f"{len(self.cut_off)} cut off; {self.deliveries} deliveries checked, "
            f"{self.on_the_edge} on the edge",
            f"{len(self.kicks)} kicks, {len(self.losses)} connections lost, "
            f"{len(self.refused)} refused: {dict(refused.most_common(6))}",
            *(f"at {event.at:.3f} {event.detail}" for event in marks(self.record)),
            f"{len(self.violations)} violations: {dict(kinds)}" if kinds else "no violation",
        ]
        for kind in kinds:
            of_kind = [violation for violation in self.violations if violation.kind == kind]
            told += map(str, of_kind[:SHOWN])
        return "\n".join(told)


def check(history: Iterable[Event], *, grace: float = GRACE) -> Findings:
    """Check a history that has come to rest: nothing is under way, and all are in their rooms.

    Args:
        history: the events, the oldest first.
        grace: seconds for which the end of a connection may be on its way to a client.
    """
    record = Record(history)
    delivery = _Delivery(record, grace)
    violations = chain(
        _unasked(record),
        _unanswered(record),
        delivery.lost(),
        _twice(record),
        _out_of_order(record),
        _orders_differ(record),
        _acknowledged_first(record),
        _acted_on(record),
        presence(record),
    )
    return Findings(
        record=record,
        violations=list(violations),
        refused=[event for event in record.events if event.what in _SAID_NO],
        cut_off=record.of(What.CUT_OFF),
        kicks=record.of(What.KICKED),
        losses=record.of(What.LOST),
        messages=len(record.messages),
        acknowledged=sum(message.acknowledged for message in record.messages.values()),
        deliveries=delivery.count,
        on_the_edge=delivery.on_the_edge,
    )


class _Delivery:
    """Each acknowledged message reaches everybody who was a member all the while."""

    def __init__(self, record: Record, grace: float) -> None:
        self._record, self._grace = record, grace
        self.count = self.on_the_edge = 0
        # By message; on a busy machine, that is long after its acknowledgement.
        self._heard_last: dict[Told, float] = {}
        for events in record.heard.values():
            for event in events:
                told = _told(event)
                self._heard_last[told] = max(event.at, self._heard_last.get(told, 0.0))

    def lost(self) -> Iterator[Violation]:
        said: dict[str, list[Message]] = {}
        for message in self._record.messages.values():
            if message.acknowledged:
                said.setdefault(message.room, []).append(message)
        for stay in self._record.all_stays():
            if stay.is_member:
                yield from self._missed(stay, said.get(stay.room, []))

    def _missed(self, stay: Stay, said: Sequence[Message]) -> Iterator[Violation]:
        heard = {_told(event) for event in stay.events if event.what is What.HEARD}
        for message in said:
            assert message.answer is not None
            if not stay.since <= message.sent.at < stay.until:
                continue
            missed = (message.sender, message.number) not in heard
            on_its_way = self._heard_last.get((message.sender, message.number), 0.0)
            if max(message.answer.at, on_its_way) < stay.until - self._grace:
                self.count += 1
                if missed:
                    yield self._loss(message, stay)
            elif missed:
                self.on_the_edge += 1

    def _loss(self, message: Message, stay: Stay) -> Violation:
        told = message.sender, message.number
        reached = [
            event
            for events in self._record.heard.values()
            for event in events
            if _told(event) == told
        ]
        return Violation(
            "lost",
            f"{stay.who} never heard #{message.number} of {message.sender}, which was acknowledged",
            [*_about(message), *reached, *_around(stay, message.sent.at)],
            marks(self._record),
        )


def _unasked(record: Record) -> Iterator[Violation]:
    """Nobody hears what was not said, or not in their room."""
    for event in record.outside:
        yield Violation("heard outside", f"{event.who} is in no room", [event], marks(record))
    for stay in record.all_stays():
        for event in stay.events:
            if event.what is not What.HEARD:
                continue
            message = record.messages.get(_told(event))
            if message is None or message.sent.at > event.at:
                says = f"{event.who} heard #{event.number} of {event.other}, who had not said it"
                yield Violation("never said", says, [event], marks(record))
            elif not message.room == event.room == stay.room:
                says = f"{event.who} of {stay.room} heard what was said in {message.room}"
                yield Violation("wrong room", says, [event, *_about(message)], marks(record))


def _unanswered(record: Record) -> Iterator[Violation]:
    """Every message is answered while the connection of its sender stands."""
    for message in record.messages.values():
        if message.answer is None or message.answer.what is What.UNANSWERED:
            says = f"#{message.number} of {message.sender} was never answered"
            yield Violation("unanswered", says, _about(message), marks(record))


def _twice(record: Record) -> Iterator[Violation]:
    """Nobody hears a message twice, acknowledged or not, wherever they have been meanwhile."""
    for who, events in record.heard.items():
        first: dict[Told, Event] = {}
        for event in events:
            before = first.setdefault(_told(event), event)
            if before is not event:
                says = f"{who} heard #{event.number} of {event.other} twice"
                about = [before, event, *_of(record, event)]
                yield Violation("twice", says, about, marks(record))


def _out_of_order(record: Record) -> Iterator[Violation]:
    """What one client says, another hears in that order."""
    for who, events in record.heard.items():
        last: dict[str, Event] = {}
        for event in events:
            before = last.get(event.other)
            if before is not None and before.number > event.number:
                says = f"{who} heard #{event.number} of {event.other} after #{before.number}"
                about = [before, event, *_of(record, before), *_of(record, event)]
                yield Violation("out of order", says, about, marks(record))
            if before is None or before.number < event.number:
                last[event.other] = event


def _orders_differ(record: Record) -> Iterator[Violation]:
    """All members of a room hear what is said there in one order."""
    for stays in record.by_room.values():
        members = sorted({stay.who for stay in stays})
        places = {who: _places(record.heard[who]) for who in members}
        for one, other in combinations(members, 2):
            here, there = places[one], places[other]
            common = [told for told in here if told in there]
            for before, after in pairwise(common):
                if there[before].at > there[after].at:
                    about = [where[told] for where in (here, there) for told in (before, after)]
                    says = f"{one} heard {before} before {after}, and {other} the other way round"
                    yield Violation("orders differ", says, about, marks(record))
                    break


def _acknowledged_first(record: Record) -> Iterator[Violation]:
    """Whoever says something hears it, and then that it is done.

    But an answer that the old owner of a room passes on has another way than what the new one
    pushes, and may be there some moments before.
    """
    moving = _moving(record)
    for who, events in record.heard.items():
        for event in events:
            message = record.messages.get((who, event.number)) if event.other == who else None
            if message is None or message.answer is None:
                continue
            answered = message.answer.at
            if event.at - answered < GRACE and any(a <= answered < b for a, b in moving):
                continue
            if message.acknowledged and answered < event.at:
                says = f"#{event.number} of {who} was acknowledged before {who} heard it"
                about = [event, *_about(message)]
                yield Violation("acknowledged first", says, about, marks(record))


def _moving(record: Record) -> list[tuple[float, float]]:
    """When rooms may have been on their way, because of what was done to servers."""
    return [(each.at, each.at + SETTLED) for each in marks(record)]


def _acted_on(record: Record) -> Iterator[Violation]:
    """What a client had asked, and was not answered when it was moved, has not been done."""
    undone = {
        (stay.who, message.number): message
        for stay in record.all_stays()
        if stay.ended is not None and _is_move(stay.ended)
        for message in (
            record.messages[stay.who, e.number]
            for e in stay.events
            if e.number and e.what is What.SENT
        )
        if message.answer is not None and message.answer.what is What.CUT_OFF
    }
    for who, events in record.heard.items():
        for event in events:
            message = undone.get(_told(event))
            if message is not None:
                says = f"{who} heard what {event.other} was not answered when it was moved"
                yield Violation("acted on", says, [event, *_about(message)], marks(record))


def _is_move(event: Event) -> bool:
    detail = event.detail
    return (
        event.what is What.KICKED and isinstance(detail, dict) and detail.get("reason") == "moved"
    )


def _first_served(messages: Sequence[Message]) -> float:
    refused = [m.sent.at for m in messages if m.answer is None or m.answer.what in _NOT_SERVED]
    last = max(refused, default=-1.0)
    return min(
        (m.answer.at for m in messages if m.answer and m.acknowledged and m.sent.at > last),
        default=FOREVER,
    )


def _told(event: Event) -> Told:
    return event.other, event.number


def _about(message: Message) -> list[Event]:
    return [message.sent] if message.answer is None else [message.sent, message.answer]


def _of(record: Record, event: Event) -> list[Event]:
    message = record.messages.get(_told(event))
    return [] if message is None else _about(message)


def _places(events: Iterable[Event]) -> dict[Told, Event]:
    places: dict[Told, Event] = {}
    for event in events:
        places.setdefault(_told(event), event)
    return places


def _around(stay: Stay, at: float) -> list[Event]:
    own = [e for e in stay.events if e.what in (What.ENTERING, What.ENTERED, What.REFUSED)]
    near = [e for e in stay.events if abs(e.at - at) < 0.7 and e.what is not What.SENT]
    return [*own, *near, *([stay.ended] if stay.ended else [])]


def main(file: str) -> int:
    """Check a saved history, and say what was found."""
    findings = check(load(Path(file)))
    print(findings)
    return 1 if findings.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
