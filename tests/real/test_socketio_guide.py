"""What the page about socket.io shows works as it is shown: in Python, and in Node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from npm import missing_node, npm_packages
from running import PATIENCE, ROOT, RunningChat, environment, free_ports, short_folder, wait_until
from small_documents import blocks, write_application

GUIDE = ROOT / "docs" / "socketio.md"
PACKAGES = {
    "socket.io": "4.8.4",
    "socket.io-client": "4.8.4",
    "socket.io-client-2": "npm:socket.io-client@2.5.0",
    "socket.io-client-0": "npm:socket.io-client@0.9.17",
}
ADMINS = {"code": 401, "why": "admins only"}
REFUSALS = {
    "socket.io-client": [
        ["/admin", "connect_error", {"message": "refused by the application", "data": ADMINS}],
        ["/nowhere", "connect_error", {"message": "Invalid namespace"}],
    ],
    "socket.io-client-2": [["/admin", "error", ADMINS], ["/nowhere", "error", "Invalid namespace"]],
    "socket.io-client-0": [
        ["/admin", "connect_failed", "unauthorized"],
        ["/nowhere", "connect_failed", "unauthorized"],
    ],
}
"""What the libraries tell, as the page's table has it."""


def script(name: str) -> str:
    """The JavaScript that is shown under that name."""
    (found,) = [each for each in blocks(GUIDE, "js") if each.startswith(f"// {name}\n")]
    return found


class Program:
    """A program that runs in Node; what it prints is remembered."""

    def __init__(self, file: Path, *arguments: str) -> None:
        self._printed = file.with_name(f"{file.stem}-{'-'.join(arguments[:1])}.out")
        self._output: IO[bytes] = self._printed.open("wb")
        self.process = subprocess.Popen(
            ["node", str(file), *arguments],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def lines(self) -> list[str]:
        return self._printed.read_text().splitlines()

    def wait(self, line: str) -> None:
        wait_until(lambda: line in self.lines(), f"{line!r} in {self._printed}")

    def type(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def leave(self) -> None:
        """End its input, as Ctrl-D does."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._output.close()


Run = Callable[..., Program]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Run a script of the page, with changes to its text."""
    if missing := missing_node():
        pytest.skip(missing)
    (tmp_path / "node_modules").symlink_to(npm_packages(PACKAGES))
    programs: list[Program] = []

    def start(name: str, *arguments: str, **changes: str) -> Program:
        text = script(name)
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (tmp_path / name).write_text(text)
        programs.append(Program(tmp_path / name, *arguments))
        return programs[-1]

    yield start
    for each in programs:
        each.close()


@pytest.fixture(scope="module")
def talk() -> Iterator[RunningChat]:
    """The application that the page makes."""
    with short_folder() as folder:
        write_application(GUIDE, folder / "talk", {})
        running = RunningChat(folder, source=folder / "talk")
        yield running
        running.close()


def converse(start: Callable[[str, str], Program]) -> Program:
    """Two people in a room; the first one comes back."""
    ann = start("ann", "lobby")
    ann.wait("entered { users: [ 'ann' ] }")
    ben = start("ben", "lobby")
    ben.wait("entered { users: [ 'ann', 'ben' ] }")
    ann.wait("onAdd { user: 'ben' }")
    ann.type("hello 你好 😀")
    for each in (ann, ben):
        each.wait("onChat { from: 'ann', text: 'hello 你好 😀' }")
    ben.type("x" * 1001)
    ben.wait("refused { code: 413, why: 'too long' }")
    nobody = start("", "lobby")
    nobody.wait("not connected { code: 401, why: 'no name' }")
    ben.leave()
    ann.wait("onLeave { user: 'ben' }")
    return ann


def test_the_application(talk: RunningChat, run: Run) -> None:
    doors = {"ann": talk.port("door-1"), "ben": talk.port("door-2"), "": talk.port("door-2")}
    ann = converse(
        lambda name, room: run("client.js", name, room, f"http://127.0.0.1:{doors[name]}")
    )
    moved = subprocess.run(
        [*(sys.executable, "-m", "chatcore", "restart", "--app", str(talk.app)), "door-1"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=environment(),
    )
    assert moved.returncode == 0
    ann.wait("kicked moved")
    wait_until(lambda: ann.lines().count("entered { users: [ 'ann' ] }") == 2, "Ann to be back")
    ann.type("still here")
    ann.wait("onChat { from: 'ann', text: 'still here' }")


def test_the_same_in_node(run: Run) -> None:
    with free_ports(1) as (port,):
        pass
    run("server.js", **{"3010": str(port)})
    shorter = {'"door.entryHandler.enter"': '"enter"', '"room.talkHandler.say"': '"say"'}
    url = f"http://127.0.0.1:{port}"
    converse(lambda name, room: run("client.js", name, room, url, **shorter))


@pytest.fixture(scope="module")
def guarded() -> Iterator[RunningChat]:
    """The application with the hook that the page shows for namespaces."""
    with short_folder() as folder:
        write_application(GUIDE, folder / "talk", {})
        (hook,) = [each for each in blocks(GUIDE, "python") if '"/admin"' in each]
        (folder / "talk" / "app.py").write_text(hook)
        running = RunningChat(folder, source=folder / "talk")
        yield running
        running.close()


@pytest.mark.parametrize("library", REFUSALS)
def test_refusals(guarded: RunningChat, run: Run, tmp_path: Path, library: str) -> None:
    url = f"http://127.0.0.1:{guarded.port('door-1')}"
    shutil.copy(Path(__file__).with_name("socketio_refusals.js"), tmp_path)
    program = Program(
        tmp_path / "socketio_refusals.js", library, f"{url}/admin", f"{url}/nowhere", url
    )
    try:
        wait_until(lambda: len(program.lines()) >= 3, "an event for each place")
        told = sorted(map(json.loads, program.lines()))
        assert told == [["/", "connect", None], *REFUSALS[library]]
    finally:
        program.close()


def test_by_the_gate(chat: RunningChat, run: Run) -> None:
    asked = run("by_the_gate.js", **{"3014": str(chat.port("gate-server-1"))})
    assert asked.process.wait(PATIENCE) == 0
    (url,) = asked.lines()
    assert int(url.rpartition(":")[2]) in [chat.port(each) for each in chat.ids("connector")]


def test_no_script_is_left_out() -> None:
    names = [re.match(r"// (\S+)\n", each) for each in blocks(GUIDE, "js")]
    assert [name and name[1] for name in names] == ["server.js", "client.js", "by_the_gate.js"]
