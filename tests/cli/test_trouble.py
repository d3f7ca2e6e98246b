"""Commands while what they ask, or what they act on, hangs or ends."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from running import free_ports
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from chatcore.cli.cluster import Cluster
from chatcore.cli.reaching import Reach
from chatcore.config.run_folder import RunFolder
from chatcore.errors import AdminError
from chatcore.node.administered import Process
from chatcore.node.ports import admin_place

from .clusters import AdministeredCluster, Standin, chat_files, chatcore, survey_of

Stand = Callable[..., Standin]


def never(id: str) -> Deferred[Any]:
    return Deferred()


class TestWhoIsAskedDies:
    async def test_somebody_else_is_asked(self, app: Path, standin: Stand) -> None:
        first = standin("chat-1", survey_of("chat-1", "chat-2"))
        standin("chat-2", survey_of("chat-1", "chat-2", asked="chat-2"))

        def die(id: str) -> Any:
            first.end()
            return Deferred()

        first.answers["status"] = die
        ran = await chatcore("list", "--app", str(app))
        assert {id: fields[1] for id, fields in ran.records.items()} == {
            "chat-1": "up", "chat-2": "up"
        }  # fmt: skip

    async def test_an_order_is_given_again_while_its_server_is_there(
        self, app: Path, standin: Stand
    ) -> None:
        first = standin("chat-1", survey_of("chat-1", "chat-2"))
        second = standin("chat-2", survey_of("chat-1", "chat-2", asked="chat-2"))

        def die(id: str) -> Any:
            first.end()
            return Deferred()

        first.answers["drain"] = die
        second.answers["drain"] = lambda id: {"ended": True}
        ran = await chatcore("drain", "chat-2", "--app", str(app))
        assert (ran.code, ran.records["chat-2"][0]) == (0, "drained"), ran.out
        assert second.asked == [("drain", "chat-2")]

    async def test_one_that_dies_while_it_drains_is_not_drained(
        self, app: Path, standin: Stand
    ) -> None:
        """Nor is it, when nobody is left who could tell."""
        it = standin("chat-1", survey_of("chat-1"))

        def die(id: str) -> Any:
            it.end()
            return Deferred()

        it.answers["drain"] = die
        ran = await chatcore("drain", "chat-1", "--app", str(app))
        assert (ran.code, ran.records["chat-1"][0]) == (1, "failed")
        assert "did not say that it had handed over all it had" in ran.out

    async def test_by_an_address_nobody_can_tell_what_became_of_it(
        self, app: Path, standin: Stand, run: RunFolder
    ) -> None:
        """The master dies, and the server drains on."""
        with free_ports(1) as (port,):
            pass
        it = standin("master", survey_of("chat-1"))
        listening = reactor.listenTCP(port, it.table.factory, interface="127.0.0.1")

        def die(id: str) -> Any:
            it.end()
            return maybeDeferred(listening.stopListening).addCallback(lambda _: Deferred())

        it.answers["drain"] = die
        secret = ("--secret-file", str(run.path / "secret"))
        ran = await chatcore("drain", "chat-1", "--at", f"127.0.0.1:{port}", *secret)
        assert (ran.code, ran.records["chat-1"][0]) == (3, "failed"), ran.out

    async def test_a_restart_ends_when_all_has_ended(self, app: Path, standin: Stand) -> None:
        it = standin("start", survey_of("chat-1", programs={"chat-1": "up"}, asked="master"))

        def die(id: str) -> Any:
            it.end()
            return Deferred()

        it.answers["restart"] = die
        ran = await chatcore("restart", "chat-1", "--app", str(app), "--timeout", "3600")
        assert (ran.code, ran.records["chat-1"][0]) == (3, "failed")
        assert "all has ended" in ran.out


class Hangs:
    """A ``chatcore start`` that takes connections and says nothing."""

    def __init__(self, run: RunFolder) -> None:
        self._claim = run.claim("start")
        self._port = admin_place(run, "start").listen(reactor, Factory.forProtocol(Protocol))

    async def end(self) -> None:
        await maybeDeferred(self._port.stopListening)
        if self._claim is not None:
            self._claim.release()


class OwnedCluster(AdministeredCluster):
    """Nodes that a ``chatcore start`` owns."""

    def surroundings(self, server_id: str) -> dict[str, Any]:
        given = super().surroundings(server_id)
        owner = UNIXClientEndpoint(reactor, str(self.run_folder.admin_socket("start")))
        process: Process = given["process"]
        return given | {
            "process": Process(place=process.place, kill=process.kill, supervisor=owner)
        }


@pytest_twisted.async_yield_fixture
async def owned(folder: Path) -> AsyncIterator[OwnedCluster]:
    cluster = OwnedCluster(folder, servers={"chat": ["chat-1", "chat-2"]}, files=chat_files())
    await cluster.start()
    yield cluster
    await cluster.close()


class TestItsStart:
    @pytest.mark.parametrize("trouble", ["hangs", "has been killed"])
    async def test_the_view_is_told_all_the_same(self, owned: OwnedCluster, trouble: str) -> None:
        start = Hangs(owned.run_folder) if trouble == "hangs" else None
        try:
            words = ("list", "--app", str(owned.folder), "--timeout", "4")
            ran = await chatcore(*words)
            told = (await chatcore(*words, "--json")).json
        finally:
            if start is not None:
                await start.end()
        assert ran.code == 0, ran.err
        assert {id: fields[1] for id, fields in ran.records.items()} == {
            "chat-1": "up", "chat-2": "up"
        }  # fmt: skip
        assert ran.err.startswith("chatcore: the 'chatcore start' that owns chat-1 can't be asked")
        assert told["supervised"] and "can't be asked" in told["trouble"]

    async def test_what_it_takes_it_for_says_so(self, owned: OwnedCluster) -> None:
        start = Hangs(owned.run_folder)
        try:
            ran = await chatcore(
                "drain", "chat-2", "--app", str(owned.folder), "--json", "--timeout", "3"
            )
        finally:
            await start.end()
        assert ran.code == 1
        (failed,) = ran.json["servers"]
        assert "can't be asked: it does not answer within" in failed["problem"]
        assert "'chatcore kill' ends servers without it" in failed["advice"]
        assert len(owned.nodes) == 2

    async def test_killing_works_without_it(
        self, owned: OwnedCluster, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[int] = []

        def kill(pid: int, number: int) -> None:
            sent.append(number)
            owned.end("chat-2")

        monkeypatch.setattr("chatcore.cli.cluster.os.kill", kill)
        start = Hangs(owned.run_folder)
        try:
            ran = await chatcore("kill", "chat-2", "--app", str(owned.folder), "--timeout", "4")
        finally:
            await start.end()
        assert (ran.code, ran.records["chat-2"][0]) == (0, "killed")
        assert sent == [signal.SIGKILL]
        assert "can't be asked" in ran.err


async def test_one_that_its_start_would_start_again_is_not_killed_behind_its_back(
    app: Path, standin: Stand, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where somebody answered who does not know of it, such as a master on its own."""
    monkeypatch.setattr("chatcore.cli.cluster.os.kill", lambda *_: pytest.fail("it was killed"))
    claims = [run.claim("start"), run.claim("chat-1")]
    it = standin("master", survey_of("chat-1"))
    ran = await chatcore("kill", "chat-1", "--app", str(app))
    for claim in claims:
        assert claim is not None
        claim.release()
    assert (ran.code, it.asked[-1]) == (0, ("kill", "chat-1"))


async def test_nobody_is_asked_for_the_page(app: Path, run: RunFolder) -> None:
    page = run.claim("page")
    try:
        reach = Reach(key=run.secret(), run=run, where="it", reactor=reactor)
        assert reach.doors() == []
        assert "nothing of" in (await chatcore("list", "--app", str(app))).err
    finally:
        assert page is not None
        page.release()


async def test_asking_ends_when_it_is_closed(app: Path, run: RunFolder, standin: Stand) -> None:
    it = standin("chat-1", survey_of("chat-1"))
    it.answers["status"] = never
    cluster = Cluster(Reach(key=run.secret(), run=run, where="it", reactor=reactor), seconds=3600)
    await cluster.survey()
    asking = Deferred.fromCoroutine(cluster.status("chat-1"))
    await cluster.close()
    with pytest.raises(AdminError):
        await asking
