"""Finding out whether a folder is an application."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatcore.config.application_folder import find_application
from chatcore.errors import ConfigError


def make(folder: Path, place: str = "config/servers.json") -> Path:
    file = folder / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    return folder


def mistake(path: Path | str) -> str:
    with pytest.raises(ConfigError) as caught:
        find_application(path)
    return str(caught.value)


@pytest.mark.parametrize(
    "place", ["config/servers.json", "config/production/servers.json", "servers.json"]
)
def test_a_list_of_servers_makes_an_application(tmp_path: Path, place: str) -> None:
    assert find_application(make(tmp_path, place)) == tmp_path.resolve()


def test_a_folder_of_servers_makes_an_application(tmp_path: Path) -> None:
    (tmp_path / "servers").mkdir()
    assert find_application(str(tmp_path)) == tmp_path.resolve()


def test_links_and_relative_paths_are_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path / "real")
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    assert find_application("link") == (tmp_path / "real").resolve()
    assert find_application(Path("real") / "." / "config" / "..") == (tmp_path / "real").resolve()


def test_what_does_not_exist_names_the_nearest(tmp_path: Path) -> None:
    make(tmp_path / "chat")
    text = mistake(tmp_path / "chatt")
    assert "does not exist" in text
    assert f"Did you mean {tmp_path / 'chat'}?" in text


def test_what_does_not_exist_and_is_like_nothing(tmp_path: Path) -> None:
    assert mistake(tmp_path / "zzz").endswith("does not exist. Check --app")
    assert "does not exist" in mistake(tmp_path / "no" / "such" / "place")


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    text = mistake(tmp_path / "app.py")
    assert "is not a folder" in text
    assert "An application folder holds config/servers.json and a folder servers/" in text


@pytest.mark.parametrize("inside", ["chat", "examples/chat"])
def test_a_folder_above_an_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    make(tmp_path / inside)
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    text = mistake(".")
    assert f"{tmp_path} is not an application folder. Did you mean {inside}?" in text


def test_a_folder_inside_an_application(tmp_path: Path) -> None:
    make(tmp_path / "chat")
    text = mistake(tmp_path / "chat" / "config")
    assert f"Did you mean {tmp_path / 'chat'}, around it?" in text


def test_a_folder_far_from_any_application(tmp_path: Path) -> None:
    (tmp_path / ".hidden" / "servers").mkdir(parents=True)
    (tmp_path / "servers").write_text("not a folder")
    text = mistake(tmp_path)
    assert text.endswith("holds config/servers.json and a folder servers/")
    assert "Did you mean" not in text


def test_a_link_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    mistake(tmp_path / "circle")
