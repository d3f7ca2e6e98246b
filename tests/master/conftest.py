"""Stand-ins for processes and for the reactor that starts them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from chatcore.master.console import Console
from chatcore.master.keeper import Program
from chatcore.master.supervisor import Supervisor


@dataclass
class FakeProcess:
    """A process that does what a test says."""

    protocol: Any
    arguments: list[str]
    child_fds: dict[int, str]
    signals: list[str] = field(default_factory=list)
    pipes_closed: bool = False
    told: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.arguments[-1]

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    @property
    def pid(self) -> int:
        return id(self)

    def writeToChild(self, fd: int, data: bytes) -> None:
        self.told.append((fd, data))

    def loseConnection(self) -> None:
        self.pipes_closed = True

    def write(self, fd: int, data: bytes) -> None:
        self.protocol.childDataReceived(fd, data)

    def become_ready(self) -> None:
        self.write(3, b"ready\n")

    def exit(self, code: int = 0, *, signal: int | None = None) -> Failure:
        """End, and leave the pipes open."""
        code_or_none = None if signal else code
        status = signal if signal else code << 8
        done = code == 0 and signal is None
        why = ProcessDone(0) if done else ProcessTerminated(code_or_none, signal, status)
        reason = Failure(why)
        self.protocol.processExited(reason)
        return reason

    def end(self, code: int = 0, *, signal: int | None = None) -> None:
        """End, and close the pipes."""
        self.protocol.processEnded(self.exit(code, signal=signal))


class FakePort:
    """A port that nobody comes to."""

    def stopListening(self) -> None:
        pass


class FakeReactor(Clock):
    """A clock that takes note of the processes it is asked to start."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[FakeProcess] = []
        self.refuse: OSError | None = None

    def spawnProcess(
        self,
        protocol: Any,
        executable: str,
        args: list[str],
        env: dict[str, str],
        *,
        childFDs: dict[int, str],
    ) -> FakeProcess:
        if self.refuse is not None:
            raise self.refuse
        process = FakeProcess(protocol, list(args), dict(childFDs))
        self.processes.append(process)
        protocol.makeConnection(process)
        return process

    def adoptStreamPort(self, fd: int, family: int, factory: Any) -> FakePort:
        return FakePort()

    @property
    def started(self) -> list[str]:
        """The names of what was started, in order."""
        return [process.name for process in self.processes]

    def last(self, name: str) -> FakeProcess:
        """The latest process of that name."""
        return [process for process in self.processes if process.name == name][-1]


class Screen:
    """What a person would see."""

    def __init__(self) -> None:
        self.written: list[tuple[int, str]] = []

    def write(self, fd: int, data: bytes) -> None:
        self.written.append((fd, data.decode()))

    @property
    def lines(self) -> list[str]:
        """All lines, without the column's padding."""
        return [" ".join(line.split()) for _, text in self.written for line in text.splitlines()]

    def of(self, fd: int) -> str:
        return "".join(text for where, text in self.written if where == fd)


@dataclass
class Stage:
    """A supervisor on stand-ins."""

    reactor: FakeReactor
    screen: Screen
    supervisor: Supervisor
    tidied: list[str]
    finished: list[Any] = field(default_factory=list)

    def all_ready(self) -> None:
        for process in list(self.reactor.processes):
            process.become_ready()

    def signals(self) -> dict[str, list[str]]:
        return {process.name: process.signals for process in self.reactor.processes}


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def fake_reactor() -> FakeReactor:
    return FakeReactor()


@pytest.fixture
def supervise(fake_reactor: FakeReactor, screen: Screen) -> Callable[..., Stage]:
    """Start a supervisor of programs, given as ``name=stage``."""

    def begin(*, stop_seconds: float = 0.0, **programs: int) -> Stage:
        tidied: list[str] = []
        supervisor = Supervisor(
            [
                Program(name=name, command=("run", name), stage=stage)
                for name, stage in programs.items()
            ],
            reactor=fake_reactor,
            console=Console(programs, screen.write),
            ready="ready: all of it",
            tidy=tidied.append,
            stop_seconds=stop_seconds,
        )
        stage = Stage(fake_reactor, screen, supervisor, tidied)
        supervisor.finished.addBoth(stage.finished.append)
        supervisor.startService()
        return stage

    return begin
