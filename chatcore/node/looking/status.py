"""How a node is, as those who administer it are told."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import chatcore
from chatcore.deadlines import IClock
from chatcore.node.looking.looked_at import ILookedAt

_MEMORY = Path("/proc/self/statm")


class Status:
    """Tells how a node is, in a line.

    Args:
        node: that node.
        clock: the reactor.
    """

    def __init__(self, node: ILookedAt, clock: IClock) -> None:
        self._node, self._clock = node, clock
        self._begun = clock.seconds()

    def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """How the node is now, in JSON's types."""
        node = self._node
        member, counters = node.membership.member, node.counters
        return {
            **member.to_value(),
            "epoch": node.membership.epoch,
            "registry_lost": node.membership.registry_is_lost,
            "pid": os.getpid(),
            "version": chatcore.__version__,
            "uptime": round(self._clock.seconds() - self._begun, 1),
            "memory": memory(),
            "clients": counters.clients_now,
            "sessions": counters.sessions_now,
            "channels": len(node.channels.names()),
            "requests": counters.requests_now,
            "missing": node.links.missing(),
        }


def memory() -> int:
    """How much memory this process has in use, in bytes; where that can't be known, ever had."""
    try:
        return int(_MEMORY.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
