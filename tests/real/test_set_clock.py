"""The machine's clock is set while a node runs: nobody who is connected notices."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import PATIENCE, CopiedChat, environment, short_folder, twistd, wait_until

from chatcore.wire import package

FAKE = """
import time

real = time.time

def fake():
    with open({file!r}) as offset:
        return real() + float(offset.read())

time.time = fake
"""
"""Stands in for the machine's clock in a process that starts with it (see Python's `site`)."""

DAY = 86400
HELLO = package.encode(
    package.HANDSHAKE, b'{"sys":{"type":"test","version":"1"}}'
) + package.encode(package.ACK)
HEARTBEAT = package.encode(package.HEARTBEAT)


@pytest.fixture
def app() -> Iterator[CopiedChat]:
    with short_folder() as folder:
        yield CopiedChat(folder)


@pytest.fixture
def set_by(app: CopiedChat, tmp_path: Path) -> Iterator[Callable[[float], None]]:
    """A gate runs; sets its clock forward or back by so many seconds."""
    offset = tmp_path / "offset"

    def set_by(seconds: float) -> None:
        (tmp_path / "new").write_text(str(seconds))
        (tmp_path / "new").rename(offset)

    set_by(0)
    (tmp_path / "sitecustomize.py").write_text(FAKE.format(file=str(offset)))
    known = environment()
    process = subprocess.Popen(
        twistd(
            *("-n", "chatnode", "--app", str(app.app), "--type", "gate"),
            *("--set", "limits.handshake_seconds=2"),
        ),
        env={**known, "PYTHONPATH": os.pathsep.join((str(tmp_path), known["PYTHONPATH"]))},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield set_by
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE)


class Client:
    """A client over TCP that says no more than that it lives."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._socket.sendall(HELLO)
        self._file = self._socket.makefile("rb")
        head = self._file.read(package.HEAD)
        self._file.read(int.from_bytes(head[1:], "big"))
        assert self._file.read(package.HEAD) == HEARTBEAT

    def lives(self) -> bool:
        """Whether its heartbeat is answered."""
        try:
            self._socket.sendall(HEARTBEAT)
            return self._file.read(package.HEAD) == HEARTBEAT
        except OSError:
            return False

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_nobody_who_is_quiet_is_taken_for_dead_and_no_timeout_stops(
    app: CopiedChat, set_by: Callable[[float], None]
) -> None:
    port = app.port("gate-server-1")
    wait_until(lambda: listens(port), "the port")
    quiet, loud = Client(port), Client(port)
    for seconds in (DAY, 0):
        set_by(seconds)
        for _ in range(5):  # so that the node looks at the time now and again
            assert loud.lives()
        assert quiet.lives()
    for each in (quiet, loud):
        each.close()
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as mute:
        mute.sendall(b"\x01")
        set_by(-DAY)
        assert mute.recv(1) == b""
