"""Pushes that the application itself sends on, as ``app.push_scheduler`` lets it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from zope.interface import implementer

from chatcore.interfaces import IPush, PushScheduler
from chatcore.telemetry import Seen

MOST_MISTAKES = 100
"""For how many routes it is logged that the application failed."""


@implementer(IPush)
class Push:
    """A push that waits for the application."""

    __slots__ = ("_write", "count", "droppable", "route")

    def __init__(self, route: str, count: int, droppable: bool, write: Callable[[], None]) -> None:
        self.route, self.count, self.droppable = route, count, droppable
        self._write: Callable[[], None] | None = write

    def send(self) -> None:
        write, self._write = self._write, None
        if write is not None:
            write()


class Scheduler:
    """Gives pushes to the application; one that it fails over is sent at once.

    Args:
        schedule: the application's function.
    """

    log = Logger()

    def __init__(self, schedule: PushScheduler) -> None:
        self._schedule = schedule
        self._mistakes = Seen(MOST_MISTAKES)

    def take(self, push: Push) -> None:
        """Have a push sent when the application says so."""
        try:
            self._schedule(push)
        except Exception:
            if self._mistakes.first(push.route):
                self.log.failure("The push scheduler failed for {route}", route=push.route)
            push.send()
