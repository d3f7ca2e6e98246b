"""The helper that fetches what other tests compare with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from npm import NpmError, npm_packages

TESTS = Path(__file__).parent.parent
FAKE = """#!/bin/sh
echo installed >>"$CALLS"
{what}
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each time that npm was called."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "calls"


def fake_npm(folder: Path, what: str) -> None:
    npm = folder / "npm"
    npm.write_text(FAKE.format(what=what))
    npm.chmod(0o755)


def test_asked_by_two_at_once_it_installs_once(calls: Path) -> None:
    """The second waits for the first, and both have everything."""
    fake_npm(calls.parent, "sleep 0.3; mkdir -p node_modules/thing")
    code = "from npm import npm_packages; print(npm_packages({'thing': '1.0.0'}) / 'thing')"
    both = [
        subprocess.Popen([sys.executable, "-c", code], cwd=TESTS, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    folders = {each.communicate(timeout=60)[0].strip() for each in both}
    assert len(folders) == 1 and Path(folders.pop()).is_dir()
    assert calls.read_text() == "installed\n"
    assert npm_packages({"thing": "1.0.1"}) != npm_packages({"thing": "1.0.0"})
    assert calls.read_text() == "installed\n" * 2


def test_a_failure_is_told_and_leaves_nothing(calls: Path) -> None:
    """What npm said, and what was asked of it; the next attempt begins anew."""
    fake_npm(calls.parent, "mkdir node_modules; echo ENOTFOUND; exit 1")
    with pytest.raises(NpmError, match=r'(?s)"thing": "1.0.0".*ENOTFOUND.*npm ping'):
        npm_packages({"thing": "1.0.0"})
    fake_npm(calls.parent, "mkdir node_modules")
    assert npm_packages({"thing": "1.0.0"}).is_dir()
