"""What holds for every example."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from running import ROOT

from chatcore.config.servers import load_servers
from chatcore.node import verify

from .staging import EXAMPLES, blocks

FOLDERS = sorted(file.parent.parent for file in EXAMPLES.glob("*/config/servers.json"))
NEW = [folder for folder in FOLDERS if folder.name != "chat"]
ALL = sorted(folder for folder in EXAMPLES.iterdir() if folder.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_it_is_an_application_without_a_mistake(folder: Path) -> None:
    assert verify(folder, load_servers(folder, "development"), [])


@pytest.mark.parametrize("folder", NEW, ids=lambda folder: folder.name)
def test_its_readme_is_short_and_begins_with_how_to_start_it(folder: Path) -> None:
    lines = (folder / "README.md").read_text().splitlines()
    assert len(lines) <= 20
    assert lines[lines.index("```") + 1] == f"chatcore start --app examples/{folder.name}"


def test_all_of_them_can_run_at_once() -> None:
    ports: Counter[int] = Counter()
    for folder in FOLDERS:
        servers = json.loads((folder / "config" / "servers.json").read_text())["development"]
        for entry in (each for entries in servers.values() for each in entries):
            ports.update(entry[key] for key in ("port", "clientPort") if key in entry)
    assert [port for port, count in ports.items() if count > 1] == []


def test_the_readme_of_the_project_names_them_all() -> None:
    readme = (ROOT / "README.md").read_text()
    for folder in ALL:
        assert f"](examples/{folder.name})" in readme


def test_that_of_socketio_is_a_page_for_the_chat() -> None:
    readme = EXAMPLES / "socketio" / "README.md"
    assert len(readme.read_text().splitlines()) <= 20
    (shown,) = blocks(readme)
    assert "chatcore start --app examples/chat\n" in shown
