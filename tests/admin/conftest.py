"""What the tests of administration share."""

from __future__ import annotations

import pytest
from links.wiring import Net


@pytest.fixture
def net() -> Net:
    return Net()
