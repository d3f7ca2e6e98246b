"""Listing and ending servers, without anybody who supervises them."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_cluster import until
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol

from chatcore.admin.outcomes import AWAY, LATE
from chatcore.cli.servers import FIELDS
from chatcore.config.run_folder import RunFolder
from chatcore.errors import AdminError

from .clusters import AdministeredCluster, chatcore, path_of, survey_of


class TestNodes:
    """Real nodes in this process, found by the run folder."""

    async def test_the_list_off_a_terminal(self, cluster: AdministeredCluster) -> None:
        client = await cluster.client("front-1")
        assert await client.request("front.doorHandler.enter", {"name": "ann"}) == {"new": True}

        ran = await chatcore("list", "--app", path_of(cluster))

        assert (ran.code, ran.err) == (0, "")
        assert list(ran.records) == ["chat-1", "chat-2", "front-1"]
        shown = {id: dict(zip(FIELDS[1:], each, strict=True)) for id, each in ran.records.items()}
        assert {each["state"] for each in shown.values()} == {"up"}
        assert {each["missing"] for each in shown.values()} == {"-"}
        assert [shown["front-1"][key] for key in ("clients", "sessions")] == ["1", "1"]
        assert sorted(shown[id]["channels"] for id in ("chat-1", "chat-2")) == ["0", "1"]
        assert shown["front-1"]["clientPort"] == str(cluster.servers.by_id("front-1").client_port)
        assert int(shown["chat-1"]["memory"]) > 2**20

    async def test_the_list_on_a_terminal(self, cluster: AdministeredCluster) -> None:
        ran = await chatcore("list", "--app", path_of(cluster), terminal=True)

        assert ran.lines[0].endswith("nothing supervises it")
        assert ran.lines[1].split()[:3] == ["server", "type", "state"]
        assert [line.split()[:3] for line in ran.lines[2:]] == [
            ["chat-1", "chat", "up"],
            ["chat-2", "chat", "up"],
            ["front-1", "front", "up"],
        ]

    async def test_the_list_as_json(self, cluster: AdministeredCluster) -> None:
        found = (await chatcore("--json", "list", "chat-2", "--app", path_of(cluster))).json

        assert (found["env"], found["epoch"], found["supervised"]) == ("development", 0, False)
        assert [each["id"] for each in found["servers"]] == ["chat-2"]
        assert list(found["servers"][0]) == list(FIELDS)

    @pytest.mark.parametrize("what", ["stop", "drain", "kill"])
    async def test_ending_one(
        self, cluster: AdministeredCluster, what: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A signal would end this whole process, where they all are.
        monkeypatch.setattr("chatcore.cli.cluster.os.kill", lambda *_: cluster.kill("chat-2"))
        words = {"stop": "stopped", "drain": "drained", "kill": "killed"}

        ran = await chatcore(what, "chat-2", "--app", path_of(cluster))

        assert ran.code == 0, ran.err
        assert ran.records["chat-2"][0] == words[what]
        assert sorted(cluster.nodes) == ["chat-1", "front-1"]
        assert cluster.killed == (["chat-2"] if what == "kill" else [])
        listed = await chatcore("list", "--app", path_of(cluster))
        assert [each[1] for each in listed.records.values()] == ["up", "down", "up"]

    async def test_ending_the_one_that_is_asked_and_all_others(
        self, cluster: AdministeredCluster
    ) -> None:
        ran = await chatcore("stop", "--all", "--app", path_of(cluster))

        assert ran.code == 0, ran.out
        assert next(iter(ran.records)) == "front-1"  # it needs the others to the last
        assert cluster.nodes == {}
        assert (await chatcore("list", "--app", path_of(cluster))).code == 3

    async def test_ending_those_of_a_type(self, cluster: AdministeredCluster) -> None:
        ran = await chatcore("stop", "--type", "chat", "--app", path_of(cluster))

        assert sorted(ran.records) == ["chat-1", "chat-2"]
        assert list(cluster.nodes) == ["front-1"]

    async def test_what_is_down_is_not_ended_again(self, cluster: AdministeredCluster) -> None:
        await cluster.stop("chat-1")

        ran = await chatcore("stop", "chat-1", "--app", path_of(cluster))

        assert (ran.code, ran.records["chat-1"][0]) == (0, "down")

    async def test_draining_sends_the_clients_on_first(self, cluster: AdministeredCluster) -> None:
        client = await cluster.client("front-1")
        kicks: list[object] = []
        client.on("onKick", kicks.append)

        ran = await chatcore("drain", "front-1", "--app", path_of(cluster))

        assert ran.code == 0, ran.out
        assert [kick["reason"] for kick in kicks] == ["moved"]

    async def test_restarting_takes_somebody_who_starts(self, cluster: AdministeredCluster) -> None:
        visit = await _order(cluster, "restart", "chat-1")
        assert "twistd chatnode --id chat-1" in str(visit)
        assert len(cluster.nodes) == 3


async def _order(cluster: AdministeredCluster, what: str, id: str) -> AdminError:
    from chatcore.cli.cluster import Cluster
    from chatcore.cli.reaching import Reach

    reach = Reach(
        key=cluster.run_folder.secret(), run=cluster.run_folder, where="x", reactor=reactor
    )
    asking = Cluster(reach, seconds=5)
    try:
        with pytest.raises(AdminError) as caught:
            await asking.order(what, id)  # type: ignore[arg-type]  # as a test says
        return caught.value
    finally:
        await asking.close()


class TestWho:
    """Which servers are meant, on stand-ins."""

    async def test_who_is_asked_is_there_though_no_view_has_it(self, app: Path, standin) -> None:
        standin("chat-1", survey_of())

        ran = await chatcore("list", "--app", str(app))

        assert (ran.code, list(ran.records)) == (0, ["chat-1"])

    async def test_an_id_that_does_not_exist(self, app: Path, standin) -> None:
        it = standin("chat-1", survey_of("chat-1", "chat-2", "front-1"))

        ran = await chatcore("stop", "chat-1", "chta-2", "--app", str(app))

        assert (ran.code, ran.out) == (4, "")
        assert "there is no server 'chta-2'; nothing was done. Did you mean 'chat-2'?" in ran.err
        assert it.asked == [("survey", "chat-1")]

    async def test_a_type_that_does_not_exist(self, app: Path, standin) -> None:
        standin("chat-1", survey_of("chat-1", "front-1"))

        ran = await chatcore("stop", "--type", "fornt", "--app", str(app))

        assert ran.code == 4
        assert "Did you mean 'front'?" in ran.err

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["stop"], "no servers given. Name them by"),
            (["stop", "chat-1", "--all"], "can't go together"),
            (["drain", "--all", "--type", "chat"], "can't go together"),
            (["list", "chat-1", "--type", "chat"], "can't go together"),
            (["list", "--at", "nowhere"], "is no address"),
            (["list", "--at", "host:70000"], "is no address"),
            (["list", "--timeout", "0"], "is no number of seconds"),
            (["list", "--timeout", "soon"], "is no number of seconds"),
            (["list", "--tipe", "chat"], "Did you mean --type?"),
            (["list", "--sec", "x"], "Did you mean --secret-file?"),
            (["lits"], "there is no command 'lits'. Did you mean 'list'?"),
            (["dr"], "Did you mean 'drain'?"),
            (["list", "--app"], "expected one argument"),
        ],
    )
    async def test_a_mistake(self, words: list[str], says: str) -> None:
        ran = await chatcore(*words)
        assert (ran.code, ran.out) == (2, "")
        assert says in ran.err

        told = (await chatcore("--json", *words)).json
        assert told["exit"] == 2
        assert says in f"{told['error']}. {told['advice']}"

    async def test_options_stand_anywhere(self, app: Path, standin) -> None:
        it = standin("chat-1", survey_of("chat-1", "chat-2", "front-1"))

        ran = await chatcore(
            *("--timeout", "7", "stop", "chat-1", "--json", "chat-2", "--app", str(app), "front-1")
        )

        assert ran.code == 0
        assert sorted(each["id"] for each in ran.json["servers"]) == ["chat-1", "chat-2", "front-1"]
        assert it.asked[1] == ("stop", "front-1")


class TestTrouble:
    async def test_nothing_runs(self, app: Path) -> None:
        ran = await chatcore("list", "--app", str(app))

        assert (ran.code, ran.out) == (3, "")
        assert ran.err.startswith(f"chatcore: nothing of {app} runs. 'chatcore start --app")
        assert "--env" in ran.err and "--at" in ran.err
        assert not (app / ".chatcore").exists()

    async def test_it_runs_with_a_secret_from_elsewhere(
        self, app: Path, standin, run: RunFolder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        standin("chat-1", survey_of("chat-1"))
        standin("chat-2", survey_of("chat-1"))
        elsewhere = run.path.parent / "cluster.secret"
        (run.path / "secret").rename(elsewhere)

        ran = await chatcore("list", "--app", str(app))
        assert (ran.code, ran.out) == (3, "")
        assert f"chat-1 and 1 more of {app} run, with a secret that is not in" in ran.err
        assert "chatcore start" not in ran.err

        monkeypatch.setenv("CHATCORE_SECRET_FILE", str(elsewhere))
        assert (await chatcore("list", "--app", str(app))).code == 0

    async def test_no_application(self, tmp_path: Path) -> None:
        assert (await chatcore("list", "--app", str(tmp_path))).code == 2

    async def test_another_secret(self, app: Path, standin) -> None:
        standin("chat-1", survey_of("chat-1"), secret=b"of another cluster" * 3)

        ran = await chatcore("list", "--app", str(app))

        assert ran.code == 3
        assert "chat-1: it does not know this cluster's secret" in ran.err

    async def test_an_address_and_nothing_that_has_the_secret(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        ran = await chatcore("list", "--at", "127.0.0.1:3005")
        assert ran.code == 2
        assert "there is no secret to show to 127.0.0.1:3005. Name its file with --sec" in ran.err

    async def test_a_port_that_speaks_something_else(self, run: RunFolder) -> None:
        class HangsUp(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.loseConnection()

        place = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        port = await place.listen(Factory.forProtocol(HangsUp))
        try:
            where = ("--at", f"127.0.0.1:{port.getHost().port}")
            ran = await chatcore("list", *where, "--secret-file", str(run.path / "secret"))
        finally:
            await port.stopListening()
        assert ran.code == 3
        assert "If that port speaks something else" in ran.err

    async def test_a_server_that_does_not_answer(self, app: Path, standin) -> None:
        it = standin("chat-1", survey_of("chat-1", "chat-2"))
        waiting: list[Deferred[None]] = []
        it.answers["status"] = lambda id: waiting.append(Deferred()) or waiting[-1]

        ran = await chatcore("list", "--timeout", "0.2", "--app", str(app))

        assert ran.code == 0
        assert [each[1] for each in ran.records.values()] == ["silent", "silent"]
        for each in waiting:
            each.callback({})

    async def test_one_fails_and_the_others_are_done(self, app: Path, standin) -> None:
        it = standin("chat-1", survey_of("chat-1", "chat-2"))
        hangs = AdminError("it hangs", code=LATE, advice="Kill it")
        it.answers["stop"] = lambda id: hangs if id == "chat-2" else {"ended": True}

        ran = await chatcore("stop", "--all", "--app", str(app))
        told = (await chatcore("stop", "--all", "--app", str(app), "--json")).json

        assert ran.code == 1
        assert ran.records["chat-1"][0] == "stopped"
        assert (ran.records["chat-2"][0], ran.records["chat-2"][2]) == ("failed", "it hangs")
        assert told["error"] == "chat-2: it hangs"
        assert told["exit"] == 1
        assert [each["advice"] for each in told["servers"] if each["problem"]] == ["Kill it"]

    async def test_one_that_can_not_be_reached_may_live(self, app: Path, standin) -> None:
        it = standin("chat-1", survey_of("chat-1", "chat-2"))
        survey = it.survey_value["view"]["members"][1]
        survey["host"] = "10.1.2.3"
        it.answers["stop"] = lambda id: AdminError("no link to it", code=AWAY)

        ran = await chatcore("stop", "chat-2", "--app", str(app))

        assert (ran.code, ran.records["chat-2"][0]) == (1, "failed")

    async def test_who_hangs_is_passed_over_for_who_answers(self, app: Path, standin, run) -> None:
        """The process with the first name takes connections and says nothing."""
        claim = run.claim("a-hanging-one")
        from twisted.internet.endpoints import UNIXServerEndpoint

        place = UNIXServerEndpoint(reactor, str(run.admin_socket("a-hanging-one")))
        port = await place.listen(Factory.forProtocol(Protocol))
        standin("chat-1", survey_of("chat-1"))

        ran = await chatcore("list", "--app", str(app))

        assert ran.code == 0
        assert list(ran.records) == ["chat-1"]
        await port.stopListening()
        claim.release()

    async def test_too_many_administrators(self, app: Path, standin, monkeypatch) -> None:
        monkeypatch.setattr("chatcore.admin.desk.MOST_LINKS", 0)
        it = standin("chat-1", survey_of("chat-1"))

        ran = await chatcore("list", "--app", str(app), "--timeout", "0.5")
        assert ran.code == 3
        assert "administrators are linked to this process already" in ran.err
        assert it.counters.administrators_refused > 0

        # As soon as one of them has gone, it is the turn of the next.
        waiting = Deferred.fromCoroutine(chatcore("list", "--app", str(app)))
        before = it.counters.administrators_refused
        await until(lambda: it.counters.administrators_refused > before, "its being refused")
        monkeypatch.setattr("chatcore.admin.desk.MOST_LINKS", 1)
        assert (await waiting).code == 0


class TestAddresses:
    async def test_any_server_does(self, folder: Path) -> None:
        cluster = await _listening(folder)
        secret = str(cluster.run_folder.path / "secret")
        port = cluster.servers.by_id("chat-2").port
        try:
            ran = await chatcore("list", "--at", f"127.0.0.1:{port}", "--secret-file", secret)
            assert list(ran.records) == ["chat-1", "chat-2"]
            assert [each[1] for each in ran.records.values()] == ["up", "up"]

            ran = await chatcore(
                *("stop", "chat-2", "--secret-file", secret),
                *("--at", "127.0.0.1:1", "--at", f"127.0.0.1:{port}"),
            )
            assert (ran.code, ran.records["chat-2"][0]) == (0, "stopped")
            assert list(cluster.nodes) == ["chat-1"]
        finally:
            await cluster.close()

    async def test_nobody_there(self, run) -> None:
        secret = str(run.path / "secret")
        ran = await chatcore("list", "--at", "127.0.0.1:1", "--secret-file", secret)
        assert ran.code == 3
        assert "127.0.0.1:1: it can't be reached: Connection refused" in ran.err

    async def test_no_secret(self, app: Path) -> None:
        ran = await chatcore("list", "--at", "127.0.0.1:1", "--app", str(app))
        assert ran.code == 2
        assert "--secret-file" in ran.err

    async def test_a_secret_that_is_not_there(self, app: Path) -> None:
        ran = await chatcore("list", "--at", "127.0.0.1:1", "--secret-file", str(app / "none"))
        assert ran.code == 2
        assert "there is no such file" in ran.err

    async def test_something_else_listens_there(self, run) -> None:
        class Talker(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"220 mail.example.org\r\n")

        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            Factory.forProtocol(Talker)
        )
        try:
            ran = await chatcore(
                *("list", "--at", f"127.0.0.1:{port.getHost().port}"),
                *("--secret-file", str(run.path / "secret")),
            )
        finally:
            await port.stopListening()
        assert ran.code == 3


async def _listening(folder: Path) -> AdministeredCluster:
    from running import free_ports

    from .clusters import chat_files

    with free_ports(2) as ports:
        keys = {f"chat-{place + 1}": {"port": port} for place, port in enumerate(ports)}
    cluster = AdministeredCluster(
        folder, servers={"chat": ["chat-1", "chat-2"]}, files=chat_files(), keys=keys
    )
    await cluster.start()
    return cluster
