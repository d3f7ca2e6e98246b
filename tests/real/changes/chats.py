"""Chats for a crowd, and what is done to their servers from outside."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from running import (
    PATIENCE,
    CopiedChat,
    RunningChat,
    environment,
    free_ports,
    twistd,
    wait_until,
)


class Daemons:
    """Processes of ``twistd``, each on its own: nobody supervises them.

    Args:
        chat: the application that they are of.
    """

    def __init__(self, chat: CopiedChat) -> None:
        self._chat = chat
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Start one; ``arguments`` are for ``twistd``."""
        with (self._chat.app.parent / f"{name}.output").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                twistd("-n", *arguments),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd=self._chat.app.parent,
            )

    def start_node(self, server_id: str) -> None:
        """Start a node that announces itself to the master."""
        registry = f"master://127.0.0.1:{self._chat.master_port}"
        node = ("chatnode", "--app", str(self._chat.app), "--id", server_id)
        self.start(server_id, *node, "--registry", registry, "--set", "drain.on_term=true")

    def output(self, name: str) -> str:
        """All that one of this name has printed."""
        file = self._chat.app.parent / f"{name}.output"
        return file.read_text(errors="replace") if file.exists() else ""

    def times_ready(self, server_id: str) -> int:
        """How often a node was ready so far."""
        return self.output(server_id).count(f"{server_id} is ready")

    def wait_for(self, *server_ids: str, times: int = 1) -> None:
        """Wait until nodes are ready, for the first time or a later one."""
        for server_id in server_ids:
            wait_until(
                lambda: self.times_ready(server_id) >= times,  # noqa: B023
                f"{server_id} to be ready",
            )

    def terminate(self, name: str) -> None:
        """End one in order, and wait until it has."""
        self._processes[name].terminate()
        self.wait_until_gone(name)

    def wait_until_gone(self, name: str) -> None:
        """Wait until one has ended, in order."""
        code = self._processes.pop(name).wait(PATIENCE)
        assert code in (0, -signal.SIGTERM), self.output(name)[-3000:]

    def kill(self, name: str) -> None:
        """End one with SIGKILL."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        """End what is left."""
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()


class SupervisedChat(RunningChat):
    """The example chat without its page under ``chatcore start``, which keeps the master."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, change=self._prepare)
        self._daemons = Daemons(self)

    def _prepare(self, servers: Any) -> None:
        shutil.rmtree(self.app / "web")

    def add(self, server_type: str, server_id: str) -> None:
        """Have one server more join, and wait until it serves."""
        entry: dict[str, Any] = {"id": server_id, "host": "127.0.0.1"}
        if any("clientPort" in each for each in self.servers[server_type]):
            with free_ports(1) as (port,):
                entry |= {"clientPort": port, "frontend": True}
        self.servers[server_type].append(entry)
        self._write()
        self._daemons.start_node(server_id)
        self._daemons.wait_for(server_id)

    def command(self, *words: str) -> str:
        """Give the running chat a command; what it printed comes back."""
        done = subprocess.run(
            [sys.executable, "-m", "chatcore", *words, "--app", str(self.app)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment(),
            timeout=2 * PATIENCE,
        )
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def drain(self, server_id: str) -> None:
        """Have a server that was added hand over what it has, and leave."""
        self.command("drain", server_id)
        self._daemons.wait_until_gone(server_id)
        for entries in self.servers.values():
            entries[:] = [each for each in entries if each["id"] != server_id]
        self._write()

    def restart(self, *words: str) -> None:
        """Drain servers and start them anew, one after the other; ids, or ``--type`` and one."""
        self.command("restart", *words)

    def drain_and_bring_back(self, server_id: str) -> None:
        """Drain a server, which stays down then, and have it start again."""
        self.command("drain", server_id)
        assert self.pid(server_id) is None, f"{server_id} still runs"
        self.command("restart", server_id)

    def kill(self, server_id: str) -> None:
        """End a node with SIGKILL, and wait until it serves again."""
        before = len(self.output)
        super().kill(server_id)
        again = f"{server_id} is up again"
        wait_until(lambda: again in self.output[before:], f"{server_id} to be back")

    def close(self) -> None:
        self._daemons.close()
        super().close()

    def _write(self) -> None:
        file = self.app / "config" / "servers.json"
        file.write_text(json.dumps({"development": self.servers}, indent=1))


class LooseChat(CopiedChat):
    """The example chat with a master of its own and nodes that nobody supervises.

    There are two connectors, two chat servers and the gate.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, self._prepare)
        self.daemons = Daemons(self)
        self.start_master()
        ids = [entry["id"] for entries in self.servers.values() for entry in entries]
        for server_id in ids:
            self.daemons.start_node(server_id)
        self.daemons.wait_for(*ids)

    def _prepare(self, servers: Any) -> None:
        shutil.rmtree(self.app / "web")
        for server_type in ("connector", "chat"):
            del servers[server_type][2:]

    def start_master(self) -> None:
        """Start the master."""
        app, port = str(self.app), str(self.master_port)
        self.daemons.start("master", "chatmaster", "--app", app, "--port", port)

    def kill_master(self) -> None:
        """End the master with SIGKILL."""
        self.daemons.kill("master")

    def restart(self, server_id: str) -> None:
        """Drain a server and start it anew, as one does who knows nothing but signals."""
        before = self.daemons.times_ready(server_id)
        self.daemons.terminate(server_id)
        self.daemons.start_node(server_id)
        self.daemons.wait_for(server_id, times=before + 1)

    def close(self) -> None:
        """End it."""
        self.daemons.close()
