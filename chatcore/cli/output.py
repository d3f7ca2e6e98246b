"""What the commands print: for people at a terminal, for programs that read lines, or as JSON."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TextIO

from chatcore.cli.exits import FAILED
from chatcore.cli.streams import turn_off, unbuffered

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
NOTHING = "-"
"""What stands in a field that has no value."""

NARROWEST, USUAL_WIDTH = 20, 80
"""Characters of a line on a terminal: what is believed, and what is taken otherwise."""

_CLEAR = "\r\x1b[2K"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Args:
        head: what stands above it.
        rank: how soon it is left out where there is no room; those of rank 0 never are, and those
            of rank 1 only where there is nothing in them, where the others are left out as well.
    """

    head: str
    rank: int = 0


class Output:
    """Where a command prints.

    On a terminal there are tables; elsewhere one record a line, its fields between tabs, as they
    are. With JSON there is one document at the end, and nothing else.

    Args:
        out: the standard output.
        err: the standard error.
        as_json: whether JSON was asked for.

    Attributes:
        unfinished: what to say of what is under way to who interrupts the command.
        by_line: whether JSON is one document a line, and not one altogether.
    """

    unfinished: str | None = None
    by_line = False

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool = False) -> None:
        self._out, self._err = out, err
        self.as_json = as_json
        self._progress = ""
        self._lost: dict[TextIO, OSError] = {}
        self._others: list[Output] = []

    @property
    def on_terminal(self) -> bool:
        """Whether a person reads what is printed."""
        return not self.as_json and self._out.isatty()

    @property
    def reader_is_gone(self) -> bool:
        """Whether nobody gets what is printed any more."""
        return self._out in self._lost

    def unbuffered(self) -> Output:
        """Another one to the same streams that holds nothing of what it has yet to write.

        A thread may wait in it for somebody to read, and the process end meanwhile.
        """
        other = Output(unbuffered(self._out), unbuffered(self._err), as_json=self.as_json)
        other.by_line = self.by_line
        self._others.append(other)
        return other

    def give_up(self) -> None:
        """Print nothing more: whoever should read it does not, and would be waited for."""
        self._lost[self._out] = BrokenPipeError()
        turn_off(self._out)

    @property
    def shows_progress(self) -> bool:
        """Whether a person sees how far something is."""
        return not self.as_json and self._err.isatty() and os.environ.get("TERM") != "dumb"

    def document(self, value: Mapping[str, Any]) -> None:
        """Print the JSON document; nothing happens unless JSON was asked for."""
        if self.as_json:
            self._write(self._out, self._as_json(value, None if self.by_line else 2))

    def line(self, value: Mapping[str, Any]) -> None:
        """Print a JSON document in a line of its own; nothing happens unless JSON was asked for."""
        if self.as_json:
            self._write(self._out, self._as_json(value, None))

    def text(self, text: str) -> None:
        """Print a text of several lines as it is."""
        self._write(self._out, text)

    def say(self, text: str) -> None:
        """Print a line for people; nothing happens elsewhere."""
        if self.on_terminal:
            self.clear()
            self._write(self._out, f"{plain(text)}\n")

    def record(self, fields: Sequence[object], text: str) -> None:
        """Print a record: ``text`` for people, ``fields`` for programs; nothing for JSON."""
        if self.as_json:
            return
        self.clear()
        line = plain(text) if self.on_terminal else "\t".join(written(each) for each in fields)
        self._write(self._out, f"{line}\n")

    def table(self, columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> None:
        """Print a table for people, with as many columns as fit, and without empty ones."""
        # Late, because only people at terminals need it, and it takes a while.
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(file=self._out, highlight=False)
        cells = [[written(each) for each in row] for row in rows]
        shown = _that_fit(columns, cells, console.width)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), collapse_padding=True)
        for place in shown:
            numbers = all(_is_number(row[place]) for row in rows)
            justify: Literal["left", "right"] = "right" if numbers else "left"
            table.add_column(Text(columns[place].head, "bold"), justify=justify, overflow="fold")
        for row in cells:
            table.add_row(*(Text(row[place]) for place in shown))
        self.clear()
        with console.capture() as drawn:
            console.print(table)
        self._write(self._out, drawn.get())

    def live(self, draw: Callable[[], Any], *, per_second: float) -> Any:
        """A full screen for people, which is there as long as what comes back is entered.

        Args:
            draw: what stands there now, as `rich` draws it; called by a thread.
            per_second: how often it is drawn.
        """
        # Late, because only people at terminals need it, and it takes a while.
        from rich.console import Console
        from rich.live import Live

        self.clear()
        return Live(
            get_renderable=draw,
            console=Console(file=self._out, highlight=False),
            screen=True,
            refresh_per_second=per_second,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def note(self, text: str) -> None:
        """Tell people something beside the result, on the standard error."""
        self.clear()
        self._write(self._err, f"{plain(text)}\n")

    def progress(self, text: str) -> None:
        """Show how far something is, in place of what was shown before; on a terminal only."""
        if not self.shows_progress or text == self._progress:
            return
        width, shown = _width(self._err), plain(text)
        self._write(self._err, _CLEAR + (shown if len(shown) < width else f"{shown[: width - 2]}…"))
        self._progress = text

    def error(self, problem: str, *, exit: int, advice: str | None = None) -> None:
        """Tell why a command was not done."""
        if self.as_json:
            self.document({"error": problem, "advice": advice, "exit": exit})
        else:
            self.note(f"chatcore: {problem}. {advice}" if advice else f"chatcore: {problem}")

    def clear(self) -> None:
        """Take away what was shown of how far something is."""
        if self._progress:
            self._progress = ""
            self._write(self._err, _CLEAR)

    def finish(self, code: int) -> int:
        """End; the exit code of the command comes back.

        Args:
            code: what it is if all could be printed.
        """
        self.clear()
        lost = (each._lost.get(each._out) for each in (self, *self._others))
        problem = next((each for each in lost if each is not None), None)
        if problem is None:
            return code
        if not isinstance(problem, BrokenPipeError):  # who reads no more knows that
            self.note(f"chatcore: the output can't be written: {problem.strerror}")
        return code or FAILED

    def _as_json(self, value: Mapping[str, Any], indent: int | None) -> str:
        encoding = (getattr(self._out, "encoding", None) or "utf-8").lower()
        text = json.dumps(value, indent=indent, ensure_ascii=not encoding.startswith("utf"))
        return f"{text}\n"

    def _write(self, stream: TextIO, text: str) -> None:
        """Write at once; what a stream does not take costs nothing but itself."""
        if stream in self._lost:
            return
        try:
            stream.write(text)
            stream.flush()
        except OSError as problem:
            self._lost[stream] = problem
            turn_off(stream)


def plain(text: str) -> str:
    """A text without what would steer a terminal, or make two lines of one."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def written(value: object) -> str:
    """A value in a field; `NOTHING` where there is none."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return plain(",".join(str(each) for each in value)) or NOTHING
    return plain(str(value))


def _that_fit(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The places of the columns that are shown."""
    widths = [
        max([len(column.head), *(len(row[place]) for row in rows)])
        for place, column in enumerate(columns)
    ]
    shown = [
        place
        for place, column in enumerate(columns)
        if not column.rank or any(row[place] != NOTHING for row in rows)
    ]
    for place in sorted(shown, key=lambda place: -columns[place].rank):
        if columns[place].rank <= 1 or sum(widths[each] + 2 for each in shown) - 2 <= width:
            break
        shown.remove(place)
    return shown


def _width(stream: TextIO) -> int:
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        width = 0
    return width if width >= NARROWEST else USUAL_WIDTH


def _is_number(value: object) -> bool:
    return value is None or isinstance(value, int | float)
