"""A registry for simulations: it numbers the views, and can be cut off from anybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from twisted.internet.defer import Deferred

from chatcore.cluster.ownership import Ownership
from chatcore.cluster.registry import IHearer
from chatcore.cluster.view import Member, View

from .world import Machine, World

UNREACHABLE = 1.0
"""Seconds after which a node finds out that its registry does not answer."""


@dataclass(frozen=True, slots=True)
class Delays:
    """How long everything takes, in seconds.

    Args:
        notice: from the end of a process to its removal.
        silence: from a node's last sign of life to its removal.
        telling: from a change to a node's hearing of it, at least and at most.
    """

    notice: float
    silence: float
    telling: tuple[float, float]


class Numbering:
    """Knows who is there, and numbers the views.

    Attributes:
        removed_at: when each life of a node was taken out.
        let_in_at: when each life came in.
    """

    def __init__(self, world: World, delays: Delays) -> None:
        self.world, self.delays = world, delays
        self.view = View(0, ())
        self.history: list[tuple[float, View]] = []
        self.removed_at: dict[tuple[str, str], float] = {}
        self.let_in_at: dict[tuple[str, str], float] = {}
        self._ownerships: dict[int, Ownership] = {}
        self._owned: dict[tuple[tuple[str, str], str, int], bool] = {}
        self.handles: list[Handle] = []
        self.down = False

    def handle(self, machine: Machine) -> Handle:
        """What a node speaks to; several may speak for one id, one after the other."""
        handle = Handle(self, machine)
        self.handles.append(handle)
        return handle

    def put(self, member: Member) -> None:
        """Let a node in, or note that it changed."""
        known = self.view.get(member.id)
        if known == member:
            return
        if known is not None and known.life != member.life:
            self.removed_at[known.life] = self.world.now
        self.let_in_at.setdefault(member.life, self.world.now)
        rest = tuple(each for each in self.view.members if each.id != member.id)
        self._number((*rest, member))

    def take_out(self, life: tuple[str, str]) -> None:
        """Take a life of a node out."""
        rest = tuple(each for each in self.view.members if each.life != life)
        if len(rest) < len(self.view.members):
            self.removed_at[life] = self.world.now
            self._number(rest)

    def knows(self, member: Member) -> bool:
        return self.view.has(member)

    def spans(self) -> Iterator[tuple[float, float, View]]:
        """Each view, with the times from and until which it was the newest."""
        for n, (began, view) in enumerate(self.history):
            last = n + 1 == len(self.history)
            yield began, inf if last else self.history[n + 1][0], view

    def owned_until(self, rid: str, life: tuple[str, str], epoch: int) -> int | None:
        """The newest view up to an epoch in which a node owned a channel."""
        key = life, rid
        for at in range(epoch, 0, -1):
            known = self._owned.get((*key, at))
            if known is None:
                owner = self._ownership(at).owner("chat", rid)
                known = self._owned[(*key, at)] = owner is not None and owner.life == life
            if known:
                return at
        return None

    def _ownership(self, epoch: int) -> Ownership:
        found = self._ownerships.get(epoch)
        if found is None:
            found = self._ownerships[epoch] = Ownership(self.history[epoch - 1][1], {})
        return found

    def _number(self, members: tuple[Member, ...]) -> None:
        self.view = View(self.view.epoch + 1, members)
        self.history.append((self.world.now, self.view))
        shown = ", ".join(
            each.id + ("" if each.state == "up" else f" ({each.state})")
            for each in self.view.members
        )
        self.world.tell(f"view {self.view.epoch}: {shown}")
        for handle in self.handles:
            handle.tell_later()

    def set_down(self, down: bool) -> None:
        self.down = down
        self.changed()

    def changed(self) -> None:
        """Who can reach it may have changed."""
        for handle in list(self.handles):
            handle.look()


class Handle:
    """A node's registry: `chatcore.cluster.registry.IRegistry`."""

    def __init__(self, centre: Numbering, machine: Machine) -> None:
        self._centre, self._machine, self._world = centre, machine, centre.world
        self._hearer: IHearer | None = None
        self._member: Member | None = None
        self._said: Member | None = None
        self._told = -1
        self._waits = 0.0
        self._lost = False
        self._silent_since: float | None = None
        self.cut_off = False
        self.lag = 0.0
        self.was_removed: tuple[str, str] | None = None
        machine.on_death(self._died)

    # IRegistry

    def start(self, member: Member, hearer: IHearer) -> None:
        self._hearer = hearer
        self.announce(member)

    def announce(self, member: Member) -> None:
        self._member = member
        self._world.later(self._delay(), self._announced)

    def leave(self) -> Deferred[None]:
        left: Deferred[None] = Deferred()
        self._hearer = None
        self._world.later(self._delay(), self._left, left, self._world.now + UNREACHABLE)
        return left

    # What reaches the centre

    @property
    def reachable(self) -> bool:
        return not (self.cut_off or self._centre.down)

    @property
    def _heard_of(self) -> bool:
        return self.reachable and not (self._machine.dead or self._machine.paused)

    def _delay(self) -> float:
        return self._world.random.uniform(*self._centre.delays.telling)

    def _announced(self) -> None:
        if self._machine.dead or self._hearer is None or self._member == self._said:
            return
        if not self._heard_of:
            return  # said again once it can be
        member = self._member
        assert member is not None
        if member.life in self._centre.removed_at:
            self._say_removed()
            return
        self._said = member
        self._centre.put(member)
        self.tell_later()

    def _left(self, left: Deferred[None], until: float) -> None:
        if self._machine.dead:
            return
        if self._heard_of:
            if self._member is not None:
                self._centre.take_out(self._member.life)
            self._centre.handles.remove(self)
        elif self._world.now < until:
            self._world.later(0.1, self._left, left, until)
            return
        else:
            self._gone_silent()
        self._machine.callLater(self._delay(), left.callback, None)

    # What the centre notices

    def look(self) -> None:
        """See whether this node can be heard of now."""
        if self._machine.dead:
            return
        if self._heard_of:
            self._silent_since = None
            if self._lost and self._hearer is not None:
                self._lost = False
                self._machine.callLater(self._delay(), self._say_found)
            self._world.later(self._delay(), self._announced)
            self._world.later(self._delay(), self._check_life)
            self.tell_later()
        elif self._silent_since is None:
            self._gone_silent()

    def _gone_silent(self) -> None:
        since = self._silent_since = self._world.now
        self._world.later(self._centre.delays.silence, self._give_up, since)
        if not self.reachable:
            self._world.later(UNREACHABLE, self._say_lost, since)

    def _died(self) -> None:
        self._world.later(self._centre.delays.notice, self._bury)

    def _bury(self) -> None:
        if self._centre.down or self.cut_off:
            self._world.later(0.5, self._bury)
            return
        if self._said is not None:
            self._centre.take_out(self._said.life)
        if self in self._centre.handles:
            self._centre.handles.remove(self)

    def _give_up(self, since: float) -> None:
        if self._silent_since != since or self._machine.dead:
            return
        if self._centre.down:
            self._world.later(self._centre.delays.silence, self._give_up, since)
        elif self._said is not None:
            self._centre.take_out(self._said.life)

    # What the node is told

    def tell_later(self) -> None:
        """Tell the newest view after a while."""
        self._world.later(self._delay() + self.lag, self._tell)

    def _tell(self) -> None:
        if self._hearer is None or not self.reachable or self._machine.dead:
            return
        self._machine.callLater(0, self._heard, self._centre.view)

    def _heard(self, view: View) -> None:
        if self._hearer is not None and view.epoch > self._told:
            self._told = view.epoch
            self._hearer.heard(view)

    def _say_lost(self, since: float) -> None:
        if self._silent_since == since and not self._lost:
            self._lost = True
            self._machine.callLater(0, self._hear_lost)

    def _hear_lost(self) -> None:
        if self._hearer is not None:
            self._hearer.lost("it is cut off")

    def _say_found(self) -> None:
        if self._hearer is not None:
            self._hearer.found()

    def _check_life(self) -> None:
        said = self._said
        if said is not None and said.life in self._centre.removed_at and self._heard_of:
            self._say_removed()

    def _say_removed(self) -> None:
        self._machine.callLater(0, self._hear_removed)

    def _hear_removed(self) -> None:
        member = self._member
        if (
            self._hearer is not None
            and member is not None
            and member.life in self._centre.removed_at
            and self.was_removed != member.life
            and self.reachable
        ):
            self.was_removed = member.life
            self._world.tell(f"{member.id} is told that it was removed")
            self._hearer.removed()
