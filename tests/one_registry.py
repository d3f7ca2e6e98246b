"""A registry for the nodes of a test: it numbers views, and tells everybody at once."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from chatcore.cluster.registry import IHearer
from chatcore.cluster.view import Member, View


class OneRegistry:
    """What all nodes of a test share. A node joins by `of`."""

    def __init__(self, call_later: Any) -> None:
        self.epoch = 0
        self.members: dict[str, Member] = {}
        self._hearers: dict[str, IHearer] = {}
        self._later = call_later

    def of(self, id: str) -> Seat:
        """The registry as one node has it."""
        return Seat(self, id)

    def take_out(self, id: str) -> None:
        """Take a node for dead."""
        del self.members[id]
        self.tell()

    def tell(self) -> None:
        """Number a new view, and tell all of it."""
        self.epoch += 1
        view = View(self.epoch, tuple(self.members.values()))
        for hearer in self._hearers.values():
            self._later(0, hearer.heard, view)


class Seat:
    """A node's registry."""

    def __init__(self, registry: OneRegistry, id: str) -> None:
        self._all, self._id = registry, id

    def start(self, member: Member, hearer: IHearer) -> None:
        self._all._hearers[self._id] = hearer
        self.announce(member)

    def announce(self, member: Member) -> None:
        self._all.members[self._id] = member
        self._all.tell()

    def leave(self) -> Deferred[None]:
        self._all._hearers.pop(self._id, None)
        if self._all.members.pop(self._id, None) is not None:
            self._all.tell()
        return succeed(None)
