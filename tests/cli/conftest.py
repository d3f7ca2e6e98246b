"""What the tests of the command line share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import short_folder

from chatcore.config.run_folder import RunFolder

from .clusters import AdministeredCluster, Standin, chat_files


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest_twisted.async_yield_fixture
async def cluster(folder: Path) -> AsyncIterator[AdministeredCluster]:
    """A frontend and two backends, all of them up."""
    cluster = AdministeredCluster(
        folder,
        servers={"front": ["front-1"], "chat": ["chat-1", "chat-2"]},
        files=chat_files(),
        settings={"drain.grace_seconds": 0.0, "drain.interval_seconds": 0.01},
    )
    await cluster.start()
    yield cluster
    await cluster.close()


@pytest.fixture
def app(folder: Path) -> Path:
    """An application of which nothing runs."""
    (folder / "servers").mkdir()
    return folder


@pytest.fixture
def run(app: Path) -> RunFolder:
    run = RunFolder.open(app)
    run.secret()
    return run


@pytest_twisted.async_yield_fixture
async def standin(run: RunFolder) -> AsyncIterator[Callable[..., Standin]]:
    """Makes stand-ins of the processes of ``app``."""
    made: list[Standin] = []

    def make(id: str, survey: Any, **more: Any) -> Standin:
        made.append(Standin(run, id, survey, **more))
        return made[-1]

    yield make
    for each in made:
        await each.close()
