"""The last failure that was logged, for those who look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

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
        add: has an observer told of all that is logged.
        remove: has it told no more.
    """

    def __init__(
        self,
        counters: Counters,
        *,
        add: Callable[[Any], object] = globalLogPublisher.addObserver,
        remove: Callable[[Any], object] = globalLogPublisher.removeObserver,
    ) -> None:
        self._counters, self._add, self._remove = counters, add, remove
        self.last: LastFailure | None = None

    def start(self) -> None:
        """Listen to the log from now on."""
        self._add(self._logged)

    def stop(self) -> None:
        """Listen no more; once more does no harm."""
        self._remove(self._logged)

    def _logged(self, event: LogEvent) -> None:
        # Called for every line, in whatever thread logs it.
        level = event.get("log_level")
        if level is not LogLevel.critical and level is not LogLevel.error:
            return
        self._counters.failures_logged += 1
        self.last = LastFailure(float(event.get("log_time", 0.0)), _text_of(event))


def _text_of(event: LogEvent) -> str:
    text = formatEvent(event).strip()
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        what = f"{getattr(failure.type, '__name__', 'Exception')}: {failure.getErrorMessage()}"
        text = f"{text}: {what}" if text else what
    first = next(iter(text.splitlines()), "")
    return _RULE.text(first[: 2 * LONGEST])[:LONGEST]
