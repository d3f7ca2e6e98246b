"""Reading ``crons.json``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatcore.config.crons import CronEntry, load_crons
from chatcore.config.servers import Servers, load_servers
from chatcore.errors import ConfigError

CLEAN = {"id": 1, "time": "0 0 4 * * *", "action": "roomCron.clean"}


@pytest.fixture
def servers(tmp_path: Path) -> Servers:
    write(
        tmp_path,
        "servers",
        {
            "development": {
                "chat": [{"id": "chat-1"}, {"id": "chat-2"}],
                "area": [{"id": "area-1"}],
            },
            "production": {},
        },
    )
    return load_servers(tmp_path, "development")


def write(folder: Path, name: str, value: Any) -> None:
    file = folder / "config" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(value if isinstance(value, str) else json.dumps(value))


def shown(entry: CronEntry) -> tuple[Any, ...]:
    when = entry.every if entry.times is None else entry.times.text
    return entry.id, entry.server_type, entry.server_id, when, entry.count


def test_without_a_file_there_are_none(tmp_path: Path, servers: Servers) -> None:
    assert load_crons(tmp_path, servers) == []


@pytest.mark.parametrize(
    "files",
    [
        {"crons": {"development": {"chat": [CLEAN]}, "production": {}}},
        {"crons": {"chat": [CLEAN]}},
        {"development/crons": {"chat": [CLEAN]}},
        {"crons": {"production": {}}, "development/crons": {"chat": [CLEAN]}},
    ],
)
def test_where_they_may_stand(tmp_path: Path, servers: Servers, files: dict[str, Any]) -> None:
    for name, value in files.items():
        write(tmp_path, name, value)
    (entry,) = load_crons(tmp_path, servers)
    assert shown(entry) == ("1", "chat", None, "0 0 4 * * *", None)
    assert entry.action == "roomCron.clean"


def test_for_one_server_for_all_types_and_by_period(tmp_path: Path, servers: Servers) -> None:
    write(
        tmp_path,
        "crons",
        {
            "development": {
                "chat": [{**CLEAN, "serverId": "chat-2"}],
                "all": [
                    {"id": "tick", "every": 2.5, "count": 3, "action": "a.b"},
                    {**CLEAN, "id": 2, "serverId": "area-1"},
                ],
            }
        },
    )
    assert [shown(entry) for entry in load_crons(tmp_path, servers)] == [
        ("1", "chat", "chat-2", "0 0 4 * * *", None),
        ("tick", "chat", None, 2.5, 3),
        ("tick", "area", None, 2.5, 3),
        ("2", "area", "area-1", "0 0 4 * * *", None),
    ]


def test_another_environment_has_none(tmp_path: Path, servers: Servers) -> None:
    write(tmp_path, "crons", {"production": {"chat": [CLEAN]}})
    assert load_crons(tmp_path, servers) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tiem": 1}, "the cron 1: unknown key 'tiem'. Did you mean 'time'?"),
        ({"id": None}, "a cron: no 'id'"),
        ({"id": True}, "no 'id'"),
        ({"action": "clean"}, "no 'action'. It is a service and a method"),
        ({"time": "0 0 25 * * *"}, "the time '0 0 25 * * *' is wrong: the hour is 25"),
        ({"time": 5}, "'time' is not a text"),
        ({"every": 5}, "needs a 'time' or an 'every'. Give it one of the two"),
        ({"time": ..., "every": 0}, "'every' is not a number over 0"),
        ({"time": ..., "every": "5"}, "'every' is not a number over 0"),
        ({"time": ..., "every": 5, "count": 1.5}, "'count' is a whole number"),
        ({"count": 5}, "'count' is a whole number that goes with 'every'"),
        ({"serverId": "chat-3"}, "no server 'chat-3'. Did you mean 'chat-"),
        ({"serverId": "area-1"}, "area-1 is a server of the type area"),
    ],
)
def test_mistakes_in_an_entry(
    tmp_path: Path, servers: Servers, changes: dict[str, Any], said: str
) -> None:
    entry = {key: value for key, value in {**CLEAN, **changes}.items() if value is not ...}
    write(tmp_path, "crons", f'{{"development": {{"chat": [\n{json.dumps(entry)}]}}}}')
    with pytest.raises(ConfigError) as raised:
        load_crons(tmp_path, servers)
    assert said in str(raised.value)
    assert str(raised.value).startswith(f"{tmp_path}/config/crons.json:2:")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "expected an object of server types"),
        ({"development": {"caht": [CLEAN]}}, "no server type 'caht'. Did you mean 'chat'?"),
        ({"development": {"chat": CLEAN}}, "'chat' is not a list of crons"),
        ({"development": {"chat": ["clean"]}}, "a cron: expected an object"),
        ({"developmnet": {"chat": [CLEAN]}}, "'developmnet' is no environment. Did you mean"),
        ({"chat": CLEAN}, "'chat' is no environment"),
    ],
)
def test_mistakes_around_the_entries(
    tmp_path: Path, servers: Servers, value: Any, said: str
) -> None:
    write(tmp_path, "crons", value)
    with pytest.raises(ConfigError) as raised:
        load_crons(tmp_path, servers)
    assert said in str(raised.value)


def test_a_plugin_does_not_know_which_types_there_are(tmp_path: Path, servers: Servers) -> None:
    write(tmp_path, "crons", {"chat": [CLEAN], "dungeon": [CLEAN]})
    (entry,) = load_crons(tmp_path, servers, lenient=True)
    assert entry.server_type == "chat"
