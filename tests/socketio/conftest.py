"""The story, told once for all tests here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from npm import missing_node
from page.webdriver import Driver, missing_tools
from pomelo.javascript_client import bundle
from running import EXAMPLE, RunningChat, short_folder
from serving import serving

from .people import everybody
from .stages import NodeStage, PageStage, RawStage, page_files
from .story import Member, Story

HERE = Path(__file__).parent

LIGHT = ("--disable-site-isolation-trials", "--disable-features=IsolateOrigins,site-per-process")
"""Or a browser has a process for each frame in which a script posts."""


def running_chat(folder: Path) -> RunningChat:
    """The example chat with a laboratory beside its handlers, on as few servers as will do."""
    source = folder / "source"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns(".chatcore", "*.pyc", "web"))
    shutil.copytree(HERE / "counterpart", source, dirs_exist_ok=True)

    def fewer(servers: dict[str, list[object]]) -> None:
        servers["connector"] = servers["connector"][:2]
        servers["chat"] = servers["chat"][:1]

    return RunningChat(folder, source=source, change=fewer)


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The story, when it has been told."""
    if missing := missing_node():
        pytest.skip(missing)
    files = tmp_path_factory.mktemp("people")
    (files / "bundle.js").write_text(bundle())
    with ExitStack() as stack:
        node = NodeStage(files / "bundle.js")
        stack.callback(node.close)
        raw = RawStage()
        stack.callback(raw.close)
        members = [
            Member(
                label="pomelo-websocket",
                name="websocket",
                about=None,
                stage=node,
                shown=["websocket"],
            ),
            Member(label="pomelo-tcp", name="tcp", about=None, stage=raw, shown=["tcp"]),
        ]
        for number, about in enumerate(everybody(page=False)):
            members.append(
                Member(
                    label=f"node-{about.label}",
                    name=f"张{number}",
                    about=about,
                    stage=node,
                    shown=about.shown,
                )
            )
        if missing_tools() is None:
            driver = Driver(files / "log")
            stack.callback(driver.close)
            address = stack.enter_context(serving(page_files()))
            page = PageStage(driver.browser(files / "profile", *LIGHT), f"{address}/page.html")
            for number, about in enumerate(everybody(page=True)):
                members.append(
                    Member(
                        label=f"page-{about.label}",
                        name=f"李{number}",
                        about=about,
                        stage=page,
                        shown=about.shown,
                    )
                )
        folder = stack.enter_context(short_folder())
        chat = running_chat(folder)
        stack.callback(chat.close)
        story = Story(chat, members)
        story.tell()
        yield story
