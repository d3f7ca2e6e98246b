"""Packages from npm, to hold chatcore beside the real thing.

They are installed once per set of names and versions, into a folder of the user's cache, and never
run anything while that happens.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

INSTALL_SECONDS = 300


class NpmError(Exception):
    """The packages could not be installed; the text says why and what to do."""


def missing_node() -> str | None:
    """What to install before `npm_packages` can work and its packages can run, or None."""
    missing = [
        name for name, tool in (("nodejs", "node"), ("npm", "npm")) if not shutil.which(tool)
    ]
    if not missing:
        return None
    words = "package" if len(missing) == 1 else "packages"
    return f"needs Node: install the Debian {words} {' and '.join(missing)}"


def npm_packages(packages: Mapping[str, str]) -> Path:
    """Install packages from npm; the ``node_modules`` folder that holds them comes back.

    What was installed before is taken as it is, without a look at the network. Two processes may
    ask for the same packages at once: the second waits for the first. Nothing outside the cache is
    changed, and the packages' own installation scripts are not run.

    Args:
        packages: names, and the exact version of each, as in ``{"pomelo-protobuf": "0.4.0"}``.

    Raises:
        NpmError: npm could not install them.
    """
    manifest = {"name": "installed-for-tests", "private": True, "dependencies": dict(packages)}
    text = json.dumps(manifest, indent=2, sort_keys=True)
    folder = _cache() / hashlib.sha256(text.encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            _install(text, folder)
    return folder / "node_modules"


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "chatcore-tests" / "npm"


def _install(manifest: str, folder: Path) -> None:
    """Install beside ``folder`` and move it there: it is complete, or it is not there."""
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=folder.parent) as temporary:
        made = Path(temporary) / "installed"
        made.mkdir()
        (made / "package.json").write_text(manifest)
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
        try:
            result = subprocess.run(
                command,
                cwd=made,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=INSTALL_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise NpmError(
                f"npm took more than {INSTALL_SECONDS} s for what the tests need. "
                "Check that its registry can be reached (npm ping)"
            ) from None
        if result.returncode:
            raise NpmError(
                f"npm could not install what the tests need:\n{manifest}\n{result.stdout}\n"
                "Check that its registry can be reached (npm ping), and that the versions exist"
            )
        made.rename(folder)
