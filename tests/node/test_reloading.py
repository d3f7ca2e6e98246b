"""Handlers and remotes that are loaded anew while their node runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from applications import Applications, refusal
from small_cluster import Cluster, until
from twisted.internet import reactor
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

APP = """
    from chatcore.interfaces import IRemote

    class Board:
        def __init__(self, app):
            self.app = app

        async def ask(self):
            from .servers.back.remotes import IBackRemote
            return await self.app.rpc.to("back-1")[IBackRemote].echo("board")

    def configure(app):
        app.load(Board)
"""

FRONT = """
    from zope.interface import implementer
    from chatcore.interfaces import IHandler, access
    from ...app import Board
    from ..back.remotes import IBackRemote
    from .remotes import IFrontRemote
    from .words import WORD

    class IFrontHandler(IHandler):
        async def login(msg, session): ""
        async def word(msg, session): ""
        async def back(msg, session): ""
        async def own(msg, session): ""
        async def board(msg, session): ""
        async def wait(msg, session): ""

    @implementer(IFrontHandler)
    class FrontHandler:
        def __init__(self, app):
            self.app, self.board_here = app, app.component(Board)

        async def login(self, msg, session):
            await session.bind(msg["uid"])
            self.app.channels.get("room", create=True).add(msg["uid"], session.frontend_id)

        def word(self, msg, session):
            return {"word": WORD, "uid": session.uid}

        async def back(self, msg, session):
            return {"said": await self.app.rpc.to("back-1")[IBackRemote].echo("from front")}

        async def own(self, msg, session):
            return {"said": await self.app.rpc.to("front-1")[IFrontRemote].name()}

        async def board(self, msg, session):
            return {"said": await self.board_here.ask()}

        async def wait(self, msg, session):
            from twisted.internet.defer import Deferred
            self.app.data["waiting"] = Deferred()
            await self.app.data["waiting"]
            from .late import LATE
            return {"word": WORD, "late": LATE}
"""

REMOTE = """
    from zope.interface import implementer
    from chatcore.interfaces import IRemote

    class I{who}Remote(IRemote):
        async def {method}: ""

    @implementer(I{who}Remote)
    class {who}Remote:
        def __init__(self, app):
            pass

        def {body}
"""

ECHO = REMOTE.format(
    who="Back", method="echo(value)", body='echo(self, value): return "one " + value'
)
NAME = REMOTE.format(who="Front", method="name()", body='name(self): return "front"')


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """What was logged."""
    texts: list[str] = []

    def note(event: LogEvent) -> None:
        texts.append(formatEvent(event))

    globalLogPublisher.addObserver(note)
    yield texts
    globalLogPublisher.removeObserver(note)


@pytest.fixture
def cluster(application: Applications) -> Cluster:
    return application(
        app=APP,
        servers={"front": ["front-1"], "back": ["back-1"]},
        settings={"node.reload_handlers": True, "node.reload_seconds": 0.01},
        servers__front__handlers=FRONT,
        servers__front__remotes=NAME,
        servers__front__words='WORD = "one"',
        servers__front__late="LATE = 1",
        servers__back__remotes=ECHO,
    )


def change(folder: Path, path: str, *pairs: tuple[str, str], text: str | None = None) -> None:
    """Change a file, all at once, in the second of its last change."""
    file = folder / "servers" / path
    changed = file.read_text() if text is None else dedent(text)
    for old, new in pairs:
        assert old in changed
        changed = changed.replace(old, new)
    second = file.stat().st_mtime_ns // 10**9 * 10**9
    new = folder / "changed"
    new.write_text(changed)
    os.utime(new, ns=(0, second + new.stat().st_mtime_ns % 10**9))
    new.replace(file)


async def said(logged: list[str], text: str) -> str:
    """What is logged with a text in it, now or since the last time."""
    await until(lambda: any(text in each for each in logged), text)
    found = next(each for each in logged if text in each)
    logged.clear()
    return found


def packages() -> set[str]:
    """The applications that are imported."""
    names = {name.partition(".")[0] for name in sys.modules}
    return {name for name in names if name.startswith("chatcore_application_")}


async def ask(client: Any, method: str) -> Any:
    return await client.request(f"front.frontHandler.{method}")


async def test_handlers(
    cluster: Cluster, folder: Path, logged: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of the same length within a second counts; what the node keeps is kept."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    await cluster.start()
    client = await cluster.client("front-1")
    await client.request("front.frontHandler.login", {"uid": "kim"})
    assert await ask(client, "word") == {"word": "one", "uid": "kim"}
    first = packages()
    for word in ("two", "six"):
        change(folder, "front/words.py", text=f'WORD = "{word}"')
        assert "front/words.py" in await said(logged, "Loaded anew")
        assert await ask(client, "word") == {"word": word, "uid": "kim"}
        assert await ask(client, "back") == {"said": "one from front"}
        assert await ask(client, "own") == {"said": "front"}
        assert await ask(client, "board") == {"said": "one board"}
    room = cluster.nodes["front-1"].application.channels.get("room")
    assert room is not None and list(room.uids()) == ["kim"]
    assert len(packages() - first) == 1


async def test_requests_under_way(cluster: Cluster, folder: Path, logged: list[str]) -> None:
    """They end as they began, whatever they still import."""
    await cluster.start()
    client = await cluster.client("front-1")
    data = cluster.nodes["front-1"].application.data
    first, answers, waiting = packages(), [], []
    for word in ("two", "six", "ten"):
        answers.append(client.request("front.frontHandler.wait"))
        await until(lambda: data.get("waiting"), "the handler")
        waiting.append(data.pop("waiting"))
        change(folder, "front/words.py", text=f'WORD = "{word}"')
        await said(logged, "Loaded anew")
    while waiting:
        waiting.pop(0).callback(None)
    assert [await each for each in answers] == [
        {"word": word, "late": 1} for word in ("one", "two", "six")
    ]
    change(folder, "front/words.py", text='WORD = "end"')
    await said(logged, "Loaded anew")
    assert (await ask(client, "word"))["word"] == "end"
    assert len(packages() - first) == 1


async def test_remotes(cluster: Cluster, folder: Path, logged: list[str]) -> None:
    await cluster.start()
    client = await cluster.client("front-1")
    assert await ask(client, "back") == {"said": "one from front"}
    change(folder, "back/remotes.py", ("one", "two"))
    await said(logged, "Loaded anew")
    assert await ask(client, "back") == {"said": "two from front"}
    assert await ask(client, "board") == {"said": "two board"}


@pytest.mark.parametrize(
    ("change_of", "problem"),
    [
        (("def word(self", "def word((self"), "handlers.py:26:"),
        (("app.component(Board)", "app.component(int)"), "handlers.py:20: FrontHandler(app): Look"),
        (("from .words", "exit()\nfrom .words"), "SystemExit"),
        (
            ("async def wait(msg, session)", "async def wait(msg)"),
            "handlers.py:15: IFrontHandler.wait takes 1 argument",
        ),
        (
            ("async def wait(msg, session)", "async def wait(msg, one)"),
            "the handler front.frontHandler.wait is declared differently",
        ),
        (
            ('async def wait(msg, session): ""', ""),
            "the handler front.frontHandler.wait is gone, and what there is was told",
        ),
        (
            (
                'async def wait(msg, session): ""',
                'async def wai(msg, session): ""\n    async def wait(msg, session): ""',
            ),
            "FrontHandler has no method wai,",
        ),
        (
            ("async def wait(msg", '@access("bound")\n    async def wait(msg'),
            "the handler front.frontHandler.wait is declared differently",
        ),
    ],
)
async def test_mistakes(
    cluster: Cluster,
    folder: Path,
    logged: list[str],
    change_of: tuple[str, str],
    problem: str,
) -> None:
    """What is wrong is told, and nothing changes until it is right."""
    await cluster.start()
    client = await cluster.client("front-1")
    before = packages()
    change(folder, "front/handlers.py", change_of)
    text = await said(logged, "stays in use")
    assert problem in text and "handlers.py:" in text
    assert packages() == before
    assert (await ask(client, "word"))["word"] == "one"
    change(folder, "front/handlers.py", ("WORD,", "WORD * 2,"), text=FRONT)
    await said(logged, "Loaded anew")
    assert (await ask(client, "word"))["word"] == "oneone"


async def test_methods_of_remotes_are_as_at_start(
    cluster: Cluster, folder: Path, logged: list[str]
) -> None:
    await cluster.start()
    client = await cluster.client("front-1")
    change(
        folder,
        "back/remotes.py",
        ("echo(value)", "echo(value, more=1)"),
        ("(self, value)", "(self, value, more=1)"),
        ("one", "two"),
    )
    text = await said(logged, "back.backRemote.echo is declared differently")
    assert "Start the servers anew" in text and "remotes.py:8" in text
    assert await ask(client, "back") == {"said": "one from front"}


@pytest.mark.parametrize("on", [False, True])
async def test_looks(application: Applications, on: bool) -> None:
    """Nobody looks at files unless it is asked for."""
    cluster = application(settings={"node.reload_handlers": on})
    await cluster.start()
    calls = reactor.getDelayedCalls()
    assert on is any("Watch._look" in str(call) for call in calls)


def test_that_somebody_looks(application: Applications) -> None:
    cluster = application(settings={"node.reload_seconds": 0, "node.reload_handlers": True})
    assert "Set node.reload_seconds to more than 0" in refusal(cluster)
