"""What the tests of links share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .wiring import Log, Net


@pytest.fixture
def log() -> Iterator[Log]:
    """What is logged while the test runs."""
    with Log() as log:
        yield log


@pytest.fixture
def net() -> Net:
    return Net()
