"""What the tests of clients of socket.io share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..clients import Connector

PING, PATIENCE = 25, 20


@pytest.fixture
def make_socketio(make: Callable[..., Connector]) -> Callable[..., Connector]:
    """Makes connectors that take clients of socket.io in."""

    def made(**sections: Any) -> Connector:
        return make(**{"socketio": {}} | sections)

    return made


@pytest.fixture
def connector(make_socketio: Callable[..., Connector]) -> Connector:
    """A connector for clients of socket.io, without heartbeats for others."""
    return make_socketio()
