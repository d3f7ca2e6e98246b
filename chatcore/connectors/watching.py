"""Noticing that files have changed, by looking now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from chatcore.deadlines import IClock
from chatcore.errors import ConfigError


class Watch:
    """Looks whether files have changed, came or went, and has them loaded anew.

    Args:
        files: which, or what says which there are whenever it looks.
        seconds: how often to look; 0 for never.
        clock: tells when.
        load: called after a change; what was loaded before stays in use where it raises.
    """

    log = Logger()

    def __init__(
        self,
        files: Iterable[Path] | Callable[[], Iterable[Path]],
        *,
        seconds: float,
        clock: IClock,
        load: Callable[[], None],
    ) -> None:
        self._files = files if callable(files) else partial(tuple, tuple(files))
        self._seconds, self._clock, self._load = seconds, clock, load
        self._timer: Any = None
        self._seen = self._state()

    def start(self) -> None:
        """Begin to look."""
        if self._seconds:
            self._timer = self._clock.callLater(self._seconds, self._look)

    def stop(self) -> None:
        """Look no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self.start()
        seen = self._state()
        if seen == self._seen:
            return
        changed = [file for file in self._seen | seen if self._seen.get(file) != seen.get(file)]
        self._seen = seen
        try:
            self._load()
        except ConfigError as problem:
            self.log.error("What was loaded before stays in use. {problem}", problem=problem)
        else:
            self.log.info("Loaded anew: {files}", files=", ".join(map(str, changed)))

    def _state(self) -> dict[Path, tuple[int, int, int] | None]:
        """What changes when a file does; for a link, that of the file it points to."""
        return {file: _state_of(file) for file in self._files()}


def _state_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
