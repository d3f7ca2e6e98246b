"""The examples of Twisted's own documentation, which its source distribution carries."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

DOWNLOAD_SECONDS = 300


def documentation() -> Path:
    """The folder ``docs/core`` of the Twisted that is installed here.

    It is downloaded once, into a folder of the user's cache. Where it can't be, the test is
    skipped.
    """
    release = version("Twisted")
    folder = _cache() / release
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _download(release, folder)
    return folder / f"twisted-{release}" / "docs" / "core"


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "chatcore-tests" / "twisted"


def _download(release: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"),
                *("--no-deps", "--no-binary", ":all:", "-d", temporary, f"twisted=={release}"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS,
        )
        archives = list(Path(temporary).glob("*.tar.gz"))
        if not archives:
            pytest.skip(f"needs Twisted's source distribution from PyPI: {done.stderr[-300:]}")
        unpacked = Path(temporary) / "unpacked"
        with tarfile.open(archives[0]) as archive:
            archive.extractall(unpacked, filter="data")
        unpacked.rename(folder)
