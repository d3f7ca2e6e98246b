"""Where people are: in Node, in a page, or, with a client of Pomelo's, in Python."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from npm import npm_packages
from page.webdriver import Browser
from pomelo.raw_client import RawClient, Store
from running import PATIENCE, wait_until

from .people import PACKAGES

FOLDER = Path(__file__).parent / "javascript"

Outcomes = dict[str, Any]


class Failed(str):
    """What went wrong for somebody."""


class IStage(Protocol):
    """A place in which people do things."""

    def act(self, orders: Sequence[Sequence[Any]]) -> Outcomes:
        """Have people do things at the same time.

        Args:
            orders: name, what to do, and arguments; one for each person.
        """


def _outcomes(found: Mapping[str, Mapping[str, Any]]) -> Outcomes:
    return {
        name: Failed(each["problem"]) if "problem" in each else each.get("value")
        for name, each in found.items()
    }


class NodeStage:
    """A process of Node.

    Args:
        bundle: the file with Pomelo's client.
    """

    def __init__(self, bundle: Path) -> None:
        self._process = subprocess.Popen(
            ["node", FOLDER / "node.js", bundle],
            env={**os.environ, "NODE_PATH": str(npm_packages(PACKAGES))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def act(self, orders: Sequence[Sequence[Any]]) -> Outcomes:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "Node has ended"
        return _outcomes(json.loads(line))

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>people</title></head><body>
<script src="people.js"></script>
<script src="0.js"></script><script>var zero = io;</script>
<script src="1.js"></script><script>var one = io;</script>
<script src="2.js"></script><script>var two = io;</script>
<script src="3.js"></script><script>var three = io;</script>
<script type="module">
  import {io as four, Fetch} from './4.mjs';
  window.io = zero;  // its scripts call it by that name
  window.act = crowd({'0.9': zero, '1.x': one, '2.x': two, '3.x': three, '4.x': four, Fetch});
</script></body></html>
"""


def page_files() -> dict[str, str]:
    """A page with all libraries in it, as they are published for pages."""
    modules = npm_packages(PACKAGES)
    files = {"/page.html": PAGE, "/people.js": (FOLDER / "people.js").read_text()}
    for number in range(4):
        script = modules / f"socket.io-client-{number}" / "dist" / "socket.io.js"
        files[f"/{number}.js"] = script.read_text()
    module = modules / "socket.io-client-4" / "dist" / "socket.io.esm.min.js"
    return {**files, "/4.mjs": module.read_text()}


class PageStage:
    """A page in a browser.

    Args:
        browser: shows nothing else.
        address: of the page.
    """

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        browser.open(address)

    def act(self, orders: Sequence[Sequence[Any]]) -> Outcomes:
        self._browser.run(
            "window.told = null; act(arguments[0]).then((found) => { window.told = [found]; })",
            list(orders),
        )
        (told,) = wait_until(
            lambda: self._browser.run("return window.told"), "the page", 3 * PATIENCE
        )
        return _outcomes(told)


class RawPerson:
    """Somebody with a client of Pomelo's protocol over TCP.

    Args:
        name: how they enter.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._place = ("127.0.0.1", 0)
        self._client: Any = None

    def _connect(self, host: str, port: int) -> None:
        self._client = RawClient(host, port, Store(None), PATIENCE)
        self._client.shake_hands()

    def arrive(self, gate: int) -> Any:
        self._connect("127.0.0.1", gate)
        entry = self._client.request("gate.gateHandler.queryEntry", {"uid": self._name})
        self._client.close()
        self._place = entry["host"], entry["port"]
        self._connect(*self._place)
        return {"port": entry["port"], "transports": ["tcp"]}

    def enter(self, rid: str) -> Any:
        said = {"username": self._name, "rid": rid}
        return self._client.request("connector.entryHandler.enter", said)

    def say(self, texts: list[str], target: str) -> Any:
        said = [{"content": text, "target": target} for text in texts]
        return [self._client.request("chat.chatHandler.send", each) for each in said]

    def hear(self, what: str, count: int) -> Any:
        return [self._client.push(what) for _ in range(count)]

    def ask(self, notes: list[str], value: Any) -> Any:
        for text in notes:
            self._client.notify("chat.labHandler.note", {"text": text})
        request = self._client.request
        return [
            request("chat.labHandler.notes", {}),
            request("chat.labHandler.echo", value),
            request("connector.labHandler.echo", value),
            request("chat.labHandler.nobody", {}),
            request("connector.labHandler.nobody", {}),
        ]

    def heardBytes(self) -> Any:
        return self._client.push("onBytes")

    def rest(self) -> Any:
        self._client.request("chat.labHandler.notes", {})
        rest, self._client.pushes = self._client.pushes, []
        return {"heard": rest, "strays": 0, "transports": ["tcp"]}

    def forget(self) -> None:
        self._client.request("chat.labHandler.notes", {})
        self._client.pushes = []

    def survive(self) -> None:
        self._client.wait_closed()
        wait_until(self._again, "the node to be back")

    def _again(self) -> bool:
        try:
            self._connect(*self._place)
        except OSError:
            return False
        return True

    def move(self) -> Any:
        self._client.wait_closed()
        told = self._client.kicked
        self._place = told["host"], told["port"]
        self._connect(*self._place)
        return {"reason": told["reason"], "port": told["port"]}

    def leave(self) -> None:
        if self._client is not None:
            self._client.close()


class RawStage:
    """People with clients of Pomelo's protocol over TCP, each in a thread."""

    def __init__(self) -> None:
        self._people: dict[str, RawPerson] = {}
        self._pool = ThreadPoolExecutor(10)

    def act(self, orders: Sequence[Sequence[Any]]) -> Outcomes:
        waiting = {}
        for name, what, *arguments in orders:
            if what == "appear":
                self._people[name] = RawPerson(name)
            else:
                person = self._people[name]
                waiting[name] = self._pool.submit(getattr(person, what), *arguments)
        found: Outcomes = {}
        for name, future in waiting.items():
            try:
                found[name] = future.result()
            except Exception as problem:
                found[name] = Failed(repr(problem))
        return found

    def close(self) -> None:
        """Send everybody away."""
        for person in self._people.values():
            person.leave()
        self._pool.shutdown()
