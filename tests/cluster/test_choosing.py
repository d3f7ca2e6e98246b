"""Which registry is meant by what was said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from chatcore.cluster.choosing import (
    VARIABLE,
    RegistryParts,
    chosen_url,
    make_registry,
    of_a_new_secret,
    refuse_passwords,
)
from chatcore.cluster.redis_registry import RedisRegistry
from chatcore.cluster.registry import StaticRegistry, shown
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import View
from chatcore.config.run_folder import RunFolder
from chatcore.config.settings import Assignment, resolve
from chatcore.errors import ConfigError
from chatcore.links.settings import LinkSettings
from chatcore.telemetry import Counters

SECRET_URL = "redis://joe:s3same@10.0.0.1:6379/2"


def parts(**changes: Any) -> RegistryParts:
    given: dict[str, Any] = {
        "folder": Path("/the/chat"),
        "env": "production",
        "view": View(0, ()),
        "settings": RegistrySettings(),
        "links": LinkSettings(),
        "secret": b"s" * 32,
        "secret_file": Path("/cluster.secret"),
        "link_endpoint": lambda server: None,
        "counters": Counters(),
        "reactor": Clock(),
        **changes,
    }
    return RegistryParts(**given)


def test_the_option_wins_over_the_environment_and_that_over_the_settings(tmp_path: Path) -> None:
    settings = RegistrySettings(url="master://c:1")
    environment = {VARIABLE: "master://b:1"}
    assert chosen_url("master://a:1", settings, tmp_path, environment=environment) == "master://a:1"
    assert chosen_url(None, settings, tmp_path, environment=environment) == "master://b:1"
    assert chosen_url(None, settings, tmp_path, environment={}) == "master://c:1"
    assert chosen_url(None, RegistrySettings(), tmp_path, environment={}) == "static:"


def test_a_file_beside_the_application_can_hold_the_url(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{SECRET_URL}\n")
    (tmp_path / "url").chmod(0o600)
    assert chosen_url(None, RegistrySettings(url_file="url"), tmp_path, environment={}) == (
        SECRET_URL
    )


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url_file": "nowhere"}, "nowhere: the file of registry.url_file can't be read: No such"),
        ({"url_file": "empty"}, "empty: the file of registry.url_file holds no URL"),
        ({"url_file": "binary"}, "binary: the file of registry.url_file can't be read"),
        ({"url_file": SECRET_URL}, "registry.url_file holds a URL, where .*registry.url$"),
        ({"url_file": "empty", "url": "static:"}, "registry.url and registry.url_file are both"),
    ],
)
def test_a_file_that_can_not_be_meant_is_told(
    settings: dict[str, str], says: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=says):
        chosen_url(None, RegistrySettings(**settings), tmp_path, environment={})


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_with_a_password_is_for_its_owner_alone(tmp_path: Path, mode: int) -> None:
    file, settings = tmp_path / "url", RegistrySettings(url_file="url")
    file.write_text(SECRET_URL)
    file.chmod(mode)
    with pytest.raises(ConfigError, match="can be read or written by others") as told:
        chosen_url(None, settings, tmp_path, environment={})
    assert "chmod 600" in str(told.value) and "s3same" not in str(told.value)
    file.write_text("redis://10.0.0.1")
    assert chosen_url(None, settings, tmp_path, environment={}) == "redis://10.0.0.1"


def test_a_url_that_means_no_registry_is_told_without_its_password() -> None:
    misspelt = ("redsi:joe:s3same@a", "rediss//joe:s3same@a", "joe:s3same@a", "static:j:s3same@a",
                "s3same", "redis;//joe:s3same@a", "joe:s3same")  # fmt: skip
    for url in ("", "static", "static:now", "http://a:80", "http://joe:s3same@a", *misspelt):
        with pytest.raises(ConfigError, match="is no registry") as told:
            make_registry(url, parts())
        assert "s3same" not in str(told.value)
    with pytest.raises(ConfigError, match="not the URL of a master") as told:
        make_registry("master://:s3same@a", parts())
    assert "s3same" not in str(told.value)


def test_static_is_one_view_for_ever() -> None:
    assert isinstance(make_registry("static:", parts()), StaticRegistry)


def keys(**changes: Any) -> list[bytes]:
    registry = make_registry(SECRET_URL, parts(**changes))
    assert isinstance(registry, RedisRegistry)
    return registry.keys


@pytest.mark.parametrize(("cluster", "name"), [(None, b"chat:production"), ("it", b"it")])
def test_redis_is_a_url_and_the_name_of_the_cluster(cluster: str | None, name: bytes) -> None:
    view, beats, last, channel = keys(settings=RegistrySettings(cluster=cluster))
    assert (last, channel) == (b"chatcore:{%s}:last" % name, b"chatcore:{%s}:views" % name)
    assert view.startswith(b"chatcore:{%s}:" % name) and view.endswith(b":view")
    assert beats == view.removesuffix(b"view") + b"beats"


def test_clusters_with_other_names_or_secrets_have_other_keys() -> None:
    every = [
        keys(),
        keys(env="staging"),
        keys(folder=Path("/the/game")),
        keys(secret=b"t" * 32),
        keys(settings=RegistrySettings(cluster="it")),
    ]
    assert len({key for each in every for key in each[:2]}) == 2 * len(every)
    assert keys() == keys(folder=Path("/elsewhere/chat")), "all that have the same are one"
    assert not any(b"s" * 8 in key for key in keys()), "the secret itself is in none"


def test_a_wrong_url_is_told_without_its_password(tmp_path: Path) -> None:
    for url in (
        "redis://:s3same@",
        "redis://:s3same@h:x",
        "rediss://:s3same@127.0.0.1?ca=none.pem",
        "master://:s3same@127.0.0.1",
    ):
        with pytest.raises(ConfigError) as told:
            make_registry(url, parts(folder=tmp_path))
        assert "s3same" not in str(told.value)


@pytest.mark.parametrize(
    ("option", "assignments"),
    [
        (SECRET_URL, []),
        ("redis://:s3same@10.0.0.1", []),
        ("redis://joe:s3/s3same?#@10.0.0.1", []),
        ("redis://joe@home:s3same@10.0.0.1", []),
        ("redis:/joe:s3same@10.0.0.1", []),
        (None, ["registry.url=redis:/joe:s3same@10.0.0.1"]),
        (None, ["limits.connections=3", f"registry.url={SECRET_URL}"]),
    ],
)
def test_a_password_in_an_argument_is_refused_and_not_repeated(
    option: str | None, assignments: list[str]
) -> None:
    with pytest.raises(ConfigError, match=VARIABLE) as told:
        refuse_passwords(option, assignments)
    assert "s3same" not in str(told.value)


def test_arguments_without_a_password_pass() -> None:
    refuse_passwords("redis://joe@10.0.0.1:6379/2", ["a.b=1", "registry.url=master://[::1]:3005"])
    refuse_passwords(None, [])


def test_a_url_is_shown_without_its_password() -> None:
    assert shown(SECRET_URL) == "redis://***@10.0.0.1:6379/2"
    assert shown("master://[::1]:3005") == "master://[::1]:3005"


def test_no_password_is_in_what_people_may_print() -> None:
    settings = resolve({"registry": RegistrySettings}, [said("registry.url", SECRET_URL)])
    assert settings["registry.url"] == SECRET_URL
    for shown_somewhere in (settings[RegistrySettings], make_registry(SECRET_URL, parts())):
        assert "s3same" not in repr(shown_somewhere)
    with pytest.raises(ConfigError, match=r"registry\.url") as told:
        resolve({"registry": RegistrySettings}, [said("registry.url", SECRET_URL.encode())])
    assert "s3same" not in str(told.value)


def said(key: str, value: object) -> Assignment:
    return Assignment(key=key, value=value, source="app.py:1")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://joe:s3same@10.0.0.1/0", True),
        ("master://10.0.0.1:3005", True),
        ("master://127.0.0.1:3005", False),
        ("redis://localhost", False),
        ("static:", False),
    ],
)
def test_a_secret_made_anew_is_told_where_others_have_one(
    tmp_path: Path, url: str, told: bool
) -> None:
    run = RunFolder.open(tmp_path)
    assert of_a_new_secret(run, url) is None, "before there is one"
    run.secret()
    said = of_a_new_secret(run, url)
    assert bool(said) == told
    assert not told or (str(run.path / "secret") in str(said) and "--secret-file" in str(said))
    assert of_a_new_secret(RunFolder.open(tmp_path), url) is None, "it is no new one any more"
