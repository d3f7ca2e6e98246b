"""The cluster that a server joins which is told of no registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatcore.cluster.choosing import STATIC, registry_here
from chatcore.config.claims import Claim
from chatcore.config.run_folder import RunFolder
from chatcore.errors import ConfigError

MASTER = "master://127.0.0.1:3005"
REDIS = "redis://joe:***@redis.example:6379/0"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.open(tmp_path)


@pytest.fixture
def running(run: RunFolder, tmp_path: Path) -> Iterator[Callable[..., Claim]]:
    """Has something run, with a registry."""
    claims: list[Claim] = []

    def begin(name: str, registry: str, app: Path = tmp_path, env: str = "development") -> Claim:
        claim = run.claim(name)
        assert claim is not None
        claim.note({"app": str(app), "env": env, "registry": registry})
        claims.append(claim)
        return claim

    yield begin
    for claim in claims:
        claim.release()


@pytest.mark.parametrize("name", ["start", "master"])
def test_that_of_what_runs(
    run: RunFolder, tmp_path: Path, running: Callable[..., Claim], name: str
) -> None:
    assert registry_here(run, tmp_path, "development") == (STATIC, "")
    claim = running(name, MASTER)
    url, who = registry_here(run, tmp_path, "development")
    assert url == MASTER
    assert ("chatcore start" in who, "(process " in who) == (name == "start", True)

    claim.release()
    assert registry_here(run, tmp_path, "development") == (STATIC, "")
    assert run.noted(name) == {}


def test_nobody_s_who_was_killed(
    run: RunFolder, tmp_path: Path, running: Callable[..., Claim]
) -> None:
    """What it noted is still there, and it holds nothing."""
    claim = running("start", MASTER)
    about = (tmp_path / ".chatcore" / "start.about").read_text()
    claim.release()
    (tmp_path / ".chatcore" / "start.about").write_text(about)
    (tmp_path / ".chatcore" / "start.lock").write_text("4711\n")
    assert run.noted("start")["registry"] == MASTER
    assert registry_here(run, tmp_path, "development") == (STATIC, "")
    run.tidy("start")
    assert run.noted("start") == {}


def test_none_where_servers_json_says_all(
    run: RunFolder, tmp_path: Path, running: Callable[..., Claim]
) -> None:
    running("start", STATIC)
    assert registry_here(run, tmp_path, "development") == (STATIC, "")


def test_that_of_another_application_or_environment_is_none(
    run: RunFolder, tmp_path: Path, running: Callable[..., Claim]
) -> None:
    running("start", MASTER, env="production")
    running("master", MASTER, app=tmp_path / "other")
    assert registry_here(run, tmp_path, "development") == (STATIC, "")


def test_one_whose_url_is_not_known_whole_is_told(
    run: RunFolder, tmp_path: Path, running: Callable[..., Claim]
) -> None:
    running("start", REDIS)
    with pytest.raises(ConfigError) as caught:
        registry_here(run, tmp_path, "development")
    assert REDIS in str(caught.value)
    assert "CHATCORE_REGISTRY" in str(caught.value) and "--registry static:" in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[1]", '"x"', "\xff"])
def test_a_note_that_is_none(
    run: RunFolder, tmp_path: Path, running: Callable[..., Claim], text: str
) -> None:
    running("start", MASTER)
    (tmp_path / ".chatcore" / "start.about").write_bytes(text.encode("latin-1"))
    assert registry_here(run, tmp_path, "development") == (STATIC, "")
