"""What a node notes of the messages that are followed, and which of them are."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection
from contextvars import ContextVar
from typing import Any, TypeVar

from chatcore.telemetry import Reason
from chatcore.tracing.arming import (
    LONGEST_SECONDS,
    LONGEST_WORD,
    MOST_ARMED,
    MOST_COUNT,
    Arming,
)
from chatcore.tracing.settings import TracingSettings
from chatcore.tracing.spans import Kind, Span
from chatcore.tracing.store import Store
from chatcore.tracing.traceparent import TraceParent, new_trace, read
from chatcore.wire.box import item

T = TypeVar("T")

LINGER_SECONDS = 60.0
"""For how long after the last that was noted what it has brought about still belongs to it."""

REACH_SECONDS = 600.0
"""For how long after a span began what it has brought about belongs to it: a loop that a handler
starts may go on for ever."""

ASKED, SAMPLED, CLIENT = "asked", "sampled", "client"
"""Why messages are traced: somebody asked for it, by chance, or because the client's trace is.

Whose asking it was is not told: who knows the id may end it.
"""

_current: ContextVar[Span | None] = ContextVar("chatcore_span", default=None)

Exporter = Callable[[Span], None]
"""Given each span that has ended; it must not raise."""


class Tracer:
    """Notes hops of messages.

    Parts ask `active` first, which costs nothing. While it is False, nothing is traced here.

    Args:
        node: the id of this node.
        settings: what is traced that nobody asks for, and how much is kept.
        clock: the reactor's ``seconds``, or a test's.
        now: microseconds since 1970.
        chance: a number from 0 up to 1.
        off: whether nothing is ever traced.

    Attributes:
        active: whether anything may be traced now.
        store: what was noted.
        exporter: what is given each span that has ended.
        continues: whether the traces of clients go on here.
    """

    def __init__(
        self,
        *,
        node: str,
        settings: TracingSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = lambda: time.time_ns() // 1000,
        chance: Callable[[], float] = random.random,
        off: bool = False,
    ) -> None:
        settings = settings or TracingSettings()
        self.node, self.now = node, now
        self._clock, self._chance, self._off = clock, chance, off
        self.continues = settings.continues and not off
        self._sample, self._per_second = settings.sample, settings.per_second
        self.store = Store(settings.keep, settings.keep_bytes)
        self.exporter: Exporter | None = None
        self._armed: dict[str, Arming] = {}
        self._over: dict[str, Arming] = {}
        self._followed = 0
        self._until = 0.0
        self._second = 0.0
        self._begun = {True: 0, False: 0}  # in it, by whether somebody has asked for them
        self.active = bool(self._sample) and not off

    @property
    def traceparent(self) -> str | None:
        """What names the span that what runs now is a part of; None where nothing is followed."""
        span = self.current() if self.active else None
        return None if span is None else span.traceparent

    # What the parts of a node ask.

    def current(self) -> Span | None:
        """The span that what runs now is a part of."""
        span = _current.get()
        if span is None or self.now() - span.start > REACH_SECONDS * 1_000_000:
            self._look()
            return None
        return span if span.is_of(self) else None

    def within(self, span: Span | None, function: Callable[..., T], *args: Any) -> T:
        """Call a function as a part of a span, or of none; what it begins belongs to that, too."""
        token = _current.set(span)
        try:
            return function(*args)
        finally:
            _current.reset(token)

    def message(self, route: str, uid: str | None, parent: TraceParent | None) -> Span | None:
        """A client's message has come: a span where it is to be traced.

        Args:
            uid: whose.
            parent: the client's own trace, where it has named one.
        """
        why = self._why(route, uid, parent)
        if why is None or not self._may_begin(asked=not isinstance(why, str)):
            self._look()
            return None
        trace, above = new_trace(), ""
        if parent is not None and parent.sampled:
            trace, above = parent.trace, parent.span
        span = Span(self, trace=trace, parent=above, name=route, kind="message")
        self._found(span, why)
        return span

    def came(
        self,
        parent: bytes | None,
        name: str,
        kind: Kind,
        *,
        start: int | None = None,
        **attributes: Any,
    ) -> Span | None:
        """Something has come over a link that is to be noted, if it belongs to a trace.

        Args:
            parent: what the box says of that.
            start: when it came, in microseconds since 1970, if not now.
        """
        found = None if self._off else read(parent)
        if found is None:
            return None
        self._lives()
        return Span(
            self,
            trace=found.trace,
            parent=found.span,
            name=name,
            kind=kind,
            start=start,
            attributes=attributes,
        )

    def far(self, parent: bytes) -> Span | None:
        """A span that is kept elsewhere, for what belongs to it here; None for none.

        Args:
            parent: what a box says of it.
        """
        found = None if self._off else read(parent)
        if found is None:
            return None
        self._lives()
        return Span(self, trace=found.trace, parent="", name="", kind="push", id=found.span)

    def push(self, route: str, uids: Collection[str] | None, **attributes: Any) -> Span | None:
        """Something is pushed: a span, if it belongs to a trace, or somebody wants it.

        Args:
            uids: whom it is meant for, where that is known; None for everybody.
        """
        span = self.current()
        if span is not None:
            return span.child(route, "push", **attributes)
        self._forget_those_over()
        wanted = [each for each in self._armed.values() if each.wants_push(uids)]
        if not wanted or not self._may_begin(asked=True):
            return None
        push = Span(
            self, trace=new_trace(), parent="", name=route, kind="push", attributes=attributes
        )
        self._found(push, wanted)
        return push

    def refused(self, route: str, uid: str | None, reason: Reason, why: str) -> None:
        """A client's message was refused before anything was done with it."""
        span = self.message(route, uid, None)
        if span is not None:
            span.add(uid=uid)
            span.finish(reason, why)

    # Who wants what.

    def arm(self, *, id: str, word: str, to: str, count: int, seconds: float) -> str | None:
        """Have messages traced; why not, if not.

        Args:
            seconds: how long.
        """
        self._forget_those_over()
        if id in self._armed:
            return None
        if len(self._armed) >= MOST_ARMED:
            return f"{MOST_ARMED} look for messages already"
        if not 0 < count <= MOST_COUNT or not 0 < seconds <= LONGEST_SECONDS:
            return f"up to {MOST_COUNT} messages can be traced, within {LONGEST_SECONDS:g} s"
        if max(len(id), len(word), len(to)) > LONGEST_WORD or not (word or to):
            return "there is no usable word of what to look for"
        until = self._clock() + seconds
        self._armed[id] = Arming(id=id, word=word, to=to, count=count, until=until)
        self.active = not self._off
        return None

    def disarm(self, id: str) -> None:
        """Look for it no more."""
        arming = self._armed.pop(id, None)
        if arming is not None:
            self._over[id] = arming
            if len(self._over) > MOST_ARMED:
                del self._over[next(iter(self._over))]
        self._look()

    def armed(self, id: str) -> Arming | None:
        """What somebody wants, or has lately wanted."""
        return self._armed.get(id) or self._over.get(id)

    def follows(self, more: int) -> None:
        """So many more clients, or fewer, have named a trace of theirs that is to go on here."""
        self._followed += more
        self.active = self.active or (self._followed > 0 and not self._off)

    # IKeeper

    def opened(self, span: Span) -> None:
        self._lives()
        self.store.add(span)

    def room(self, span: Span) -> int:
        return self.store.room(span.trace)

    def grew(self, span: Span, size: int) -> None:
        self.store.grew(span, size)

    def closed(self, span: Span) -> None:
        self._lives()
        self.store.ended(span)
        if self.exporter is not None:
            self.exporter(span)

    # Its own.

    def _why(
        self, route: str, uid: str | None, parent: TraceParent | None
    ) -> list[Arming] | str | None:
        self._forget_those_over()
        wanted = [each for each in self._armed.values() if each.wants(route, uid)]
        if wanted:
            return wanted
        if parent is not None and parent.sampled:
            return CLIENT
        return SAMPLED if self._sample and self._chance() < self._sample else None

    def _found(self, span: Span, why: list[Arming] | str) -> None:
        if isinstance(why, str):
            self.store.why(span.trace, why)
            return
        for each in why:
            each.take(span.trace, span.id)
            self.store.why(span.trace, ASKED)
            if not each.left:
                self.disarm(each.id)

    def _may_begin(self, *, asked: bool) -> bool:
        """Whether one more trace may begin in this second.

        Args:
            asked: whether somebody has asked for it. The traces that clients name don't keep those
                from being found.
        """
        now = self._clock()
        if now - self._second >= 1:
            self._second, self._begun = now, {True: 0, False: 0}
        self._begun[asked] += 1
        return self._begun[asked] <= self._per_second

    def _lives(self) -> None:
        self.active = not self._off
        self._until = self._clock() + LINGER_SECONDS

    def _look(self) -> None:
        """Be active no more if nothing is to be traced."""
        self._forget_those_over()
        if not (self._armed or self._sample or self._followed or self._clock() < self._until):
            self.active = False

    def _forget_those_over(self) -> None:
        if self._armed:
            now = self._clock()
            for id in [id for id, each in self._armed.items() if each.until <= now]:
                self._over[id] = self._armed.pop(id)
                if len(self._over) > MOST_ARMED:
                    del self._over[next(iter(self._over))]


def trace_item(span: Span | None) -> bytes:
    """What a box carries so that what it brings about belongs to a span; nothing for none."""
    return b"" if span is None else item(b"trace", span.traceparent.encode())


OFF = Tracer(node="", off=True)
"""One that never traces anything."""
