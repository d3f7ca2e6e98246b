"""Browsers for the tests of the page, and people who use it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from visitor import RunningChat, Visitor
from webdriver import Driver, missing_tools


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """One chromedriver for all tests."""
    missing = missing_tools()
    if missing:
        pytest.skip(missing)
    driver = Driver(tmp_path_factory.mktemp("chromedriver") / "log")
    yield driver
    driver.close()


@pytest.fixture
def visitor(driver: Driver, chat: RunningChat, tmp_path: Path) -> Iterator[Callable[..., Visitor]]:
    """Make visitors: each sits at a browser of their own, with the page open in it.

    Whatever a test did, the page must not have raised an error or broken its own policy.
    """
    visitors: list[Visitor] = []

    def make(query: str = "") -> Visitor:
        browser = driver.browser(tmp_path / f"profile-{len(visitors)}")
        visitor = Visitor(browser, chat.page)
        visitors.append(visitor)
        visitor.open(query)
        return visitor

    yield make
    complaints = [text for visitor in visitors for text in visitor.complaints()]
    for visitor in visitors:
        visitor.close()
    assert complaints == []
