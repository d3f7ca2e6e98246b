"""Where a backend looks for the sessions of frontends that come and go."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.task import Clock

from chatcore.errors import NotConnected
from chatcore.node.backend import Backend
from chatcore.telemetry import Counters


class Links:
    """Links to those frontends that are there, each with the life that it is."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}

    def get(self, peer: str) -> Any:
        if peer not in self.there:
            return None
        return SimpleNamespace(peer=peer, peer_incarnation=self.there[peer])

    def knows(self, peer: str) -> bool:
        return peer in self.there


def test_what_is_known_of_frontends_goes_with_them() -> None:
    links = Links()
    parts: dict[str, Any] = dict.fromkeys(
        ("type_of", "fingerprints", "dispatcher", "moves", "incoming", "settings")
    )
    parts["moves"] = SimpleNamespace(under_way=None, arrivals=SimpleNamespace(admit=None))
    backend = Backend(
        id="back-1",
        links=cast(Any, links),
        most=0,
        counters=Counters(),
        clock=Clock(),
        **parts,
    )
    for number in range(100):  # as when a frontend is added, and drained, day by day
        links.there = {"front": "life 1", f"front-{number}": "life 1"}
        home = backend.home("front")
        assert backend.home(f"front-{number}") is not home
        assert backend.home("front") is home
    assert len(backend._homes) == 2
    links.there["front"] = "life 2"
    assert backend.home("front") is not home, "sessions of its other life are gone"
    del links.there["front"]
    with pytest.raises(NotConnected):
        backend.home("front")
