"""Where a server is, as its command line says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatcore.config.placing import Placing
from chatcore.config.servers import Servers, load_servers
from chatcore.errors import ConfigError


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    types = {
        "gate": [{"id": "gate-1", "clientPort": 3010, "max-connections": 7}],
        "chat": [{"id": "chat-1", "host": "192.0.2.1", "port": 4010}],
        "hall": [{"id": "hall-1", "frontend": True, "port": 3011}],
    }
    (tmp_path / "servers.json").write_text(json.dumps({"development": types}))
    return load_servers(tmp_path, "development")


def said(**options: str) -> Placing:
    names = ("host", "port", "client-host", "client-bind", "client-port")
    given = {name.replace("_", "-"): text for name, text in options.items()}
    return Placing.of({name: given.get(name) for name in names})


def test_what_is_said_wins_and_the_rest_stays(servers: Servers) -> None:
    chat = servers.by_id("chat-1")
    assert said().place(chat) is chat
    there = said(host="192.0.2.9").place(chat)
    assert (there.host, there.port) == ("192.0.2.9", 4010)
    gate = said(host="192.0.2.9", port="4020", client_host="0.0.0.0").place(servers.by_id("gate-1"))
    assert (gate.host, gate.port, gate.client_host, gate.client_port, gate.max_connections) == (
        "192.0.2.9", 4020, "0.0.0.0", 3010, 7,
    )  # fmt: skip
    told = said(client_host="chat.example.org", client_bind="0.0.0.0").place(gate)
    assert (told.client_host, told.listen_host) == ("chat.example.org", "0.0.0.0")
    hall = said(client_port="3999").place(servers.by_id("hall-1"))
    assert (hall.port, hall.client_port) == (None, 3999)
    after = servers.having(there)
    assert after.by_id("chat-1") is there
    assert [each.id for each in after] == [each.id for each in servers]
    assert servers.by_id("chat-1") is chat


def test_a_server_that_nobody_listed(servers: Servers) -> None:
    chat = said(host="192.0.2.9", port="4030").new("chat-9", "chat", servers)
    assert (chat.id, chat.type, chat.host, chat.port, chat.frontend) == (
        "chat-9", "chat", "192.0.2.9", 4030, False,
    )  # fmt: skip
    gate = said(client_port="3030").new("gate-9", "gate", servers)
    assert (gate.frontend, gate.client_port, gate.port) == (True, 3030, None)
    assert [each.id for each in servers.having(chat).of_type("chat")] == ["chat-1", "chat-9"]


@pytest.mark.parametrize(
    ("id", "server_type", "options", "why"),
    [
        ("chat-9", "chat", {"host": "0.0.0.0", "port": "4030"}, "--host 0.0.0.0 is every address"),
        ("chat-9", "chat", {"host": "192.0.2.9"}, "has no port for links.*--port"),
        ("chat-9", "chat", {"port": "many"}, r"--port is \"many\", where a port from 1"),
        ("chat-9", "chat", {"port": "70000"}, "--port is"),
        ("chat-9", "chat", {"host": "a b", "port": "1"}, "--host is"),
        ("gate-9", "gate", {"port": "4030"}, None),
        ("front-9", "hall", {}, "is a frontend and has no --client-port"),
        ("chat-9", "chta", {"port": "4030"}, "no server type 'chta'.*Did you mean 'chat'"),
        ("admin-9", "chat", {"port": "4030"}, "taken by chatcore itself"),
        ("../x", "chat", {"port": "4030"}, "a usable name"),
    ],
)
def test_what_leads_nowhere_is_refused(
    servers: Servers, id: str, server_type: str, options: dict[str, str], why: str | None
) -> None:
    if why is None:
        assert said(**options).new(id, server_type, servers).client_port == 4030
        return
    with pytest.raises(ConfigError, match=why):
        said(**options).new(id, server_type, servers)
