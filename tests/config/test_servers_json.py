"""Reading servers.json: the places it may stand in, the forms of entries, and every mistake."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from chatcore.config.entries import entry_of
from chatcore.config.servers import Server, Servers, load_servers
from chatcore.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "examples" / "chat"


def write(app: Path, content: object, place: str = "config/servers.json") -> Path:
    file = app / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return file


def one(app: Path, entry: object, type: str = "chat") -> Server:
    write(app, {"development": {type: [entry]}})
    (server,) = load_servers(app, "development")
    return server


def mistake(app: Path, env: str = "development") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_servers(app, env)
    return caught.value


def mistake_in(app: Path, types: object) -> str:
    write(app, {"development": types})
    return str(mistake(app))


class TestThePlaces:
    def test_config_folder_with_environments(self, tmp_path: Path) -> None:
        file = write(tmp_path, {"development": {"chat": [{"id": "chat-1", "port": 6050}]}})
        servers = load_servers(tmp_path, "development")
        assert servers.file == file
        assert servers.env == "development"
        assert [server.id for server in servers] == ["chat-1"]

    def test_a_file_of_its_own_for_the_environment(self, tmp_path: Path) -> None:
        write(tmp_path, {"development": {"chat": [{"id": "dev"}]}})
        own = write(tmp_path, {"chat": [{"id": "prod"}]}, "config/production/servers.json")
        assert load_servers(tmp_path, "production").file == own
        assert [server.id for server in load_servers(tmp_path, "production")] == ["prod"]
        assert [server.id for server in load_servers(tmp_path, "development")] == ["dev"]

    def test_the_shared_file_wins_where_it_knows_the_environment(self, tmp_path: Path) -> None:
        write(tmp_path, {"development": {"chat": [{"id": "shared"}]}})
        write(tmp_path, {"chat": [{"id": "own"}]}, "config/development/servers.json")
        assert load_servers(tmp_path, "development").get("shared")

    def test_the_application_folder_itself(self, tmp_path: Path) -> None:
        write(tmp_path, {"development": {"chat": [{"id": "chat-1"}]}}, "servers.json")
        assert load_servers(tmp_path, "development").by_id("chat-1").type == "chat"

    def test_the_application_folder_comes_last(self, tmp_path: Path) -> None:
        write(tmp_path, {"development": {"chat": [{"id": "inner"}]}})
        outer = {"development": {"chat": [{"id": "outer"}]}, "test": {"chat": [{"id": "t"}]}}
        write(tmp_path, outer, "servers.json")
        assert load_servers(tmp_path, "development").get("inner")
        assert load_servers(tmp_path, "test").get("t")

    def test_none_at_all_names_every_place(self, tmp_path: Path) -> None:
        text = str(mistake(tmp_path))
        for place in ("config/servers.json", "config/development/servers.json", "servers.json"):
            assert str(tmp_path / place) in text

    def test_no_such_environment_names_those_there_are(self, tmp_path: Path) -> None:
        file = write(tmp_path, {"development": {}, "production": {}})
        write(tmp_path, {"chat": []}, "config/staging/servers.json")
        error = mistake(tmp_path, "prodution")
        assert error.file == file
        assert error.problem == "no environment 'prodution'"
        assert error.advice == (
            "Did you mean 'production'? The environments are development, production and staging"
        )

    def test_only_other_environments_have_a_file(self, tmp_path: Path) -> None:
        write(tmp_path, {"chat": []}, "config/staging/servers.json")
        assert "The environments are staging" in str(mistake(tmp_path))

    def test_no_environments_at_all(self, tmp_path: Path) -> None:
        write(tmp_path, {})
        assert "There are no environments" in str(mistake(tmp_path))

    def test_types_without_an_environment(self, tmp_path: Path) -> None:
        write(tmp_path, {"chat": [{"id": "chat-1"}]})
        text = str(mistake(tmp_path))
        assert "'chat' is a list, where an environment was expected" in text
        assert str(tmp_path / "config/development/servers.json") in text

    def test_an_environment_in_the_file_that_belongs_to_one(self, tmp_path: Path) -> None:
        write(tmp_path, {"prod": {"chat": []}}, "config/prod/servers.json")
        assert "This file belongs to one environment" in str(mistake(tmp_path, "prod"))

    @pytest.mark.parametrize("env", ["../../etc", "a/b", "", ".", "a b", "-x"])
    def test_what_can_not_be_an_environment(self, tmp_path: Path, env: str) -> None:
        write(tmp_path, {env: {"chat": [{"id": "x"}]}})
        assert "can't be an environment" in str(mistake(tmp_path, env))


class TestTheFile:
    def test_not_json_has_file_line_and_column(self, tmp_path: Path) -> None:
        file = write(tmp_path, '{"development": {\n  "chat": [\n    {"id" "chat-1"}\n  ]\n}}')
        error = mistake(tmp_path)
        assert str(error).startswith(f"{file}:3:11: not JSON: expecting ':' delimiter")
        assert (error.line, error.column) == (3, 11)

    @pytest.mark.parametrize(
        ("text", "advice"),
        [
            ('{"a": 1,}', "comma that nothing follows"),
            ("[1, ]", "comma that nothing follows"),
            ("[1,,2]", "comma that nothing follows"),
            ("{'a': 1}", "double quotes"),
            ('{"a": 1 // one\n}', "no comments"),
            ('{# one\n"a": 1}', "no comments"),
            ('{"a": 1 "b": 2}', "Put a comma"),
            ("", "the file is empty"),
            (" \n", "the file is empty"),
        ],
    )
    def test_usual_slips_are_named(self, tmp_path: Path, text: str, advice: str) -> None:
        write(tmp_path, text)
        assert advice in str(mistake(tmp_path))

    def test_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "config/servers.json").mkdir(parents=True)
        assert "is a folder, where a JSON file was expected" in str(mistake(tmp_path))

    def test_a_link_to_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "config").mkdir()
        (tmp_path / "config/servers.json").symlink_to("nowhere.json")
        assert "can't be read: No such file" in str(mistake(tmp_path))

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        (tmp_path / "config").mkdir()
        os.mkfifo(tmp_path / "config/servers.json")
        assert "is not a regular file" in str(mistake(tmp_path))

    def test_not_utf8(self, tmp_path: Path) -> None:
        file = write(tmp_path, "")
        file.write_bytes('{"development":\n "é'.encode() + b"\xff" + b'"}')
        error = mistake(tmp_path)
        assert (error.line, error.column) == (2, 4)
        assert "not UTF-8: the byte 0xff" in str(error)

    def test_a_byte_order_mark_is_no_mistake(self, tmp_path: Path) -> None:
        file = write(tmp_path, "")
        file.write_bytes(b"\xef\xbb\xbf" + b'{"development": {"chat": [{"id": "chat-1"}]}}')
        assert load_servers(tmp_path, "development").get("chat-1")

    def test_a_key_twice(self, tmp_path: Path) -> None:
        write(tmp_path, '{"development": {\n"chat": [],\n "chat": [{"id": "x"}]}}')
        error = mistake(tmp_path)
        assert (error.line, error.column) == (3, 2)
        assert 'the key "chat" stands here for the second time' in error.problem
        assert error.advice == "Remove it here or in line 2"

    def test_the_same_key_spelled_with_an_escape(self, tmp_path: Path) -> None:
        write(tmp_path, '{"development": {"chat": [{"id": "a", "i\\u0064": "b"}]}}')
        assert "for the second time" in str(mistake(tmp_path))

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
    def test_numbers_that_json_does_not_have(self, tmp_path: Path, word: str) -> None:
        write(
            tmp_path, f'{{"development": {{"chat": [\n{{"id": "a", "data": {{"x": {word}}}}}]}}}}'
        )
        error = mistake(tmp_path)
        assert "is not a number" in str(error)
        assert error.line == 2

    def test_a_number_with_more_digits_than_python_reads(self, tmp_path: Path) -> None:
        write(tmp_path, f'{{"development": {"9" * 5000}}}')
        assert "not usable JSON" in str(mistake(tmp_path))

    def test_half_a_surrogate_pair(self, tmp_path: Path) -> None:
        write(tmp_path, '{"development": {"chat": [{"id": "a", "data": {"x": "\\ud83d"}}]}}')
        assert "half of a surrogate pair" in str(mistake(tmp_path))

    @pytest.mark.parametrize("depth", [65, 5_000, 100_000])
    def test_absurd_nesting(self, tmp_path: Path, depth: int) -> None:
        write(tmp_path, "[" * depth + "]" * depth)
        assert "nested too deeply" in str(mistake(tmp_path))

    def test_brackets_commas_and_quotes_in_texts_do_not_confuse_positions(
        self, tmp_path: Path
    ) -> None:
        strange = json.dumps('}],{" \\" : \\ [')
        write(
            tmp_path,
            f'{{"development": {{"chat": [\n{{"data": {{{strange}: {strange}}}, "id": "a"}},\n'
            '{"id": "b", "port": 0}]}}',
        )
        error = mistake(tmp_path)
        assert (error.line, error.column) == (3, 13)


class TestTheShapes:
    def test_not_an_object_of_environments(self, tmp_path: Path) -> None:
        write(tmp_path, [])
        assert "expected an object of environments" in str(mistake(tmp_path))

    def test_not_an_object_of_types(self, tmp_path: Path) -> None:
        assert "expected an object of server types" in mistake_in(tmp_path, ["chat"])

    def test_the_environments_own_file_is_not_an_object(self, tmp_path: Path) -> None:
        write(tmp_path, "3", "config/prod/servers.json")
        assert "expected an object of server types" in str(mistake(tmp_path, "prod"))

    def test_not_a_list_of_servers(self, tmp_path: Path) -> None:
        assert "'chat' is not a list of servers" in mistake_in(tmp_path, {"chat": {"id": "a"}})

    @pytest.mark.parametrize("entry", ["chat-1", None, 3, ["id"]])
    def test_an_entry_that_is_not_an_object(self, tmp_path: Path, entry: object) -> None:
        assert "where an object was expected" in mistake_in(tmp_path, {"chat": [entry]})

    def test_no_servers(self, tmp_path: Path) -> None:
        assert "lists no servers" in mistake_in(tmp_path, {"chat": []})
        assert "lists no servers" in mistake_in(tmp_path, {})

    @pytest.mark.parametrize("type", ["a.b", "", "1a", "-a", "a b", "é", "x" * 65])
    def test_what_can_not_be_a_server_type(self, tmp_path: Path, type: str) -> None:
        text = mistake_in(tmp_path, {type: [{"id": "a"}]})
        assert f"'{type}' can't be a server type" in text
        assert "because it is the first part of a route" in text

    def test_a_type_without_servers_is_a_type(self, tmp_path: Path) -> None:
        write(tmp_path, {"development": {"chat": [{"id": "a"}], "area": []}})
        servers = load_servers(tmp_path, "development")
        assert servers.types == ["chat", "area"]
        assert servers.of_type("area") == []


class TestEntries:
    def test_everything_given(self, tmp_path: Path) -> None:
        server = one(
            tmp_path,
            {
                "id": "connector-server-1", "host": "10.0.0.1", "port": 4050, "clientPort": "3050",
                "clientHost": "0.0.0.0", "frontend": "true", "max-connections": "500",
                "data": {"zone": [1]}, "auto-restart": "true", "restart-force": "true",
                "cpu": 2, "args": ["--x"], "wsPort": 1,
            },
            "connector",
        )  # fmt: skip
        assert server == Server(
            id="connector-server-1", type="connector", host="10.0.0.1", port=4050,
            client_host="0.0.0.0", client_port=3050, frontend=True, max_connections=500,
            data={"zone": [1]}, line=4,
        )  # fmt: skip
        assert server.listen_host == "0.0.0.0"
        assert hash(server) == hash(server)

    def test_nothing_given_but_the_id(self, tmp_path: Path) -> None:
        server = one(tmp_path, {"id": "chat-1"})
        assert (server.host, server.port, server.frontend) == ("127.0.0.1", None, False)
        assert (server.client_host, server.client_port) == (None, None)
        assert (server.data, server.max_connections) == ({}, None)

    def test_clients_are_taken_on_host_unless_client_host_says_otherwise(
        self, tmp_path: Path
    ) -> None:
        server = one(tmp_path, {"id": "a", "host": "10.0.0.1", "clientPort": 3014})
        assert server.client_host is None
        assert server.listen_host == "10.0.0.1"

    def test_clients_may_be_told_a_host_that_is_not_bound(self, tmp_path: Path) -> None:
        entry = {"id": "a", "clientHost": "chat.example.org", "clientBind": "0.0.0.0"}
        server = one(tmp_path, {**entry, "clientPort": 3014})
        assert (server.client_host, server.listen_host) == ("chat.example.org", "0.0.0.0")
        assert entry.items() <= entry_of(server).items()

    @pytest.mark.parametrize(
        ("type", "entry", "frontend", "port", "client_port"),
        [
            # The finished application.
            ("gate", {"clientPort": 3014, "frontend": True}, True, None, 3014),
            ("connector", {"port": 4050, "clientPort": 3050, "frontend": True}, True, 4050, 3050),
            ("chat", {"port": 6050}, False, 6050, None),
            # The article of version 0.3: no port on frontends.
            ("connector", {"clientPort": 3050, "frontend": "true"}, True, None, 3050),
            # The first tutorial: nothing but ports.
            ("gate", {"port": 3014}, True, None, 3014),
            ("connector", {"port": "3050"}, True, None, 3050),
            # What the words say where a tutorial is silent.
            ("lobby", {"clientPort": 3050}, True, None, 3050),
            ("lobby", {"port": 4000, "frontend": True}, True, None, 4000),
            ("connector", {"port": 4050, "frontend": False}, False, 4050, None),
            ("connector", {"port": 4050, "clientPort": 3050, "frontend": "false"},
             False, 4050, None),
        ],
    )  # fmt: skip
    def test_forms_of_the_tutorials(
        self,
        tmp_path: Path,
        type: str,
        entry: dict[str, Any],
        frontend: bool,
        port: int | None,
        client_port: int | None,
    ) -> None:
        server = one(tmp_path, {"id": "a", **entry}, type)
        assert (server.frontend, server.port, server.client_port) == (frontend, port, client_port)

    def test_a_frontend_without_any_port(self, tmp_path: Path) -> None:
        text = mistake_in(tmp_path, {"gate": [{"id": "gate-1", "frontend": True}]})
        assert re.search(r":4:\d+: gate-1 is a frontend and has no clientPort", text)
        assert "Give it a 'clientPort'" in text

    def test_unknown_key(self, tmp_path: Path) -> None:
        write(tmp_path, '{"development": {"chat": [\n {"id": "a", "clientport": 1}]}}')
        error = mistake(tmp_path)
        assert (error.line, error.column) == (2, 14)
        assert "unknown key 'clientport'" in error.problem
        assert error.advice is not None
        assert "Did you mean 'clientPort'?" in error.advice
        assert "'data'" in error.advice

    def test_unknown_key_like_no_other(self, tmp_path: Path) -> None:
        text = mistake_in(tmp_path, {"chat": [{"id": "a", "zzz": 1}]})
        assert "Did you mean" not in text

    def test_missing_id(self, tmp_path: Path) -> None:
        assert "a server of type 'chat': no 'id'" in mistake_in(tmp_path, {"chat": [{"port": 1}]})

    @pytest.mark.parametrize(
        "id",
        ["", ".hidden", "-x", "a/b", "../a", "a b", "ä", "a\n", "x" * 65, "a\x00", "a:b", "*"],
    )
    def test_ids_that_no_file_can_be_named_after(self, tmp_path: Path, id: str) -> None:
        text = mistake_in(tmp_path, {"chat": [{"id": id}]})
        assert "where a usable name was expected" in text
        assert "files are named after it" in text

    @pytest.mark.parametrize("id", ["a", "0", "_x", "chat.server-1_b", "x" * 64])
    def test_ids_that_are_fine(self, tmp_path: Path, id: str) -> None:
        assert one(tmp_path, {"id": id}).id == id

    @pytest.mark.parametrize("id", [1, None, ["a"], True])
    def test_ids_that_are_no_texts(self, tmp_path: Path, id: object) -> None:
        assert "'id' is" in mistake_in(tmp_path, {"chat": [{"id": id}]})

    @pytest.mark.parametrize("key", ["port", "clientPort"])
    @pytest.mark.parametrize(
        "port",
        [0, "0", -1, "-1", 65536, "65536", True, False, 3050.0, "3050.0", "", "x", " 3050", "3_0",
         "٣٠", None, [3050], {}, "0x10", 10**30, "9" * 5000],
    )  # fmt: skip
    def test_ports_that_are_none(self, tmp_path: Path, key: str, port: object) -> None:
        text = mistake_in(tmp_path, {"chat": [{"id": "a", key: port}]})
        assert f"server 'a': '{key}' is " in text
        assert "where a port from 1 to 65535 was expected" in text
        assert len(text) < 400

    @pytest.mark.parametrize("port", [1, 65535, "1", "65535", "03050"])
    def test_ports_that_are_fine(self, tmp_path: Path, port: object) -> None:
        assert one(tmp_path, {"id": "a", "port": port}).port == int(str(port))

    @pytest.mark.parametrize("value", ["yes", 1, 0, None, "True", [], {}])
    def test_frontend_is_true_or_false(self, tmp_path: Path, value: object) -> None:
        entry = {"id": "a", "clientPort": 1, "frontend": value}
        assert "where true or false was expected" in mistake_in(tmp_path, {"gate": [entry]})

    @pytest.mark.parametrize("key", ["host", "clientHost"])
    @pytest.mark.parametrize(
        "host",
        ["", "a b", "127.0.0.1:3050", "[::1]", "http://x", "127.0.0.256", "1.2.3", 5, None, "a\n",
         "-x", "x" * 300],
    )  # fmt: skip
    def test_hosts_that_are_none(self, tmp_path: Path, key: str, host: object) -> None:
        text = mistake_in(tmp_path, {"gate": [{"id": "a", "clientPort": 1, key: host}]})
        assert f"'{key}' is " in text
        assert "where a host name or an address was expected" in text

    @pytest.mark.parametrize("host", ["localhost", "::1", "::", "chat.example.com", "node_1", "a"])
    def test_hosts_that_are_fine(self, tmp_path: Path, host: str) -> None:
        assert one(tmp_path, {"id": "a", "host": host}).host == host

    @pytest.mark.parametrize("value", [0, -1, True, "many", 1.5, None])
    def test_max_connections_is_a_number_of_clients(self, tmp_path: Path, value: object) -> None:
        text = mistake_in(tmp_path, {"chat": [{"id": "a", "max-connections": value}]})
        assert "'max-connections' is" in text

    @pytest.mark.parametrize(
        "value",
        [
            True,
            {},
            {"certificate": "a.pem"},
            {"key": "a.key"},
            {"certificate": "a.pem", "key": ""},
            {"certificate": "a.pem", "key": 1},
            {"certificate": "a.pem", "key": "a.key", "password": "x"},
        ],
    )
    def test_tls_names_files(self, tmp_path: Path, value: object) -> None:
        text = mistake_in(tmp_path, {"gate": [{"id": "a", "clientPort": 1, "tls": value}]})
        assert "'tls' is" in text
        assert '"certificate"' in text

    def test_tls_belongs_to_frontends(self, tmp_path: Path) -> None:
        files = {"certificate": "a.pem", "key": "a.key"}
        assert "client port" in mistake_in(tmp_path, {"chat": [{"id": "a", "tls": files}]})

    def test_the_files_of_tls(self, tmp_path: Path) -> None:
        files = {"certificate": "tls/a.pem", "key": "/etc/a.key", "chain": "b.pem"}
        server = one(tmp_path, {"id": "a", "clientPort": 1, "tls": files}, "gate")
        assert server.tls is not None
        seen = server.tls.seen_from(Path("/app"))
        assert [str(file) for file in seen] == ["/app/tls/a.pem", "/etc/a.key", "/app/b.pem"]

    def test_weights(self, tmp_path: Path) -> None:
        assert one(tmp_path, {"id": "a"}).weight == 1
        assert one(tmp_path, {"id": "a", "weight": 10}).weight == 10
        for value in (0, -1, 1001, 1.5, "heavy", True, None):
            text = mistake_in(tmp_path, {"chat": [{"id": "a", "weight": value}]})
            assert "'weight' is" in text
            assert "a whole number from 1 to 1000 was expected" in text

    @pytest.mark.parametrize("value", [[], "x", 1, None])
    def test_data_is_an_object(self, tmp_path: Path, value: object) -> None:
        text = mistake_in(tmp_path, {"chat": [{"id": "a", "data": value}]})
        assert "'data' is" in text
        assert "where an object was expected" in text


class TestClusters:
    def test_one_entry_stands_for_many(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {"development": {"connector": [
                {"clusterCount": "3", "port": "3050++", "clientPort": "8050++", "frontend": True},
                {"id": "extra", "clientPort": 9000},
                {"clusterCount": 2, "host": "10.0.0.2", "port": "3050++", "clientPort": "8050++"},
            ]}},
        )  # fmt: skip
        servers = load_servers(tmp_path, "development")
        assert [(server.id, server.port, server.client_port) for server in servers] == [
            ("cluster-server-connector-0", 3050, 8050),
            ("cluster-server-connector-1", 3051, 8051),
            ("cluster-server-connector-2", 3052, 8052),
            ("extra", None, 9000),
            ("cluster-server-connector-3", 3050, 8050),
            ("cluster-server-connector-4", 3051, 8051),
        ]

    def test_each_type_counts_for_itself(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {"development": {
                "chat": [{"clusterCount": 1, "port": 1}], "area": [{"clusterCount": 1, "port": 2}],
            }},
        )  # fmt: skip
        assert [server.id for server in load_servers(tmp_path, "development")] == [
            "cluster-server-chat-0",
            "cluster-server-area-0",
        ]

    def test_other_values_count_too_and_an_id_is_replaced(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            {"development": {
                "chat": [{"id": "x", "clusterCount": 2, "cpu": "0++", "max-connections": "5++"}]
            }},
        )  # fmt: skip
        servers = list(load_servers(tmp_path, "development"))
        assert [server.max_connections for server in servers] == [5, 6]
        assert [server.id for server in servers] == [
            "cluster-server-chat-0",
            "cluster-server-chat-1",
        ]

    def test_without_plus_plus_they_would_share_a_port(self, tmp_path: Path) -> None:
        text = mistake_in(tmp_path, {"chat": [{"clusterCount": 2, "port": 6050}]})
        assert "127.0.0.1:6050, is also the port of 'cluster-server-chat-0'" in text
        assert "Let the port of a cluster end in '++'" in text

    def test_beyond_the_last_port(self, tmp_path: Path) -> None:
        text = mistake_in(tmp_path, {"chat": [{"clusterCount": 2, "port": "65535++"}]})
        assert "server 'cluster-server-chat-1': 'port' is 65536" in text

    def test_plus_plus_without_a_count(self, tmp_path: Path) -> None:
        text = mistake_in(tmp_path, {"chat": [{"id": "a", "port": "6050++"}]})
        assert "'++' needs a 'clusterCount' beside it" in text

    @pytest.mark.parametrize("count", [0, "0", -1, 1001, True, "x", None, 2.0])
    def test_counts_that_are_none(self, tmp_path: Path, count: object) -> None:
        text = mistake_in(tmp_path, {"chat": [{"clusterCount": count, "port": "1++"}]})
        assert "'clusterCount' is" in text
        assert "where a whole number from 1 to 1000 was expected" in text

    def test_a_name_that_a_cluster_makes_is_taken(self, tmp_path: Path) -> None:
        entries = [{"clusterCount": 1}, {"id": "cluster-server-chat-0"}]
        assert "is already used in line" in mistake_in(tmp_path, {"chat": entries})


class TestClashes:
    def test_one_id_twice_across_types(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            '{"development": {"chat": [\n{"id": "a"}],\n"area": [\n{"id": "a"}]}}',
        )
        error = mistake(tmp_path)
        assert error.problem == "the id 'a' is already used in line 2"
        assert (error.line, error.column) == (4, 2)

    def test_two_entries_on_one_port_name_both_with_lines(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            '{"development": {"chat": [\n'
            '{"id": "a", "port": 6050},\n{"id": "b",\n"port": "6050"}]}}',
        )
        error = mistake(tmp_path)
        assert (error.line, error.column) == (4, 1)
        assert error.problem == "the port of 'b', 127.0.0.1:6050, is also the port of 'a' in line 2"

    def test_a_server_with_itself(self, tmp_path: Path) -> None:
        entry = {"id": "a", "port": 3050, "clientPort": 3050}
        text = mistake_in(tmp_path, {"gate": [entry]})
        assert "the clientPort of 'a', 127.0.0.1:3050, is also the port of 'a'" in text

    def test_a_frontend_that_only_has_a_port(self, tmp_path: Path) -> None:
        entries = [{"id": "a", "port": 3050}, {"id": "b", "port": 3050}]
        assert "the port of 'b'" in mistake_in(tmp_path, {"connector": entries})

    @pytest.mark.parametrize(
        ("one", "other", "clash"),
        [
            ({}, {"host": "localhost"}, True),
            ({}, {"host": "LocalHost"}, True),
            ({"host": "::1"}, {"host": "0:0:0:0:0:0:0:1"}, True),
            ({}, {"host": "0.0.0.0"}, True),
            ({"host": "10.0.0.1"}, {"host": "::"}, True),
            ({"host": "Example.com"}, {"host": "example.com."}, True),
            ({}, {"host": "127.0.0.2"}, False),
            ({"host": "10.0.0.1"}, {"host": "10.0.0.2"}, False),
            ({"host": "a.example.com"}, {"host": "b.example.com"}, False),
        ],
    )
    def test_which_hosts_meet(
        self, tmp_path: Path, one: dict[str, Any], other: dict[str, Any], clash: bool
    ) -> None:
        entries = [{"id": "a", "port": 6050, **one}, {"id": "b", "port": 6050, **other}]
        write(tmp_path, {"development": {"chat": entries}})
        if clash:
            assert "is also the port of 'a'" in str(mistake(tmp_path))
        else:
            assert len(load_servers(tmp_path, "development")) == 2

    @pytest.mark.parametrize(
        ("one", "other", "clash"),
        [
            # One port on every address of two machines, and behind a proxy on each of them.
            (("10.0.0.1", "0.0.0.0"), ("10.0.0.2", "0.0.0.0"), False),
            (("10.0.0.1", "127.0.0.1"), ("10.0.0.2", "127.0.0.1"), False),
            (("10.0.0.1", "0.0.0.0"), ("10.0.0.1", "127.0.0.1"), True),
            (("10.0.0.1", "127.0.0.1"), ("10.0.0.1", "127.0.0.1"), True),
            (("127.0.0.1", "0.0.0.0"), ("10.0.0.2", "0.0.0.0"), True),
            (("10.0.0.1", "192.0.2.1"), ("10.0.0.2", "192.0.2.1"), True),
        ],
    )
    def test_client_hosts_of_several_machines(
        self, tmp_path: Path, one: tuple[str, str], other: tuple[str, str], clash: bool
    ) -> None:
        entries = [
            {"id": id, "host": host, "clientHost": client_host, "clientPort": 3050}
            for id, (host, client_host) in (("a", one), ("b", other))
        ]
        write(tmp_path, {"development": {"connector": entries}})
        if clash:
            assert "is also the clientPort of 'a'" in str(mistake(tmp_path))
        else:
            assert len(load_servers(tmp_path, "development")) == 2

    def test_other_environments_do_not_matter(self, tmp_path: Path) -> None:
        entry = {"id": "a", "port": 6050}
        write(tmp_path, {"development": {"chat": [entry]}, "production": {"chat": [entry]}})
        assert load_servers(tmp_path, "production").get("a")


class TestTheCollection:
    @pytest.fixture
    def servers(self) -> Servers:
        return load_servers(EXAMPLE, "development")

    def test_types_and_order(self, servers: Servers) -> None:
        assert servers.types == ["connector", "chat", "gate"]
        assert [server.id for server in servers.of_type("chat")] == [
            "chat-server-1",
            "chat-server-2",
            "chat-server-3",
        ]
        assert len(servers) == 7

    def test_unknown_type_names_those_there_are(self, servers: Servers) -> None:
        with pytest.raises(ConfigError) as caught:
            servers.of_type("conector")
        assert caught.value.file == servers.file
        assert caught.value.advice == (
            "Did you mean 'connector'? The types are connector, chat and gate"
        )

    def test_unknown_id_names_the_nearest(self, servers: Servers) -> None:
        assert servers.get("chat-sever-1") is None
        with pytest.raises(ConfigError, match=re.escape("Did you mean 'chat-server-1'?")):
            servers.by_id("chat-sever-1")

    def test_known_id(self, servers: Servers) -> None:
        assert servers.by_id("gate-server-1") is servers.get("gate-server-1")

    @pytest.mark.parametrize("env", ["development", "production"])
    def test_the_ports_of_the_example(self, env: str) -> None:
        servers = load_servers(EXAMPLE, env)
        assert [(s.client_port, s.port) for s in servers.of_type("gate")] == [(3014, None)]
        assert [(s.client_port, s.port) for s in servers.of_type("connector")] == [
            (3050, 4050),
            (3051, 4051),
            (3052, 4052),
        ]
        assert [(s.client_port, s.port) for s in servers.of_type("chat")] == [
            (None, 6050),
            (None, 6051),
            (None, 6052),
        ]
        assert [s.frontend for s in servers] == [True] * 3 + [False] * 3 + [True]
