"""Clients that poll and have made their first request only: nobody knows whether they come back.

To begin costs them nothing, not even a connection that stays, and a place here. So there are few
of them at one address, and not for long; of all, the oldest makes room for one more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Protocol

from chatcore.config.peers import neighbourhood
from chatcore.connectors.parts import ConnectorParts
from chatcore.deadlines import Deadlines
from chatcore.interfaces import Address


class INewcomer(Hashable, Protocol):
    """Such a client."""

    address: Address

    def forget(self) -> None:
        """It does not come back, or can't be waited for."""


class Newcomers:
    """Those who are here.

    Args:
        parts: what all clients share.
    """

    def __init__(self, parts: ConnectorParts) -> None:
        limits = parts.limits
        self._counters = parts.counters
        self._per_address, self._most = (
            limits.polling_handshakes_per_address,
            limits.polling_handshakes,
        )
        if limits.connections and self._most:
            self._most = min(self._most, limits.connections // 4 or 1)
        # The oldest first, and where each is.
        self._here: OrderedDict[INewcomer, str | int] = OrderedDict()
        self._there: dict[str | int, int] = {}
        self._times: Deadlines = parts.deadlines(limits.handshake_seconds, _forget)

    def __len__(self) -> int:
        return len(self._here)

    def admits(self, host: str) -> bool:
        """Whether one more from there may come; it is counted if not."""
        most = self._per_address
        if not most or self._there.get(neighbourhood(host), 0) < most:
            return True
        self._counters.clients_crowded += 1
        return False

    def came(self, client: INewcomer) -> None:
        """One has made its first request."""
        if self._most and len(self._here) >= self._most:
            next(iter(self._here)).forget()
        where = self._here[client] = neighbourhood(client.address[0])
        self._there[where] = self._there.get(where, 0) + 1
        self._times.start(client)

    def gone(self, client: INewcomer) -> None:
        """One came back, or is gone; nothing happens if it was none."""
        where = self._here.pop(client, None)
        if where is not None:
            self._times.stop(client)
            self._there[where] -= 1
            if not self._there[where]:
                del self._there[where]


def _forget(client: INewcomer) -> None:
    client.forget()
