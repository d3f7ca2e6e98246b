"""One wheel, and the libraries it requires, for all the tests here."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from email.parser import HeaderParser
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from environments import NOT_COPIED, REPOSITORY, Environment, pip, required_by
from packaging.version import Version


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    """A copy of the repository, so that nothing is built in it."""
    folder = tmp_path_factory.mktemp("source") / "chatcore"
    shutil.copytree(REPOSITORY, folder, ignore=NOT_COPIED)
    return folder


@pytest.fixture(scope="session")
def wheel(source, tmp_path_factory) -> Path:
    if Version(distribution("setuptools").version) < Version("70.1"):
        pytest.fail("building needs setuptools 70.1 or newer; make test installs it")
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", folder, source)
    [file] = folder.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def libraries(wheel) -> list[Distribution]:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    wanted = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    return required_by([*wanted, "setuptools"])


@pytest.fixture
def fresh(tmp_path, libraries) -> Callable[[], Environment]:
    return lambda: Environment(tmp_path / "fresh", libraries)
