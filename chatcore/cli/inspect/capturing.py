"""``chatcore inspect record``: what passes between servers, into a capture."""

from __future__ import annotations

import argparse
from typing import Any

from chatcore import __version__
from chatcore.cli.exits import DONE
from chatcore.cli.inspect.taking import Batch
from chatcore.cli.inspect.tapping import Enough, Watching
from chatcore.cli.output import Output
from chatcore.errors import ConfigError
from chatcore.inspector.batches import decode
from chatcore.inspector.capture import Event
from chatcore.inspector.captured import CHATCORE
from chatcore.inspector.recording import STDOUT, Recorder
from chatcore.inspector.tapped import TappedEvents


async def record(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Record what passes, until somebody ends it, or as much has passed as is wanted.

    Raises:
        CommandError: nobody can be asked, there is no such server, or this may not be recorded.
        ConfigError: as from `chatcore.cli.reaching.reach`, or the file can't be written.
    """
    aside = output.unbuffered()
    watching = Watching(options, aside.note, reactor=reactor, verb="recording", raw=True)
    following, written = watching.following, Written(options.boxes)
    events = TappedEvents(watching.links)
    recorders: list[Recorder] = []

    def begun() -> None:
        about = {
            "program": f"chatcore {__version__}",
            "dialect": CHATCORE,
            "types": following.types,
            "frontends": sorted(following.frontends),
            "declared": {route: each.to_value() for route, each in following.declared.items()},
        }
        recorders.append(Recorder.open(options.file, about))
        if options.file == STDOUT:
            output.give_up()  # it is the capture's from here on

    def take(batch: Batch) -> None:
        found = [
            each
            for event in decode(batch.data)
            for each in events.of(batch.node, batch.origin, event)
        ]
        kept = written.kept(found)
        if kept:
            try:
                recorders[0].write(kept)
            except OSError as problem:
                reason = f"can't be written: {problem.strerror}"
                raise ConfigError(reason, file=options.file) from None
        if written.is_enough:
            raise Enough

    try:
        await watching.run(take, begun)
    finally:
        output.unfinished = str(written)
        if watching.all_taken and recorders:
            recorders[0].close()
    output.note(f"chatcore: {output.unfinished}")
    output.line({"file": options.file, **written.to_value()})
    return DONE


class Written:
    """Counts what a capture is given.

    Args:
        most: how many boxes are wanted; None for any number.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self.boxes = self.lost_boxes = self.lost_bytes = 0

    def __str__(self) -> str:
        text = f"boxes: {self.boxes}"
        if self.lost_boxes:
            text += f", lost boxes: {self.lost_boxes} ({self.lost_bytes} bytes)"
        return text

    @property
    def is_enough(self) -> bool:
        """Whether that is all that is wanted."""
        return self._most is not None and self.boxes >= self._most

    def kept(self, events: list[Event]) -> list[Event]:
        """Those of the next events that are still wanted."""
        for place, event in enumerate(events):
            self.boxes += event.kind == "box"
            self.lost_boxes += event.boxes
            self.lost_bytes += event.bytes
            if self.is_enough:
                return events[: place + 1]
        return events

    def to_value(self) -> dict[str, int]:
        """The same in JSON's types."""
        return {
            "boxes": self.boxes,
            "lost_boxes": self.lost_boxes,
            "lost_bytes": self.lost_bytes,
        }
