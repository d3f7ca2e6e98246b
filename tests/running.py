"""The example chat, run for tests: a copy on free ports, with a run folder of its own."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "chat"


PATIENCE = 60.0
"""Seconds that other processes may take for anything, on a machine that is busy with others."""


def wait_until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Wait for what other processes do; its first true value comes back."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)
    return value


# Below those that the system gives to whoever connects to somebody: one of these could be taken
# before the server that it is meant for listens there. Each process of tests has some of its own.
_PROCESSES = 8
_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % _PROCESSES
PORTS = range(10000 + _PROCESS, 32768, _PROCESSES)
_candidates = itertools.cycle(random.sample(PORTS, len(PORTS)))


@contextmanager
def free_ports(count: int) -> Iterator[list[int]]:
    """Ports that nobody uses, and that nobody else is given soon."""
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind(("127.0.0.1", next(_candidates)))
            except OSError:
                one.close()
            else:
                sockets.append(one)
        yield [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def environment() -> dict[str, str]:
    """The environment for a process that has to find this checkout, installed or not."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def twistd(*arguments: str, name: str = "twistd") -> list[str]:
    """The command of twistd, or of twist."""
    script = Path(sys.executable).with_name(name)
    return [str(script), *arguments]


BEAT, SLOW_BEAT = 'app.set("heartbeat.interval", 3)', 'app.set("heartbeat.interval", 15)'
"""What the example says, and copies of it: on a busy machine, nobody is taken for dead so soon."""


class CopiedChat:
    """A copy of the example application, or of another, on ports of its own.

    Args:
        folder: where to put it; short, because of the paths of sockets.
        source: the application to copy.
    """

    def __init__(
        self,
        folder: Path,
        change: Callable[[Any], None] | None = None,
        source: Path = EXAMPLE,
    ) -> None:
        self.app = folder / "chat"
        shutil.copytree(source, self.app, ignore=shutil.ignore_patterns(".chatcore", "*.pyc"))
        self.run_folder = self.app / ".chatcore"
        if (configured := self.app / "app.py").exists():
            configured.write_text(configured.read_text().replace(BEAT, SLOW_BEAT))
        self._file = self.app / "config" / "servers.json"
        servers = json.loads(self._file.read_text())
        entries = [entry for entry_list in servers["development"].values() for entry in entry_list]
        keys = [(entry, key) for entry in entries for key in ("port", "clientPort") if key in entry]
        with free_ports(len(keys) + 2) as ports:
            for (entry, key), port in zip(keys, ports, strict=False):
                entry[key] = port
            self.page_port, self.master_port = ports[-2:]
        if change is not None:
            change(servers["development"])
        self.servers: dict[str, list[dict[str, Any]]] = servers["development"]
        self._file.write_text(json.dumps({"development": self.servers}, indent=1))

    @property
    def ports(self) -> list[str]:
        """The settings of ``chatcore start`` that choose its own ports."""
        return [
            *("--set", f"page.port={self.page_port}"),
            *("--set", f"master.port={self.master_port}"),
        ]

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.page_port}/"

    def ids(self, server_type: str) -> list[str]:
        return [entry["id"] for entry in self.servers[server_type]]

    def port(self, server_id: str) -> int:
        for entries in self.servers.values():
            for entry in entries:
                if entry["id"] == server_id:
                    return int(entry.get("clientPort", entry.get("port")))
        raise LookupError(server_id)

    def pid(self, server_id: str) -> int | None:
        """The process that runs a server, as its pid file says."""
        try:
            return int((self.run_folder / f"{server_id}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None


class RunningChat(CopiedChat):
    """The copy under ``chatcore start``."""

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str] = (),
        change: Callable[[Any], None] | None = None,
        source: Path = EXAMPLE,
    ) -> None:
        super().__init__(folder, change, source)
        self._arguments = arguments
        self._output = folder / "output"
        self._frozen: list[int] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.resume()

    @property
    def output(self) -> str:
        """All that ``chatcore start`` has printed."""
        return self._output.read_text(errors="replace")

    def kill(self, server_id: str) -> None:
        """End a node with SIGKILL; it is started again by itself."""
        pid = self.pid(server_id)
        assert pid is not None, f"{server_id} does not run"
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.pid(server_id) not in (None, pid), f"{server_id} to be back")

    def stop(self, server_id: str) -> None:
        """Freeze a node, so that it does nothing until `resume`."""
        pid = self.pid(server_id)
        assert pid is not None, f"{server_id} does not run"
        os.kill(pid, signal.SIGSTOP)
        self._frozen.append(pid)

    def halt(self) -> None:
        """Take the whole chat away."""
        self.thaw()
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(60) == 0, self.output[-3000:]
            self.process = None

    def crash(self) -> None:
        """End ``chatcore start`` with SIGKILL, and start it again at once."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None
        self.resume()

    def resume(self) -> None:
        """Start whatever is away."""
        self.thaw()
        if self.process is None:
            start = len(self.output) if self._output.exists() else 0
            with self._output.open("ab") as output:
                self.process = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "chatcore", "start"),
                        *("--app", str(self.app), *self.ports),
                        *self._arguments,
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment(),
                    cwd=self.app.parent,
                )
            wait_until(lambda: "ready: " in self.output[start:] or self._ended(), "the chat", 120)

    def close(self) -> None:
        """End it, however it is."""
        self.thaw()
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _ended(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output[-20000:]
        return False

    def thaw(self) -> None:
        """Let what was frozen go on."""
        for pid in self._frozen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._frozen.clear()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A new folder with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="chat-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
