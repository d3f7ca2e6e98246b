"""Both servers, once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from running import RunningChat, short_folder

from pomelo.servers import IServers, RunningPomelo, missing_pomelo, running_chatcore
from pomelo.stage import warm_up

SOON = 20.0
"""Seconds in which Pomelo's servers answer, or never will."""

LAST = 6000
"""Characters of a server's output that are shown with a failure."""

_running: dict[str, IServers] = {}


def warm_pomelo(folder: Path, tries: int = 3) -> RunningPomelo:
    """Pomelo, begun anew if its servers don't reach each other, which happens on a busy machine."""
    pomelo = RunningPomelo(folder / str(tries))
    try:
        warm_up(pomelo, SOON)
    except AssertionError:
        pomelo.close()
        if tries == 1:
            raise
        return warm_pomelo(folder, tries - 1)
    return pomelo


def warm_chatcore(folder: Path) -> RunningChat:
    """The same application on chatcore, which has no excuse."""
    chatcore = running_chatcore(folder)
    try:
        warm_up(chatcore)
    except AssertionError:
        chatcore.close()
        raise
    return chatcore


@pytest.fixture(scope="session")
def both() -> Iterator[dict[str, IServers]]:
    """Pomelo and chatcore with the same application, by name."""
    if missing := missing_pomelo():
        pytest.skip(missing)
    with short_folder() as one, short_folder() as two, ThreadPoolExecutor() as pool:
        starting = pool.submit(warm_pomelo, one), pool.submit(warm_chatcore, two)
        try:
            _running["pomelo"], _running["chatcore"] = [each.result() for each in starting]
            yield _running
        finally:
            for each in starting:
                if each.exception() is None:
                    each.result().close()
            _running.clear()


@pytest.fixture(scope="session")
def pomelo(both: dict[str, IServers]) -> IServers:
    """The application on Pomelo."""
    return both["pomelo"]


@pytest.fixture(scope="session")
def chatcore(both: dict[str, IServers]) -> IServers:
    """The application on chatcore."""
    return both["chatcore"]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Show what the servers said last when a test fails."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name, servers in _running.items():
            report.sections.append((f"output of {name}", servers.output[-LAST:]))
