"""One application twice: on Pomelo 2.2.7 from npm, and on chatcore."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from npm import missing_node, npm_packages
from running import EXAMPLE, CopiedChat, RunningChat, wait_until

HERE = Path(__file__).parent
CONFIG = HERE / "app" / "config"
SHARED = ("servers.json", "dictionary.json", "serverProtos.json", "clientProtos.json")
"""What both read, byte for byte (but for the ports)."""

POMELO = {"pomelo": "2.2.7", "crc": "0.2.0"}


class IServers(Protocol):
    """What a test needs to know of either."""

    @property
    def output(self) -> str:
        """All that its processes have printed."""

    def port(self, server_id: str) -> int:
        """The port for clients."""


class RunningPomelo(CopiedChat):
    """The application on Pomelo itself: a master that starts a process for each server.

    Args:
        folder: where to put it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, source=HERE / "app")
        master = {"id": "master-server-1", "host": "127.0.0.1", "port": self.page_port}
        (self.app / "config" / "master.json").write_text(json.dumps({"development": master}))
        self._output = folder / "output"
        with self._output.open("wb") as output:
            # A session of its own: the master leaves its servers behind when it is ended.
            self._master = subprocess.Popen(
                ["node", "app.js", "env=development"],
                cwd=self.app,
                env={**os.environ, "NODE_PATH": str(npm_packages(POMELO))},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(self._ready, "Pomelo to start", 60)
        except BaseException:
            self.close()
            raise

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def _ready(self) -> bool:
        assert self._master.poll() is None, self.output[-3000:]
        return "all servers startup in" in self.output

    def end(self, server_id: str) -> None:
        """End one server, which may be past listening."""
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if (
                    f"id={server_id}".encode() in words
                    and os.getsid(int(folder.name)) == self._master.pid
                ):
                    os.kill(int(folder.name), signal.SIGKILL)

    def close(self) -> None:
        """End the master and all of its servers."""
        with suppress(ProcessLookupError):
            os.killpg(self._master.pid, signal.SIGKILL)
        self._master.wait()


def missing_pomelo() -> str | None:
    """What to install before Pomelo can run, or None."""
    return missing_node()


def running_chatcore(folder: Path) -> RunningChat:
    """The same application on chatcore: the example chat, and the servers that show odd things."""
    source = folder / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns(".chatcore", "*.pyc", "web"))
    shutil.copytree(HERE / "counterpart", source, dirs_exist_ok=True)
    for name in SHARED:
        shutil.copy(CONFIG / name, source / "config" / name)
    return RunningChat(folder, source=source)
