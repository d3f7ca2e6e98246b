"""What the tests of the examples share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_twisted
from running import short_folder

from .staging import Example

MakeExample = Callable[[str], Example]


@pytest_twisted.async_yield_fixture
async def example() -> AsyncIterator[MakeExample]:
    """Copies an example; what was started of it is stopped with the test."""
    with short_folder() as folder:
        made: list[Example] = []

        def make(name: str) -> Example:
            made.append(Example(name, Path(folder)))
            return made[-1]

        yield make
        for each in made:
            await each.close()
