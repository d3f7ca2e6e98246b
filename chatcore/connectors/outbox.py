"""What is waiting to be written to one client."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any, Protocol

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from chatcore.connectors.settings import OutboxSettings
from chatcore.deadlines import Deadlines, IClock
from chatcore.telemetry import Counters, Entry, Reason
from chatcore.turn import is_plain, write_now

MOST_NOTES = 1_000
"""Of how many messages that wait for one client somebody is told what becomes of them."""

SHARES = ("a quarter", "half", "all")
"""Of what may wait, so much is noted when it is passed."""

NOTED_AGAIN_SECONDS = 60.0
"""Seconds for which what is noted of a client goes to the same entry of the journal."""


class IFlushes(Protocol):
    """Says when outboxes are written: `chatcore.turn.Turn`, or `Intervals`."""

    def at_end(self, action: Callable[[], None]) -> None:
        """Call ``action`` once when it is time."""


class INote(Protocol):
    """Told what becomes of something that is sent; one of those is told, once."""

    def waits(self, before: int) -> None:
        """It waits behind so many bytes."""

    def left(self) -> None:
        """It was given to the socket, or to what encrypts what goes there."""

    def lost(self, reason: Reason, detail: str = "") -> None:
        """It will not be."""


class Intervals:
    """Has each outbox written a while after the first that was put into it.

    Args:
        seconds: how long each collects.
        clock: the reactor, or a test's clock.
    """

    def __init__(self, seconds: float, clock: IClock) -> None:
        self._due = Deadlines(seconds, clock, _call)

    def at_end(self, action: Callable[[], None]) -> None:
        self._due.start(action)

    def clear(self) -> None:
        """Forget all that is to be written."""
        self._due.clear()


def _call(action: Callable[[], None]) -> None:
    action()


class OutboxParts:
    """What all outboxes of a frontend share.

    Args:
        flushes: when they are written, unless the settings say that they collect for longer.
        settings: how much may wait.
        counters: where pushes that are given up are counted.
        clock: the reactor, or a test's clock.
    """

    def __init__(
        self, *, flushes: IFlushes, settings: OutboxSettings, counters: Counters, clock: IClock
    ) -> None:
        self.settings, self.counters, self.clock = settings, counters, clock
        self.marks = (settings.bytes // 4, settings.bytes // 2, settings.bytes)
        self.stuck = Deadlines(settings.seconds, clock, Outbox.expired)
        self._intervals = Intervals(settings.interval, clock) if settings.interval else None
        self.flushes = self._intervals or flushes

    def stop(self) -> None:
        """Forget the timers."""
        self.stuck.clear()
        if self._intervals is not None:
            self._intervals.clear()


class _Missed:
    """Where it is noted that a client does not get its pushes."""

    __slots__ = ("_uid", "_until", "entry")

    def __init__(self, uid: str, entry: Entry, until: float) -> None:
        self._uid, self.entry, self._until = uid, entry, until

    def holds(self, uid: str, why: Reason, now: float) -> bool:
        """Whether that is the place for one more."""
        return now < self._until and self.entry.why == why and self._uid == uid


def nobody() -> None:
    """Who a client is of whom nothing is known."""


@implementer(IPullProducer, IPushProducer)
class Outbox:
    """Collects what is sent within a turn, and writes it at its end in one go.

    While the client does not read, everything waits here, bounded in bytes and in age; beyond
    that, ``full`` is called. This is the policy ``disconnect``; `chatcore.connectors.dropping` has
    the others.

    Args:
        parts: what it shares with the others.
        full: told why the client has to go.
        uid: who the client is, if that is known.
    """

    __slots__ = (
        "_blocked",
        "_flushes",
        "_full",
        "_held",
        "_mark",
        "_missed",
        "_most",
        "_notes",
        "_parts",
        "_passed",
        "_queue",
        "_taken",
        "_transport",
        "_uid",
        "waiting",
    )

    def __init__(
        self,
        *,
        parts: OutboxParts,
        full: Callable[[str], None],
        uid: Callable[[], str | None] = nobody,
    ) -> None:
        self._parts = parts
        self._flushes = parts.flushes
        self._most = parts.settings.bytes
        self._full, self._uid = full, uid
        # The mark that is looked at next, and how many were passed since the client last read.
        self._mark, self._passed = parts.marks[0], 0
        self._missed: _Missed | None = None
        self._transport: Any = None
        self._queue: Any = []
        # Whether nothing may be written now; and whether nothing waits all the same.
        self._blocked = self._held = False
        # Who wants to know of what waits here, and which place it has; and of what the transport
        # has been given, and how many bytes are behind it.
        self._notes: list[tuple[INote, int]] | None = None
        self._taken: list[tuple[INote, int]] | None = None
        self.waiting = 0
        """Bytes that have not left yet, those that the transport holds included."""

    def open(self, transport: Any) -> None:
        """Begin to write to a transport.

        A plain connection is given nothing while it holds what its socket did not take: the rest
        waits here. As a pull producer, this is told each time that the transport has none left.
        """
        self._transport = transport
        transport.registerProducer(self, not is_plain(transport))

    def send(self, data: bytes, route: str = "", note: INote | None = None) -> None:
        """Send whole frames or packages that no policy gives up.

        Args:
            route: of a push; without a meaning here.
            note: told what becomes of it, if somebody wants to know.
        """
        queue = self._queue
        if note is not None:
            self._remember(note, len(queue))
        if not queue:
            if self._blocked:
                self._waits()
            else:
                self._flushes.at_end(self.flush)
        queue.append(data)
        self.waiting += len(data)
        if self.waiting > self._mark:
            self._look(len(data))

    def _look(self, size: int) -> None:
        """Much waits, since something of ``size`` bytes was sent."""
        self.flush()  # much in one turn is no crime where the client reads it
        waiting, marks = self.waiting, self._parts.marks
        if waiting > self._mark and self._passed < len(marks):
            while self._passed < len(marks) and waiting > marks[self._passed]:
                self._passed += 1
            self._mark = marks[min(self._passed, len(marks) - 1)]
            self._note_much()
        if waiting > self._most:
            self._over(size)

    def _note_much(self) -> None:
        """More waits than ever since the client last read."""
        counters, uid = self._parts.counters, self._uid()
        counters.outbox_high_water_bytes.add(self.waiting)
        if uid is not None:
            share = f"{SHARES[self._passed - 1]} of what may wait for it"
            more = {"bytes": self.waiting, "most": self._most}
            counters.journal.note(uid, "outbox high-water", share, more=more)

    def belongs_to(self, uid: Callable[[], str | None]) -> None:
        """It was made before it was known whose it is.

        Args:
            uid: who the client is, if that is known.
        """
        self._uid = uid

    def missed(self, why: Reason, route: str) -> None:
        """Note that the client does not get a push, if it is known who it is."""
        uid = self._uid()
        if uid is None:
            return
        journal, missed = self._parts.counters.journal, self._missed
        now = journal.now()
        if missed is not None and missed.holds(uid, why, now):
            missed.entry.again(now, route)
        else:
            entry = journal.note(uid, "pushes not sent", why, route=route)
            self._missed = _Missed(uid, entry, now + NOTED_AGAIN_SECONDS)

    @property
    def count(self) -> int:
        """How many messages wait, those that the transport holds left out."""
        return len(self._queue)

    @property
    def unread_seconds(self) -> float:
        """For how long the client has not read, as far as something waits for it."""
        passed = self._parts.stuck.passed(self)
        if passed is None:
            passed = self._parts.stuck.seconds if self._blocked and not self._held else 0.0
        return passed

    def _waits(self) -> None:
        """Something waits for who does not read: its time to do so begins, if it has not."""
        if self._held:
            self._held = False
            self._parts.stuck.start(self)

    def _over(self, size: int) -> None:
        """More waits than may, since something of ``size`` bytes was sent."""
        if size > self._most:
            self._full(
                f"a message of {size} bytes did not leave at once, and outbox.bytes is smaller:"
                f" {self._most}"
            )
        else:
            self._full(f"it does not read: {self.waiting} bytes wait for it")

    push = send
    """Send a push, which another policy may give up; its route comes second."""

    def note(self, note: INote) -> None:
        """Have it told when all that was sent until now has left."""
        if self._queue:
            self._remember(note, len(self._queue) - 1)
        else:
            self._note_behind(note)

    def _note_behind(self, note: INote) -> None:
        """The same, where nothing waits here."""
        note.waits(self.waiting)
        if self._transport is None:
            note.lost("gone", _CLOSED)
        elif self._blocked and not self._held:
            self._taken = _with(self._taken, note, 0)
        else:
            note.left()

    def _remember(self, note: INote, place: int) -> None:
        note.waits(self.waiting)
        if self._transport is None:
            note.lost("gone", _CLOSED)
        else:
            self._note_end(note, place)

    def _note_end(self, note: INote, place: int) -> None:
        self._notes = _with(self._notes, note, place)

    def _noted(self, size: int, *, all_left: bool) -> None:
        """What was noted of is given to the transport, which may hold some of it back.

        Args:
            size: bytes that it was given; places are those of the end of each message in them.
        """
        notes, self._notes = self._notes or (), None
        for note, end in notes:
            if all_left:
                note.left()
            else:
                self._taken = _with(self._taken, note, size - end)

    def _sift(self, held: int) -> None:
        """Of what the transport was given, it holds so many bytes back: the rest has left."""
        taken, self._taken = self._taken or (), None
        for note, behind in taken:
            if behind >= held:
                note.left()
            else:
                self._taken = _with(self._taken, note, behind)

    def _lost(self, reason: Reason, detail: str = "") -> None:
        """What was noted of will not leave."""
        if self._taken is not None and hasattr(self._transport, "dataBuffer"):
            self._sift(held_by(self._transport))
        notes = [*(self._taken or ()), *(self._notes or ())]
        self._notes = self._taken = None
        for note, _ in notes:
            note.lost(reason, detail)

    @property
    def stuck(self) -> str:
        """For how long the client has read nothing, in words; empty where it reads."""
        seconds = self._parts.stuck.passed(self)
        return "" if seconds is None else f"reads nothing since {seconds:.1f} s"

    def push_droppable(self, data: bytes, route: str, note: INote | None = None) -> None:
        """Send a push if the client keeps up, and give it up otherwise, whatever the policy is."""
        if self.waiting + len(data) > self._most:
            self.flush()
        behind = self._blocked and not self._held
        if behind or self.waiting + len(data) > self._most:
            self._parts.counters.pushes_dropped += 1
            self.missed("dropped", route)
            if note is not None:
                note.waits(self.waiting)
                note.lost("dropped", joined("the push is droppable", self.stuck))
        else:
            self.push(data, route, note)

    def flush(self) -> None:
        """Write what was collected, unless the client does not read."""
        queue, transport = self._queue, self._transport
        if self._blocked or not queue or transport is None:
            return
        data = b"".join(queue) if len(queue) > 1 else queue[0]
        if self._notes is not None:
            ends = list(accumulate(map(len, queue)))
            self._notes = [(note, ends[place]) for note, place in self._notes]
        queue.clear()
        all_left = write_now(transport, data)
        if all_left:
            self.waiting = 0
        else:
            self.waiting = held_by(transport)
            self.pauseProducing()
        if self._notes is not None:
            self._noted(len(data), all_left=all_left)

    def empties(self) -> bool:
        """Write what was collected; whether the client reads, so that nothing waits."""
        self.flush()
        return self._held or not (self._blocked or self._queue)

    def move(self, transport: Any, into: Callable[[bytes], bytes]) -> None:
        """Write to another transport from now on.

        Args:
            into: makes what the other transport is given of what waits for this one.
        """
        self._transport.unregisterProducer()
        self._parts.stuck.stop(self)
        self._blocked = self._held = False
        self._translate(into)
        self.open(transport)
        self._flushes.at_end(self.flush)

    def _translate(self, into: Callable[[bytes], bytes]) -> None:
        """Put all that waits into another form."""
        self._queue = [into(each) for each in self._queue]
        self.waiting = sum(map(len, self._queue))

    def close(self) -> None:
        """Give the transport all that waits, and stop: it may close now."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.unregisterProducer()
            # Also of who does not read just now: the last of it may be why this is closed.
            if self._taken is not None and hasattr(transport, "dataBuffer"):
                self._sift(held_by(transport))
            rest = self._rest()
            if not rest or write_now(transport, rest):
                self._noted(len(rest), all_left=True)
        self._parts.stuck.stop(self)
        self.drop()

    def drop(self, reason: Reason = "gone", detail: str = "") -> None:
        """Forget what waits: nobody will read it.

        Args:
            reason: why, and more of it.
        """
        if self._notes is not None or self._taken is not None:
            self._lost(reason, detail)
        self._queue.clear()
        self.waiting = 0

    def _rest(self) -> bytes:
        return b"".join(self._queue)

    def expired(self) -> None:
        """Nothing could be written for too long."""
        self._full("it has not read for too long")

    def pauseProducing(self) -> None:
        if not self._blocked or self._held:
            self._blocked, self._held = True, False
            self._parts.stuck.start(self)

    def hold(self) -> None:
        """Write nothing until it is asked for: the time to read it begins when something waits."""
        if not self._blocked:
            self._blocked = self._held = True
            if self._queue:
                self._waits()

    def resumeProducing(self) -> None:
        if self._blocked:
            self._blocked = self._held = False
            self._parts.stuck.stop(self)
            self.waiting = 0
            self._reads()
            if self._taken is not None:
                self._emptied()
            self.flush()

    def _reads(self) -> None:
        """The client has read all that it was given."""
        if self._passed:
            self._mark, self._passed = self._parts.marks[0], 0

    def _emptied(self) -> None:
        """The transport holds nothing any more."""
        self._sift(0)

    def stopProducing(self) -> None:
        pass


def _with(
    notes: list[tuple[INote, int]] | None, note: INote, place: int
) -> list[tuple[INote, int]]:
    """The same list with one more; beyond `MOST_NOTES` it is forgotten."""
    if notes is None:
        return [(note, place)]
    if len(notes) < MOST_NOTES:
        notes.append((note, place))
    return notes


_CLOSED = "its connection is closed"


def joined(*parts: str) -> str:
    """What there is of these, behind each other."""
    return "; ".join(filter(None, parts))


def held_by(transport: Any) -> int:
    """How many bytes a plain connection holds that its socket did not take."""
    held: int = len(transport.dataBuffer) + transport._tempDataLen
    return held
