"""Showing messages, and not bytes, to those who may not see secrets.

This node itself decodes what passes and hides what is to be hidden, so what it does for one of them
is rationed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatcore.deadlines import IClock
from chatcore.inspector.batches import OPEN, TOLD, message
from chatcore.inspector.choosing import Choice
from chatcore.inspector.commands import Dictionary
from chatcore.inspector.exchange import Exchange, Way
from chatcore.inspector.own import Declared
from chatcore.inspector.redaction import Redaction
from chatcore.inspector.seen import Seen
from chatcore.inspector.stream import Boxed, BoxStream
from chatcore.links import commands
from chatcore.links.link import Link
from chatcore.node.taps import OVERHEAD, Now, Sender, Wanted
from chatcore.telemetry import Counters

MOST_MESSAGES = 2000
"""Boxes a second that are decoded for one of them; beyond that, they are counted.

This and what follows is shared by those who tap at the same time.
"""

MOST_BYTES = 8 * 1024 * 1024
"""Bytes a second of these boxes."""

MOST_BODIES = 200
"""Bodies a second that are; beyond that, messages are shown without theirs."""

LONGEST_BODY = 64 * 1024
"""Bytes of a box whose body is."""

MOST_UNANSWERED = 5000
"""Asks that are remembered until they are answered."""

NOT_READ = {"not read": "too long, or too many in this second"}
"""What is shown in the place of a body that is one too many."""


class ToldTap(Sender):
    """Shows somebody the messages that pass.

    Args:
        to: the link over which they are told.
        wanted: what is to be shown.
        id: of this node.
        types: gives those of all servers, by id.
        declared: what is known of methods, by their routes.
        counters: what counts.
        clock: the reactor.
        now: tells the time of events.
    """

    def __init__(
        self,
        to: Link,
        wanted: Wanted,
        *,
        id: str,
        types: Callable[[], Mapping[str, str]],
        declared: Mapping[str, Declared],
        counters: Counters,
        clock: IClock,
        now: Now,
    ) -> None:
        super().__init__(to, wanted, counters=counters, clock=clock, now=now)
        self._id, self._types = id, types
        self._dictionary = Dictionary([commands])
        self._dictionary.wary = True
        self._dictionary.types = dict(types())
        self._dictionary.declared = dict(declared)
        self._exchange = Exchange(
            self._dictionary,
            Redaction(wanted.redact),
            bodies=wanted.bodies,
            concerns=wanted.uid is not None or wanted.channel is not None,
            most=MOST_UNANSWERED,
            asked_for=frozenset(filter(None, (wanted.uid, wanted.channel))),
        )
        self._choice = Choice(
            wanted.routes,
            errors=wanted.errors,
            slow=wanted.slow,
            uid=wanted.uid,
            channel=wanted.channel,
            pings=wanted.pings or wanted.bodies,
        )
        self._begin(clock.seconds())

    def took(self, link: Link, number: int, out: bool, data: bytes, boxes: int, now: int) -> None:
        second = self._clock.seconds()
        if second - self._second >= 1:
            self._begin(second)
        if boxes > self._messages or len(data) > self._bytes or not self.has_room(len(data)):
            self.lose(number, out, boxes, len(data))
            return
        self._messages -= boxes
        self._bytes -= len(data)
        way = Way(number, "out" if out else "in", self._id, link.peer)
        for piece in BoxStream().feed(data):
            if isinstance(piece, Boxed):
                self._show(self._decoded(way, piece, now))

    def told(self, event: tuple[Any, ...]) -> None:
        if event[0] == OPEN:
            self._dictionary.types = dict(self._types())
        super().told(event)

    def _begin(self, second: float) -> None:
        self._second = second
        share = max(self._counters.taps_now, 1)
        self._messages, self._bytes = MOST_MESSAGES // share, MOST_BYTES // share
        self._bodies = MOST_BODIES // share

    def _decoded(self, way: Way, piece: Boxed, now: int) -> Seen:
        exchange, bodies = self._exchange, self.wanted.bodies
        exchange.bodies = bodies and self._bodies > 0 and len(piece.raw) <= LONGEST_BODY
        seen = exchange.box(way, piece, now)
        seen.offset = None
        if bodies and not exchange.bodies:
            seen.body = NOT_READ
        elif seen.body:
            self._bodies -= 1
        return seen

    def _show(self, seen: Seen) -> None:
        if seen in self._choice:
            packed = message(seen)
            self.keep((TOLD, packed), len(packed) + OVERHEAD)
