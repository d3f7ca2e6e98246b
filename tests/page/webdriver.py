"""A browser to test with: Chromium, driven by chromedriver over the W3C WebDriver protocol.

Only the commands that these tests need. A command that fails raises `WebDriverError`, whose
`kind` is the protocol's own word for it (`no such element`, `stale element reference`, ...).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from running import PATIENCE

T = TypeVar("T")

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Shift": "\ue008",
    "Tab": "\ue004",
    "Space": "\ue00d",
    "Down": "\ue015",
}
FLAGS = [
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,800",
]

# Whatever proxy the environment names, chromedriver is on this machine.
_direct = build_opener(ProxyHandler({}))


def missing_tools() -> str | None:
    """What to install before a browser can be had, or None."""
    if find_chromium() and shutil.which("chromedriver"):
        return None
    return "needs a browser: install the Debian packages chromium and chromium-driver"


def find_chromium() -> str | None:
    """The browser's path."""
    return shutil.which("chromium") or shutil.which("google-chrome")


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Ask again and again until `condition` returns something true, and return that.

    Raises AssertionError naming `what`, with the condition's last answer, at the deadline.
    """
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            answer = condition()
            if answer:
                return answer
            last = answer
        except WebDriverError as error:
            if error.kind not in ("no such element", "stale element reference"):
                raise
            last = error
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {last!r}")


class WebDriverError(Exception):
    """What chromedriver answered instead of doing it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class Driver:
    """One chromedriver process, which many browsers can share."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("w+")
        self._process = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._browsers: list[Browser] = []
        self._url = wait_until(self._find_url, "chromedriver to say its port")

    def _find_url(self) -> str | None:
        if self._process.poll() is not None:
            raise AssertionError(f"chromedriver ended: {Path(self._log.name).read_text()}")
        words = Path(self._log.name).read_text().split("started successfully on port ")
        return f"http://127.0.0.1:{int(words[1].split('.')[0])}" if len(words) > 1 else None

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One WebDriver command."""
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = Request(self._url + path, data, {"Content-Type": "application/json"})
        request.method = method
        try:
            with _direct.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except HTTPError as error:
            value = json.load(error)["value"]
            raise WebDriverError(value["error"], value["message"]) from None

    def browser(self, profile: Path, *flags: str) -> Browser:
        """A browser of its own, with its own cookies and storage under `profile`."""
        args = [*FLAGS, f"--user-data-dir={profile}", *flags]
        if os.geteuid() == 0:
            args.append("--no-sandbox")
        chrome = {"binary": find_chromium(), "args": args}
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": chrome,
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        browser = Browser(self, f"/session/{session['sessionId']}")
        self._browsers.append(browser)
        return browser

    def close(self) -> None:
        """Close every browser that is still open, and end chromedriver."""
        for browser in self._browsers:
            with contextlib.suppress(WebDriverError, OSError):
                browser.close()
        # Browsers belong to chromedriver's process group, but would outlive it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._log.close()


class Browser:
    """One browser window."""

    def __init__(self, driver: Driver, path: str) -> None:
        self._driver = driver
        self._path = path

    def _post(self, path: str, **body: Any) -> Any:
        return self._driver.ask("POST", self._path + path, body)

    def _get(self, path: str) -> Any:
        return self._driver.ask("GET", self._path + path)

    def open(self, url: str) -> None:
        """Load a page, and wait until it is loaded."""
        self._post("/url", url=url)

    def reload(self) -> None:
        """Load the page again."""
        self._post("/refresh")

    @property
    def title(self) -> str:
        """The page's title."""
        return str(self._get("/title"))

    @property
    def url(self) -> str:
        """The page's address."""
        return str(self._get("/url"))

    def run(self, script: str, *args: Any) -> Any:
        """The value that a piece of JavaScript returns."""
        return self._post("/execute/sync", script=script, args=list(args))

    def find(self, css: str) -> str:
        """An element that is there now."""
        return str(self._post("/element", using="css selector", value=css)[ELEMENT])

    def click(self, css: str) -> None:
        """Click, as a person would: fails when something else is in the way."""
        self._post(f"/element/{self.find(css)}/click")

    def write(self, css: str, text: str) -> None:
        """Type into an element."""
        self._post(f"/element/{self.find(css)}/value", text=text)

    def clear(self, css: str) -> None:
        """Empty a field."""
        self._post(f"/element/{self.find(css)}/clear")

    def text(self, css: str) -> str:
        """The text of an element as it is seen; empty when it is hidden."""
        return str(self._get(f"/element/{self.find(css)}/text"))

    def texts(self, css: str) -> list[str]:
        """The texts of all elements that match, whether they are in sight or scrolled away."""
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return list(self.run(script, css))

    def value(self, css: str) -> str:
        """What is in a field."""
        return str(self.run("return document.querySelector(arguments[0]).value", css))

    def shown(self, css: str) -> bool:
        """Whether an element is to be seen."""
        return bool(self._get(f"/element/{self.find(css)}/displayed"))

    def focused(self) -> str:
        """The id of the element that has the focus."""
        return str(self.run("return document.activeElement.id"))

    def press(self, *keys: str) -> None:
        """Press keys together, by the names in `KEYS` or as themselves, and release them."""
        codes = [KEYS.get(key, key) for key in keys]
        down = [{"type": "keyDown", "value": code} for code in codes]
        up = [{"type": "keyUp", "value": code} for code in reversed(codes)]
        keyboard = {"type": "key", "id": "keyboard", "actions": down + up}
        self._post("/actions", actions=[keyboard])

    def type(self, text: str) -> None:
        """Type text into whatever has the focus."""
        for sign in text:
            self.press(sign)

    def devtools(self, command: str, **params: Any) -> Any:
        """A command of the Chrome DevTools protocol."""
        return self._post("/goog/cdp/execute", cmd=command, params=params)

    def complaints(self) -> list[str]:
        """What the console has said since it was last asked: errors and refusals of the policy."""
        entries = self._post("/se/log", type="browser")
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def screenshot(self) -> str:
        """The window as a PNG in base64."""
        return str(self._get("/screenshot"))

    def new_tab(self) -> None:
        """Open an empty tab in front of the page."""
        handle = self._post("/window/new", type="tab")["handle"]
        self._post("/window", handle=handle)

    def first_tab(self) -> None:
        """Back to the page."""
        self._post("/window", handle=self._get("/window/handles")[0])

    def close(self) -> None:
        """Close the browser; once more does nothing."""
        if self._path:
            path, self._path = self._path, ""
            self._driver.ask("DELETE", path)
