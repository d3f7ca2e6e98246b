"""What make says before it can do anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from environments import DEADLINE, REPOSITORY, clean_environment

pytestmark = pytest.mark.skipif(
    shutil.which("make") is None, reason="make is missing (Debian package make)"
)


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in ("Makefile", "setup.cfg", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = clean_environment()
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"):
        environment.pop(name, None)
    return subprocess.run(
        ["make", *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def python_where(folder: Path, *, fails: str) -> str:
    """Make a Python that ends with code 1 for a command that contains ``fails``."""
    script = folder / "some-python"
    script.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *{fails}*) exit 1;; *-V*) echo "Python 3.9.2"; exit 0;; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    script.chmod(0o755)
    return f"PYTHON={script}"


def test_it_says_what_it_can_do(folder):
    done = make(folder)

    assert done.returncode == 0
    for target in ("demo", "test", "check", "format", "clean"):
        assert f"make {target} " in done.stdout


@pytest.mark.parametrize("target", ["demo", "test", "check"])
def test_without_the_module_venv_it_names_the_debian_package(folder, target):
    done = make(folder, target, python_where(folder, fails="ensurepip"))

    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr
    assert not (folder / ".venv").exists()


def test_an_old_python_is_told_from_a_new_one(folder):
    done = make(folder, "demo", python_where(folder, fails="version_info"))

    assert done.returncode != 0
    assert "chatcore needs Python 3.11 or newer" in done.stderr
    assert "Python 3.9.2" in done.stderr
    assert not (folder / ".venv").exists()


def test_without_a_python_it_says_so(folder):
    done = make(folder, "demo", f"PYTHON={folder}/no-such-python")

    assert done.returncode != 0
    assert "Install Python 3.11 or newer (Debian package python3)" in done.stderr


def test_clean_removes_what_was_made(folder):
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / "chatcore.egg-info").mkdir()
    (folder / "some" / "__pycache__").mkdir(parents=True)

    assert make(folder, "clean").returncode == 0

    assert sorted(path.name for path in folder.iterdir()) == [
        "Makefile",
        "pyproject.toml",
        "setup.cfg",
        "some",
    ]
    assert list((folder / "some").iterdir()) == []
