"""How a node is, at length."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

import twisted
from chatcore.deadlines import IClock
from chatcore.node.looking.failures import Failures
from chatcore.node.looking.looked_at import ILookedAt
from chatcore.node.looking.status import Status


class Nodes:
    """Tells how a node is, how long, how late, what waits on it and what went wrong.

    Args:
        node: that node.
        status: tells how it is in a line.
        failures: knows the last of them.
        clock: the reactor.
    """

    def __init__(self, node: ILookedAt, status: Status, failures: Failures, clock: IClock) -> None:
        self._node, self._status, self._failures = node, status, failures
        self._clock = clock

    async def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """How the node is now, in JSON's types. Times are seconds, sizes are bytes."""
        node, counters = self._node, self._node.counters
        lag = await node.lag.measured()
        joined, last = node.membership.joined, self._failures.last
        links = [link for link in map(node.links.get, node.links.peers()) if link is not None]
        return {
            **self._status(given),
            "in_view": None if joined is None else round(self._clock.seconds() - joined, 1),
            "python": platform.python_version(),
            "twisted": twisted.__version__,
            "lag": round(lag, 4),
            "outbox_bytes": None if node.clients is None else node.clients.waiting(),
            "link_bytes": sum(link.queued for link in links),
            "links_blocked": sum(link.blocked for link in links),
            "asked": sum(link.under_way for link in links),
            "waiting": len(node.moves.arrivals),
            "settled": node.moves.settling.settled,
            "failures": counters.failures_logged,
            "failure": None if last is None else {"time": last.time, "text": last.text},
            "held_up": self._held_up(),
            "counters": {name: value for name, value in counters.as_dict().items() if value},
        }

    def _held_up(self) -> dict[str, Any] | None:
        """How often a call has kept the node from everything else, as far as that is kept."""
        noted = self._node.counters.journal.of_node()
        found = [entry for entry in noted if entry.what == "held up"]
        if not found:
            return None
        last = found[-1]
        return {
            "count": sum(entry.count for entry in found),
            "since": found[0].first,
            "last": last.last,
            "seconds": (last.more or {}).get("seconds"),
        }
