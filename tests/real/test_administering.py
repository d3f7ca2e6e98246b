"""The commands for a running cluster, with the real chat under a real ``chatcore start``."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from people import connect
from running import (
    ROOT,
    RunningChat,
    environment,
    free_ports,
    short_folder,
    twistd,
    wait_until,
)
from small_documents import blocks

PATIENCE = 120.0
"""Seconds that something may take on a machine that has much else to do."""

SETTINGS = ("--set", "drain.grace_seconds=0", "--set", "drain.interval_seconds=0.01")


@pytest.fixture(scope="module")
def running() -> Iterator[RunningChat]:
    with short_folder() as folder:
        chat = RunningChat(Path(folder), SETTINGS)
        yield chat
        chat.close()


def chatcore(
    chat: RunningChat, *words: str, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chatcore", *words],
        cwd=chat.app,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )


def states(chat: RunningChat, patience: float = PATIENCE) -> dict[str, str]:
    """The states of all servers; those are silent that don't answer in half of that time."""
    lines = chatcore(chat, "list", "--timeout", f"{patience:g}").stdout.splitlines()
    return {line.split("\t")[0]: line.split("\t")[2] for line in lines}


def test_what_is_drained_stays_down_until_it_is_restarted(running: RunningChat) -> None:
    ran = chatcore(running, "drain", "chat-server-2")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("chat-server-2\tdrained\t")
    assert running.pid("chat-server-2") is None
    assert states(running)["chat-server-2"] == "stopped"

    os.kill(running.pid("chat-server-1") or 0, signal.SIGKILL)
    wait_until(
        lambda: states(running)["chat-server-1"] == "up", "the one that was killed", PATIENCE
    )
    assert states(running)["chat-server-2"] == "stopped"

    assert chatcore(running, "restart", "chat-server-2").returncode == 0
    assert set(states(running).values()) == {"up"}


async def test_people_notice_a_rolling_restart_by_nothing_but_where_they_are(
    running: RunningChat,
) -> None:
    alice = await connect(running, "connector-server-1")
    assert await alice.enter("alice", "attic") == {"users": ["alice"]}
    before = {id: running.pid(id) for id in running.ids("chat")}

    from twisted.internet.threads import deferToThread

    ran = await deferToThread(chatcore, running, "restart", "--type", "chat", "--json")

    assert ran.returncode == 0, ran.stdout
    assert [each["outcome"] for each in json.loads(ran.stdout)["servers"]] == ["restarted"] * 3
    after = {id: running.pid(id) for id in before}
    assert all(after[id] not in (None, pid) for id, pid in before.items())
    assert await alice.say("hello") == {}
    await alice.until("onChat", msg="hello")
    await alice.leave()


def test_a_node_that_hangs(running: RunningChat) -> None:
    running.stop("chat-server-3")
    try:
        assert states(running, 6)["chat-server-3"] == "silent"
        late = chatcore(running, "drain", "chat-server-3", "--timeout", "5")
        assert (late.returncode, late.stdout.split("\t")[1]) == (1, "failed")
        killed = chatcore(running, "kill", "chat-server-3")
        assert killed.returncode == 0, killed.stdout
    finally:
        running.thaw()
    assert chatcore(running, "restart", "chat-server-3").returncode == 0


def test_by_an_address_and_the_secret(running: RunningChat, tmp_path: Path) -> None:
    port = next(
        entry["port"] for entry in running.servers["chat"] if entry["id"] == "chat-server-1"
    )
    where = ("--at", f"127.0.0.1:{port}", "--secret-file", str(running.run_folder / "secret"))

    assert len(chatcore(running, "list", *where).stdout.splitlines()) == 7
    itself = chatcore(running, "restart", "chat-server-1", *where)
    assert itself.returncode == 0, itself.stdout + itself.stderr

    wrong = tmp_path / "secret"
    wrong.write_text("x" * 40)
    wrong.chmod(0o600)
    strange = chatcore(running, "list", *where[:2], "--secret-file", str(wrong))
    assert (strange.returncode, strange.stdout) == (3, "")
    assert "it does not know this cluster's secret" in strange.stderr


def test_who_reads_only_the_beginning(running: RunningChat) -> None:
    read, write = os.pipe()
    os.close(read)
    ran = chatcore(running, "list", stdout=write)
    os.close(write)
    assert (ran.returncode, ran.stderr) == (1, "")


def test_interrupting_ends_the_command_and_not_what_it_asked_for(running: RunningChat) -> None:
    running.stop("connector-server-3")
    asking = subprocess.Popen(
        [sys.executable, "-m", "chatcore", "drain", "connector-server-3", "--json"],
        cwd=running.app,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: "to drain connector-server-3" in running.output, "the order", PATIENCE)
    assert states(running, 6)["connector-server-3"] == "draining"
    asking.send_signal(signal.SIGINT)
    out, _ = asking.communicate(timeout=PATIENCE)
    assert (asking.returncode, json.loads(out)["error"]) == (130, "interrupted")

    running.thaw()
    wait_until(
        lambda: states(running)["connector-server-3"] == "stopped", "the drain to end", PATIENCE
    )
    assert chatcore(running, "restart", "connector-server-3").returncode == 0


def test_adding_and_following_servers_json(running: RunningChat) -> None:
    ran = chatcore(running, "add", "chat")
    assert ran.stdout.startswith("chat-server-4\tstarted\t"), ran.stdout + ran.stderr
    ran = chatcore(running, "add", "--type", "connector", "--count", "2", "--json")
    assert ran.returncode == 0, ran.stdout
    found = states(running)
    assert len(found) == 10 and set(found.values()) == {"up"}

    file = running.app / "config" / "servers.json"
    servers = json.loads(file.read_text())
    chats = servers["development"]["chat"]
    with free_ports(2) as ports:
        chats[0]["port"] = ports[0]
        chats[2] = {"id": "chat-server-9", "host": "127.0.0.1", "port": ports[1]}
    file.write_text(json.dumps(servers))
    said = chatcore(running, "reload", "--dry-run")
    assert sorted(line.split("\t")[:2] for line in said.stdout.splitlines()) == [
        ["chat-server-1", "changed"],
        ["chat-server-3", "gone"],
        ["chat-server-9", "new"],
    ]
    done = chatcore(running, "reload")
    assert done.returncode == 0, done.stdout
    assert sorted(line.split("\t")[:2] for line in done.stdout.splitlines()) == [
        ["chat-server-1", "restarted"],
        ["chat-server-3", "drained"],
        ["chat-server-9", "started"],
    ]
    found = states(running)
    assert "chat-server-3" not in found
    assert found["chat-server-9"] == found["chat-server-4"] == "up"
    for id in ("chat-server-4", "connector-server-4", "connector-server-5"):
        assert chatcore(running, "drain", id).returncode == 0


def test_a_server_that_is_told_of_no_registry_joins(running: RunningChat) -> None:
    """It is a member like all others, and nobody starts it again when it is drained."""
    with free_ports(1) as (port,):
        place = ("--type", "chat", "--id", "by-hand", "--port", str(port))
    log = running.run_folder / "by-hand.log"
    process = subprocess.Popen(
        twistd("-n", "chatnode", "--app", str(running.app), *place),
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: states(running).get("by-hand") == "up", "it", PATIENCE)
        url = f"master://127.0.0.1:{running.master_port}"
        assert "by-hand joins the cluster of 'chatcore start'" in (said := log.read_text())
        assert url in said
        assert chatcore(running, "drain", "by-hand").returncode == 0
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()


def test_there_is_one_master_of_an_application(running: RunningChat) -> None:
    ran = subprocess.run(
        twistd("-n", "chatmaster", "--app", str(running.app), "--port", "1"),
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ran.returncode == 2
    assert f"'chatcore start' (process {running.process.pid}) keeps a master" in ran.stderr


def test_the_page_about_it() -> None:
    """What it shows is what comes, but for numbers."""
    shown = "\n".join(blocks(ROOT / "docs" / "operating.md", "console"))
    commands = [part.split("\n", 1) for part in shown.split("$ chatcore ")[1:]]
    assert len(commands) == 9
    with short_folder() as folder:
        chat = RunningChat(Path(folder), SETTINGS)
        try:
            for words, expected in commands:
                if words == "reload --dry-run":
                    change_servers(chat)
                assert masked(on_terminal(chat, *words.split())) == masked(expected), words
        finally:
            chat.close()


def change_servers(chat: RunningChat) -> None:
    """What the page says that somebody has done to servers.json."""
    file = chat.app / "config" / "servers.json"
    servers = json.loads(file.read_text())
    chats = servers["development"]["chat"]
    with free_ports(2) as ports:
        chats[0]["port"] = ports[0]
        chats[2] = {"id": "chat-server-5", "host": "127.0.0.1", "port": ports[1]}
    file.write_text(json.dumps(servers))


def on_terminal(chat: RunningChat, *words: str) -> str:
    """What a person would see on the standard output.

    It is as wide that the same columns fit, however long a process's id is, or its time.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 104, 0, 0))
    # Not a terminal, so that no progress stands between.
    with subprocess.Popen(
        [sys.executable, "-m", "chatcore", *words],
        cwd=chat.app,
        env={**environment(), "TERM": "xterm", "COLUMNS": "104"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        out = b""
        with suppress(OSError):  # that is how a terminal ends
            while data := os.read(ours, 65536):
                out += data
        os.close(ours)
        assert process.wait(PATIENCE) == 0, out
    text = re.sub(r"\x1b\[[0-9;]*[mK]", "", out.decode())
    return text.replace(str(chat.app.resolve()), "/srv/chat")


def masked(text: str) -> list[str]:
    """The lines, without what differs each time, and without padding."""
    lines = [re.sub(r"\d+(\.\d+)*", "0", " ".join(line.split())) for line in text.splitlines()]
    return [line for line in lines if line]


def test_what_no_start_would_take(running: RunningChat) -> None:
    file = running.app / "config" / "servers.json"
    before, text, usual = running.pid("chat-server-1"), file.read_text(), states(running)
    try:
        file.write_text(text.replace('"chat"', '"chatt"'))
        for words in (("reload", "--dry-run"), ("reload",)):
            ran = chatcore(running, *words)
            assert (ran.returncode, "chatt" in ran.stderr) == (2, True), ran.stdout + ran.stderr
        assert running.pid("chat-server-1") == before
        running.kill("chat-server-2")
        assert chatcore(running, "restart", "chat-server-1").returncode == 0
        assert usual["chat-server-2"] == "up"
        wait_until(lambda: states(running) == usual, "all of them")
    finally:
        file.write_text(text)
    assert chatcore(running, "reload").returncode == 0


def test_ending_all_of_them(running: RunningChat) -> None:
    ran = chatcore(running, "drain", "--all")
    assert ran.returncode == 0, ran.stdout
    assert set(states(running).values()) == {"stopped"}
    assert chatcore(running, "restart", "--all").returncode == 0
    assert set(states(running).values()) == {"up"}
    running.halt()
    nobody = chatcore(running, "list", "--json")
    assert (nobody.returncode, json.loads(nobody.stdout)["exit"]) == (3, 3)
