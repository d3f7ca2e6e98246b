"""The servers that a ``chatcore start`` has verified, as its processes read them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatcore.config.applied import SERVERS_VARIABLE, servers_of_process, write_applied
from chatcore.config.servers import load_servers
from chatcore.errors import ConfigError

LISTED = {
    "chat": [{"id": "chat-1", "port": 6050, "weight": 3, "data": {"a": [1]}}],
    "gate": [{"id": "gate-1", "host": "::1", "clientPort": 3014, "max-connections": "9"}],
    "game": [],
}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "servers.json").write_text(json.dumps({"production": LISTED}, indent=1))
    return tmp_path


def test_they_come_back_as_they_were_whatever_the_file_says_then(app: Path) -> None:
    servers = load_servers(app, "production")
    applied = app / "applied.json"
    write_applied(applied, servers)
    (app / "servers.json").write_text("{")

    variables = {SERVERS_VARIABLE: str(applied)}
    read = servers_of_process(app, "production", variables, supervised=True)

    assert (list(read), read.types) == (list(servers), servers.types)
    assert (read.file, read.env) == (servers.file, "production")
    assert [each.line for each in read] == [each.line for each in servers] != [1, 1]
    with pytest.raises(ConfigError):  # nobody supervises it: it goes by servers.json
        servers_of_process(app, "production", variables, supervised=False)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"types": {"chat": [1]}}'])
def test_what_nobody_has_written_like_that(tmp_path: Path, text: str) -> None:
    file = tmp_path / "applied.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="something else"):
        servers_of_process(tmp_path, "x", {SERVERS_VARIABLE: str(file)}, supervised=True)


def test_where_it_can_not_be_written_or_read(app: Path) -> None:
    nowhere = app / "nowhere" / "applied.json"
    with pytest.raises(ConfigError, match="can't be written"):
        write_applied(nowhere, load_servers(app, "production"))
    with pytest.raises(ConfigError, match="can't be read"):
        servers_of_process(app, "production", {SERVERS_VARIABLE: str(nowhere)}, supervised=True)
