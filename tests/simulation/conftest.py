"""What all simulations share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .stage import Script, write


@pytest.fixture(scope="session")
def script() -> Iterator[Script]:
    with tempfile.TemporaryDirectory() as folder:
        yield write(Path(folder))
