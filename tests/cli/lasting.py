"""Commands that go on until they are ended, in this process."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from small_cluster import until
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred

from chatcore.cli.exits import CommandError
from chatcore.cli.main import make_commands, tell
from chatcore.cli.output import Output
from chatcore.errors import ConfigError


class Lasting:
    """A command that is under way.

    Args:
        words: the command.
        out: where it prints.

    Attributes:
        code: its exit code, once it has ended by itself.
        output: what it prints to.
    """

    def __init__(self, *words: str, out: io.StringIO | None = None) -> None:
        self.code: int | None = None
        self._out, self._err = out or io.StringIO(), io.StringIO()
        self.output = Output(self._out, self._err, as_json="--json" in words)
        self.output.by_line = True
        parser, rest = make_commands().find(words)
        assert parser is not None
        self._options = parser.read(rest)
        self.ended: Deferred[None] = Deferred.fromCoroutine(self._run())

    async def _run(self) -> None:
        try:
            main = getattr(self._options, "main", None)
            if main is None:
                self.code = self._options.run(self._options, self.output)
            else:
                self.code = await main(self._options, self.output, reactor=reactor)
        except (CommandError, ConfigError) as problem:
            self.code = tell(problem, self.output)
        except CancelledError:
            pass

    async def end(self) -> None:
        """End it, as Ctrl-C does."""
        self.ended.cancel()
        await self.ended

    @property
    def lines(self) -> list[str]:
        """What it has printed."""
        return self._out.getvalue().splitlines()

    @property
    def documents(self) -> list[Any]:
        """The same, where it is JSON."""
        return [json.loads(line) for line in self.lines]

    @property
    def notes(self) -> list[str]:
        """What it has told people beside."""
        return self._err.getvalue().splitlines()

    async def has_said(self, text: str) -> None:
        """Wait until people were told something."""
        await until(lambda: any(text in note for note in self.notes), f"{text!r}: {self.notes}")


@asynccontextmanager
async def lasting(*words: str, **more: Any) -> AsyncIterator[Lasting]:
    """A command that is ended at last."""
    command = Lasting(*words, **more)
    try:
        yield command
    finally:
        await command.end()
