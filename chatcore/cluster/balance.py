"""Choosing any server of a type, so that each gets its share.

All of them prefer servers that this node is connected to: one that is down would otherwise seem to
have nothing to do. What they remember is this node's own.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence

from chatcore.errors import NoSuchServer
from chatcore.interfaces import IServer, IServers

Balance = Callable[[str, IServers], str]
"""Chooses any server of a type; its id."""


def choose_random(server_type: str, servers: IServers) -> str:
    """Any of them."""
    return random.choice(_candidates(server_type, servers)).id


class RoundRobin:
    """One after the other, in the order of their ids."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}

    def __call__(self, server_type: str, servers: IServers) -> str:
        return self.next(server_type, _candidates(server_type, servers))

    def next(self, server_type: str, candidates: Sequence[IServer]) -> str:
        """The one that comes after the last."""
        ids = [server.id for server in candidates]
        chosen = ids[bisect_right(ids, self._last.get(server_type, "")) % len(ids)]
        self._last[server_type] = chosen
        return chosen


class Weighted:
    """In turn, each as often as its ``weight`` in servers.json says, evenly mixed."""

    def __init__(self) -> None:
        self._credit: dict[str, dict[str, int]] = {}

    def __call__(self, server_type: str, servers: IServers) -> str:
        candidates = _candidates(server_type, servers)
        before = self._credit.get(server_type, {})
        credit = {each.id: before.get(each.id, 0) + each.weight for each in candidates}
        chosen = max(credit, key=lambda id: credit[id])
        credit[chosen] -= sum(each.weight for each in candidates)
        self._credit[server_type] = credit
        return chosen


class LeastActive:
    """The one with the fewest requests and calls of this node under way; in turn where equal."""

    def __init__(self) -> None:
        self._turns = RoundRobin()

    def __call__(self, server_type: str, servers: IServers) -> str:
        candidates = _candidates(server_type, servers)
        busy = [servers.under_way(server.id) for server in candidates]
        least = min(busy)
        return self._turns.next(
            server_type,
            [each for each, active in zip(candidates, busy, strict=True) if active == least],
        )


def balances() -> Mapping[str, Balance]:
    """The ways to choose, by name, with nothing remembered yet."""
    return {
        "round_robin": RoundRobin(),
        "weighted": Weighted(),
        "least_active": LeastActive(),
        "random": choose_random,
    }


def _candidates(server_type: str, servers: IServers) -> Sequence[IServer]:
    every = servers.of_type(server_type)
    if not every:
        raise NoSuchServer(server_type, "any server")
    return [server for server in every if servers.connected(server.id)] or every
