"""The two sides of a move between owners, with everything around them played."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from chatcore.channels.moving import Arriving, Hand
from chatcore.cluster.handing_over import HandingOver
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settling import Settling
from chatcore.cluster.view import Member, View
from chatcore.config.servers import Server


def member(id: str) -> Member:
    server_type = id.partition("-")[0]
    server = Server(id=id, type=server_type, host="h", frontend=server_type == "front")
    return Member(server=server, incarnation="life 1")


BOTH = (member("back-1"), member("back-2"))
ALONE = View(1, BOTH[:1])
VIEW = View(2, BOTH)


class NewOwner:
    """A node that comes, and what it has taken in."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.taken: list[str] = []
        self.arrived: dict[str, Arriving] = {}
        self.full = False
        self.hooks: dict[str, Callable[[], Deferred[Any] | None]] = {}
        self.servers = ClusterServers(View(0, ()))
        self.settling = Settling(
            id="back-2",
            server_type="back",
            servers=self.servers,
            member=lambda: BOTH[1],
            key_of=str,
            linked=lambda id: True,
            has_room=lambda: not self.full,
            take_in=self,
            settled=lambda: None,
            clock=self.clock,
        )
        self.servers.on_changed(self.settling.view_changed)
        self.servers.follow(VIEW)

    def arrive(
        self, name: str, arriving: Arriving, told: Callable[[str], bool], *, late: bool
    ) -> Deferred[Any] | None:
        self.taken.append(name)
        self.arrived[name] = arriving
        return self.hooks.get(name, lambda: None)()

    def comes(self, *names: str) -> None:
        for name in names:
            self.settling.handed(name, Hand())
        self.settling.handed_over("back-1", VIEW.epoch)


class OldOwner:
    """A node whose channels go to another, as far as their names say so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.channels = [f"room {n}" for n in range(20)]
        self.asked: list[str] = []
        self.given: list[str] = []
        self.arrived: list[str] = []
        self.sent: dict[str, tuple[Hand, Callable[[bool], None]]] = {}
        self.slow = self.full = False
        self.away: set[str] = set()
        self.said: list[tuple[Any, ...]] = []
        self.mine = Hand()
        self.came: dict[str, Hand] = {}
        self.hook: Callable[[str], Deferred[Any] | None] = lambda name: None
        self.servers = ClusterServers(View(0, ()))
        self.side = HandingOver(
            id="back-1",
            server_type="back",
            servers=self.servers,
            key_of=str,
            channels=self,
            arriving=self,
            quiet=self,
            sends=self,  # type: ignore[arg-type]  # as much of it as an owner uses
            clock=self.clock,
        )
        self.servers.on_changed(self.side.view_changed)
        self.servers.follow(ALONE)
        self.servers.follow(VIEW)
        self.theirs = [
            name for name in self.channels if self.servers.owner("back", name).id == "back-2"
        ]

    def all_see(self) -> None:
        self.side.seen("back-2", self.servers.view.epoch)

    # What has come to it and is another's, its channels, and what is under way: nothing.

    def foreign(self) -> Iterator[tuple[str, Sequence[Hand]]]:
        for name in list(self.came):
            yield name, [self.came.pop(name)]

    def names(self) -> list[str]:
        return list(self.channels)

    def is_placed(self, name: str) -> bool:
        return True

    def moving(self, name: str, to: str) -> Deferred[Any] | None:
        self.asked.append(name)
        return self.hook(name)

    def give_away(self, name: str, to: str) -> Hand | None:
        self.channels.remove(name)
        self.given.append(name)
        return self.mine

    def when_ended(self, concerns: object, ended: Callable[[], None]) -> None:
        ended()

    # What it says.

    def linked(self, id: str, incarnation: str = "") -> bool:
        return id not in self.away

    def seen(self, to: str, epoch: int) -> None:
        """Said to all."""

    def pushes_done(self, to: str, epoch: int) -> None:
        self.said.append(("pushes done", to, epoch))

    def handed_over(self, to: str, epoch: int) -> None:
        self.said.append(("handed over", to, epoch))

    def group_moved(self, to: str, owner: str, channels: Sequence[str]) -> None:
        self.said.append(("moved", to, *channels))

    def has_room(self, to: str, size: int) -> bool:
        return not self.full

    def hand_over(
        self, to: str, epoch: int, channel: str, hand: Hand, done: Callable[[bool], None]
    ) -> bool:
        if self.full:
            return False
        self.said.append(("hand", to, channel))
        self.arrived.append(channel)
        self.sent[channel] = hand, done
        if not self.slow:
            done(True)
        return True
