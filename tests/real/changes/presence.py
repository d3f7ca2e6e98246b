"""Whether the members of a room know who else is in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from history import ENDINGS, Event, What
from stays import FOREVER, Record, Stay
from violations import GRACE, Violation, marks

STALE = 15.0
"""Seconds for which somebody may be named who is no longer there: a frontend that died takes its
clients with it only when it is out of the view, or has been away for the patience of links."""

_COMING = frozenset({What.ENTERING, What.ENTERED, What.REFUSED})


def presence(record: Record) -> Iterator[Violation]:
    """Find whoever is missed though there, and seen though not."""
    for stay in record.all_stays():
        if stay.is_member:
            yield from _on_entering(record, stay)
            yield from _untold(record, stay)
            yield from _meanwhile(record, stay)


def known_users(stay: Stay) -> set[str]:
    """Who is in the room, as far as somebody was told who entered it."""
    known = set(stay.users)
    for event in stay.events:
        if event.at >= stay.asked_last:
            if event.what is What.ADDED:
                known.add(event.other)
            elif event.what is What.GONE:
                known.discard(event.other)
    return known


def _on_entering(record: Record, stay: Stay) -> Iterator[Violation]:
    named = set(stay.users)
    others = record.by_room[stay.room]
    there = {
        other.who
        for other in others
        if other is stay or (other.since <= stay.asked_last and other.until > stay.since + GRACE)
    }
    for who in sorted(there - named):
        says = f"{stay.who} was not told of {who}, who was in {stay.room}"
        yield Violation("not named", says, _shown(stay, others, who), marks(record))
    possible = {
        other.who
        for other in others
        if other.asked <= stay.since and other.until >= stay.asked_last - STALE
    }
    for who in sorted(named - possible):
        says = f"{stay.who} was told of {who}, who was not in {stay.room}"
        yield Violation("named", says, _shown(stay, others, who), marks(record))


def _untold(record: Record, stay: Stay) -> Iterator[Violation]:
    """Whoever enters is announced to all who are there."""
    others = record.by_room[stay.room]
    added = [event for event in stay.events if event.what is What.ADDED]
    for other in others:
        if not (other.asked > stay.since and other.since < stay.until - GRACE):
            continue
        again = [each.asked for each in record.stays[other.who] if each.asked > other.asked]
        until = min(again, default=FOREVER)
        if not any(e.other == other.who and other.asked <= e.at < until for e in added):
            says = f"{stay.who} was not told that {other.who} entered {stay.room}"
            yield Violation("not told", says, _shown(stay, others, other.who), marks(record))


def _meanwhile(record: Record, stay: Stay) -> Iterator[Violation]:
    others = record.by_room[stay.room]
    known = set(stay.users)
    for event in stay.events:
        if event.at < stay.asked_last or event.what not in (What.ADDED, What.GONE):
            continue
        was_known = event.other in known
        (known.add if event.what is What.ADDED else known.discard)(event.other)
        # What comes before the reply may be in it already.
        if event.at > stay.since and was_known == (event.what is What.ADDED):
            how = "added, who was there" if was_known else "gone, who was not there"
            about = [event, *_shown(stay, others, event.other)]
            says = f"{stay.who} was told that {event.other} was {how}"
            yield Violation("told wrongly", says, about, marks(record))
    if not stay.lasts:
        return
    there = {other.who for other in others if other.lasts}
    for who in sorted(known ^ there):
        how = "takes {} for gone" if who in there else "takes {} for present"
        says = f"{stay.who} {how.format(who)} when all is over"
        yield Violation("known wrongly", says, _shown(stay, others, who), marks(record))


def _shown(stay: Stay, others: Iterable[Stay], who: str) -> list[Event]:
    """What was said to somebody of another, and where that one was."""
    shown = [event for event in stay.events if event.what in _COMING]
    shown += [e for e in stay.events if e.other == who and e.what in (What.ADDED, What.GONE)]
    for other in others:
        if other.who == who:
            shown += [e for e in other.events if e.what in _COMING | ENDINGS]
    return shown
