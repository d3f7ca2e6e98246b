"""The last failure that was logged, for those who look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from chatcore.errors import ChatcoreError
from chatcore.inspector.redaction import Redaction
from chatcore.telemetry import Counters

LONGEST = 500
"""Characters of what was logged that are kept."""

_RULE: Final = Redaction()


@dataclass(frozen=True, slots=True)
class LastFailure:
    """The last error of the log.

    Args:
        time: when, in seconds since the epoch.
        text: its first line, without what nobody is to see.
    """

    time: float
    text: str


class Failures:
    """Keeps the last error that this process has logged. Others of the process see it, too.

    Args:
        counters: where they are counted.
    """

    def __init__(self, counters: Counters) -> None:
        self.counters = counters
        self.last: LastFailure | None = None

    def start(self) -> None:
        """Listen to the log from now on, until this is stopped or nobody has it any more."""
        if not _listening:
            globalLogPublisher.removeObserver(_OBSERVER)  # those it was for are gone unsaid
            globalLogPublisher.addObserver(_OBSERVER)
        _listening.add(self)

    def stop(self) -> None:
        """Listen no more; once more does no harm."""
        _listening.discard(self)
        if not _listening:
            globalLogPublisher.removeObserver(_OBSERVER)


_listening: WeakSet[Failures] = WeakSet()


def observe(event: LogEvent) -> None:
    """Look at what was logged; called for every line, in whatever thread logs it."""
    level = event.get("log_level")
    if level is not LogLevel.critical and level is not LogLevel.error:
        return
    failure = LastFailure(float(event.get("log_time", 0.0)), _text_of(event))
    for each in list(_listening):
        each.counters.failures_logged += 1
        each.last = failure


_OBSERVER: Final[Any] = observe


class _Kind:
    """What stands in the place of an exception: what it says may be anybody's password."""

    def __init__(self, problem: BaseException) -> None:
        self._name = type(problem).__name__

    def __repr__(self) -> str:
        return self._name


def _text_of(event: LogEvent) -> str:
    told = {name: _Kind(each) for name, each in event.items() if _is_strange(each)}
    text = formatEvent({**event, **told}).strip()
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        what = f"{getattr(failure.type, '__name__', 'Exception')}: {failure.getErrorMessage()}"
        text = f"{text}: {what}" if text else what
    first = next(iter(text.splitlines()), "")
    return _RULE.text(first[: 2 * LONGEST])[:LONGEST]


def _is_strange(value: object) -> bool:
    return isinstance(value, BaseException) and not isinstance(value, ChatcoreError | OSError)
