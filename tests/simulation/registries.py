"""Registries for simulations: one that knows everything, and the real one in a master."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from chatcore.cluster.master_registry import MasterRegistry, master_server
from chatcore.cluster.ownership import Ownership
from chatcore.cluster.registry import IHearer, IRegistry
from chatcore.cluster.settings import RegistrySettings
from chatcore.cluster.view import Member, View
from chatcore.links.settings import LinkSettings
from chatcore.master.service import Master
from chatcore.telemetry import Counters

from .wires import MemoryNetwork, Wires
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


class Record:
    """The views that there were, and what follows from them.

    Attributes:
        view: the newest.
        removed_at: when each life of a node was taken out.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.view = View(0, ())
        self.removed_at: dict[tuple[str, str], float] = {}
        self._history: dict[int, tuple[float, View]] = {}
        self._ownerships: dict[int, Ownership] = {}
        self._owned: dict[tuple[tuple[str, str], str, int], bool] = {}

    def note(self, view: View) -> None:
        """There is a newer view."""
        for member in self.view.members:
            if not view.has(member):
                self.removed_at[member.life] = self.world.now
        self.view = view
        self._history[view.epoch] = self.world.now, view
        shown = ", ".join(
            each.id + ("" if each.state == "up" else f" ({each.state})") for each in view.members
        )
        self.world.tell(f"view {view.epoch}: {shown}")

    def spans(self) -> Iterator[tuple[float, float, View]]:
        """Each view, with the times from and until which it was the newest."""
        ends = [began for began, _ in self._history.values()][1:]
        for (began, view), end in zip(self._history.values(), [*ends, inf], strict=True):
            yield began, end, view

    def owned_until(self, rid: str, life: tuple[str, str], epoch: int) -> int | None:
        """The newest view up to an epoch in which a node owned a channel."""
        for at in reversed(self._history):
            if at > epoch:
                continue
            known = self._owned.get((life, rid, at))
            if known is None:
                owner = self._ownership(at).owner("chat", rid)
                known = self._owned[life, rid, at] = owner is not None and owner.life == life
            if known:
                return at
        return None

    def _ownership(self, epoch: int) -> Ownership:
        found = self._ownerships.get(epoch)
        if found is None:
            found = self._ownerships[epoch] = Ownership(self._history[epoch][1], {})
        return found


class Centre(Protocol):
    """A registry that all nodes share, and what can happen to it."""

    record: Record

    def handle(self, machine: Machine) -> IRegistry:
        """What a node speaks to."""

    def cut_off(self, machine: Machine) -> Callable[[], None]:
        """Have a node reach it no more; what ends that comes back."""

    def go_down(self) -> Callable[[], None]:
        """Have nobody reach it; what ends that comes back."""

    def lag(self, machine: Machine, seconds: float) -> Callable[[], None]:
        """Have a node hear of views late; what ends that comes back."""

    def changed(self, machine: Machine) -> None:
        """A node was stopped, or goes on."""

    def members(self) -> tuple[Member, ...]:
        """Who is in the view now."""

    def stop(self) -> None:
        """The simulation is over."""


class Numbering:
    """A registry of the simulation's own: it knows everything, and numbers the views."""

    def __init__(self, world: World, delays: Delays) -> None:
        self.world, self.delays = world, delays
        self.record = Record(world)
        self.handles: list[Handle] = []
        self.down = False

    @property
    def view(self) -> View:
        return self.record.view

    @property
    def removed_at(self) -> dict[tuple[str, str], float]:
        return self.record.removed_at

    def handle(self, machine: Machine) -> Handle:
        """What a node speaks to; several may speak for one id, one after the other."""
        handle = Handle(self, machine)
        self.handles.append(handle)
        return handle

    def cut_off(self, machine: Machine) -> Callable[[], None]:
        return self._with(machine, cut_off=True)

    def lag(self, machine: Machine, seconds: float) -> Callable[[], None]:
        return self._with(machine, lag=seconds)

    def go_down(self) -> Callable[[], None]:
        self._set_down(True)
        return lambda: self._set_down(False)

    def changed(self, machine: Machine) -> None:
        for handle in self._of(machine):
            handle.look()

    def members(self) -> tuple[Member, ...]:
        return self.view.members

    def stop(self) -> None:
        """Nothing of it goes on."""

    # What handles say.

    def put(self, member: Member) -> None:
        """Let a node in, or note that it changed."""
        if self.view.get(member.id) != member:
            rest = tuple(each for each in self.view.members if each.id != member.id)
            self._number((*rest, member))

    def take_out(self, life: tuple[str, str]) -> None:
        """Take a life of a node out."""
        rest = tuple(each for each in self.view.members if each.life != life)
        if len(rest) < len(self.view.members):
            self._number(rest)

    def _number(self, members: tuple[Member, ...]) -> None:
        self.record.note(View(self.view.epoch + 1, members))
        for handle in self.handles:
            handle.tell_later()

    def _of(self, machine: Machine) -> list[Handle]:
        return [each for each in self.handles if each.machine is machine]

    def _set_down(self, down: bool) -> None:
        self.down = down
        for handle in list(self.handles):
            handle.look()

    def _with(self, machine: Machine, **what: Any) -> Callable[[], None]:
        handles = self._of(machine)

        def change(what: dict[str, Any]) -> None:
            for handle in handles:
                vars(handle).update(what)
                handle.look()

        before = {name: False if name == "cut_off" else 0.0 for name in what}
        change(what)
        return lambda: change(before)


class Handle:
    """A node's registry: `chatcore.cluster.registry.IRegistry`."""

    def __init__(self, centre: Numbering, machine: Machine) -> None:
        self._centre, self.machine, self._world = centre, machine, centre.world
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
        return self.reachable and not (self.machine.dead or self.machine.paused)

    def _delay(self) -> float:
        return self._world.random.uniform(*self._centre.delays.telling)

    def _announced(self) -> None:
        if self.machine.dead or self._hearer is None or self._member == self._said:
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
        if self.machine.dead:
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
        self.machine.callLater(self._delay(), left.callback, None)

    # What the centre notices

    def look(self) -> None:
        """See whether this node can be heard of now."""
        if self.machine.dead:
            return
        if self._heard_of:
            self._silent_since = None
            if self._lost and self._hearer is not None:
                self._lost = False
                self._world.later(self._delay(), self._say_found, machine=self.machine)
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
        if self._silent_since != since or self.machine.dead:
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
        if self._hearer is None or not self.reachable or self.machine.dead:
            return
        self.machine.callLater(0, self._heard, self._centre.view)

    def _heard(self, view: View) -> None:
        if self._hearer is not None and view.epoch > self._told:
            self._told = view.epoch
            self._hearer.heard(view)

    def _say_lost(self, since: float) -> None:
        if self._silent_since == since and not self._lost:
            self._lost = True
            self.machine.callLater(0, self._hear_lost)

    def _hear_lost(self) -> None:
        if self._hearer is not None:
            self._hearer.lost("it is cut off", UNREACHABLE)

    def _say_found(self) -> None:
        if self._hearer is not None:
            self._hearer.found()

    def _check_life(self) -> None:
        said = self._said
        if said is not None and said.life in self._centre.removed_at and self._heard_of:
            self._say_removed()

    def _say_removed(self) -> None:
        self.machine.callLater(0, self._hear_removed)

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


MASTER = "master"


class MasterCentre:
    """The registry in a master: the real one, over links like all others.

    Args:
        secret: the cluster's.
        lease: seconds of silence after which a node is taken out.
    """

    def __init__(self, world: World, wires: Wires, secret: bytes, lease: float) -> None:
        self.record = Record(world)
        self._world, self._wires, self._secret = world, wires, secret
        self._settings = RegistrySettings(lease_seconds=lease)
        self._begin(learning=False)

    def _begin(self, *, learning: bool) -> None:
        self._world.tell("the master starts")
        machine = self.machine = Machine(self._world, MASTER)
        machine.on_death(lambda: self._wires.machine_died(machine))
        machine.on_wake(lambda: self._wires.machine_woke(machine))
        network = MemoryNetwork(self._wires, machine)
        self._master = Master(
            place=network.link_place(master_server("127.0.0.1", 3005)),
            secret=self._secret,
            registry=self._settings,
            links=LinkSettings(),
            learning=learning,
            reactor=machine,
        )
        self._master.startService()

    def handle(self, machine: Machine) -> IRegistry:
        network = MemoryNetwork(self._wires, machine)
        registry = MasterRegistry(
            endpoint=network.link_endpoint(master_server("127.0.0.1", 3005)),
            secret=self._secret,
            settings=self._settings,
            links=LinkSettings(),
            counters=Counters(),
            clock=machine,
            where="master://memory",
            secret_file="/cluster.secret",
        )
        return Overheard(registry, self.record)

    def cut_off(self, machine: Machine) -> Callable[[], None]:
        pairs = ((machine.id, MASTER), (MASTER, machine.id))
        for pair in pairs:
            self._wires.hold(*pair)

        def heal() -> None:
            for pair in pairs:
                self._wires.release(*pair)

        return heal

    def lag(self, machine: Machine, seconds: float) -> Callable[[], None]:
        """Have what the master says come late, all of it."""
        self._wires.slow(MASTER, machine.id, 400.0)
        return lambda: self._wires.slow(MASTER, machine.id, 0.0)

    def go_down(self) -> Callable[[], None]:
        machine = self.machine
        if self._world.random.random() < 0.5:
            machine.kill()
            return self._come_back
        machine.pause()
        return machine.wake

    def _come_back(self) -> None:
        if self.machine.dead:
            self._begin(learning=True)

    def changed(self, machine: Machine) -> None:
        """It finds out for itself."""

    def members(self) -> tuple[Member, ...]:
        return self._master.nodes.view.members

    def stop(self) -> None:
        self._master.stopService()


class Overheard:
    """A node's registry and the node as its registry's hearer, between both of them."""

    def __init__(self, registry: IRegistry, record: Record) -> None:
        self._registry, self._record = registry, record
        self._hearer: IHearer

    def start(self, member: Member, hearer: IHearer) -> None:
        self._hearer = hearer
        self.announce, self.leave = self._registry.announce, self._registry.leave
        self.lost, self.found, self.removed = hearer.lost, hearer.found, hearer.removed
        self._registry.start(member, self)

    def heard(self, view: View) -> None:
        if view.epoch > self._record.view.epoch:
            self._record.note(view)
        self._hearer.heard(view)
