"""What the tests of traces share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from running import short_folder

from .rooms import Rooms


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest_twisted.async_yield_fixture
async def rooms(folder: Path) -> AsyncIterator[Rooms]:
    """All servers, and nobody in the room yet."""
    rooms = Rooms(folder)
    await rooms.start()
    yield rooms
    await rooms.close()
