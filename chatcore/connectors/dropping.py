"""Outboxes that give up pushes where a client does not read, before they give up the client."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from chatcore.connectors.outbox import INote, Outbox, OutboxParts, held_by, joined, nobody
from chatcore.connectors.settings import Policy
from chatcore.telemetry import Reason
from chatcore.turn import write_now

PARTS = 16
"""What may wait is given to a transport in so many parts: what it has can't be taken back."""

_ROUTES = 64
"""Routes whose newest push may be looked for in vain before they are sorted out."""


class Waiting:
    """Frames that wait; empty once they were written or given up."""

    __slots__ = ("data", "droppable", "note", "route", "since")

    def __init__(
        self,
        data: bytes,
        since: float,
        droppable: bool,
        route: str = "",
        note: INote | None = None,
    ) -> None:
        self.data, self.since, self.droppable = data, since, droppable
        self.route, self.note = route, note


class DroppingOutbox(Outbox):
    """The policy ``drop-oldest``: what is too much is taken from the oldest pushes.

    Pushes that have waited for too long are not written either. The client is given up when it
    takes nothing at all for that long, or when what must reach it is over a limit by itself.
    """

    __slots__ = ("_due", "_gone", "_pushes", "_queued")

    def __init__(
        self,
        *,
        parts: OutboxParts,
        full: Callable[[str], None],
        uid: Callable[[], str | None] = nobody,
    ) -> None:
        super().__init__(parts=parts, full=full, uid=uid)
        self._queue: deque[Waiting] = deque()
        self._pushes: deque[Waiting] = deque()
        self._queued = 0  # bytes, without those that the transport holds
        self._gone = 0  # of the queue, how many were given up
        self._due = False

    def send(self, data: bytes, route: str = "", note: INote | None = None) -> None:
        self._put(
            Waiting(data, self._parts.clock.seconds(), droppable=False, route=route, note=note)
        )

    def push(self, data: bytes, route: str = "", note: INote | None = None) -> None:
        self._put(Waiting(data, self._parts.clock.seconds(), True, route, note))

    def note(self, note: INote) -> None:
        last = self._queue[-1] if self._queue else None
        if last is None or not last.data or last.note is not None or last.droppable:
            self._note_behind(note)
        else:
            note.waits(self.waiting - len(last.data))
            last.note = note

    def _put(self, frames: Waiting) -> None:
        if frames.note is not None:
            frames.note.waits(self.waiting)
            if self._transport is None:
                frames.note.lost("gone")
                frames.note = None
        if self._blocked:
            self._waits()
        elif not self._due:
            self._due = True
            self._flushes.at_end(self.flush)
        self._queue.append(frames)
        if frames.droppable:
            self._pushes.append(frames)
        size = len(frames.data)
        self._queued += size
        self.waiting += size
        if self.waiting > self._mark:
            self._look(size)

    def _over(self, size: int) -> None:
        pushes = self._pushes
        while self.waiting > self._most and pushes:
            oldest = pushes.popleft()
            if oldest.data:
                self._give_up(oldest, "outbox.bytes are full")
                self._parts.counters.pushes_dropped += 1
                self.missed("dropped", oldest.route)
        if self.waiting > self._most:
            super()._over(size)
        elif 2 * self._gone > len(self._queue):
            self._forget_gone()

    def _give_up(self, push: Waiting, why: str) -> None:
        if push.note is not None:
            push.note.lost("dropped", joined(why, self.stuck))
        self.waiting -= len(push.data)
        self._queued -= len(push.data)
        push.data = b""
        self._gone += 1

    def _forget_gone(self) -> None:
        self._queue = deque(each for each in self._queue if each.data)
        self._pushes = deque(each for each in self._pushes if each.data)
        self._gone = 0

    def flush(self) -> None:
        self._due = False
        while self._queue and not self._blocked and self._transport is not None:
            part = self._take(self._most // PARTS)
            if part is None:
                self.expired()
                return
            self._write(part)

    def _write(self, data: bytes) -> None:
        self.waiting = self._queued
        all_left = not data or write_now(self._transport, data)
        if not all_left:
            self.waiting += held_by(self._transport)
            self.pauseProducing()
        if self._notes is not None:
            self._noted(len(data), all_left=all_left)

    def _take(self, most: int) -> bytes | None:
        """Take frames off the queue; None where one that must not be given up is too old."""
        parts, queue, pushes = self._parts, self._queue, self._pushes
        seconds = parts.settings.seconds
        too_old = parts.clock.seconds() - seconds if seconds else 0.0
        taken: list[bytes] = []
        size = 0
        while queue and size < most:
            frames = queue.popleft()
            if not frames.data:
                self._gone -= 1
                continue
            if frames.since >= too_old:
                taken.append(frames.data)
                size += len(frames.data)
                if frames.note is not None:
                    self._note_end(frames.note, size)
            elif frames.droppable:
                parts.counters.pushes_dropped += 1
                self.missed("dropped", frames.route)
                if frames.note is not None:
                    frames.note.lost("dropped", f"it waited for more than {seconds:g} s")
            else:
                return None
            self._queued -= len(frames.data)
            frames.data = b""
        while pushes and not pushes[0].data:
            pushes.popleft()
        return b"".join(taken)

    @property
    def count(self) -> int:
        return len(self._queue) - self._gone

    def drop(self, reason: Reason = "gone", detail: str = "") -> None:
        notes = [each.note for each in self._queue if each.data and each.note is not None]
        super().drop(reason, detail)
        for note in notes:
            note.lost(reason, detail)
        self._pushes.clear()
        self._queued = self._gone = 0

    def _rest(self) -> bytes:
        return self._take(self._queued) or b""

    def _translate(self, into: Callable[[bytes], bytes]) -> None:
        self._forget_gone()
        for each in self._queue:
            each.data = into(each.data)
        self.waiting = self._queued = sum(len(each.data) for each in self._queue)

    def resumeProducing(self) -> None:
        if self._blocked:
            self._blocked = self._held = False
            self._parts.stuck.stop(self)
            self.waiting = self._queued
            self._reads()
            if self._taken is not None:
                self._emptied()
            self.flush()


class NewestOutbox(DroppingOutbox):
    """The policy ``newest-per-route``: what was not written is given up for a newer of its route.

    Over a limit, the oldest pushes go as with ``drop-oldest``.
    """

    __slots__ = ("_newest",)

    def __init__(
        self,
        *,
        parts: OutboxParts,
        full: Callable[[str], None],
        uid: Callable[[], str | None] = nobody,
    ) -> None:
        super().__init__(parts=parts, full=full, uid=uid)
        self._newest: dict[str, Waiting] = {}

    def push(self, data: bytes, route: str = "", note: INote | None = None) -> None:
        older = self._newest.get(route)
        if older is not None and older.data:
            self._give_up(older, "a newer push of its route has taken its place")
            self._parts.counters.pushes_replaced += 1
            self.missed("dropped", route)
            if 2 * self._gone > len(self._queue):
                self._forget_gone()
        newest = Waiting(data, self._parts.clock.seconds(), True, route, note)
        self._newest[route] = newest
        if len(self._newest) > len(self._queue) + _ROUTES:
            self._newest = {r: each for r, each in self._newest.items() if each.data}
        self._put(newest)


OUTBOXES: dict[Policy, type[Outbox]] = {
    "disconnect": Outbox,
    "drop-oldest": DroppingOutbox,
    "newest-per-route": NewestOutbox,
}
"""What is made for each client, by the setting ``outbox.policy``."""
