"""Starting single nodes with twistd and twist, and every mistake that can be made with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import PATIENCE, CopiedChat, environment, short_folder, twistd, wait_until

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def app() -> Iterator[CopiedChat]:
    with short_folder() as folder:
        yield CopiedChat(folder)


@pytest.fixture
def run(app: CopiedChat) -> Iterator[Run]:
    """Run twistd to its end; what daemons it left is ended with the test."""

    def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            twistd(*arguments),
            cwd=cwd or app.app.parent,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    yield run
    pids = [int(file.read_text()) for file in app.run_folder.glob("*.pid")]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not list(app.run_folder.glob("*.pid")), "the daemons to end")


@pytest.fixture
def start(app: CopiedChat) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start processes in the foreground."""
    processes: list[subprocess.Popen[str]] = []

    def start(*command: str, cwd: Path | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            cwd=cwd or app.app.parent,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=PATIENCE)


def is_ready(app: CopiedChat, server_id: str) -> bool:
    """Whether a server says so in its log, which is later than it listens."""
    log = app.run_folder / f"{server_id}.log"
    return log.exists() and f"{server_id} is ready" in log.read_text()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_in_the_foreground(app: CopiedChat, start: Any) -> None:
    """Logs go to the terminal and to the run folder; a TERM leaves nothing behind."""
    process = start(
        *twistd("-n", "chatnode", "--app", str(app.app)),
        *("--type", "connector", "--id", "connector-server-2"),
    )
    wait_until(lambda: is_ready(app, "connector-server-2"), "it to be ready")
    assert listens(app.port("connector-server-2"))
    assert app.pid("connector-server-2") == process.pid
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode in (0, -signal.SIGTERM)  # twistd ends by the signal it was sent
    assert "connector-server-2 is ready" in output
    assert "connector-server-2 is ready" in (app.run_folder / "connector-server-2.log").read_text()
    left = {file.name for file in app.run_folder.iterdir()} - {".gitignore", ".claims", "secret"}
    assert left == {"connector-server-2.log"}
    assert not listens(app.port("connector-server-2"))


def test_daemons_come_up_one_after_the_other(app: CopiedChat, run: Run) -> None:
    """The same command, run again, brings up the next server of the type, from the app's folder."""
    for server_id in app.ids("connector"):
        ended = run("chatnode", "--type", "connector", cwd=app.app)
        assert (ended.returncode, ended.stderr) == (0, "")
        wait_until(lambda id=server_id: is_ready(app, id), "it to be ready")
        assert listens(app.port(server_id)) and app.pid(server_id)
    ended = run("chatnode", "--type", "connector", cwd=app.app)
    assert ended.returncode == 2
    assert "all servers of the type connector are running already" in ended.stderr
    ended = run("chatnode", "--id", "connector-server-1", cwd=app.app)
    assert ended.returncode == 2
    assert f"running already, as process {app.pid('connector-server-1')}" in ended.stderr


def test_a_killed_daemon_can_be_started_again(app: CopiedChat, run: Run) -> None:
    """What it left (a pid file, a socket) is in nobody's way."""
    for _ in range(2):
        assert run("chatnode", "--type", "gate", cwd=app.app).returncode == 0
        pid = wait_until(lambda: app.pid("gate-server-1"), "its pid file")
        wait_until(lambda: listens(app.port("gate-server-1")), "its port")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not listens(app.port("gate-server-1")), "its end")
    assert (app.run_folder / "gate-server-1.pid").exists()
    assert run("chatnode", "--type", "gate", cwd=app.app).returncode == 0
    wait_until(lambda: listens(app.port("gate-server-1")), "its port")


def test_other_files_where_they_are_asked_for(app: CopiedChat, run: Run, tmp_path: Path) -> None:
    pid_file, log_file = tmp_path / "mine.pid", tmp_path / "mine.log"
    ended = run(
        *("--pidfile", str(pid_file), "--logfile", str(log_file)),
        *("chatnode", "--app", str(app.app), "--type", "gate"),
    )
    assert ended.returncode == 0
    wait_until(lambda: log_file.exists() and "is ready" in log_file.read_text(), "it to be ready")
    assert listens(app.port("gate-server-1"))
    assert app.pid("gate-server-1") is None
    assert not (app.run_folder / "gate-server-1.log").exists()
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    wait_until(lambda: not pid_file.exists(), "its end")


def test_twist_starts_it_too(app: CopiedChat, start: Any) -> None:
    start(*twistd("chatnode", "--app", str(app.app), "--type", "gate", name="twist"))
    wait_until(lambda: is_ready(app, "gate-server-1"), "it to be ready")


def test_every_mistake_is_one_message(app: CopiedChat, run: Run) -> None:
    """Exit code 2, the message on standard error, and nothing is left started."""
    servers = app.app / "config" / "servers.json"
    good = servers.read_text()
    handlers = app.app / "servers" / "chat" / "handlers.py"
    good_handlers = handlers.read_text()
    chat = ("--app", str(app.app))

    def refused(*arguments: str) -> str:
        ended = run("-n", "chatnode", *arguments)
        assert ended.returncode == 2, ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
        assert not list(app.run_folder.glob("*.pid")) and not list(app.run_folder.glob("*.lock"))
        return ended.stderr

    assert "nowhere" in refused("--app", "nowhere", "--type", "chat")
    assert "Types: connector, chat, gate" in refused(*chat)
    assert "chatt" in refused(*chat, "--type", "chatt")
    assert "connector-server-1" in refused(*chat, "--id", "connector-server-11")
    assert "is of the type" in refused(*chat, "--type", "chat", "--id", "gate-server-1")
    assert "production" in refused(*chat, "--type", "chat", "--env", "production")
    assert "messages_per_second" in refused(
        *chat, "--type", "chat", "--set", "limits.mesages_per_second=0"
    )
    assert "expected a number" in refused(
        *chat, "--type", "gate", "--set", "limits.messages_per_second=many"
    )

    servers.write_text(good.replace("}", "", 1))
    assert "servers.json:" in refused(*chat, "--type", "chat")
    clash = json.loads(good)
    clash["development"]["chat"][1]["port"] = clash["development"]["chat"][0]["port"]
    servers.write_text(json.dumps(clash))
    message = refused(*chat, "--type", "chat")
    assert "chat-server-1" in message and "chat-server-2" in message
    servers.write_text(good)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", app.port("gate-server-1")))
        taken.listen()
        message = refused(*chat, "--type", "gate")
        assert str(app.port("gate-server-1")) in message and "gate-server-1" in message

    handlers.write_text(good_handlers.replace("async def send(self", "async def sent(self"))
    message = refused(*chat, "--type", "gate")  # every server verifies all of the application
    assert "ChatHandler has no method send" in message and "Is it the method sent?" in message
    assert "handlers.py:" in message
    handlers.write_text("import nothing_of_that_name\n")
    assert "handlers.py:1: importing servers.chat.handlers" in refused(*chat, "--type", "chat")
    servers.unlink()
    assert "servers.json" in refused(*chat, "--type", "chat")


def test_what_the_plugin_says_of_itself(run: Run) -> None:
    ended = run("chatnode", "--help")
    assert ended.returncode == 0
    assert "--set" in ended.stdout and "servers.json" in ended.stdout
