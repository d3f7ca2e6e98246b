"""What docs/inspector.md shows of clusters that are tapped and recorded is what comes out."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_twisted
from running import ROOT, short_folder
from small_cluster import until

from .clusters import AdministeredCluster, Terminal, chat_files, path_of
from .lasting import Lasting

TEXT = (ROOT / "docs" / "inspector.md").read_text()
CONSOLE = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)

SERVERS = {"front": ["front-1"], "chat": ["chat-1", "chat-2"]}


def block(command: str) -> str:
    """The block of the page that begins with a command."""
    (found,) = [each for each in CONSOLE.findall(TEXT) if f"inspect {command}" in each[:40]]
    return found


def same(text: str) -> str:
    """A text without what differs each time."""
    for what in (r"\d\d:\d\d:\d\d\.\d{3}", r"\d+\.\d ms", r"chat-[12]\b", r"(?<= )\d+ B"):
        text = re.sub(what, "…", text)
    return text


class Commands:
    """Gives the commands of a block, and keeps what they print.

    Args:
        folder: where captures are.
        cluster: the cluster that is meant unless another one is.
    """

    def __init__(self, folder: Path, cluster: AdministeredCluster) -> None:
        self._folder, self._cluster = folder, cluster
        self.printed: list[str] = []

    def begin(self, command: str, to: AdministeredCluster | None = None) -> Lasting:
        words = shlex.split(command)[1:]
        for place, word in enumerate(words):
            if word.endswith(".cap"):
                words[place] = str(self._folder / word)
            elif word == "changed":
                assert to is not None
                words[place] = path_of(to)
        if "--to" not in words and "show" not in words:
            words += ["--app", path_of(self._cluster)]
        self.printed.append(f"$ {command}")
        return Lasting(*words, out=Terminal())

    def took(self, command: Lasting) -> None:
        """What a command has printed."""
        self.printed += [line for line in command.notes if "tapping" in line or "recor" in line]
        self.printed += [re.sub(r"\x1b\[[0-9;]*[mK]", "", line) for line in command.lines]
        self.printed += [line for line in command.notes if line not in self.printed]

    @property
    def text(self) -> str:
        return "\n".join(self.printed) + "\n"


@pytest_twisted.async_yield_fixture
async def cluster(folder: Path) -> AsyncIterator[AdministeredCluster]:
    """A frontend and two backends that are not pinged meanwhile."""
    cluster = AdministeredCluster(
        folder,
        servers=SERVERS,
        files=chat_files(),
        settings={"links.ping_interval": 1000.0, "links.ping_timeout": 5000.0},
    )
    await cluster.start()
    yield cluster
    await cluster.close()


def given(text: str) -> list[str]:
    return [line[2:] for line in text.splitlines() if line.startswith("$ ")]


async def enter(cluster: AdministeredCluster, name: str) -> None:
    client = await cluster.client("front-1")
    await client.request("front.doorHandler.enter", {"name": name})


@pytest_twisted.ensureDeferred
async def test_what_tap_shows(cluster: AdministeredCluster, folder: Path) -> None:
    shown = block("tap")
    commands = Commands(folder, cluster)
    tap = commands.begin(*given(shown))
    await tap.has_said("tapping 3 nodes")
    await enter(cluster, "bob")
    await until(lambda: len(tap.lines) >= 4, "two messages")
    await tap.end()
    commands.took(tap)
    assert same(commands.text) == same(shown)


@pytest_twisted.ensureDeferred
async def test_what_record_show_and_replay_print(
    cluster: AdministeredCluster, folder: Path
) -> None:
    shown = block("record")
    record, show, replay = given(shown)
    commands = Commands(folder, cluster)
    recording = commands.begin(record)
    await recording.has_said("recording 3 nodes")
    for name in ("bob", "eve"):
        await enter(cluster, name)
    await recording.ended
    commands.took(recording)
    showing = commands.begin(show)
    await showing.ended
    commands.took(showing)
    changed = {
        path: text.replace("create=True).add(uid, sid)", "create=True).add(uid, sid) and 5 > 6")
        for path, text in chat_files().items()
    }
    with short_folder() as other:
        to = AdministeredCluster(Path(other), servers=SERVERS, files=changed)
        await to.start()
        replaying = commands.begin(replay, to)
        await replaying.ended
        commands.took(replaying)
        await to.close()
    assert same(commands.text) == same(shown)
