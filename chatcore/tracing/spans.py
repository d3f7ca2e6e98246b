"""What is noted of one hop of a message, and of a push on its way to each member."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

from chatcore.telemetry import Reason
from chatcore.tracing.traceparent import SAMPLED, TraceParent, new_span

MOST_MEMBERS = 2_000
"""Members whose fate is told one by one, of one push at one frontend; the others are counted."""

LONGEST_TEXT = 300
"""Characters that are kept of a text."""

SPAN_BYTES, FATE_BYTES = 600, 160
"""What one of these takes up, about, beside its texts."""

Kind = Literal[
    "message",
    "received",
    "waited",
    "forward",
    "passed on",
    "handler",
    "call",
    "remote",
    "push",
    "deliver",
    "answer",
]
"""What a span is.

``message``
    a client's request or notify, at its frontend, until it is answered or sent on
``received``
    decoding, filters, the choice of a server, and the wait for a link to it
``waited``
    a request or call that came over a link, and waited for channels that move
``forward``
    a request at the server that acts on it, seen from the frontend
``passed on``
    a request or call that was sent on to the new owner of its key
``handler``
    what the application does for it
``call``
    a call, as the server sees it that makes it
``remote``
    the same call, as the server sees it that acts on it
``push``
    a message for members, at the server that sends it
``deliver``
    the same, at one of their frontends
``answer``
    from an answer to when it is written to the client's socket
"""

WRITTEN: Final = "written"
WAITING: Final = "waiting"

Outcome = Reason | Literal["written", "waiting"]
"""What has become of a push for one member.

``written``
    it was given to the socket
``waiting``
    it is in the outbox still
"""


class IKeeper(Protocol):
    """Who keeps spans."""

    node: str

    def now(self) -> int:
        """Microseconds since 1970."""

    def opened(self, span: Span) -> None:
        """A span has begun."""

    def room(self, span: Span) -> int:
        """Bytes that may be noted of its trace besides."""

    def grew(self, span: Span, size: int) -> None:
        """So many bytes more are noted in it."""

    def closed(self, span: Span) -> None:
        """It has ended."""


class Span:
    """One hop.

    Args:
        keeper: keeps it.
        trace: the id of the trace.
        parent: the id of the span that it is a part of; empty for none.
        name: the route, or the service and method.
        start: microseconds since 1970, if not now.
        id: that of a span that another node keeps, and that others are parts of here.
        attributes: what is known of it, in JSON's types.
    """

    __slots__ = (
        "_began",
        "_keeper",
        "attributes",
        "end",
        "error",
        "id",
        "kind",
        "name",
        "parent",
        "reason",
        "start",
        "trace",
    )

    def __init__(
        self,
        keeper: IKeeper,
        *,
        trace: str,
        parent: str,
        name: str,
        kind: Kind,
        start: int | None = None,
        id: str = "",
        attributes: Mapping[str, Any] = {},
    ) -> None:
        self._keeper = keeper
        self.trace, self.id, self.parent = trace, id or new_span(), parent
        self.name, self.kind = name[:LONGEST_TEXT], kind
        self.start = keeper.now() if start is None else start
        self._began = time.monotonic_ns() // 1000
        if start is not None:
            self._began -= max(keeper.now() - start, 0)
        self.end: int | None = None
        self.reason: Reason | None = None
        self.error: str | None = None
        self.attributes: dict[str, Any] = dict(attributes)
        if not id:
            keeper.opened(self)

    def __repr__(self) -> str:
        return f"<span {self.kind} {self.name} of {self.trace}>"

    @property
    def traceparent(self) -> str:
        """What says to others that they are a part of it."""
        return str(TraceParent(self.trace, self.id, SAMPLED))

    @property
    def node(self) -> str:
        """Where it is."""
        return self._keeper.node

    def is_of(self, keeper: IKeeper) -> bool:
        """Whether it is kept there: there may be several nodes in a process."""
        return self._keeper is keeper

    def elapsed(self) -> int:
        """Microseconds since it began."""
        return time.monotonic_ns() // 1000 - self._began

    def now(self) -> int:
        """Microseconds since 1970, counted from its beginning: no clock that is set changes it."""
        return self.start + self.elapsed()

    def child(self, name: str, kind: Kind, *, start: int | None = None, **attributes: Any) -> Span:
        """A part of it that begins."""
        return Span(
            self._keeper,
            trace=self.trace,
            parent=self.id,
            name=name,
            kind=kind,
            start=start,
            attributes=attributes,
        )

    def delivery(self, route: str, **attributes: Any) -> Delivery:
        """A push of it, at a frontend."""
        return Delivery(
            self._keeper,
            trace=self.trace,
            parent=self.id,
            name=route,
            kind="deliver",
            attributes=attributes,
        )

    def add(self, **attributes: Any) -> None:
        """Something is known of it."""
        self.attributes.update(attributes)

    def fail(self, reason: Reason, why: str = "") -> None:
        """It comes to nothing; the first reason is the one."""
        if self.reason is None:
            self.reason, self.error = reason, why[:LONGEST_TEXT]

    def finish(self, reason: Reason | None = None, why: str = "") -> None:
        """It ends; once is enough.

        Args:
            reason: why it came to nothing, if it did.
        """
        if reason is not None:
            self.fail(reason, why)
        if self.end is None:
            self.end = self.now()
            self._keeper.closed(self)

    @property
    def size(self) -> int:
        """Bytes that it takes up, about."""
        return SPAN_BYTES + len(self.name) + len(self.error or "")

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types."""
        return {
            "trace": self.trace,
            "span": self.id,
            "parent": self.parent,
            "node": self.node,
            "name": self.name,
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "reason": self.reason,
            "error": self.error,
            "attributes": self.attributes,
        }


class Fate:
    """What becomes of a push for one member; the member's outbox says it.

    Args:
        delivery: of which push.
        uid: whose.
        session: the number of the session.
    """

    __slots__ = ("_delivery", "at", "before", "detail", "outcome", "session", "uid")

    def __init__(self, delivery: Delivery, uid: str | None, session: int) -> None:
        self._delivery = delivery
        self.uid, self.session = uid, session
        self.outcome: Outcome = WAITING
        self.before = 0
        self.at: int | None = None
        self.detail = ""

    def waits(self, before: int) -> None:
        """It is in the outbox, behind so many bytes."""
        self.before = before

    def left(self) -> None:
        """It was given to the socket."""
        self._became(WRITTEN, "")

    def lost(self, reason: Reason, detail: str = "") -> None:
        """It will not be."""
        self._became(reason, detail)

    def _became(self, outcome: Outcome, detail: str) -> None:
        if self.outcome == WAITING:
            self.outcome, self.detail = outcome, detail[:LONGEST_TEXT]
            self.at = self._delivery.now()
            self._delivery.settled()

    def to_value(self) -> list[Any]:
        """It in JSON's types: uid, session, outcome, when, bytes before it, and why."""
        return [self.uid, self.session, self.outcome, self.at, self.before, self.detail]


class Delivery(Span):
    """A push at a frontend: it ends when it is known what has become of it for each member."""

    __slots__ = ("_complete", "_pending", "_room", "fates", "others")

    def __init__(self, *args: Any, **named: Any) -> None:
        self.fates: list[Fate] = []
        self.others = self._pending = 0
        self._complete = False
        super().__init__(*args, **named)
        self._room = self._keeper.room(self)

    def fate(self, uid: str | None, session: int) -> Fate | None:
        """What is to be told what becomes of it for one more; None for those beyond the limit."""
        size = FATE_BYTES + len(uid or "")
        if len(self.fates) >= MOST_MEMBERS or size > self._room:
            self.others += 1
            return None
        self._room -= size
        self._keeper.grew(self, size)
        fate = Fate(self, uid, session)
        self.fates.append(fate)
        self._pending += 1
        return fate

    def settled(self) -> None:
        """It is known of one more."""
        self._pending -= 1
        self._end_if_known()

    def sent(self) -> None:
        """It is in the outboxes of all."""
        self._complete = True
        self._end_if_known()

    def _end_if_known(self) -> None:
        if self._complete and not self._pending:
            self.finish()

    def to_value(self) -> dict[str, Any]:
        value = super().to_value()
        value["members"] = [fate.to_value() for fate in self.fates]
        value["others"] = self.others
        return value
