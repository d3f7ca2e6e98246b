"""Files that are loaded anew when they have changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from chatcore.connectors.watching import Watch
from chatcore.errors import ConfigError


class Watched:
    """Two files, of which the second comes later, and how often they were loaded."""

    def __init__(self, folder: Path, seconds: float = 30) -> None:
        self.clock = Clock()
        self.one, self.other = folder / "one", folder / "other"
        self.one.write_text("a")
        self.loaded: list[str] = []
        self.watch = Watch(
            [self.one, self.other], seconds=seconds, clock=self.clock, load=self.load
        )
        self.watch.start()

    def load(self) -> None:
        text = self.one.read_text()
        if text == "bad":
            raise ConfigError("bad", file=self.one)
        self.loaded.append(text + (self.other.read_text() if self.other.exists() else ""))


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_nothing_is_loaded_while_nothing_changes(watched: Watched) -> None:
    watched.clock.pump([30] * 5)
    assert watched.loaded == []
    watched.watch.stop()


def test_what_has_changed_come_or_gone_is_loaded(watched: Watched) -> None:
    watched.one.write_text("bc")
    watched.clock.advance(30)
    watched.other.write_text("!")
    watched.clock.advance(30)
    watched.other.unlink()
    watched.clock.pump([30, 30])
    assert watched.loaded == ["bc", "bc!", "bc"]
    watched.watch.stop()


def test_a_file_that_another_took_the_place_of(watched: Watched, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.write_text("z")
    os.utime(new, ns=(watched.one.stat().st_mtime_ns,) * 2)
    new.replace(watched.one)
    watched.clock.advance(30)
    assert watched.loaded == ["z"]
    watched.watch.stop()


@pytest.mark.logs_failures
def test_a_mistake_is_waited_out(watched: Watched) -> None:
    watched.one.write_text("bad")
    watched.clock.pump([30, 30])
    assert watched.loaded == []
    watched.one.write_text("good")
    watched.clock.advance(30)
    assert watched.loaded == ["good"]
    watched.watch.stop()


def test_that_is_over_or_off_looks_no_longer(tmp_path: Path) -> None:
    over, off = Watched(tmp_path), Watched(tmp_path, seconds=0)
    over.watch.stop()
    for each in (over, off):
        each.one.write_text("changed")
        each.clock.pump([30, 30])
        assert each.loaded == []
        assert each.clock.getDelayedCalls() == []
