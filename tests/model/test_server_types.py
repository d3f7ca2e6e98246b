"""Server types that only servers.json or only the application's folder knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatcore.config.servers import Server, Servers
from chatcore.dispatch.components import Catalogue
from chatcore.errors import ConfigError
from chatcore.node.server_types import compare_types, verify_components

from .fakes import Log


def compare(folder: Path, listed: str, folders: str) -> None:
    (folder / "servers").mkdir()
    entries = [Server(id=f"{t}-1", type=t, line=n) for n, t in enumerate(listed.split(), 3)]
    servers = Servers(entries, file=folder / "servers.json", env="test")
    compare_types(Catalogue(folder, server_types=folders.split()), servers)


def test_the_same_types(tmp_path: Path, log: Log) -> None:
    compare(tmp_path, "door counter", "counter door")
    assert log.events == []


def test_a_misspelt_type(tmp_path: Path) -> None:
    said = "servers.json has the type 'conuter', and the application's folder is servers/counter"
    with pytest.raises(ConfigError, match=said) as raised:
        compare(tmp_path, "door conuter", "counter door")
    assert (raised.value.file, raised.value.line) == (tmp_path / "servers.json", 4)


def test_a_type_without_a_folder(tmp_path: Path, log: Log) -> None:
    compare(tmp_path, "door lobby", "door")
    (event,) = log.events
    assert event["log_level"].name == "warn"
    assert "The type lobby of servers.json has no folder servers/lobby" in log.text()
    assert "nearest" not in log.text()


def test_a_folder_without_a_type(tmp_path: Path, log: Log) -> None:
    compare(tmp_path, "door", "door lobby")
    (event,) = log.events
    assert event["log_level"].name == "warn"
    assert "no type lobby in the environment test" in log.text()


def test_near_to_one_that_both_know_is_no_mistake(tmp_path: Path, log: Log) -> None:
    compare(tmp_path, "door", "door doors")
    assert "servers/doors. The nearest name is door" in log.text()


def test_names_that_are_only_a_little_alike_are_no_mistake(tmp_path: Path, log: Log) -> None:
    compare(tmp_path, "connector", "collector")
    assert len(log.events) == 2


def test_pomelos_folders(tmp_path: Path) -> None:
    (tmp_path / "app/servers/door/handler").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"nobody reads app/servers.*Move it to servers"):
        compare_types(Catalogue(tmp_path), doors(tmp_path))


def test_an_application_without_folders(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no folder servers.*Write servers/door/handlers\.py"):
        verify_components(Catalogue(tmp_path), doors(tmp_path))


@pytest.mark.parametrize("frontend", [True, False])
def test_clients_whom_nobody_answers(tmp_path: Path, log: Log, frontend: bool) -> None:
    (tmp_path / "servers").mkdir()
    verify_components(Catalogue(tmp_path), doors(tmp_path, frontend))
    assert ("No server type has a handler" in log.text()) == frontend


def doors(folder: Path, frontend: bool = False) -> Servers:
    entry = Server(id="a", type="door", frontend=frontend)
    return Servers([entry], file=folder / "servers.json", env="test")
