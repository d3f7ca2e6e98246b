"""The welcome page as people see it: two windows, a real server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import ROOT, RunningChat, short_folder
from webdriver import Browser, Driver, wait_until

EXAMPLE = ROOT / "examples" / "welcome"
PORT = "port: 3010"


@pytest.fixture
def welcome(tmp_path: Path) -> Iterator[RunningChat]:
    """The example, its page told on which port this copy of the connector is."""
    with short_folder() as folder:
        changed = tmp_path / "welcome"
        shutil.copytree(EXAMPLE, changed, ignore=shutil.ignore_patterns(".chatcore", "*.pyc"))
        running = RunningChat(folder, source=changed)
        script = running.app / "web" / "welcome.js"
        text = script.read_text()
        assert PORT in text
        script.write_text(text.replace(PORT, f"port: {running.port('connector-server-1')}"))
        yield running
        running.close()


def window(driver: Driver, profile: Path, page: str) -> Browser:
    browser = driver.browser(profile)
    browser.open(page)
    return browser


def test_the_buttons(driver: Driver, welcome: RunningChat, tmp_path: Path) -> None:
    one = window(driver, tmp_path / "one", welcome.page)
    one.click("#test")
    wait_until(lambda: one.text("#answer") == "game server is ok.", "the answer")

    other = window(driver, tmp_path / "other", welcome.page)
    other.click("#wave")
    for browser in (one, other):
        wait_until(lambda b=browser: b.texts("#waves li") == ["Client 2 waves."], "the wave")
        assert browser.complaints() == []

    welcome.halt()
    one.click("#test")
    wait_until(lambda: one.text("#answer").startswith("No answer: can't connect"), "the failure")
    welcome.resume()
    one.click("#test")
    wait_until(lambda: one.text("#answer") == "game server is ok.", "the answer")
