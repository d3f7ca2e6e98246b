"""Looking into a cluster of real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from people import connect
from running import RunningChat, environment, short_folder
from twisted.internet.threads import deferToThread

PATIENCE = 120.0


@pytest.fixture(scope="module")
def running() -> Iterator[RunningChat]:
    with short_folder() as folder:
        chat = RunningChat(Path(folder))
        yield chat
        chat.close()


def inspect(chat: RunningChat, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "chatcore", "inspect", *words],
        cwd=chat.app,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def test_all_servers_tell(running: RunningChat) -> None:
    ran = inspect(running, "nodes", "--json", "--timeout", "60")

    assert (ran.returncode, ran.stderr) == (0, "")
    nodes = json.loads(ran.stdout)["nodes"]
    assert len(nodes) == 7
    for node in nodes:
        assert node["state"] == "up"
        assert node["pid"] == running.pid(node["id"])
        assert 0 < node["in_view"] <= node["uptime"]


def test_links_and_remotes_of_all(running: RunningChat) -> None:
    links = inspect(running, "links", "--timeout", "60")
    remotes = inspect(running, "remotes", "--timeout", "60")

    assert (links.returncode, links.stderr, remotes.stderr) == (0, "", "")
    assert [line.split("\t")[2] for line in links.stdout.splitlines()] == ["up"] * 21
    (add,) = remotes.stdout.splitlines()
    assert add.startswith("chat.chatRemote.add\tchat.chatRemote.add(uid: str, sid: str, rid: str)")


def test_one_that_hangs_is_silent_and_keeps_nobody_waiting(running: RunningChat) -> None:
    pid = running.pid("chat-server-3")
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        nodes = inspect(running, "nodes", "--json", "--timeout", "20")
    finally:
        os.kill(pid, signal.SIGCONT)

    assert nodes.returncode == 1, nodes.stderr
    told = {each["id"]: each["state"] for each in json.loads(nodes.stdout)["nodes"]}
    assert told.pop("chat-server-3") == "silent"
    assert set(told.values()) == {"up"}


async def test_a_message_is_followed_to_people_at_two_frontends(running: RunningChat) -> None:
    people = [await connect(running, f"connector-server-{number}") for number in (1, 2)]
    for person, name in zip(people, ("ann", "bob"), strict=True):
        await person.enter(name, "attic")
    looking = subprocess.Popen(
        [sys.executable, "-m", "chatcore", "inspect", "trace", "chat.chatHandler.send", "--json"],
        cwd=running.app,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert looking.stderr is not None
    said = await deferToThread(looking.stderr.readline)
    assert said == "chatcore: looking for messages of chat.chatHandler.send on 7 servers\n"

    await people[0].say("hi")
    out, _ = await deferToThread(looking.communicate, timeout=PATIENCE)

    (story,) = json.loads(out)["traces"]
    assert (story["outcome"], story["complete"]) == ("answered", True)
    told = {(member["uid"], member["frontend"], member["outcome"]) for member in story["members"]}
    assert told == {
        ("ann*attic", "connector-server-1", "written"),
        ("bob*attic", "connector-server-2", "written"),
    }
    for person in people:
        await person.leave()


async def test_why_bob_hears_nothing_since_his_frontend_was_killed(running: RunningChat) -> None:
    bob = await connect(running, "connector-server-3")
    await bob.enter("bob", "cellar")
    await deferToThread(running.kill, "connector-server-3")  # it is started again by itself
    said: dict[str, Any] = {}

    def asked() -> bool:
        said.update(json.loads(inspect(running, "why", "bob*cellar", "--json").stdout))
        return [each["what"] for each in said["events"]][-1:] == ["left"]

    for _ in range(60):
        if await deferToThread(asked):
            break

    assert said["sessions"] == []
    assert said["line"].startswith("bob*cellar is not connected; ")
    left = said["events"][-1]
    assert (left["node"][:11], left["about"]["peer"]) == ("chat-server", "connector-server-3")
    assert left["why"] in ("frontend restarted", "frontend left", "frontend lost")
    assert left["text"] == f"left cellar: {left['why']}"
    await bob.leave()
