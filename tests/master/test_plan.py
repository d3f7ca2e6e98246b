"""What is checked before anything is started."""

from __future__ import annotations

import errno
import json
import re
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from chatcore.cluster.settings import RegistrySettings
from chatcore.config.settings import Assignment, Settings, resolve
from chatcore.connectors.settings import DrainSettings
from chatcore.errors import ConfigError
from chatcore.links.settings import LinkSettings
from chatcore.master import plan as planning
from chatcore.master import ports
from chatcore.master.plan import make_plan
from chatcore.master.ports import check_free
from chatcore.node.lifecycle import NodeSettings

SERVERS = {
    "connector": [
        {
            "id": "connector-1",
            "host": "127.0.0.1",
            "port": 4050,
            "clientPort": 3050,
            "frontend": True,
        },
        {
            "id": "connector-2",
            "host": "127.0.0.1",
            "port": 4051,
            "clientPort": 3051,
            "frontend": True,
        },
    ],
    "chat": [{"id": "chat-1", "host": "127.0.0.1", "port": 6050}],
    "gate": [{"id": "gate-1", "host": "127.0.0.1", "clientPort": 3014, "frontend": True}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    messages_per_second: float = 200


SECTIONS = {
    "limits": Limits,
    "registry": RegistrySettings,
    "links": LinkSettings,
    "node": NodeSettings,
    "drain": DrainSettings,
}


def resolved(assignments) -> Settings:
    known = [one for one in assignments if one.key.partition(".")[0] in SECTIONS]
    return resolve(SECTIONS, known)


def said(**keys: object) -> list[Assignment]:
    return [
        Assignment(key=key.replace("__", "."), value=value, source="app.py")
        for key, value in keys.items()
    ]


@pytest.fixture(autouse=True)
def node_settings(monkeypatch):
    """Stand in for the settings of a node, so that these tests know them."""
    module = ModuleType("chatcore.node")
    module.SECTIONS = SECTIONS
    module.verify = lambda folder, servers, assignments: {
        server_type: resolved(assignments) for server_type in servers.types
    }
    monkeypatch.setitem(sys.modules, "chatcore.node", module)
    monkeypatch.delenv("CHATCORE_RUN_DIR", raising=False)
    monkeypatch.delenv("CHATCORE_REGISTRY", raising=False)


@pytest.fixture
def app(tmp_path) -> Path:
    folder = tmp_path / "app"
    (folder / "config").mkdir(parents=True)
    (folder / "servers").mkdir()
    (folder / "web").mkdir()
    write(folder, SERVERS)
    return folder


def write(app: Path, servers: dict) -> None:
    (app / "config" / "servers.json").write_text(json.dumps({"development": servers}, indent=1))


def words_of(plan, name: str) -> list[str]:
    [program] = [program for program in plan.programs if program.name == name]
    return list(program.command)


def test_one_program_per_server_and_one_for_the_page(app):
    plan = make_plan(app, "development")

    assert {program.name: program.stage for program in plan.programs} == {
        "gate-1": 0,
        "connector-1": 1,
        "connector-2": 1,
        "chat-1": 2,
        "page": 2,
    }


def test_backends_start_first_and_gates_last(app):
    names = [program.name for program in make_plan(app, "development").programs]

    assert names == ["chat-1", "page", "connector-1", "connector-2", "gate-1"]


def test_a_backend_of_type_gate_is_no_gate_when_it_comes_to_stopping(app):
    write(app, {"gate": [{"id": "g", "port": 5000, "frontend": False}]})

    [gate] = [program for program in make_plan(app, "development").programs if program.name == "g"]
    assert gate.stage == 2


def test_a_node_is_a_twistd_whose_id_is_seen_in_the_process_list(app):
    words = words_of(make_plan(app, "development"), "connector-1")

    assert words[0] == sys.executable
    assert "twistd" in " ".join(words[1:3])
    at = words.index("chatnode")
    assert "--nodaemon" in words[:at]
    assert words[at + 1 :] == [
        *("--type", "connector", "--id", "connector-1"),
        *("--app", str(app), "--env", "development"),
        *("--run-dir", str(app / ".chatcore"), "--supervised"),
        *("--registry", "master://127.0.0.1:3005"),
    ]


def test_twistd_is_the_script_beside_python(tmp_path, monkeypatch):
    python, script = tmp_path / "python", tmp_path / "twistd"
    monkeypatch.setattr(sys, "executable", str(python))
    assert planning.twistd()[:2] == (str(python), "-c")
    assert "twistd" in planning.twistd()[2]

    script.touch()
    assert planning.twistd() == (str(python), str(script))


def test_settings_go_to_every_node_and_those_of_the_page_to_the_page(app):
    plan = make_plan(app, "development", None, ["limits.messages_per_second = 0", "page.port=8080"])

    assert words_of(plan, "chat-1")[-2:] == ["--set", "limits.messages_per_second=0"]
    assert "--set" not in words_of(plan, "page")
    assert "tcp:8080:interface=127.0.0.1" in words_of(plan, "page")
    assert plan.ready == "ready: 4 servers and the page; open http://127.0.0.1:8080/"


def test_settings_of_the_application_are_left_to_who_reads_it(app):
    plan = make_plan(app, "development", None, ["board.names=5"])

    assert words_of(plan, "chat-1")[-2:] == ["--set", "board.names=5"]


def test_settings_of_the_page_may_stand_in_the_file(app):
    (app / "config" / "settings.json").write_text('{"development": {"page": {"port": 8081}}}')

    assert make_plan(app, "development").ready.endswith("http://127.0.0.1:8081/")
    plan = make_plan(app, "development", None, ["page.port=8080"])
    assert plan.ready.endswith("http://127.0.0.1:8080/")


@pytest.mark.parametrize(("drains", "seconds"), [(False, 20), (True, 33)])
def test_a_stop_may_take_as_long_as_any_server_needs(app, monkeypatch, drains, seconds):
    gate = said(node__stop_seconds=3.0, drain__on_term=drains, drain__seconds=30.0)
    chat = said(node__stop_seconds=20.0, drain__on_term=False, drain__seconds=30.0)
    found = {"chat": resolved(chat), "gate": resolved(gate)}
    monkeypatch.setattr(sys.modules["chatcore.node"], "verify", lambda *given: found)

    assert make_plan(app, "development").stop_seconds == seconds


@pytest.mark.parametrize(
    ("host", "listen", "address"),
    [
        ("0.0.0.0", "tcp:3001:interface=0.0.0.0", "http://127.0.0.1:3001/"),
        ("::1", r"tcp6:3001:interface=\:\:1", "http://[::1]:3001/"),
    ],
)
def test_the_page_may_be_served_on_another_address(app, host, listen, address):
    plan = make_plan(app, "development", None, [f"page.host={host}"])

    assert listen in words_of(plan, "page")
    assert plan.ready.endswith(f"open {address}")


def test_without_a_folder_web_there_is_no_page(app):
    (app / "web").rmdir()
    write(app, {"chat": SERVERS["chat"]})

    plan = make_plan(app, "development")

    assert [program.name for program in plan.programs] == ["chat-1"]
    assert plan.ready == "ready: 1 server"


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("limits.mesages_per_second=0", "unknown setting 'limits.mesages_per_second'"),
        ("page.prot=1", "unknown setting 'page.prot'"),
        ("page.port=http", "'page.port' can't be 'http'"),
        ("page.port=70000", "'page.port' can't be '70000'"),
        ("page.port", "expected KEY=VALUE"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_starts(app, assignment, message):
    with pytest.raises(ConfigError) as caught:
        make_plan(app, "development", None, [assignment])

    assert message in str(caught.value)
    assert not (app / ".chatcore").exists()


@pytest.mark.parametrize("name", ["start", "page", "master", "admin", "admin-1"])
def test_a_server_can_not_have_a_name_that_chatcore_uses(app, name):
    write(app, {"chat": [{"id": name, "port": 6050}]})

    with pytest.raises(ConfigError, match=f"the id '{name}' is taken by chatcore itself"):
        make_plan(app, "development")


def test_the_page_and_a_server_can_not_share_a_port(app):
    with pytest.raises(ConfigError) as caught:
        make_plan(app, "development", None, ["page.port=3050"])

    assert "connector-1 and the page would both listen on port 3050" in str(caught.value)


def test_the_secret_is_made_before_the_nodes_start(app):
    plan = make_plan(app, "development")

    assert (plan.run.path / "secret").stat().st_mode & 0o777 == 0o600


def test_the_run_folder_may_be_another_one(app, tmp_path):
    plan = make_plan(app, "development", str(tmp_path / "elsewhere"))

    assert plan.run.path == tmp_path / "elsewhere"
    words = words_of(plan, "page")
    assert words[words.index("--run-dir") + 1] == str(tmp_path / "elsewhere")


class TestMaster:
    """Where the nodes announce themselves, and who keeps that."""

    def test_it_is_kept_by_default_and_the_nodes_are_told_where(self, app):
        plan = make_plan(app, "development")

        assert (plan.master.address.host, plan.master.address.port) == ("127.0.0.1", 3005)
        assert words_of(plan, "chat-1")[-2:] == ["--registry", "master://127.0.0.1:3005"]
        assert "--registry" not in words_of(plan, "page")

    @pytest.mark.parametrize(
        ("settings", "url"),
        [
            (["master.port=4005"], "master://127.0.0.1:4005"),
            (["master.host=::1"], "master://[::1]:3005"),
            (["master.host=0.0.0.0", "links.insecure=true"], "master://127.0.0.1:3005"),
        ],
    )
    def test_it_may_be_somewhere_else(self, app, settings, url):
        plan = make_plan(app, "development", None, settings)

        words = words_of(plan, "chat-1")
        assert words[words.index("--registry") + 1] == url
        assert not any(word.startswith("master.") for word in words)

    @pytest.mark.parametrize("place", ["config/master.json", "config/development/master.json"])
    def test_pomelo_s_master_json_says_where(self, app, place):
        said = {"id": "master-server-1", "host": "127.0.0.1", "port": 4006}
        (app / place).parent.mkdir(exist_ok=True)
        (app / place).write_text(
            json.dumps(said if "development/" in place else {"development": said})
        )

        assert make_plan(app, "development").master.address.port == 4006
        plan = make_plan(app, "development", None, ["master.port=4007"])
        assert plan.master.address.port == 4007

    def test_a_mistake_in_master_json_is_told_with_its_place(self, app):
        (app / "config" / "master.json").write_text('{"development": {\n "port": "3005"}}')

        with pytest.raises(ConfigError, match=r"master\.json:2:\d+: 'master.port' can't be '3005'"):
            make_plan(app, "development")

    @pytest.mark.parametrize("url", ["static:", "master://127.0.0.1:4005"])
    def test_with_another_registry_there_is_none(self, app, url, monkeypatch):
        plan = make_plan(app, "development", registry=url)
        assert plan.master is None
        assert words_of(plan, "chat-1")[-2:] == ["--registry", url]

        for_all = ["registry.url=" + url]
        plan = make_plan(app, "development", None, for_all)
        assert plan.master is None
        assert words_of(plan, "chat-1")[-2:] == ["--set", for_all[0]]

        monkeypatch.setenv("CHATCORE_REGISTRY", url)
        plan = make_plan(app, "development")
        assert plan.master is None
        assert "--registry" not in words_of(plan, "chat-1"), "they have the variable, too"

    def test_servers_with_different_registries_are_refused(self, app, monkeypatch):
        found = {
            "chat": resolved(said(registry__url="redis://u:s3same@a")),
            "gate": resolved([]),
        }
        monkeypatch.setattr(sys.modules["chatcore.node"], "verify", lambda *given: found)

        with pytest.raises(ConfigError, match="different registries") as caught:
            make_plan(app, "development")
        assert "s3same" not in str(caught.value)

    @pytest.mark.parametrize("argument", ["registry", "assignments"])
    def test_a_password_in_an_argument_is_refused(self, app, argument):
        url = "redis://u:s3same@a"
        given = {"registry": url} if argument == "registry" else {"assignments": ["a.b=" + url]}

        with pytest.raises(ConfigError, match="CHATCORE_REGISTRY") as caught:
            make_plan(app, "development", **given)
        assert "s3same" not in str(caught.value)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (["master.port=6050"], "chat-1 and the master would both listen on port 6050"),
            (["master.port=3001"], "the page and the master would both listen on port 3001"),
        ],
    )
    def test_it_can_not_share_a_port(self, app, settings, message):
        with pytest.raises(ConfigError) as caught:
            make_plan(app, "development", None, settings)
        assert str(caught.value).endswith(
            f"{message}. Give the master another port with --set master.port=NUMBER"
        )

    def test_its_port_in_use_is_named(self, app):
        (app / "web").rmdir()
        write(app, {"chat": [{"id": "chat-1"}]})
        with socket.create_server(("127.0.0.1", 0)) as listener:
            taken = listener.getsockname()[1]
            plan = make_plan(app, "development", None, [f"master.port={taken}"])
            with pytest.raises(ConfigError) as caught:
                check_free(plan.needs)
        told = re.fullmatch(
            f"port {taken} is in use by another process; the master needs 127.0.0.1:{taken}. "
            r"Stop that process, or give the master another port with --set master.port=(\d+)",
            str(caught.value),
        )
        assert told is not None
        with socket.create_server(("127.0.0.1", int(told[1]))):
            assert int(told[1]) > taken


class TestPorts:
    @pytest.fixture
    def taken(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            yield listener.getsockname()[1]

    @pytest.mark.parametrize(
        ("server", "key"),
        [
            ({"id": "chat-7", "port": 0}, "port"),
            ({"id": "chat-7", "frontend": True, "clientPort": 0}, "clientPort"),
        ],
    )
    def test_a_port_in_use_is_named_with_the_server_that_needs_it(self, app, taken, server, key):
        (app / "web").rmdir()
        write(app, {"chat": [{**server, key: taken}]})
        plan = make_plan(app, "development", registry="static:")

        with pytest.raises(ConfigError) as caught:
            check_free(plan.needs)

        assert str(caught.value) == (
            f"{app}/config/servers.json:4: port {taken} is in use by another process; "
            f"chat-7 needs 127.0.0.1:{taken}. "
            f"Stop that process, or give chat-7 another {key} in servers.json"
        )

    def test_the_page_s_port_in_use_is_named(self, app, taken):
        write(app, {"chat": [{"id": "chat-7"}]})
        plan = make_plan(app, "development", None, [f"page.port={taken}"], "static:")

        with pytest.raises(ConfigError) as caught:
            check_free(plan.needs)

        assert re.fullmatch(
            f"port {taken} is in use by another process; the page needs 127.0.0.1:{taken}. "
            r"Stop that process, or give the page another port with --set page.port=\d+",
            str(caught.value),
        )

    def test_what_is_in_the_way_of_a_second_application_is_told_at_once(self, app, taken):
        write(app, {"chat": [{"id": "chat-7"}]})
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            settings = [f"page.port={taken}", f"master.port={port}"]
            plan = make_plan(app, "development", None, settings)
            with pytest.raises(ConfigError) as caught:
                check_free(plan.needs)
        said = str(caught.value)
        assert f"the page needs 127.0.0.1:{taken}; port {port} is in use" in said
        given = dict(re.findall(r"--set (\w+)\.port=(\d+)", said))
        assert set(given) == {"page", "master"} and len(set(given.values())) == 2

    def test_a_port_taken_on_every_address_is_in_use(self, app):
        with socket.create_server(("0.0.0.0", 0)) as listener:
            write(app, {"chat": [{"id": "chat-7", "port": listener.getsockname()[1]}]})
            plan = make_plan(app, "development", registry="static:")

            with pytest.raises(ConfigError, match="chat-7 needs"):
                check_free(plan.needs)

    def test_looking_leaves_the_port_free(self, app, taken):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        (app / "web").rmdir()
        write(app, {"chat": [{"id": "chat-7", "port": port}]})
        plan = make_plan(app, "development", registry="static:")

        check_free(plan.needs)
        check_free(plan.needs)

    def test_an_address_of_another_machine_is_told(self, app):
        write(app, {"chat": [{"id": "chat-7", "host": "192.0.2.1", "port": 6050}]})
        plan = make_plan(app, "development", registry="static:")

        with pytest.raises(ConfigError, match="not an address of this machine"):
            check_free(plan.needs)

    def test_a_port_for_root_only_is_told(self, app, monkeypatch):
        def refuse(need: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        write(app, {"chat": [{"id": "chat-7", "port": 1}]})
        plan = make_plan(app, "development", registry="static:")
        monkeypatch.setattr(ports, "_try", refuse)

        with pytest.raises(ConfigError, match="may not listen on port 1"):
            check_free(plan.needs)
