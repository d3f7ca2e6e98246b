"""Schemas of routes that no handler answers, and schemas that are not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatcore.config.servers import Server, Servers
from chatcore.connectors.settings import ConnectorSettings
from chatcore.dispatch.components import Catalogue
from chatcore.errors import ConfigError
from chatcore.node.dialects import load_dialects

from .fakes import Log


def load(folder: Path, **schemas: object) -> None:
    for name, value in schemas.items():
        (folder / "config").mkdir(exist_ok=True)
        (folder / f"config/{name}.json").write_text(json.dumps(value))
    servers = Servers([Server(id="a", type="door")], file=folder / "servers.json", env="test")
    load_dialects(Catalogue(folder), servers, ConnectorSettings(protobuf=True))


def test_a_route_that_no_handler_has(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no handler has the route 'door\.entry\.enter'") as told:
        load(tmp_path, clientProtos={"door.entry.enter": {"required string name": 1}})
    assert (told.value.file, told.value.line) == (tmp_path / "config/clientProtos.json", 1)


def test_other_names_are_nobodys_business(tmp_path: Path, log: Log) -> None:
    load(tmp_path, clientProtos={"gate.entry.enter": {}, "onChat": {}}, serverProtos={"a.b.c": {}})
    assert log.events == []


def test_no_schemas_at_all(tmp_path: Path, log: Log) -> None:
    load(tmp_path)
    assert f"{tmp_path}/config/serverProtos.json" in log.text()
    assert f"{tmp_path}/config/clientProtos.json" in log.text()
