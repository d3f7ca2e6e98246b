"""Looking through much without keeping the node from anything: a portion in each of its turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappush, heapreplace
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred

from chatcore.deadlines import IClock

T = TypeVar("T")

SECONDS: Final = 0.003
"""How long one portion may take."""

STEPS: Final = 64
"""How many are looked at between two looks at the clock."""


async def for_each(items: Iterable[T], see: Callable[[T], object], clock: IClock) -> None:
    """Have ``see(item)`` called for each; others have their turns in between.

    Args:
        items: what does not change meanwhile, as a copy of a list.
        clock: the reactor.
    """
    end = clock.seconds() + SECONDS
    for number, item in enumerate(items, 1):
        see(item)
        if number % STEPS == 0 and clock.seconds() >= end:
            await _turn(clock)
            end = clock.seconds() + SECONDS


async def largest(items: Iterable[T], most: int, key: Callable[[T], Any], clock: IClock) -> list[T]:
    """Those with the largest keys, the largest first; of equal ones, those that came first.

    Args:
        items: what does not change meanwhile.
        most: how many.
    """
    best: list[tuple[Any, int, T]] = []
    count = 0

    def see(item: T) -> None:
        nonlocal count
        count -= 1
        if len(best) < most:
            heappush(best, (key(item), count, item))
        elif most and (value := key(item)) > best[0][0]:
            heapreplace(best, (value, count, item))

    await for_each(items, see, clock)
    return [item for _, _, item in sorted(best, reverse=True)]


def _turn(clock: IClock) -> Deferred[None]:
    """What fires in the reactor's next turn."""
    waiting: Deferred[None] = Deferred()
    clock.callLater(0, waiting.callback, None)
    return waiting
