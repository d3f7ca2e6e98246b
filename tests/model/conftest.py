"""What the tests of the model share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.logger import globalLogPublisher

from .fakes import Log


@pytest.fixture
def log() -> Iterator[Log]:
    """Everything that is logged while the test runs."""
    log = Log()
    globalLogPublisher.addObserver(log.events.append)
    yield log
    globalLogPublisher.removeObserver(log.events.append)
