"""Writing captures."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from chatcore.errors import ConfigError
from chatcore.inspector.capture import MARKER, Head, Record, encode
from chatcore.inspector.reading import is_capture

STDOUT = "-"


class Recorder:
    """Writes a capture. What was written is there, however the process ends.

    Args:
        fd: a file, or a pipe, that is open for writing; closed by `close`.
        about: what the head says.
    """

    def __init__(self, fd: int, about: Mapping[str, Any]) -> None:
        self._fd = fd
        self._write(encode(Head(about)))

    @classmethod
    def open(cls, path: str | Path, about: Mapping[str, Any]) -> Recorder:
        """Append to a capture, or begin one that only its owner may read.

        Args:
            path: the file; ``-`` is the standard output.

        Raises:
            ConfigError: it can't be written, or is something else.
        """
        if str(path) == STDOUT:
            return cls(os.dup(1), about)
        try:
            fd = os.open(path, _flags(path), 0o600)
        except OSError as problem:
            raise ConfigError(f"can't be written: {problem.strerror}", file=path) from None
        if not _may_be_appended_to(fd):
            os.close(fd)
            raise ConfigError(
                "is no capture, and nothing is appended to it", file=path, advice="Name another"
            )
        try:
            return cls(fd, about)
        except OSError as problem:
            os.close(fd)
            raise ConfigError(f"can't be written: {problem.strerror}", file=path) from None

    def write(self, records: Iterable[Record]) -> None:
        """Write these, at once.

        Raises:
            OSError: not all could be written; the last record is cut then.
        """
        self._write(b"".join([encode(record) for record in records]))

    def close(self) -> None:
        """Write no more."""
        os.close(self._fd)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]


def _flags(path: str | Path) -> int:
    # Who has a pipe open for reading, too, never hears that its reader has gone.
    is_file = stat.S_ISREG(os.stat(path).st_mode) if os.path.exists(path) else True
    return (os.O_RDWR if is_file else os.O_WRONLY) | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


def _may_be_appended_to(fd: int) -> bool:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or not status.st_size:
        return True
    return is_capture(os.pread(fd, len(MARKER), 0))
