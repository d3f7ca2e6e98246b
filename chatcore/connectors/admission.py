"""Who is let in: how many clients in all and from one address, and none from the blacklist."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from zope.interface import implementer

from chatcore.config.peers import neighbourhood
from chatcore.connectors.addresses import Networks, parse_network
from chatcore.connectors.settings import Limits
from chatcore.interfaces import Address, IBlacklist
from chatcore.telemetry import Counters

LISTED = "blacklisted"
"""What a client is told that was here when its address was put on the blacklist."""


class IGuest(Protocol):
    """What is needed of a client's connection."""

    address: Address

    def kick(self, reason: str) -> None: ...


@implementer(IBlacklist)
class Blacklist:
    """The addresses that are not let in.

    Args:
        networks: those it begins with.
        listed: told when there are more; closes those who are here, and says how many it were.
            None where nobody is ever here.

    Raises:
        ValueError: one of the networks is none.
    """

    def __init__(self, networks: Iterable[str], listed: Callable[[], int] | None) -> None:
        self._networks = Networks(networks)
        self._listed = listed

    def add(self, *networks: str) -> int:
        if self._listed is None:
            raise RuntimeError("only a frontend has clients to refuse: call this on frontends")
        for each in [parse_network(text) for text in networks]:
            self._networks.add(each)
        return self._listed()

    def remove(self, *networks: str) -> int:
        return sum(
            [self._networks.remove(each) for each in [parse_network(text) for text in networks]]
        )

    def entries(self) -> Sequence[str]:
        shown = []
        for each in self._networks:
            alone = each.prefixlen == each.max_prefixlen
            shown.append(str(each.network_address if alone else each))
        return shown

    def __contains__(self, host: object) -> bool:
        return host in self._networks


class Admission:
    """Lets clients in, and counts them by address where that is limited.

    Args:
        limits: how many, and who not.
        counters: where it is counted who was refused.
        guests: all who are here.
    """

    def __init__(
        self, *, limits: Limits, counters: Counters, guests: Callable[[], Iterable[IGuest]]
    ) -> None:
        self._most, self._per_address = limits.connections, limits.connections_per_address
        self._counters = counters
        self._guests = guests
        self._where: dict[IGuest, str | int] = {}
        self._here: dict[str | int, int] = {}
        self.blacklist = Blacklist(limits.blacklist, self._close_listed)

    def has_room(self) -> bool:
        """Whether there is room for one more; it is counted if not."""
        if self._most and self._counters.clients_now >= self._most:
            self._counters.clients_refused += 1
            return False
        return True

    def admits(self, host: str) -> bool:
        """Whether one more from there may come; it is counted if not."""
        if host in self.blacklist:
            self._counters.clients_blacklisted += 1
            return False
        if self._per_address and self._here.get(neighbourhood(host), 0) >= self._per_address:
            self._counters.clients_crowded += 1
            return False
        return True

    def entered(self, guest: IGuest) -> None:
        """One was let in, at the address that it has now."""
        if self._per_address:
            where = self._where[guest] = neighbourhood(guest.address[0])
            self._here[where] = self._here.get(where, 0) + 1

    def took_place(self, guest: IGuest, other: IGuest) -> None:
        """Another stands for one who was let in, from now on."""
        where = self._where.pop(guest, None)
        if where is not None:
            self._where[other] = where

    def left(self, guest: IGuest) -> None:
        """One is gone; nothing happens if it was never let in."""
        where = self._where.pop(guest, None)
        if where is not None:
            self._here[where] -= 1
            if not self._here[where]:
                del self._here[where]

    def _close_listed(self) -> int:
        listed = [guest for guest in self._guests() if guest.address[0] in self.blacklist]
        for guest in listed:
            guest.kick(LISTED)
        self._counters.clients_blacklisted += len(listed)
        return len(listed)
