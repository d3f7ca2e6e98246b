"""Doing with what servers tell what may take long, in a thread of its own.

What a server tells next comes once this has been read, so little waits here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Batch:
    """What a server has told.

    Args:
        node: its id.
        origin: the number of the visit to it.
        data: what it has told, encoded.
    """

    node: str
    origin: int
    data: bytes


class Taker:
    """Takes batches, one after the other.

    Args:
        take: given each, in the thread; may block.
        failed: told why nothing is taken any more, on the reactor's thread.
        reactor: the reactor.
    """

    def __init__(
        self,
        take: Callable[[Batch], None],
        *,
        failed: Callable[[BaseException], object],
        reactor: Any,
    ) -> None:
        self._take, self._failed, self._reactor = take, failed, reactor
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Batch, Callable[[], None]]] = deque()
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def put(self, batch: Batch, read: Callable[[], None]) -> None:
        """Hand on a batch; ``read`` is called on the reactor's thread once it was taken."""
        with self._changed:
            if not self._over:
                self._waiting.append((batch, read))
                self._changed.notify()

    def stop(self, seconds: float) -> bool:
        """Take what is there, and nothing more; whether that was done within so many seconds."""
        with self._changed:
            self._over = True
            self._changed.notify()
        if self._thread.ident is None:
            return True  # it has not begun
        self._thread.join(seconds)
        return not self._thread.is_alive() and not self._waiting

    def _run(self) -> None:
        try:
            while (one := self._next()) is not None:
                batch, read = one
                self._take(batch)
                self._reactor.callFromThread(read)
        except BaseException as problem:
            with self._changed:
                self._over = True
                self._waiting.clear()
            self._reactor.callFromThread(self._failed, problem)

    def _next(self) -> tuple[Batch, Callable[[], None]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            return self._waiting.popleft() if self._waiting else None
