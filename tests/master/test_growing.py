"""Servers added to a running ``chatcore start``, and a servers.json that changes."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chatcore.admin.outcomes import MISTAKE, REFUSED
from chatcore.config.applied import SERVERS_VARIABLE, servers_of_process
from chatcore.config.entries import Server, entry_of, read_entry
from chatcore.config.placing import ENTRY_VARIABLE, described, described_by_environment
from chatcore.config.positions import Document
from chatcore.config.run_folder import RunFolder
from chatcore.config.servers import Servers, load_servers
from chatcore.config.tls_files import TlsFiles
from chatcore.errors import AdminError, ConfigError
from chatcore.master import growing as module
from chatcore.master.additions import MOST, made
from chatcore.master.growing import Changes, Growing
from chatcore.master.plan import Plan, Recipe

CHATS = [Server(id=f"chat-{n}", type="chat", port=6049 + n) for n in (1, 2, 9)]
FRONT = Server(
    id="door",
    type="front",
    client_port=3010,
    frontend=True,
    max_connections=500,
    weight=3,
    tls=TlsFiles(certificate=Path("a.pem"), key=Path("a.key")),
    data={"level": 2},
)


def new(server_type: str, *, count: int = 1, taken: tuple[int, ...] = (), **given: str) -> Any:
    def trouble(host: str, port: int) -> OSError | None:
        if host != "127.0.0.1":
            return OSError(errno.EADDRNOTAVAIL, "not here")
        return OSError(errno.EADDRINUSE, "in use") if port in taken else None

    return made(
        server_type,
        given,
        count=count,
        listed=[*CHATS, FRONT],
        others=[],
        ids=[server.id for server in (*CHATS, FRONT)],
        trouble=trouble,
    )


class TestAdditions:
    def test_one_more_like_the_last_one(self) -> None:
        (server,) = new("chat")
        assert (server.id, server.type, server.port) == ("chat-10", "chat", 6059)

        (server,) = new("front")
        assert (server.id, server.client_port, server.port) == ("front-server-1", 3011, None)
        assert (server.max_connections, server.weight, server.data) == (500, 3, {"level": 2})
        assert (server.tls, server.frontend) == (FRONT.tls, True)

    def test_several(self) -> None:
        servers = new("chat", count=3, taken=(6060,))
        assert [(each.id, each.port) for each in servers] == [
            ("chat-10", 6059), ("chat-11", 6061), ("chat-12", 6062)
        ]  # fmt: skip

    def test_what_is_given_counts(self) -> None:
        (server,) = new("chat", id="big", port="7000", weight="5")
        assert (server.id, server.port, server.weight) == ("big", 7000, 5)

    def test_counted_as_in_servers_json(self) -> None:
        servers = new("chat", clusterCount="2", port="7000++")
        assert [(each.id, each.port) for each in servers] == [
            ("cluster-server-chat-0", 7000), ("cluster-server-chat-1", 7001)
        ]  # fmt: skip

    def test_the_first_of_a_type(self) -> None:
        (backend,) = new("game")
        assert (backend.id, backend.port, backend.frontend) == ("game-server-1", None, False)
        (frontend,) = new("gate")
        assert (frontend.client_port, frontend.frontend) == (3011, True)

    @pytest.mark.parametrize(
        ("given", "says"),
        [
            ({"prot": "1"}, "unknown key 'prot'. Did you mean 'port'?"),
            ({"port": "soon"}, "'port' is \"soon\""),
            ({"port": "1++"}, "'++' needs a clusterCount"),
            ({"id": "-"}, "'id' is"),
            ({"id": "admin-1"}, "taken by chatcore itself"),
            ({"id": "x", "count": 2}, "can't share an id"),
            ({"count": 0}, "0 servers at once"),
            ({"count": MOST + 1}, "servers at once"),
            ({"clusterCount": "many"}, "is no number"),
            ({"clusterCount": "9" * 5000}, "is no number"),
            ({"host": "10.1.2.3"}, "10.1.2.3:6059 can't be listened on: not here"),
            ({"taken": tuple(range(6059, 7060))}, "no port is free"),
        ],
    )
    def test_what_makes_no_sense(self, given: dict[str, Any], says: str) -> None:
        with pytest.raises(ConfigError) as caught:
            new("chat", **given)
        assert says in str(caught.value)


@pytest.mark.parametrize("server", [*CHATS, FRONT])
def test_an_entry_comes_back_as_the_same_server(server: Server) -> None:
    entry = entry_of(server)
    (again,) = read_entry(Document(Path("x"), entry, "", {}), (), server.type, entry, 0)
    assert entry_of(again) == entry
    assert described(server.type, entry).id == server.id


def test_what_the_environment_describes() -> None:
    said = {ENTRY_VARIABLE: json.dumps(entry_of(FRONT))}
    found = described_by_environment("door", "front", said)
    assert found is not None and found.max_connections == 500
    assert described_by_environment("other", "front", said) is None
    assert described_by_environment("door", "front", {}) is None
    with pytest.raises(ConfigError, match=ENTRY_VARIABLE):
        described_by_environment("door", "front", {ENTRY_VARIABLE: "{"})


class Scene:
    """A ``chatcore start`` of two chats and a gate; all of them are up."""

    def __init__(self, folder: Path, supervise: Callable[..., Any], fixed: bool) -> None:
        self.app = folder / "app"
        (self.app / "servers" / "game").mkdir(parents=True)
        self.entries: dict[str, list[dict[str, Any]]] = {
            "chat": [{"id": "chat-1", "port": 6050}, {"id": "chat-2", "port": 6051}],
            "gate": [{"id": "gate-1", "clientPort": 3014}],
        }
        self.write()
        servers = load_servers(self.app, "development")
        recipe = Recipe(
            servers=servers,
            common=("--app", str(self.app)),
            registry=None,
            assignments=(),
            fixed=fixed,
            applied=folder / "applied.json",
            read=self.read,
        )
        run = RunFolder(folder / "run")
        plan = Plan(
            app=self.app, env="development", run=run, programs=(), needs=(), ready="", recipe=recipe
        )
        self.stage = supervise()
        for server in servers:
            self.stage.supervisor.add(recipe.program(server)).start()
        self.stage.all_ready()
        self.growing = Growing(plan, self.stage.supervisor)

    def write(self) -> None:
        (self.app / "servers.json").write_text(json.dumps({"development": self.entries}))

    def read(self) -> Servers:
        """What a start does, as far as it matters here."""
        servers = load_servers(self.app, "development")
        if "chatt" in servers.types:
            raise ConfigError("no folder servers/chatt", advice="Did you mean 'chat'?")
        return servers

    def keeper(self, id: str) -> Any:
        return self.stage.supervisor.keepers[id]

    def process(self, id: str) -> Any:
        found = [each for each in self.stage.reactor.processes if id in each.arguments]
        return found[-1]

    def end(self, id: str) -> None:
        self.keeper(id).retire()
        self.process(id).end(0)

    def problem(self, *args: Any) -> AdminError:
        with pytest.raises(AdminError) as caught:
            self.growing.add(*args)
        return caught.value


@pytest.fixture
def scene(tmp_path: Path, supervise: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(module, "trouble_with", lambda host, port: None)
    return Scene(tmp_path, supervise, False)


class TestAdding:
    def test_new_ones_are_taken_in_and_not_started(self, scene: Scene) -> None:
        assert scene.growing.add("chat", {}, 2, ["chat-3"]) == ["chat-4", "chat-5"]
        keeper = scene.keeper("chat-4")
        assert (keeper.condition, keeper.vital) == ("stopped", False)
        entry = json.loads(dict(keeper.program.environment)[ENTRY_VARIABLE])
        assert (entry["id"], entry["port"]) == ("chat-4", 6052)
        assert "chat-4" in keeper.program.command

    @pytest.mark.parametrize(
        ("asked", "says"),
        [
            (("caht", {}, 1, []), "no server type 'caht'"),
            (("chat", {"id": "chat-2"}, 1, []), "there is a server 'chat-2' already"),
            (("chat", {"id": "far-1"}, 1, ["far-1"]), "there is a server 'far-1' already"),
            (("chat", {"port": "7000"}, 2, []), "two servers can't share port 7000"),
        ],
    )
    def test_what_can_not_be_had(self, scene: Scene, asked: Any, says: str) -> None:
        problem = scene.problem(*asked)
        assert (problem.code, says in problem.problem) == (MISTAKE, True), problem.problem
        assert len(scene.stage.supervisor.keepers) == 3

    def test_a_type_that_has_a_folder_and_no_servers(self, scene: Scene) -> None:
        assert scene.growing.add("game", {}, 1, []) == ["game-server-1"]

    def test_an_address_that_is_taken(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            module, "trouble_with", lambda host, port: OSError(errno.EADDRINUSE, "in use")
        )
        assert "127.0.0.1:7000 can't be listened on" in scene.problem(
            "chat", {"port": "7000"}, 1, []
        ).problem  # fmt: skip

    def test_there_is_an_end_to_it(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "MOST_SERVERS", 4)
        scene.growing.add("chat", {}, 1, [])
        assert "has 4 servers at most" in scene.problem("chat", {}, 1, []).problem

    def test_nobody_would_hear_of_them(self, tmp_path: Path, supervise: Callable[..., Any]) -> None:
        scene = Scene(tmp_path, supervise, True)
        assert scene.problem("chat", {}, 1, []).code == REFUSED
        assert scene.growing.compare(apply=True) == Changes()
        scene.entries["chat"].pop()
        scene.write()
        with pytest.raises(AdminError, match="static:"):
            scene.growing.compare(apply=False)

    def test_one_that_never_ran_is_forgotten(self, scene: Scene) -> None:
        scene.growing.add("chat", {}, 1, [])
        keeper = scene.keeper("chat-3")
        assert not scene.growing.is_to_go(keeper)
        keeper.start()
        scene.process("chat-3").end(2)
        assert scene.growing.is_to_go(keeper)
        scene.growing.forget(keeper)
        assert "chat-3" not in scene.stage.supervisor.keepers


class TestComparing:
    def test_nothing_has_changed(self, scene: Scene) -> None:
        scene.growing.add("chat", {}, 1, [])
        assert scene.growing.compare(apply=True) == Changes()

    def test_what_is_new_gone_and_changed(self, scene: Scene) -> None:
        scene.entries["chat"] = [{"id": "chat-1", "port": 6099}, {"id": "chat-7", "port": 6098}]
        scene.entries["gate"][0] |= {"max-connections": 5, "data": {"a": 1}}
        scene.write()

        changes = scene.growing.compare(apply=False)
        assert changes == Changes(
            new=["chat-7"],
            gone=["chat-2"],
            changed={
                "chat-1": "port: 6050 -> 6099",
                "gate-1": "data (a), max-connections: none -> 5",  # no value: it may be secret
            },
        )
        assert "chat-7" not in scene.stage.supervisor.keepers
        assert scene.keeper("chat-1").program.server.port == 6050

        assert scene.growing.compare(apply=True) == changes
        assert scene.keeper("chat-7").condition == "stopped"
        assert scene.keeper("chat-1").program.server.port == 6099
        assert scene.growing.compare(apply=True) == changes  # nothing of it is done yet

    def test_what_has_been_done_is_done(self, scene: Scene) -> None:
        scene.entries["chat"] = [{"id": "chat-1", "port": 6099}, {"id": "chat-7", "port": 6098}]
        scene.write()
        scene.growing.compare(apply=True)

        scene.keeper("chat-7").start()
        scene.end("chat-2")
        assert scene.growing.is_to_go(scene.keeper("chat-2"))
        scene.growing.forget(scene.keeper("chat-2"))
        scene.end("chat-1")
        assert not scene.growing.is_to_go(scene.keeper("chat-1"))
        scene.keeper("chat-1").start()

        assert scene.growing.compare(apply=True) == Changes()
        assert list(scene.stage.supervisor.keepers) == ["chat-1", "gate-1", "chat-7"]

    def test_what_was_stopped_stays_down_and_begins_as_it_is_to(self, scene: Scene) -> None:
        scene.end("chat-1")
        scene.entries["chat"][0]["port"] = 6099
        scene.write()
        assert scene.growing.compare(apply=True) == Changes()
        assert scene.keeper("chat-1").condition == "stopped"
        assert scene.keeper("chat-1").program.server.port == 6099

    def test_one_that_could_not_run_is_tried_again(self, scene: Scene) -> None:
        """What was wrong may have been put right, there or elsewhere."""
        scene.entries["chat"].append({"id": "chat-7", "port": 6098})
        scene.write()
        scene.growing.compare(apply=True)
        scene.keeper("chat-7").start()
        scene.process("chat-7").end(2)
        assert scene.keeper("chat-7").condition == "refused"

        assert scene.growing.compare(apply=True) == Changes(new=["chat-7"])
        scene.keeper("chat-7").retire()  # somebody stops it
        assert scene.keeper("chat-7").condition == "stopped"
        assert scene.growing.compare(apply=True) == Changes()

    def test_an_address_that_another_one_has_yet_to_leave(self, scene: Scene) -> None:
        one, two = scene.entries["chat"]
        one["port"], two["port"] = two["port"], one["port"]
        scene.entries["chat"].append({"id": "chat-3", "port": 6060})
        scene.write()
        changes = scene.growing.compare(apply=False)
        assert changes.blocked == ["chat-1", "chat-2"]

    def test_one_that_was_added_and_is_written_down_then(self, scene: Scene) -> None:
        scene.growing.add("chat", {}, 1, [])
        scene.keeper("chat-3").start()
        scene.entries["chat"].append({"id": "chat-3", "port": 6052})
        scene.write()
        assert scene.growing.compare(apply=True) == Changes()
        scene.entries["chat"].pop()
        scene.write()
        assert scene.growing.compare(apply=True).gone == ["chat-3"]

    def test_one_that_went_and_comes_back_before_it_has_gone(self, scene: Scene) -> None:
        gone = scene.entries["chat"].pop()
        scene.write()
        scene.growing.compare(apply=True)
        scene.entries["chat"].append(gone)
        scene.write()
        assert scene.growing.compare(apply=True) == Changes()
        scene.end("chat-2")
        assert not scene.growing.is_to_go(scene.keeper("chat-2"))

    def test_a_mistake_changes_nothing(self, scene: Scene) -> None:
        scene.entries["chat"][0]["prot"] = 1
        scene.write()
        with pytest.raises(AdminError) as caught:
            scene.growing.compare(apply=True)
        assert caught.value.code == MISTAKE
        assert "servers.json:1:" in caught.value.problem
        assert "Did you mean 'port'?" in str(caught.value.advice)

    @pytest.mark.parametrize("apply", [False, True])
    def test_what_no_start_would_take_changes_nothing(self, scene: Scene, apply: bool) -> None:
        scene.entries["chatt"] = scene.entries.pop("chat")
        scene.write()
        with pytest.raises(AdminError) as caught:
            scene.growing.compare(apply=apply)
        assert (caught.value.code, caught.value.advice) == (MISTAKE, "Did you mean 'chat'?")
        assert scene.keeper("chat-1").program.server.type == "chat"
        assert not (scene.app.parent / "applied.json").exists()

    def test_what_starts_again_goes_by_what_was_applied(self, scene: Scene) -> None:
        def port() -> int | None:
            variables = dict(scene.keeper("chat-1").program.environment)
            assert SERVERS_VARIABLE in variables
            read = servers_of_process(scene.app, "development", variables, supervised=True)
            return read.by_id("chat-1").port

        scene.growing.compare(apply=True)
        scene.entries["chat"][0]["port"] = 6099
        scene.write()
        assert port() == 6050
        scene.growing.compare(apply=False)
        assert port() == 6050
        scene.growing.compare(apply=True)
        assert port() == 6099
