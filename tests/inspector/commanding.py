"""Running ``chatcore inspect`` in this process."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from chatcore.cli.main import main


@dataclass(frozen=True)
class Ran:
    """What came of it."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[list[str]]:
        """The fields of each line."""
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def json(self) -> list[Any]:
        """The document of each line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def inspect(
    monkeypatch: pytest.MonkeyPatch, *words: str, given: bytes = b"", terminal: bool = False
) -> Ran:
    """Run the command; what it is given comes in small pieces."""

    class Trickle(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return super().read(7)

    class Input:
        buffer = Trickle(given)

    out, err = Screen() if terminal else io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdin", Input())
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    try:
        code = main(["inspect", *words])
    finally:
        monkeypatch.undo()
    return Ran(code, out.getvalue(), err.getvalue())
