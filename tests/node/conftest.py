"""What the tests of nodes share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_twisted
from applications import Applications
from running import short_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest_twisted.async_yield_fixture
async def application(folder: Path) -> AsyncIterator[Applications]:
    applications = Applications(folder)
    yield applications
    if applications.cluster is not None:
        await applications.cluster.close()
