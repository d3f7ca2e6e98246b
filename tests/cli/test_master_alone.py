"""Administering a cluster whose master supervises nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_twisted
from running import free_ports
from small_cluster import until
from twisted.internet import reactor

from chatcore.admin.desk import Desk
from chatcore.cluster.master_registry import master_server
from chatcore.cluster.settings import RegistrySettings
from chatcore.config.run_folder import RunFolder
from chatcore.config.tokens import Token
from chatcore.links.settings import LinkSettings
from chatcore.master.alone import Alone
from chatcore.master.service import make_master
from chatcore.telemetry import Counters

from .clusters import AdministeredCluster, Ran, chat_files, chatcore


class Scene:
    """A master, and three nodes that have announced themselves to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with free_ports(1) as (self.port,):
            url = f"master://127.0.0.1:{self.port}"
        self.cluster = AdministeredCluster(
            folder,
            servers={"front": ["front-1"], "chat": ["chat-1", "chat-2"]},
            files=chat_files(),
            settings={"drain.grace_seconds": 0.0, "drain.interval_seconds": 0.01},
            registry=url,
        )
        run = RunFolder.open(folder)
        self.secret = str(run.path / "secret")
        host = Alone({"app": str(folder), "env": "development"})
        self.master = make_master(
            master_server("127.0.0.1", self.port),
            registry=RegistrySettings(),
            links=LinkSettings(),
            learning=False,
            guests=[Desk(host=host, counters=Counters(), clock=reactor)],  # type: ignore[arg-type]
            name="master",
            run_folder=run,
            reactor=reactor,
        )
        host.serve(self.master.nodes)
        self.claim = run.claim("master")

    async def start(self) -> None:
        self.master.startService()
        await self.cluster.start()
        await until(lambda: self.up() == 3, "all to be up")

    def up(self) -> int:
        return sum(member.state == "up" for member in self.master.nodes.view.members)

    async def chatcore(self, *words: str) -> Ran:
        where = ("--at", f"127.0.0.1:{self.port}", "--secret-file", self.secret)
        return await chatcore(*words, *where)

    async def close(self) -> None:
        await self.cluster.close()
        await self.master.stopService()
        assert self.claim is not None
        self.claim.release()


@pytest_twisted.async_yield_fixture
async def scene(folder: Path) -> AsyncIterator[Scene]:
    scene = Scene(folder)
    await scene.start()
    yield scene
    await scene.close()


async def test_it_passes_on_what_it_is_asked(scene: Scene) -> None:
    listed = await scene.chatcore("list")
    assert {id: fields[1] for id, fields in listed.records.items()} == {
        "chat-1": "up", "chat-2": "up", "front-1": "up"
    }  # fmt: skip
    assert int(listed.records["chat-1"][2]) > 0

    assert (await scene.chatcore("drain", "chat-1")).code == 0
    assert (await scene.chatcore("stop", "front-1")).code == 0
    assert sorted(scene.cluster.nodes) == ["chat-2"]
    assert list((await scene.chatcore("list")).records) == ["chat-2"]


async def test_it_starts_nothing(scene: Scene) -> None:
    for words in (["restart", "chat-1"], ["add", "chat"], ["reload"]):
        ran = await scene.chatcore(*words, "--json")
        assert ran.code == 2, ran.out
        assert "no 'chatcore start' owns" in ran.out or "starts nothing" in ran.out
    assert len(scene.cluster.nodes) == 3


async def test_a_viewer_has_the_master_look_and_do_nothing(scene: Scene) -> None:
    token = Token.make(Path(scene.secret).read_bytes().strip(), "viewer", "ann", 2**33)
    scene.secret = str(scene.folder / "token")
    Path(scene.secret).write_text(token.text())
    Path(scene.secret).chmod(0o600)
    assert len((await scene.chatcore("list")).records) == 3
    for words in (["stop", "chat-1"], ["kill", "chat-1"], ["add", "chat"], ["reload"]):
        assert (await scene.chatcore(*words)).code == 5
    assert len(scene.cluster.nodes) == 3


@pytest.mark.parametrize("words", [["stop", "chat-3"], ["list", "chat-3"]])
async def test_there_is_no_such_server(scene: Scene, words: list[str]) -> None:
    assert (await scene.chatcore(*words)).code == 4


async def test_it_is_found_by_the_run_folder(scene: Scene) -> None:
    told = (await chatcore("list", "--app", str(scene.folder), "--json")).json
    assert (told["supervised"], len(told["servers"])) == (False, 3)
