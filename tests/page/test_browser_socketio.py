"""The pages of examples/socketio as people see them, in one room with the chat's own page."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from npm import missing_node, npm_packages
from running import ROOT, RunningChat, environment, free_ports
from visitor import Visitor
from webdriver import Browser, Driver, wait_until

WEB = ROOT / "examples" / "socketio" / "web"


class Page:
    """Somebody at one of the pages.

    Args:
        address: of the page, with its query.
    """

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser = browser
        browser.open(address)

    def join(self, name: str, room: str) -> None:
        """Join a room, and wait until one is in."""
        self.fill(name, room)
        self.wait_inside()

    def fill(self, name: str, room: str) -> None:
        for field, text in (("#name", name), ("#room", room)):
            self.browser.clear(field)
            self.browser.write(field, text)
        self.browser.click("#join button")

    def wait_inside(self) -> None:
        wait_until(lambda: self.state.startswith("in the room"), "being in the room")

    @property
    def state(self) -> str:
        return self.browser.text("#state")

    def forget(self) -> None:
        """Have the page show that one is in the room when that is so anew."""
        self.browser.run("document.querySelector('#state').textContent = ''")

    def connector(self, chat: RunningChat) -> str:
        """The id of the connector that one is connected to."""
        found = re.search(r":(\d+),", self.state)
        assert found is not None, self.state
        return next(each for each in chat.ids("connector") if chat.port(each) == int(found[1]))

    def say(self, text: str, to: str = "*") -> None:
        if self.browser.value("#target") != to:
            self.browser.click(f'#target option[value="{to}"]')
        self.browser.write("#entry", text)
        self.browser.press("Enter")

    def wait_names(self, *names: str) -> None:
        wait_until(lambda: self.browser.texts("#people li") == sorted(names), f"{names}")

    def wait_line(self, text: str) -> None:
        wait_until(lambda: text in self.browser.texts("#log li"), f"the line {text!r}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages, served as the README says."""
    if missing := missing_node():
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("web") / "web"
    shutil.copytree(WEB, folder, ignore=shutil.ignore_patterns("node_modules"))
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]
    (folder / "node_modules").symlink_to(npm_packages(wanted))
    with free_ports(1) as (port,):
        serve = {"python3": f"{sys.executable} -u", "3002": str(port), "SHOWN": str(folder)}
    (command,) = re.findall(r"^python3 .*$", (WEB.parent / "README.md").read_text(), re.MULTILINE)
    words = command.replace("examples/socketio/web", "SHOWN").split(" ")
    process = subprocess.Popen(
        shlex.split(" ".join(serve.get(word, word) for word in words)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None and process.stdout.readline()
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.communicate()


Open = Callable[..., Page]


@pytest.fixture
def pages(driver: Driver, chat: RunningChat, site: str, tmp_path: Path) -> Iterator[Open]:
    """Open a page, each in a browser of its own."""
    browsers: list[Browser] = []

    def make(name: str, query: str = "") -> Page:
        browsers.append(driver.browser(tmp_path / f"page-{len(browsers)}"))
        gate = chat.port("gate-server-1")
        return Page(browsers[-1], f"{site}/{name}?gate={gate}{query}")

    yield make
    complaints = [
        each
        for browser in browsers
        for each in browser.complaints()
        if "net::ERR_CONNECTION" not in each and "WebSocket connection" not in each
    ]
    for browser in browsers:
        browser.close()
    assert complaints == []


def test_all_talk_in_one_room(pages: Open, visitor: Callable[..., Visitor]) -> None:
    """socket.io 4 and 0.9, and chatcore.js."""
    new = pages("index.html")
    new.join("New", "attic")
    old = pages("old.html")
    old.join("Old", "attic")
    pomelo = visitor()
    pomelo.join("Pomelo", "attic")
    for each in (new, old, pomelo):
        each.wait_names("New", "Old", "Pomelo")

    for each, name in ((new, "New"), (old, "Old"), (pomelo, "Pomelo")):
        text = f"你好 from {name} 😀 <b>"
        each.say(text)
        for page in (new, old):
            page.wait_line(f"{name}: {text}")
        pomelo.wait_text(text)
    assert new.state.endswith(", over websocket")

    old.say("a secret", to="New")
    new.wait_line("Old to New: a secret")
    new.say("so?", to="Pomelo")
    pomelo.wait_text("so?")
    assert "New to Pomelo: so?" not in old.browser.texts("#log li")

    pomelo.close()
    for page in (new, old):
        page.wait_line("Pomelo has left.")
        page.wait_names("New", "Old")
    new.browser.open("about:blank")
    old.wait_line("New has left.")


def test_polling_alone(pages: Open) -> None:
    one, other = (pages("index.html", "&transports=polling") for _ in "12")
    one.join("One", "cellar")
    other.join("Other", "cellar")
    other.say("slowly 😀")
    for page in (one, other):
        page.wait_line("Other: slowly 😀")
        assert page.state.endswith(", over polling")
    other.browser.open("about:blank")
    one.wait_line("Other has left.")


@pytest.mark.parametrize("name", ["index.html", "old.html"])
def test_the_connector_dies(pages: Open, chat: RunningChat, name: str) -> None:
    page = pages(name)
    page.join("Phoenix", "nest")
    connector = page.connector(chat)
    page.forget()
    chat.kill(connector)
    page.wait_inside()
    page.say("here again")
    page.wait_line("Phoenix: here again")


def test_the_connector_is_emptied(pages: Open, chat: RunningChat) -> None:
    page = pages("index.html")
    page.join("Tern", "coast")
    left = page.connector(chat)
    page.forget()
    done = subprocess.run(
        [*(sys.executable, "-m", "chatcore", "restart", "--app", str(chat.app)), left],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    page.wait_inside()
    assert page.connector(chat) != left
    page.say("still here")
    page.wait_line("Tern: still here")


def test_a_name_that_is_taken(pages: Open) -> None:
    one, other = pages("index.html"), pages("old.html")
    one.join("Same", "mirror")
    other.fill("Same", "mirror")
    wait_until(lambda: other.state == "That name is taken.", "a word about the name")
    other.join("Different", "mirror")
    one.wait_names("Same", "Different")
