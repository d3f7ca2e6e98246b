"""The spans that a node keeps: bounded by their number and by what they take up."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

from chatcore.tracing.spans import Span

MOST_OF_ONE = 1_000
"""Spans that are kept of one trace, the newest; the others are counted."""

OF_ONE = 4
"""One trace takes up a fourth of all that there is room for, about."""

OF_TROUBLED = 4
"""Of all that is kept, every fourth at least may belong to traces in which something failed: they
go after those that went well."""


class Kept:
    """The spans of one trace at this node.

    Attributes:
        why: why it is traced: ``asked``, ``sampled``, ``client``.
        left_out: how many spans are kept no more.
        troubled: whether something in it failed.
    """

    __slots__ = ("id", "left_out", "open", "size", "sizes", "spans", "troubled", "why")

    def __init__(self, id: str) -> None:
        self.id = id
        self.spans: deque[Span] = deque()
        self.sizes: dict[str, int] = {}
        self.size = self.left_out = self.open = 0
        self.troubled = False
        self.why: dict[str, None] = {}

    @property
    def start(self) -> int:
        """When the first of it began here, in microseconds since 1970."""
        return min((span.start for span in self.spans), default=0)

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types."""
        return {
            "trace": self.id,
            "why": list(self.why),
            "left_out": self.left_out,
            "open": self.open,
            "spans": [span.to_value() for span in self.spans],
        }


class Store:
    """Keeps spans; the oldest traces go first, those in which something failed later.

    Args:
        most: spans.
        most_bytes: bytes that they take up, about.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._well: OrderedDict[str, Kept] = OrderedDict()
        self._troubled: OrderedDict[str, Kept] = OrderedDict()
        self.spans = self.bytes = self.forgotten = 0
        self._troubled_bytes = 0

    def __len__(self) -> int:
        return len(self._well) + len(self._troubled)

    def get(self, trace: str) -> Kept | None:
        """What is kept of a trace."""
        return self._well.get(trace) or self._troubled.get(trace)

    def newest(self, most: int) -> list[Kept]:
        """What is kept of the newest traces, the newest first."""
        every = [*self._well.values(), *self._troubled.values()]
        return sorted(every, key=lambda kept: -kept.start)[:most]

    def add(self, span: Span) -> None:
        """Keep a span, which may be under way yet."""
        kept = self.get(span.trace)
        if kept is None:
            kept = self._well[span.trace] = Kept(span.trace)
        if len(kept.spans) >= MOST_OF_ONE:
            self._forget_first(kept)
        kept.spans.append(span)
        kept.open += 1
        self.spans += 1
        self._grow(kept, span, span.size)

    def room(self, trace: str) -> int:
        """Bytes that there is room for in one trace beside what is kept of it."""
        kept = self.get(trace)
        return max(self._most_bytes // OF_ONE - (0 if kept is None else kept.size), 0)

    def grew(self, span: Span, size: int) -> None:
        """A span takes up so many bytes more."""
        kept = self.get(span.trace)
        if kept is not None and span.id in kept.sizes:
            self._grow(kept, span, size)

    def ended(self, span: Span) -> None:
        """A span is under way no more."""
        kept = self.get(span.trace)
        if kept is None:
            return
        if span.id in kept.sizes:
            kept.open -= 1
        if span.reason is not None and not kept.troubled:
            kept.troubled = True
            self._troubled_bytes += kept.size
            self._troubled[kept.id] = self._well.pop(kept.id)

    def why(self, trace: str, why: str) -> None:
        """A trace is kept for this reason."""
        kept = self.get(trace)
        if kept is not None:
            kept.why[why] = None

    def _forget_first(self, kept: Kept) -> None:
        """Forget the oldest span of a trace that goes on and on."""
        span = kept.spans.popleft()
        kept.left_out += 1
        self.spans -= 1
        kept.open -= span.end is None
        self._count(kept, -kept.sizes.pop(span.id))

    def _count(self, kept: Kept, size: int) -> None:
        kept.size += size
        self.bytes += size
        if kept.troubled:
            self._troubled_bytes += size

    def _grow(self, kept: Kept, span: Span, size: int) -> None:
        kept.sizes[span.id] = kept.sizes.get(span.id, 0) + size
        self._count(kept, size)
        while (self.spans > self._most or self.bytes > self._most_bytes) and len(self) > 1:
            self._forget(kept)

    def _forget(self, but: Kept) -> None:
        """Forget the oldest trace; never the one that grows just now."""
        first, second = self._well, self._troubled
        if self._troubled_bytes * OF_TROUBLED > self._most_bytes:
            first, second = second, first
        for some in (first, second):
            oldest = next((kept for kept in some.values() if kept is not but), None)
            if oldest is not None:
                del some[oldest.id]
                self.spans -= len(oldest.spans)
                self.bytes -= oldest.size
                if oldest.troubled:
                    self._troubled_bytes -= oldest.size
                self.forgotten += 1
                return
