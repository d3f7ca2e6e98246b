"""The standard streams of a command, which may be closed, or know no Unicode."""

from __future__ import annotations

import os
import sys
from typing import Final, TextIO, cast

STDERR: Final = 2


def make_usable() -> None:
    """See that there are streams to write to, and that any text can be written to them.

    What can't be encoded is written as an escape. What is closed leads nowhere.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass  # or the first socket would be taken for a stream
    os.close(fd)
    sys.stdout, sys.stderr = _usable(sys.stdout), _usable(sys.stderr)


def turn_off(stream: TextIO) -> None:
    """Have what is left in a stream that can't be written to lead nowhere.

    Python would try to write it when it ends, and complain.
    """
    try:
        fd = stream.fileno()
    except (OSError, ValueError):  # it is none of the system's
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fd)
    os.close(nowhere)


class Unbuffered:
    """A stream of text that holds nothing of what it has yet to write.

    Args:
        stream: the same with a buffer.
        fd: where it is written to.
    """

    def __init__(self, stream: TextIO, fd: int) -> None:
        self.encoding = stream.encoding
        self._errors = stream.errors or "strict"
        self._stream, self._fd = stream, fd

    def write(self, text: str) -> int:
        """Write all of it; OSError where that can't be."""
        rest = memoryview(text.encode(self.encoding, self._errors))
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        return len(text)

    def flush(self) -> None:
        """Nothing is held."""

    def fileno(self) -> int:
        """Where it is written to."""
        return self._fd

    def isatty(self) -> bool:
        """Whether that is a terminal."""
        return self._stream.isatty()


def unbuffered(stream: TextIO) -> TextIO:
    """The same stream without a buffer; the stream itself where it is none of the system's."""
    try:
        return cast(TextIO, Unbuffered(stream, stream.fileno()))
    except (OSError, ValueError):
        return stream


def _usable(stream: TextIO | None) -> TextIO:
    if stream is None:  # it was closed when Python began
        return open(os.devnull, "w", encoding="utf-8")  # for as long as it runs
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
