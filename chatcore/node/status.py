"""How a node is, as those who administer it are told."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import chatcore
from chatcore.channels.service import ChannelService
from chatcore.deadlines import IClock
from chatcore.links.table import LinkTable
from chatcore.node.membership import Membership
from chatcore.telemetry import Counters

_MEMORY = Path("/proc/self/statm")


class Status:
    """Tells how a node is.

    Args:
        membership: its place in the view.
        links: to the other nodes.
        channels: those that it owns.
        counters: what it counts.
        clock: the reactor.
    """

    def __init__(
        self,
        *,
        membership: Membership,
        links: LinkTable,
        channels: ChannelService,
        counters: Counters,
        clock: IClock,
    ) -> None:
        self._membership, self._links, self._channels = membership, links, channels
        self._counters, self._clock = counters, clock
        self._begun = clock.seconds()

    def __call__(self) -> dict[str, Any]:
        """How the node is now, in JSON's types."""
        member, counters = self._membership.member, self._counters
        return {
            **member.to_value(),
            "epoch": self._membership.epoch,
            "registry_lost": self._membership.registry_is_lost,
            "pid": os.getpid(),
            "version": chatcore.__version__,
            "uptime": round(self._clock.seconds() - self._begun, 1),
            "memory": memory(),
            "clients": counters.clients_now,
            "sessions": counters.sessions_now,
            "channels": len(self._channels.names()),
            "requests": counters.requests_now,
            "missing": self._links.missing(),
        }


def memory() -> int:
    """How much memory this process has in use, in bytes; where that can't be known, ever had."""
    try:
        return int(_MEMORY.read_text().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
