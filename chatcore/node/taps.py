"""Showing what passes on the links of this node to those who look at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta
from twisted.logger import Logger

from chatcore.admin.outcomes import BUSY, REFUSED
from chatcore.deadlines import IClock
from chatcore.errors import AdminError, RpcError
from chatcore.inspector.batches import BOXES, END, LOST, OPEN, THERE, TOLD, encode
from chatcore.links.link import Link
from chatcore.links.table import LinkTable
from chatcore.telemetry import Counters
from chatcore.wire.box import Box, item

MOST_TAPS = 8
"""Those who may be shown what passes at the same time."""

KEPT_TAPS = 2
"""Of these, so many are left to those who may see bytes."""

HELD_BYTES = 8 * 1024 * 1024
"""Bytes that are kept for one of them; what passes while there are more is only counted."""

OVERHEAD = 128
"""What is kept of an event beside its bytes, as far as `HELD_BYTES` goes."""

BATCH_BYTES = 64 * 1024
"""Bytes after which a batch is sent at once."""

BATCH_SECONDS = 0.05
"""Seconds after which it is sent however small it is."""

LONGEST_EVENT = 4 * 1024 * 1024
"""Bytes that leave or come at once and are shown; what is longer is only counted."""

MOST_UNREAD = 4
"""Batches that may be on their way to one of them, who has to acknowledge each."""

DEAF_SECONDS = 600.0
"""Seconds after which somebody who has acknowledged nothing is shown nothing any more."""

MOST_PEERS = 10_000
"""Servers that somebody may name."""

MOST_WORDS = 50
"""Patterns and names that somebody may give."""

Word = Annotated[str, Meta(max_length=1000)]

TAPPED = item(b"_command", b"Tapped")

Now = Callable[[], int]
"""Tells the time, in microseconds since 1970, UTC."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody wants to be shown.

    Args:
        peers: the other ends of the links that are meant; all where None.
        but: those that are not.
        told: whether the messages are wanted, as the node decodes them, and not the boxes.
        raw: whether nothing but the boxes is; see to it that they may be shown.
        bodies: whether their bodies are, too.
        redact: what hides values beside what always does.
        routes: patterns of those that are meant; of messages alone, as all that follows.
        errors: whether only what went wrong is meant.
        slow: milliseconds that what is meant took at least.
        uid: whom it concerns.
        channel: which channel it concerns.
        pings: whether pings are meant, too.
    """

    peers: Annotated[frozenset[Word], Meta(max_length=MOST_PEERS)] | None = None
    but: Annotated[frozenset[Word], Meta(max_length=MOST_PEERS)] = frozenset()
    told: bool = False
    raw: bool = False
    bodies: bool = False
    redact: Annotated[list[Word], Meta(max_length=MOST_WORDS)] = []
    routes: Annotated[list[Word], Meta(max_length=MOST_WORDS)] = []
    errors: bool = False
    slow: float | None = None
    uid: Word | None = None
    channel: Word | None = None
    pings: bool = False

    def means(self, peer: str) -> bool:
        """Whether the link to a node is meant."""
        return (self.peers is None or peer in self.peers) and peer not in self.but


def microseconds() -> int:
    """The time, in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


class ITap(Protocol):
    """What one of those is shown."""

    wanted: Wanted

    def took(self, link: Link, number: int, out: bool, data: bytes, boxes: int, now: int) -> None:
        """Boxes that passed on a link, which has that number."""

    def told(self, event: tuple[Any, ...]) -> None:
        """Something else that happened."""

    def end(self) -> None:
        """Show nothing more."""


MakeTold = Callable[[Link, Wanted], ITap]
"""Makes what shows somebody messages, and not bytes."""


class Taps:
    """Shows what passes on the links between nodes, as long as anybody looks.

    Args:
        links: of this node.
        about: what is said of the application, in msgpack's types.
        make_told: makes what shows somebody messages, and not bytes.
        counters: what counts.
        clock: the reactor.
        now: tells the time of events.
    """

    log = Logger()

    def __init__(
        self,
        *,
        links: LinkTable,
        about: Callable[[], Mapping[str, Any]],
        make_told: MakeTold,
        counters: Counters,
        clock: IClock,
        now: Now = microseconds,
    ) -> None:
        self._links, self._clock, self._now = links, clock, now
        self._about, self._make_told, self._counters = about, make_told, counters
        self._taps: dict[Link, ITap] = {}
        self._shown: list[ITap] = []
        self._numbers: dict[Link, int] = {}
        self._last = 0
        links.on_up(self._up)
        links.on_down(self._down)

    def begin(self, to: Link, given: Mapping[str, Any], *, raw: bool) -> dict[str, Any]:
        """Show somebody what passes from now on, or other links than before.

        Args:
            to: the link over which it is told.
            given: what is to be shown, as in `Wanted`.
            raw: whether bytes may be shown; who may not see them is shown messages.

        Returns:
            What is known of the application, and ``told``, whether messages are shown.

        Raises:
            AdminError: that makes no sense, or too many are shown it already.
        """
        try:
            wanted = msgspec.convert(dict(given), Wanted)
        except msgspec.ValidationError as problem:
            raise AdminError(f"nothing can be shown like that: {problem}", code=REFUSED) from None
        tap = self._taps.get(to)
        if tap is None:
            if len(self._taps) >= (MOST_TAPS if raw else MOST_TAPS - KEPT_TAPS):
                self._counters.taps_refused += 1
                raise AdminError(
                    f"{self._links.id} is tapped by {len(self._taps)} already",
                    code=BUSY,
                    advice="End one of those",
                )
            if raw and not wanted.told:
                counters = self._counters
                tap = RawTap(to, wanted, counters=counters, clock=self._clock, now=self._now)
            else:
                tap = self._make_told(to, wanted)
            self._taps[to] = tap
            now = self._now()
            for link in self._links.linked():
                tap.told((THERE, now, self._number(link), link.peer))
            self._changed()
        tap.wanted = wanted
        return {"told": not isinstance(tap, RawTap), **self._about()}

    def end(self, to: Link) -> None:
        """Somebody looks no more."""
        tap = self._taps.pop(to, None)
        if tap is not None:
            tap.end()
            self._changed()

    def stop(self) -> None:
        """Show nobody anything."""
        for link in list(self._taps):
            self.end(link)

    # LinkTap

    def sent(self, link: Link, data: bytes, boxes: int) -> None:
        self._show(link, True, data, boxes)

    def came(self, link: Link, data: bytes, boxes: int) -> None:
        self._show(link, False, data, boxes)

    # Its own.

    def _show(self, link: Link, out: bool, data: bytes, boxes: int) -> None:
        number, peer, now = self._number(link), link.peer, self._now()
        for tap in self._shown:
            if tap.wanted.means(peer):
                try:
                    tap.took(link, number, out, data, boxes, now)
                except Exception:
                    # Whoever looks must not cost those anything who are looked at.
                    self.log.failure("Somebody is shown nothing more")
                    self._clock.callLater(0, self._drop, tap)

    def _drop(self, tap: ITap) -> None:
        for link, each in list(self._taps.items()):
            if each is tap:
                self.end(link)
                link.close()

    def _up(self, link: Link) -> None:
        self._tell((OPEN, self._now(), self._number(link), link.peer))

    def _down(self, link: Link) -> None:
        number = self._numbers.pop(link, None)
        if number is not None:
            self._tell((END, self._now(), number))

    def _tell(self, event: tuple[Any, ...]) -> None:
        for tap in self._taps.values():
            tap.told(event)

    def _number(self, link: Link) -> int:
        if link not in self._numbers:
            self._last += 1
            self._numbers[link] = self._last
        return self._numbers[link]

    def _changed(self) -> None:
        self._shown = list(self._taps.values())
        self._counters.taps_now = len(self._shown)
        self._links.show(self if self._shown else None)


class Sender:
    """Sends somebody what they are shown, as fast as they read it, and counts what is too much.

    Args:
        to: the link over which it is told.
        wanted: what is to be shown.
        counters: what counts.
        clock: the reactor.
        now: tells the time of events.

    Attributes:
        held: bytes that are kept for it.
        lost_boxes: boxes that passed and were not kept.
        lost_bytes: their bytes.
    """

    def __init__(
        self, to: Link, wanted: Wanted, *, counters: Counters, clock: IClock, now: Now
    ) -> None:
        self.wanted = wanted
        self._counters = counters
        self.held = self.lost_boxes = self.lost_bytes = 0
        self._to, self._clock, self._now = to, clock, now
        self._events: list[tuple[Any, ...]] = []
        self._size = 0  # of these
        self._unread = 0
        self._gaps: dict[tuple[int, bool], tuple[int, int]] = {}
        self._timer: Any = None
        self._over = False

    def told(self, event: tuple[Any, ...]) -> None:
        """Something that is not lost, because it is rare: links come and go slowly."""
        if self.held <= 2 * HELD_BYTES:
            self.keep(event, OVERHEAD)

    def end(self) -> None:
        self._over = True
        self._events.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def keep(self, event: tuple[Any, ...], size: int) -> None:
        """Something that there is room for; it is sent soon."""
        if self._gaps and event[0] != LOST:
            self._tell_gaps(self._now())
        self._events.append(event)
        self.held += size
        self._size += size
        if self._unread >= MOST_UNREAD:
            return
        if self._size >= BATCH_BYTES:
            self._send()
        elif self._timer is None:
            self._timer = self._clock.callLater(BATCH_SECONDS, self._due)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may be kept."""
        return self.held + size <= HELD_BYTES and size <= LONGEST_EVENT

    def lose(self, number: int, out: bool, boxes: int, size: int) -> None:
        """Count what is not kept."""
        before = self._gaps.get((number, out), (0, 0))
        self._gaps[number, out] = before[0] + boxes, before[1] + size
        self._counters.tapped_boxes_lost += boxes
        self.lost_boxes += boxes
        self.lost_bytes += size

    def _tell_gaps(self, now: int) -> None:
        gaps, self._gaps = self._gaps, {}
        for (number, out), (boxes, size) in gaps.items():
            self.keep((LOST, now, number, out, boxes, size), OVERHEAD)

    def _due(self) -> None:
        self._timer = None
        if self._unread < MOST_UNREAD:
            self._send()

    def _send(self) -> None:
        """Send the next batch: all that there is, up to its usual size."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        events, size = self._next()
        if not events or self._over:
            return
        self._unread += 1
        payload = TAPPED + item(b"events", encode(events))

        def read(box: Box | None, problem: RpcError | None) -> None:
            self._unread -= 1
            self.held -= size
            if box is None:
                if not self._over:
                    self.end()
                    self._to.close()
                return
            self._read()

        self._to.ask(payload, read, "Tapped", DEAF_SECONDS)

    def _next(self) -> tuple[Sequence[tuple[Any, ...]], int]:
        if self._size <= 2 * BATCH_BYTES:
            events, size = self._events, self._size
            self._events, self._size = [], 0
            return events, size
        size, count = 0, 0
        while size < BATCH_BYTES:
            size += _size_of(self._events[count])
            count += 1
        events = self._events[:count]
        del self._events[:count]
        self._size -= size
        return events, size

    def _read(self) -> None:
        """Whoever looks has read a batch."""
        if self._over:
            return
        if self._gaps and self.held <= HELD_BYTES // 2:
            self._tell_gaps(self._now())
        if self._size >= BATCH_BYTES:
            self._send()
        elif self._events and self._timer is None:
            self._timer = self._clock.callLater(BATCH_SECONDS, self._due)


class RawTap(Sender):
    """Shows somebody boxes as they are."""

    def took(self, link: Link, number: int, out: bool, data: bytes, boxes: int, now: int) -> None:
        size = len(data) + OVERHEAD
        if not self.has_room(size):
            self.lose(number, out, boxes, len(data))
            return
        self.keep((BOXES, now, number, out, data), size)


def _size_of(event: tuple[Any, ...]) -> int:
    kind = event[0]
    if kind == BOXES:
        return OVERHEAD + len(event[4])
    return OVERHEAD + (len(event[1]) if kind == TOLD else 0)
