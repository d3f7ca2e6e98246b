"""What the tests of the connectors share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .clients import Connector


@pytest.fixture
def make() -> Iterator[Callable[..., Connector]]:
    """Makes connectors; when the test is over, nothing may be left of them."""
    made: list[Connector] = []

    def make(**sections: dict[str, Any]) -> Connector:
        made.append(Connector(**sections))
        return made[-1]

    yield make
    for connector in made:
        connector.finish()


@pytest.fixture
def connector(make: Callable[..., Connector]) -> Connector:
    """A connector without heartbeats."""
    return make()
