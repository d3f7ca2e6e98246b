"""``chatcore start`` with the real chat: nothing is left behind, however it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from people import connect
from running import PATIENCE, CopiedChat, RunningChat, environment, short_folder, wait_until
from twisted.internet.threads import deferToThread

KEPT = {".gitignore", ".claims", ".servers.json", "secret"}


@pytest.fixture
def own_chat() -> Iterator[RunningChat]:
    """A chat that the test may end."""
    with short_folder() as folder:
        chat = RunningChat(Path(folder))
        yield chat
        chat.close()


def processes(chat: RunningChat) -> dict[int, str]:
    """The processes of this chat, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if str(chat.app) in command and stat[0] != "Z":
                found[int(entry.name)] = command
    return found


def left_behind(chat: RunningChat) -> set[str]:
    names = {file.name for file in chat.run_folder.iterdir()} - KEPT
    return {name for name in names if not name.endswith(".log")}


def test_what_runs(own_chat: RunningChat) -> None:
    """One process for each server, in the session of ``chatcore start``, its id to be seen."""
    commands = processes(own_chat)
    assert own_chat.process is not None
    session = os.getsid(own_chat.process.pid)
    assert {os.getsid(pid) for pid in commands} == {session}
    ids = [server_id for type in own_chat.servers for server_id in own_chat.ids(type)]
    for server_id in ids:
        mine = [c for c in commands.values() if f"--id {server_id} " in c + " "]
        assert len(mine) == 1 and "twistd" in mine[0] and "chatnode" in mine[0]
    ready = [line for line in own_chat.output.splitlines() if "ready: " in line]
    assert len(ready) == 1 and own_chat.page in ready[0]
    assert re.match(r"chatcore +\| \d{4}-\d\d-\d\dT[\d:]{8}[+-]\d{4} ready: ", ready[0])


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_an_orderly_stop(own_chat: RunningChat, sign: signal.Signals) -> None:
    assert own_chat.process is not None
    own_chat.process.send_signal(sign)
    assert own_chat.process.wait(PATIENCE) == 0
    assert processes(own_chat) == {}
    assert left_behind(own_chat) == set()
    output = own_chat.output
    gate = output.index("Main loop terminated", output.index("gate-server-1 "))
    assert "Traceback" not in output
    assert gate > 0
    own_chat.process = None
    own_chat.resume()  # every port is free again


def test_all_are_told_to_stop_at_once_and_again(own_chat: RunningChat) -> None:
    """As systemd does, which tells every process of a service."""
    assert own_chat.process is not None
    wait_until(lambda: "ready: " in own_chat.output, "all of them")
    for _ in range(3):
        for pid in processes(own_chat):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
    assert own_chat.process.wait(PATIENCE) == 0
    own_chat.process = None
    assert (processes(own_chat), left_behind(own_chat)) == ({}, set())
    assert "Traceback" not in own_chat.output
    assert "ReactorNotRunning" not in own_chat.output


def test_an_interrupt_at_the_terminal(own_chat: RunningChat) -> None:
    """Ctrl-C reaches all processes at once; only ``chatcore start`` acts on it."""
    assert own_chat.process is not None
    for pid in processes(own_chat):
        os.kill(pid, signal.SIGINT)
    assert own_chat.process.wait(PATIENCE) == 0
    assert processes(own_chat) == {}
    assert left_behind(own_chat) == set()


async def test_it_is_killed(own_chat: RunningChat) -> None:
    """Its processes leave by themselves, and starting again works at once."""
    assert own_chat.process is not None
    own_chat.process.kill()
    own_chat.process.wait()
    own_chat.process = None
    own_chat.resume()
    assert len(processes(own_chat)) == 1 + 7 + 1
    alice = await connect(own_chat, "connector-server-1")
    assert await alice.enter("alice", "attic") == {"users": ["alice"]}
    assert await alice.say("hello") == {}
    await alice.until("onChat", msg="hello")
    await alice.leave()


def test_processes_of_a_killed_start_leave(own_chat: RunningChat) -> None:
    assert own_chat.process is not None
    own_chat.process.kill()
    own_chat.process.wait()
    own_chat.process = None
    wait_until(lambda: not processes(own_chat), "its processes to leave")


def test_a_second_start_is_refused(own_chat: RunningChat) -> None:
    assert own_chat.process is not None
    second = subprocess.run(
        [sys.executable, "-m", "chatcore", "start", "--app", str(own_chat.app)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert second.returncode == 2
    assert str(own_chat.process.pid) in second.stderr


def test_who_has_served_is_tried_again_whatever_keeps_it_from_starting(
    own_chat: RunningChat,
) -> None:
    """The others serve meanwhile, and it comes back when the mistake is mended."""
    handlers = own_chat.app / "servers" / "chat" / "handlers.py"
    right = handlers.read_text()
    handlers.write_text("import nothing_of_that_name\n")
    pid = own_chat.pid("chat-server-1")
    assert pid is not None
    others = processes(own_chat).keys() - {pid}
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "nothing_of_that_name" in own_chat.output, "the mistake to be told")
    handlers.write_text(right)
    wait_until(lambda: "chat-server-1 is up again" in own_chat.output, "chat-server-1 to be back")
    assert others < processes(own_chat).keys()


def test_a_mistake_is_told_once_and_nothing_starts() -> None:
    with short_folder() as folder:
        chat = CopiedChat(folder)
        handlers = chat.app / "servers" / "connector" / "handlers.py"
        handlers.write_text(
            handlers.read_text().replace("async def enter(self", "async def go(self")
        )
        ended = subprocess.run(
            [sys.executable, "-m", "chatcore", "start", "--app", str(chat.app)],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert ended.returncode == 2
        assert ended.stdout == ""
        assert ended.stderr.count("EntryHandler has no method enter") == 1
        assert "Traceback" not in ended.stderr
        assert not chat.run_folder.exists()


def test_its_master_tells_who_is_gone(own_chat: RunningChat) -> None:
    own_chat.kill("chat-server-1")
    said = re.compile(r"^chatcore +\| \S+ chat-server-1 is taken out of the view", re.MULTILINE)
    wait_until(lambda: said.search(own_chat.output), "the master to tell")
    assert "is in use" in _started_beside(own_chat)


async def test_without_a_master_nobody_is_taken_out() -> None:
    """The registry static: as it was before there was any other."""
    with short_folder() as folder:
        chat = RunningChat(Path(folder), ("--registry", "static:"))
        try:
            with socket.create_server(("127.0.0.1", chat.master_port)):
                alice = await connect(chat, "connector-server-1")
                assert await alice.enter("alice", "attic") == {"users": ["alice"]}
                await deferToThread(chat.kill, "chat-server-1")
                await alice.leave()
        finally:
            chat.close()
        assert "taken out" not in chat.output


def _started_beside(chat: RunningChat) -> str:
    """What another application is told that wants its master where this one has it."""
    with short_folder() as folder:
        other = CopiedChat(folder)
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "chatcore", "start", "--app", str(other.app)),
                *("--set", f"master.port={chat.master_port}"),
            ],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert ended.returncode == 2
    assert not list(other.run_folder.glob("*.log")), "nothing was started"
    return ended.stderr
