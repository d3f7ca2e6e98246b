"""``chatcore inspect tap --live``: rates, durations and errors, on a full screen."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from typing import Any

from chatcore.cli.exits import DONE, CommandError
from chatcore.cli.inspect.messages import choice_of, dictionary_of, exchange_of
from chatcore.cli.inspect.taking import Batch
from chatcore.cli.inspect.tapping import Enough, Watching, summary
from chatcore.cli.output import Output, plain
from chatcore.inspector.batches import decode
from chatcore.inspector.commands import CHATCORE
from chatcore.inspector.exchange import Totals
from chatcore.inspector.rates import Rates, Row
from chatcore.inspector.tapped import TappedMessages

PER_SECOND = 2.0
"""How often the screen is drawn anew in a second."""


async def live(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Show how often what is asked, until somebody ends it.

    Raises:
        CommandError: there is no terminal; or as from `chatcore.cli.inspect.tapping.tap`.
        ConfigError: as there.
    """
    if not output.on_terminal:
        raise CommandError("--live needs a terminal", advice="Without it, each message is a line")
    options.commands = [CHATCORE, *options.commands]
    options.verbose = False
    dictionary = dictionary_of(options)
    exchange, choice = exchange_of(options, dictionary), choice_of(options)
    board = Board(exchange.totals, reactor.seconds)
    watching = Watching(options, board.note, reactor=reactor)
    messages = TappedMessages(watching.links, exchange)
    dictionary.types = watching.following.types
    dictionary.declared = watching.following.declared

    def take(batch: Batch) -> None:
        for event in decode(batch.data):
            for seen in messages.of(batch.node, batch.origin, event):
                if seen in choice:
                    board.add(seen)
                if options.boxes is not None and exchange.totals.boxes >= options.boxes:
                    raise Enough

    try:
        with output.live(board.drawn, per_second=PER_SECOND):
            await watching.run(take)
    finally:
        output.unfinished = summary(exchange.totals)
    output.note(f"chatcore: {output.unfinished}")
    return DONE


class Board:
    """What is shown on the screen.

    Args:
        totals: what was seen.
        now: tells the time, in seconds.
    """

    def __init__(self, totals: Totals, now: Callable[[], float]) -> None:
        self._totals, self._now = totals, now
        self._rates = Rates(now())
        self._lock = threading.Lock()
        self._note = "chatcore: nothing is tapped yet"

    def note(self, text: str) -> None:
        """Something that people should know: the last of it is shown."""
        self._note = text

    def add(self, seen: Any) -> None:
        """A message."""
        with self._lock:
            self._rates.add(seen, self._now())

    def drawn(self) -> Any:
        """The screen as of now."""
        from rich.table import Table

        with self._lock:
            now = self._now()
            rows, total = self._rates.rows(now), self._rates.total(now)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
        about = f"{plain(self._note)} \u00b7 {summary(self._totals)} \u00b7 Ctrl-C ends"
        table.title = _line(about)
        table.title_justify = "left"
        table.add_column("route", no_wrap=True)
        table.add_column("link")  # where there is little room, this is cut, and no number is
        for head in ("per s", "p50 ms", "p95", "p99", "errors", "count"):
            table.add_column(head, justify="right", no_wrap=True)
        for row in [total, *rows]:
            style = "bold" if row is total else "red" if row.errors else ""
            table.add_row(*(_line(plain(cell), style) for cell in _cells(row)))
        return table


def _line(text: str, style: str = "") -> Any:
    """A text that is cut where there is no room for it, and takes one line."""
    from rich.text import Text

    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _cells(row: Row) -> list[str]:
    durations = ("" if ms is None else f"{ms:.1f}" for ms in (row.p50, row.p95, row.p99))
    return [row.route, row.link, f"{row.rate:.1f}", *durations, str(row.errors), str(row.count)]
