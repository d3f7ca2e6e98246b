"""How a node sees its links to the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatcore.deadlines import IClock
from chatcore.node.looking.looked_at import ILookedAt


class Links:
    """Tells how a node's links to the others of the view are, as it sees them.

    Args:
        node: that node.
        clock: the reactor.
    """

    def __init__(self, node: ILookedAt, clock: IClock) -> None:
        self._node, self._clock = node, clock

    def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The links by the id at the other end, in JSON's types."""
        return {
            "incarnation": self._node.links.incarnation,
            "links": {peer: self._link(peer) for peer in self._node.links.peers()},
        }

    def _link(self, peer: str) -> dict[str, Any]:
        """One link. Times are seconds, sizes are bytes."""
        table, now = self._node.links, self._clock.seconds()
        link, loss = table.get(peer), table.loss(peer)
        found: dict[str, Any] = {
            "up": link is not None,
            "seconds": round(now - table.since(peer), 1),
            "dials": table.dials(peer),
            "lost": None if loss is None else round(now - loss.time, 1),
            "why": None if loss is None else loss.why,
            "problem": None if link is not None else table.trouble(peer),
        }
        if link is not None:
            found |= {
                "incarnation": link.peer_incarnation,
                "round_trip": link.round_trip,
                "heard": round(now - link.last_heard, 1),
                "queued": link.queued,
                "blocked": link.blocked,
                "asked": link.under_way,
                "in": link.came,
                "out": link.went,
            }
        return found
