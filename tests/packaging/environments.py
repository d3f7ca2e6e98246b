"""Fresh virtual environments, filled with the libraries that were downloaded for the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
DEADLINE = 300
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".chatcore", ".*_cache", "*.egg-info", "__pycache__", "build", "dist",
    "dropin.cache", "node_modules",
)  # fmt: skip


def clean_environment() -> dict[str, str]:
    """What a new terminal would have, without what makes Python look elsewhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTU"))
    }


def run(*words: str | Path, cwd: Path | str = "/", code: int = 0) -> str:
    """Run a command that is to end with ``code``; what it wrote comes back."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def pip(*words: str | Path, python: Path | None = None) -> str:
    """Run pip, for another environment where ``python`` is given."""
    other = ("--python", python) if python is not None else ()
    quiet = ("-q", "--disable-pip-version-check")
    return run(sys.executable, "-m", "pip", *other, *words, *quiet)


class Environment:
    """A virtual environment without pip, and with the libraries that chatcore requires."""

    def __init__(self, folder: Path, libraries: Iterable[Distribution]) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        self.site_packages = Path(
            run(self.python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        )
        for library in libraries:
            self._copy(library)
        self.twistd = folder / "bin" / "twistd"
        self.twistd.write_text(
            f"#!{self.python}\nfrom twisted.scripts.twistd import run\n\nrun()\n"
        )
        self.twistd.chmod(0o755)
        self.command = folder / "bin" / "chatcore"

    def _copy(self, library: Distribution) -> None:
        for file in library.files or ():
            if ".." in file.parts or file.is_absolute():
                continue  # scripts, whose first line names another Python
            target = self.site_packages / file
            target.parent.mkdir(parents=True, exist_ok=True)
            source = library.locate_file(file)
            if Path(source).is_file():
                shutil.copyfile(source, target)

    def plugins(self) -> list[str]:
        """The plugins of chatcore that twistd lists, started from another folder."""
        listed = run(self.twistd, "--help", cwd="/").splitlines()
        return [line.split()[0] for line in listed if line.strip().startswith("chat")]

    def plugin_files(self) -> list[Path]:
        return [path for path in self.site_packages.rglob("*chatcore_plugin*") if path.is_file()]


def required_by(names: Iterable[str]) -> list[Distribution]:
    """Find the installed distributions that the requirements need, with all that those need."""
    found: dict[str, Distribution] = {}
    asked: set[tuple[str, str]] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            pytest.fail(f"{name} is not installed here; make test installs it")
        for extra in ("", *wanted.extras):
            if (name, extra) not in asked:
                asked.add((name, extra))
                every = map(Requirement, found[name].requires or ())
                waiting += [
                    one
                    for one in every
                    if one.marker is None or one.marker.evaluate({"extra": extra})
                ]
    return list(found.values())
