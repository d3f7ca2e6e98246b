"""What docs/inspector.md shows of a running cluster is what comes out."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_twisted
from running import EXAMPLE, ROOT
from small_cluster import until

from chatcore.cli.inspect.channels import STATES as OF_CHANNELS
from chatcore.cli.inspect.links import STATES as OF_LINKS

from .clusters import AdministeredCluster, chatcore, path_of

TEXT = (ROOT / "docs" / "inspector.md").read_text()
CONSOLE = re.compile(r"(?<=```console\n)(.*?)(?=```)", re.DOTALL)
KINDS = "nodes|links|remotes|handlers|sessions|session|channels|channel"
BLOCKS = [each for each in CONSOLE.findall(TEXT) if re.match(rf".* inspect ({KINDS})\b", each)]

VARYING = (
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ",
    r"127\.0\.0\.1:\d+",
    r"\d+ s\b",
    r"\d+\.\d( / \d+\.\d)?",
    r"\b\d+ (B|KiB)( / \d+ (B|KiB))?",
    r" / ",
)
"""What differs each time."""


@pytest_twisted.async_yield_fixture
async def chat(folder: Path) -> AsyncIterator[AdministeredCluster]:
    """The example chat, in which three people are in two rooms."""
    code = (path for path in EXAMPLE.rglob("*.py") if ".chatcore" not in path.parts)
    cluster = AdministeredCluster(
        folder,
        servers={
            "connector": ["connector-server-1", "connector-server-2"],
            "chat": ["chat-server-1", "chat-server-2"],
        },
        frontends=("connector",),
        files={str(path.relative_to(EXAMPLE)): path.read_text() for path in code},
    )
    await cluster.start()
    for number, name, room in ((1, "ann", "attic"), (2, "bob", "attic"), (2, "cleo", "cellar")):
        client = await cluster.client(f"connector-server-{number}")
        await client.request("connector.entryHandler.enter", {"username": name, "rid": room})
    yield cluster
    await cluster.close()


def same(text: str) -> list[str]:
    """The words of each line without what differs each time, as wide as that may be."""
    for what in VARYING:
        text = re.sub(what, "…", text)
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
async def test_what_is_shown(
    block: str, chat: AdministeredCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "104")
    command, shown = block.split("\n", 1)
    words = shlex.split(command.removeprefix("$ chatcore "))
    if "does not tell" in shown:
        await chat.end("chat-server-2")
        tables = [node.links for node in chat.nodes.values()]
        await until(lambda: not any(each.get("chat-server-2") for each in tables), "the losses")
        links = chat.nodes["chat-server-1"].links
        await until(lambda: links.trouble("chat-server-2") is not None, "another attempt")

    ran = await chatcore(*words, "--app", path_of(chat), terminal=True)

    told = ran.err + "".join(f"{line.rstrip()}\n" for line in ran.lines)
    assert same(told) == same(shown), told


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 8


@pytest.mark.parametrize("states", [OF_LINKS, OF_CHANNELS], ids=["links", "channels"])
def test_its_tables_are_complete(states: Mapping[str, str]) -> None:
    for state, meaning in states.items():
        assert f"| `{state}` | {meaning} |\n" in TEXT
