"""Doing something with what passes, in a thread of its own, so that it delays nothing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from chatcore.inspector.exchange import Way

HELD_BYTES = 16 * 1024 * 1024
"""Bytes that wait to be looked at; what passes while there are more is only counted."""

OVERHEAD: Final = 256
"""What a piece takes beside its bytes, as far as `HELD_BYTES` goes."""

AT_ONCE = 64
"""Pieces that are taken at the same time."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Something that a connection brought.

    Args:
        what: bytes, a number of bytes that nobody kept, or what became of the connection.
        way: which connection, and which direction of it.
        time: microseconds since 1970, UTC.
        data: the bytes.
        size: how many bytes nobody kept.
        text: what is to be said besides.
    """

    what: Literal["data", "missed", "open", "end", "failed", "note"]
    way: Way
    time: int
    data: bytes = b""
    size: int = 0
    text: str = ""


class Aside:
    """Hands on what passes to somebody who may be slow, or stop altogether.

    Args:
        take: given pieces in their order, in the thread; may block.
        failed: told why nothing is taken any more, in the thread.
        limit: the bytes that wait, at most.

    Attributes:
        missed: bytes that passed and were not kept.
    """

    def __init__(
        self,
        take: Callable[[Sequence[Passed]], None],
        *,
        failed: Callable[[BaseException], None],
        limit: int = HELD_BYTES,
    ) -> None:
        self.missed = 0
        self._take, self._failed, self._limit = take, failed, limit
        self._changed = threading.Condition()
        self._waiting: deque[Passed] = deque()
        self._held = 0
        self._gaps: dict[Way, int] = {}
        self._known: set[tuple[int, int]] = set()
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, passed: Passed) -> None:
        """Hand on a piece, or count it. Never waits for who takes them."""
        with self._changed:
            if self._over:
                self.missed += len(passed.data)
            elif passed.what == "end":
                self._end(passed)
            elif self._held + len(passed.data) + OVERHEAD > self._limit:
                self._miss(passed)
            else:
                self._known.add(passed.way.of)
                self._gap(Way(), passed.time)
                self._gap(passed.way, passed.time)
                self._append(passed)
            self._changed.notify()

    def stop(self, seconds: float, time: int) -> bool:
        """Take nothing more; wait until what is there was taken.

        Args:
            seconds: to wait.
            time: now, in microseconds since 1970.

        Returns:
            Whether all was taken.
        """
        with self._changed:
            for way in list(self._gaps):
                self._gap(way, time)
            self._over = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive() and not self._waiting

    def _end(self, passed: Passed) -> None:
        # As many as there are connections of which something was kept; those are bounded.
        if passed.way.of in self._known:
            self._known.discard(passed.way.of)
            for way in [each for each in self._gaps if each.of == passed.way.of]:
                self._gap(way, passed.time)
            self._append(passed)

    def _miss(self, passed: Passed) -> None:
        self.missed += len(passed.data)
        way = passed.way if passed.way.of in self._known else Way()
        self._gaps[way] = self._gaps.get(way, 0) + len(passed.data)

    def _gap(self, way: Way, time: int) -> None:
        size = self._gaps.pop(way, 0)
        if size:
            self._append(Passed("missed", way, time, size=size))

    def _append(self, passed: Passed) -> None:
        self._waiting.append(passed)
        self._held += len(passed.data) + OVERHEAD

    def _run(self) -> None:
        try:
            while pieces := self._next():
                self._take(pieces)
                with self._changed:
                    self._held -= sum(len(each.data) + OVERHEAD for each in pieces)
        except BaseException as problem:
            with self._changed:
                self._over = True
                self.missed += sum(len(each.data) for each in self._waiting)
                self._waiting.clear()
            self._failed(problem)

    def _next(self) -> list[Passed]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            return [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
