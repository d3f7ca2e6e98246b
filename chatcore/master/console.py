"""What a person sees of many processes: their lines, each with a name in front."""

from __future__ import annotations

import os
import queue
import re
import select
import threading
from collections.abc import Callable, Iterable
from typing import Final

OWN_NAME: Final = "chatcore"
STDOUT, STDERR = 1, 2

_BOLD: Final = 1
_COLOURS: Final = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")

Write = Callable[[int, bytes], object]
"""Writes bytes to the standard output or the standard error of this process."""


class Console:
    """Writes lines with the name of a process in front, in one column.

    Args:
        names: the names that will stand there; others may come.
        write: where the lines go.
        colour: whether names are coloured.
        stamp: what stands in front of each of our own lines, such as the time.
    """

    def __init__(
        self,
        names: Iterable[str],
        write: Write,
        *,
        colour: bool = False,
        stamp: Callable[[], str] = lambda: "",
    ) -> None:
        self._write, self._colour, self._stamp = write, colour, stamp
        self._labels: dict[str, str] = {}
        every = [OWN_NAME, *names]
        self._width = max(len(name) for name in every)
        for name in every:
            self._label(name)

    def say(self, text: str) -> None:
        """Write a line of our own to the standard output."""
        self._line(OWN_NAME, STDOUT, self._stamp() + text)

    def warn(self, text: str) -> None:
        """Write a line of our own to the standard error."""
        self._line(OWN_NAME, STDERR, self._stamp() + text)

    def relay(self, name: str, fd: int, line: bytes) -> None:
        """Write a line that the process ``name`` wrote to its ``fd``, without its end.

        What is not UTF-8, and what would steer the terminal, is shown as an escape: nodes log
        what strangers sent them.
        """
        self._line(name, fd, line.decode("utf-8", "backslashreplace"))

    def _label(self, name: str) -> str:
        label = self._labels.get(name)
        if label is None:
            label = f"{name:<{self._width}} | "
            if self._colour:
                place = len(self._labels) - 1
                code = _COLOURS[place % len(_COLOURS)] if self._labels else _BOLD
                label = f"\x1b[{code}m{label}\x1b[0m"
            self._labels[name] = label
        return label

    def _line(self, name: str, fd: int, text: str) -> None:
        plain = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
        self._write(fd, f"{self._label(name)}{plain}\n".encode("utf-8", "backslashreplace"))


class Lines:
    """Cuts a stream of bytes into lines, however it comes in pieces.

    Args:
        on_line: is given each line, without its end.
        limit: bytes after which a line is handed on though it has not ended.
    """

    def __init__(self, on_line: Callable[[bytes], object], *, limit: int = 16 * 1024) -> None:
        self._on_line, self._limit = on_line, limit
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._hand_on(line)
        if len(self._rest) >= self._limit:
            self.end()

    def end(self) -> None:
        """Hand on what stands after the last end of a line."""
        rest, self._rest = self._rest, b""
        if rest:
            self._hand_on(rest)

    def _hand_on(self, line: bytes) -> None:
        line = line.removesuffix(b"\r")
        for start in range(0, len(line) or 1, self._limit):
            self._on_line(line[start : start + self._limit])


class Writer:
    """Writes in a thread of its own, so that a terminal that stands still holds up nobody.

    When too much is waiting, what comes later is left out and counted.

    Args:
        most: how many writes may be waiting.
    """

    def __init__(self, *, most: int = 10_000) -> None:
        self._waiting: queue.Queue[tuple[int, bytes] | None] = queue.Queue(most)
        self._left_out = 0
        self._broken: set[int] = set()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def write(self, fd: int, data: bytes) -> None:
        """Write ``data`` to ``fd`` as soon as that takes it."""
        try:
            if self._left_out:
                note = f"… {self._left_out} lines left out, because nobody read them …\n"
                self._waiting.put_nowait((fd, note.encode()))
                self._left_out = 0
            self._waiting.put_nowait((fd, data))
        except queue.Full:
            self._left_out += 1

    def close(self, patience: float = 1.0) -> None:
        """Wait until everything is written, but no longer than ``patience`` seconds."""
        try:
            self._waiting.put(None, timeout=patience)
        except queue.Full:
            return
        self._thread.join(patience)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            self._write_all(*item)

    def _write_all(self, fd: int, data: bytes) -> None:
        while data and fd not in self._broken:
            try:
                data = data[os.write(fd, data) :]
            except BlockingIOError:
                select.select([], [fd], [])
            except OSError:
                # The reader has gone. The servers carry on without one.
                self._broken.add(fd)
