"""The standard streams of a command, which may be closed, or know no Unicode."""

from __future__ import annotations

import os
import sys
from typing import Final, TextIO

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


def _usable(stream: TextIO | None) -> TextIO:
    if stream is None:  # it was closed when Python began
        return open(os.devnull, "w", encoding="utf-8")  # for as long as it runs
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    return stream
