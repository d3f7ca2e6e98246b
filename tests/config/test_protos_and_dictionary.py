"""Reading dictionary.json, serverProtos.json and clientProtos.json, and their mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatcore.config.dictionary import load_routes
from chatcore.config.protos import load_protos, proto_files
from chatcore.errors import ConfigError
from chatcore.wire.protobuf import Protos

CHAT = {"onChat": {"required string msg": 1}}


def write(app: Path, name: str, content: object, env: str = "") -> Path:
    file = app / "config" / env / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return file


def test_no_files_at_all(tmp_path: Path) -> None:
    assert load_routes(tmp_path, "development") == []
    assert load_protos(tmp_path, "development") == (None, None)


def test_files_for_all_environments_and_for_one(tmp_path: Path) -> None:
    """The environment's own file is the one that counts."""
    write(tmp_path, "dictionary.json", ["onChat", "onAdd", "onChat"])
    write(tmp_path, "dictionary.json", ["onLeave"], "production")
    write(tmp_path, "serverProtos.json", {})
    write(tmp_path, "serverProtos.json", CHAT, "production")
    write(tmp_path, "clientProtos.json", CHAT)
    assert load_routes(tmp_path, "development") == ["onChat", "onAdd", "onChat"]
    assert load_routes(tmp_path, "production") == ["onLeave"]
    assert load_protos(tmp_path, "development") == ({}, CHAT)
    assert load_protos(tmp_path, "production") == (CHAT, CHAT)


def test_files_of_other_names(tmp_path: Path) -> None:
    """They count instead of the usual ones, and have to be there."""
    for name, content in (("dictionary.json", ["onAdd"]), ("serverProtos.json", {})):
        write(tmp_path, name, content, "production")
    write(tmp_path, "routes.json", ["onChat"])
    write(tmp_path, "out.json", CHAT)
    assert load_routes(tmp_path, "production", file="config/routes.json") == ["onChat"]
    protos = load_protos(tmp_path, "production", server="config/out.json")
    assert protos == (CHAT, None)
    assert proto_files(tmp_path, "production", server="config/out.json") == [
        tmp_path / "config" / "out.json",
        tmp_path / "config" / "production" / "clientProtos.json",
        tmp_path / "config" / "clientProtos.json",
    ]
    for load in (
        lambda: load_routes(tmp_path, "production", file="routes.json"),
        lambda: load_protos(tmp_path, "production", client="in.json"),
    ):
        with pytest.raises(ConfigError):
            load()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"development": ["onChat"]}, ":1:1: expected a list of routes"),
        (["onChat", 5], ":3:2: expected a route, which is a text"),
        (["onChat", ""], ":3:2: '' can't be a route"),
        (["__proto__"], ":2:2: '__proto__' can't be a route"),
        (["中" * 86], ":2:2: a route of more than 255 bytes"),
        ("[", "not JSON"),
    ],
)
def test_mistakes_in_a_dictionary(tmp_path: Path, content: object, problem: str) -> None:
    file = write(tmp_path, "dictionary.json", content)
    with pytest.raises(ConfigError) as caught:
        load_routes(tmp_path, "development")
    assert str(caught.value).startswith(str(file)) and problem in str(caught.value)


def test_more_routes_than_two_bytes_can_tell(tmp_path: Path) -> None:
    file = write(tmp_path, "dictionary.json", ["onChat", "onAdd"])
    assert len(load_routes(tmp_path, "development", handlers=65533)) == 2
    with pytest.raises(ConfigError, match="route 2 of this file, after 65534 of handlers") as error:
        load_routes(tmp_path, "development", handlers=65534)
    assert (error.value.file, error.value.line) == (file, 3)
    file.unlink()
    with pytest.raises(ConfigError, match="the handlers have 65536 methods"):
        load_routes(tmp_path, "development", handlers=65536)


def test_everything_that_a_schema_may_hold(tmp_path: Path) -> None:
    whole = {
        "onChat": {
            "required uInt32 a": 1,
            "optional P p": 2,
            "repeated Q q": 268435455,
            "message P": {"required bool message": 1, "optional Q q": 2, "message R": {}},
        },
        "message Q": {"optional Q again": 1},
        "message": {},
    }
    write(tmp_path, "serverProtos.json", whole)
    server, client = load_protos(tmp_path, "development")
    assert server == whole
    assert Protos(server, client).encode({"a": 1}, "onChat") == b"\x08\x01"


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        ({"r": []}, ":2:2: expected a message, which is an object of fields"),
        ({"r": {"message P": 1}}, ":3:3: expected a message, which is an object of fields"),
        ({"": {}}, ":2:2: '' can't be a route"),
        ({"__proto__": {}}, ":2:2: '__proto__' can't be a route"),
        ({"message A B": {}}, ":2:2: 'message A B' declares no message"),
        ({"r": {"message": {}}}, ":3:3: 'message' declares no message"),
        ({"r": {"message ": {}}}, ":3:3: 'message ' declares no message"),
        ({"message string": {}}, ":2:2: 'string' can't be the name of a message"),
        ({"r": {"string msg": 1}}, ":3:3: 'string msg' is no field. A field is written"),
        ({"r": {"required  string m": 1}}, ":3:3: 'required  string m' is no field"),
        ({"r": {"required string ": 1}}, ":3:3: 'required string ' is no field"),
        ({"r": {"requird string m": 1}}, "unknown option 'requird'. Did you mean 'required'?"),
        ({"r": {"map P m": 1}}, "the option 'map' is Pinus's, and not supported"),
        ({"r": {"required uint32 m": 1}}, "unknown type 'uint32'. Did you mean 'uInt32'?"),
        ({"r": {"required Q m": 1}, "s": {"message Q": {}}}, "unknown type 'Q'"),
        (
            {"r": {"message P": {"required Q q": 1}, "message Q": {}}},
            ":4:4: unknown type 'Q'. A message sees those inside it and those at the root",
        ),
        ({"message Person": {}, "r": {"required Persn m": 1}}, "Did you mean 'Person'?"),
        ({"r": {"required string __tags": 1}}, "'__tags' can't be the name of a field"),
        ({"r": {"required string m": 0}}, "the tag of 'm' is 0, where a whole number from 1"),
        ({"r": {"required string m": "1"}}, "the tag of 'm' is \"1\", where"),
        ({"r": {"required string m": 1.5}}, "the tag of 'm' is 1.5, where"),
        ({"r": {"required string m": True}}, "the tag of 'm' is true, where"),
        ({"r": {"required string m": 2**28}}, "the tag of 'm' is 268435456, where"),
        (
            {"r": {"required string a": 1, "required string b": 1}},
            ":4:3: the tag 1 is already used in line 3",
        ),
        (
            {"r": {"required string a": 1, "optional uInt32 a": 2}},
            ":4:3: the name 'a' is already used in line 3",
        ),
        ([], ":1:1: expected an object of messages"),
    ],
)
@pytest.mark.parametrize("name", ["serverProtos.json", "clientProtos.json"])
def test_mistakes_in_a_schema(tmp_path: Path, name: str, declared: object, problem: str) -> None:
    file = write(tmp_path, name, declared)
    with pytest.raises(ConfigError) as caught:
        load_protos(tmp_path, "development")
    assert str(caught.value).startswith(str(file)) and problem in str(caught.value)
