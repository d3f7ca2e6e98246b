"""``chatcore start`` as a whole: first on stand-ins, then with real processes."""

from __future__ import annotations

import os
import queue
import re
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed

from chatcore.cluster.master_registry import master_server
from chatcore.cluster.settings import RegistrySettings
from chatcore.config.run_folder import RunFolder
from chatcore.errors import ConfigError
from chatcore.master.console import Console
from chatcore.master.keeper import Program
from chatcore.master.plan import Plan, PlannedMaster
from chatcore.master.ports import Need
from chatcore.master.start import Session, claim_start

DEADLINE = 60
"""Seconds after which a test with real processes gives up; nothing here takes long."""


@pytest.fixture
def plan(tmp_path) -> Plan:
    return Plan(
        app=tmp_path,
        env="development",
        run=RunFolder.open(tmp_path, str(tmp_path / "run")),
        programs=(
            Program(name="chat", command=("run", "chat"), stage=2),
            Program(name="gate", command=("run", "gate"), stage=0),
        ),
        needs=(),
        ready="ready: 2 servers",
    )


class TestSession:
    @pytest.fixture
    def begin(self, plan, fake_reactor, screen, monkeypatch):
        """Run a session; what came of it is put into the list."""

        def run(*, holders=(), needs=()) -> tuple[Session, list]:
            left = list(holders)
            monkeypatch.setattr(plan.run, "holder", lambda id: 4711 if id in left else None)
            object.__setattr__(plan, "needs", tuple(needs))
            session = Session(plan, reactor=fake_reactor, console=Console([], screen.write))
            outcome: list = []
            Deferred.fromCoroutine(session.run()).addBoth(outcome.append)
            session.leave = left.clear
            return session, outcome

        # The screen shows names in a column that this console was not told about.
        monkeypatch.setattr(Console, "relay", lambda self, name, fd, line: None)
        return run

    def test_it_starts_and_ends(self, begin, fake_reactor, screen):
        session, outcome = begin()
        assert fake_reactor.started == ["chat", "gate"]

        session.interrupt()
        fake_reactor.last("gate").end()
        fake_reactor.last("chat").end()

        assert outcome == [0]

    def test_it_waits_for_those_of_an_earlier_start_and_says_so(self, begin, fake_reactor, screen):
        session, outcome = begin(holders=["chat"])
        fake_reactor.pump([0.1] * 20)
        assert fake_reactor.started == []
        assert screen.lines == ["chatcore | waiting for chat of an earlier start to leave"]

        session.leave()
        fake_reactor.advance(0.1)
        assert fake_reactor.started == ["chat", "gate"]
        assert outcome == []

    def test_it_does_not_wait_for_ever(self, begin, fake_reactor):
        _, outcome = begin(holders=["chat", "gate"])

        fake_reactor.pump([0.1] * 130)

        assert fake_reactor.started == []
        [failure] = outcome
        assert failure.check(ConfigError)
        assert failure.getErrorMessage() == (
            "already running: chat (process 4711), gate (process 4711). "
            "Stop them first: kill 4711 4711"
        )

    def test_an_interrupt_ends_the_waiting(self, begin, fake_reactor):
        session, outcome = begin(holders=["chat"])

        session.interrupt()
        fake_reactor.advance(0.1)

        assert outcome == [0]
        assert fake_reactor.started == []

    @pytest.mark.parametrize(
        ("host", "running", "learns"),
        [
            ("127.0.0.1", (), False),
            ("127.0.0.1", ("start",), False),
            ("127.0.0.1", ("start", "chat-9"), True),
            ("192.0.2.1", ("start",), True),
        ],
    )
    def test_its_master_hears_first_who_may_be_there_already(
        self, begin, plan, fake_reactor, monkeypatch, host, running, learns
    ):
        """Servers on other machines, or started by hand, outlive a chatcore start."""
        made: list[bool] = []

        class Quiet(Service):
            def __init__(self, address, *, learning, **more):
                made.append(learning)

            def stopService(self):
                return succeed(None)

        monkeypatch.setattr("chatcore.master.start.make_master", Quiet)
        address = master_server(host, 3005)
        master = PlannedMaster(address=address, registry=RegistrySettings())
        object.__setattr__(plan, "master", master)
        monkeypatch.setattr(plan.run, "holders", lambda: dict.fromkeys(running, 4711))
        session, outcome = begin()
        assert made == [learns]
        session.interrupt()
        for name in ("gate", "chat"):
            fake_reactor.last(name).end()
        assert outcome == [0]

    def test_nothing_is_started_when_a_port_is_in_use(self, begin, fake_reactor):
        import socket

        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            need = Need(host="127.0.0.1", port=port, who="chat", key="port")
            _, outcome = begin(needs=[need])

        [failure] = outcome
        assert failure.check(ConfigError)
        assert f"port {port} is in use" in failure.getErrorMessage()
        assert fake_reactor.started == []

    def test_leftovers_of_killed_processes_are_removed_first(self, begin, plan, fake_reactor):
        plan.run.pid_file("chat").write_text("4711")

        begin()

        assert not plan.run.pid_file("chat").exists()

    def test_a_second_sigterm_is_not_a_second_interrupt(self, begin, fake_reactor):
        session, _ = begin()

        session.stop()
        session.stop()

        assert fake_reactor.last("gate").signals == ["TERM"]


def test_the_second_start_is_told_who_runs_the_first(plan):
    claim = claim_start(plan)
    try:
        with pytest.raises(ConfigError) as caught:
            claim_start(plan)
    finally:
        claim.release()

    assert str(caught.value) == (
        f"chatcore start already runs {plan.app} as process {os.getpid()}. "
        f"Stop it first: kill {os.getpid()}"
    )


CHILD = """
import os, sys
name, alive, way = sys.argv[1:4]
os.open(alive, os.O_WRONLY)  # open until this process ends
from chatcore import supervised
supervised.ignore_interrupt()
from twisted.internet import reactor
supervised.watch(reactor)
if way == "refuse" and name == "gate":
    sys.stderr.write("servers.json:1:1: no such thing\\n")
    sys.exit(2)
def begin():
    print("pid", os.getpid(), flush=True)
    supervised.tell_ready()
    if way == "busy":
        while True:
            pass
reactor.callWhenRunning(begin)
reactor.addSystemEventTrigger("after", "shutdown", lambda: print("bye", flush=True))
reactor.run()
"""

DRIVER = """
import sys
from pathlib import Path
from twisted.internet import reactor
from chatcore.config.run_folder import RunFolder
from chatcore.errors import ConfigError
from chatcore.master.keeper import Program
from chatcore.master.plan import Plan
from chatcore.master.start import start
folder, child, alive, way = sys.argv[1:]
programs = [
    Program(name=name, command=(sys.executable, child, name, alive, way), stage=stage)
    for name, stage in (("chat", 2), ("connector", 1), ("gate", 0))
]
plan = Plan(
    app=Path(folder), env="development", run=RunFolder.open(Path(folder), folder + "/run"),
    programs=tuple(programs), needs=(), ready="ready: 3 servers",
)
try:
    sys.exit(start(plan, reactor=reactor))
except ConfigError as error:
    sys.stderr.write(f"{error}\\n")
    sys.exit(2)
"""


class Running:
    """A ``chatcore start`` of three small processes, in a process group of its own."""

    def __init__(self, folder: Path, way: str = "usual") -> None:
        for name, text in (("child.py", CHILD), ("driver.py", DRIVER)):
            (folder / name).write_text(text)
        self._fifo = folder / "alive"
        if not self._fifo.exists():
            os.mkfifo(self._fifo)
        self._alive = os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK)
        os.close(os.open(self._fifo, os.O_WRONLY))  # until then an end without writers is no end
        words = [folder / "driver.py", folder, folder / "child.py", self._fifo, way]
        self.process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._coming: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._coming.put(" ".join(line.split()))
        self._coming.put(None)

    def expect(self, pattern: str) -> re.Match[str]:
        """Read on until a line matches."""
        while (line := self._coming.get(timeout=DEADLINE)) is not None:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"{pattern!r} never came; there was {self.lines}")

    def ready(self) -> dict[str, int]:
        """Wait for the ready line; the pid of each process comes back."""
        self.expect("ready: 3 servers")
        pids = {}
        while len(pids) < 3:
            pids = {
                found[1]: int(found[2])
                for line in self.lines
                if (found := re.match(r"(\w+) \| pid (\d+)", line))
            }
            if len(pids) < 3:
                self.expect("pid")
        return pids

    def exit_code(self) -> int:
        """Wait for the end, and for the rest of the output."""
        code = self.process.wait(DEADLINE)
        while (line := self._coming.get(timeout=DEADLINE)) is not None:
            self.lines.append(line)
        return code

    def nothing_is_left(self) -> bool:
        """Wait until every process that it started has ended."""
        until = time.monotonic() + DEADLINE
        while (left := until - time.monotonic()) > 0:
            readable, _, _ = select.select([self._alive], [], [], left)
            if readable and os.read(self._alive, 1) == b"":
                return True
        return False

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        self.process.stdout.close()
        os.close(self._alive)


@pytest.fixture
def running(tmp_path):
    every: list[Running] = []

    def begin(way: str = "usual") -> Running:
        every.append(Running(tmp_path, way))
        return every[-1]

    yield begin
    for one in every:
        one.close()


def byes(run: Running) -> list[str]:
    return [line.split()[0] for line in run.lines if line.endswith("| bye")]


def test_ctrl_c_reaches_all_and_yet_the_stages_end_in_order(running):
    run = running()
    run.ready()

    os.killpg(run.process.pid, signal.SIGINT)

    assert run.exit_code() == 0
    assert byes(run) == ["gate", "connector", "chat"]
    assert run.nothing_is_left()
    assert not any("Traceback" in line for line in run.lines)


def test_ctrl_c_at_once_leaves_nothing_behind(running, tmp_path):
    run = running()

    # The driver has just claimed the run folder, and its children are being started.
    run.expect("starting")
    os.killpg(run.process.pid, signal.SIGINT)

    assert run.exit_code() == 0
    assert run.nothing_is_left()
    assert not any("Traceback" in line for line in run.lines)
    assert not list((tmp_path / "run").glob("*.lock"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigterm_and_a_closed_terminal_stop_in_order_too(running, number):
    run = running()
    run.ready()

    os.kill(run.process.pid, number)

    assert run.exit_code() == 0
    assert byes(run) == ["gate", "connector", "chat"]
    assert run.nothing_is_left()


def test_all_stay_in_its_session_and_its_process_group(running):
    run = running()
    pids = run.ready()

    assert {os.getsid(pid) for pid in pids.values()} == {run.process.pid}
    assert {os.getpgid(pid) for pid in pids.values()} == {run.process.pid}


def test_a_killed_process_comes_back(running):
    run = running()
    pids = run.ready()

    os.kill(pids["connector"], signal.SIGKILL)

    run.expect("connector was ended by SIGKILL; starting it again in 1 s")
    run.expect("connector is up again")
    os.kill(run.process.pid, signal.SIGTERM)
    assert run.exit_code() == 0


@pytest.mark.parametrize("way", ["usual", "busy"])
def test_when_it_is_killed_its_processes_leave_and_it_can_start_again(running, way):
    first = running(way)
    first.ready()

    first.process.kill()
    assert first.nothing_is_left()

    second = running()
    second.ready()
    os.kill(second.process.pid, signal.SIGTERM)
    assert second.exit_code() == 0


def test_what_does_not_listen_is_killed(running):
    run = running("busy")
    run.ready()

    os.kill(run.process.pid, signal.SIGINT)
    run.expect("stopping")
    os.kill(run.process.pid, signal.SIGINT)

    assert run.exit_code() == 1
    assert run.nothing_is_left()


def test_a_process_that_refuses_its_configuration_ends_all_with_exit_code_two(running):
    run = running("refuse")

    assert run.exit_code() == 2
    assert "gate | servers.json:1:1: no such thing" in run.lines
    assert run.nothing_is_left()


def test_a_second_start_ends_at_once_and_the_first_goes_on(running):
    first = running()
    first.ready()

    second = running()
    assert second.exit_code() == 2
    [line] = second.lines
    assert f"as process {first.process.pid}" in line

    os.kill(first.process.pid, signal.SIGTERM)
    assert first.exit_code() == 0
