"""One simulation: a cast of nodes and clients, a schedule of trouble, and its end."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from chatcore.cluster import portions
from chatcore.config.settings import Assignment
from chatcore.node import Node
from chatcore.node import node as node_module

from . import stage
from .checks import Checker
from .people import Person
from .registries import Centre, Delays, MasterCentre, Numbering
from .stage import Script, Stage
from .wires import MemoryNetwork, Wires
from .world import Machine, World, steady

SETTINGS = {
    "heartbeat.interval": 0,
    "connector.reload_seconds": 0,
    "node.reload_seconds": 0,
    "node.blocked_seconds": 0,
    "links.ping_interval": 2.0,
    "links.ping_timeout": 5.0,
    "links.patience": 5.0,
    "links.queue_bytes": 65536,
}
"""The shorter what waits for the lost waits, the shorter a simulation; the proportions are those
of the defaults."""

ASSIGNMENTS = [Assignment(key=k, value=v, source="simulation") for k, v in SETTINGS.items()]

KINDS = ("planned", "crashes", "cuts", "everything")
"""What happens in a schedule: changes that an operator makes; also nodes that die; also a network
and a registry that fail, and nodes that are stopped for a while; all of it."""

REGISTRIES = ("own", "master")
"""Who numbers the views: something of the simulation's own, or the real master."""

PACES = (0.0, 0.001, 0.05)
"""Seconds between the portions in which channels move; where there are any, each is of one step."""

STOP_SECONDS = 40.0
"""How long a node may take to stop; it gives up to drain after 30."""

SETTLING_SECONDS = 14.0
"""How long a healed cluster may take until nothing of its trouble can be seen any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a simulation ended."""

    seed: int
    kind: str
    faults: list[str]
    story: list[str]

    def __str__(self) -> str:
        faults = "\n".join(f"  * {each}" for each in self.faults)
        story = "\n".join(self.story)
        return f"seed {self.seed} ({self.kind}):\n{faults}\n\nThe story:\n{story}\n\n{faults}"


def kind_of(seed: int) -> str:
    """What kind of schedule a seed stands for."""
    return KINDS[seed % len(KINDS)]


def registry_of(seed: int) -> str:
    """Which registry the cluster of a seed has."""
    return REGISTRIES[seed // len(KINDS) % len(REGISTRIES)]


def pace_of(seed: int) -> float:
    """How long the portions of a seed's moves are apart."""
    return PACES[seed // (len(KINDS) * len(REGISTRIES)) % len(PACES)]


@contextmanager
def _portioned(pause: float) -> Iterator[None]:
    """Have channels move in the smallest portions, so that much happens in between."""
    before = portions.STEPS, portions.AT_ONCE, portions.PAUSE
    if pause:
        portions.STEPS, portions.AT_ONCE, portions.PAUSE = 1, 1, pause
    try:
        yield
    finally:
        portions.STEPS, portions.AT_ONCE, portions.PAUSE = before


def play(
    script: Script,
    seed: int,
    kind: str | None = None,
    loud: bool = False,
    plays: Callable[[Script, World, str, str], Play] | None = None,
) -> Outcome:
    """Play the schedule of a seed.

    Args:
        kind: one of `KINDS`, or "quiet"; chosen by the seed if not given.
        loud: whether what the nodes log belongs to the story.
        plays: makes another play of it.
    """
    world = World(seed)
    chosen = kind or kind_of(seed)
    load, node_module.load_application = (
        node_module.load_application,
        lambda folder: script.catalogue,
    )
    log = _Log(world, loud)
    globalLogPublisher.addObserver(log)
    gc.disable()
    try:
        with steady(world), _portioned(pace_of(seed)):
            (plays or Play)(script, world, chosen, registry_of(seed)).run()
        gc.collect()  # a failure that nobody handles is logged when its Deferred is collected
    except Exception:
        world.fault(f"it went wrong: {traceback.format_exc()}")
    finally:
        gc.enable()
        globalLogPublisher.removeObserver(log)
        node_module.load_application = load
    return Outcome(seed, chosen, world.faults, world.story)


class _Log:
    """What the nodes log: a failure is a fault."""

    def __init__(self, world: World, loud: bool) -> None:
        self._world, self._loud = world, loud

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None:
            self._world.fault(f"logged: {formatEvent(event)}\n{failure.getTraceback()}")
        elif self._loud and event["log_level"].name != "debug":
            self._world.tell(f"    [{formatEvent(event)}]")


class Play:
    """A simulation.

    Args:
        kind: one of `KINDS`, or "quiet".
        registry: one of `REGISTRIES`.
    """

    assignments = ASSIGNMENTS

    def __init__(self, script: Script, world: World, kind: str, registry: str = "own") -> None:
        self.script, self.world, self.kind = script, world, kind
        chance = world.random
        hard = kind != "planned"
        distances = chance.choice(((0.0,), (0.0, 0.05, 0.1), (0.0, 0.1, 0.3)))
        rooms = (4096, 65536, 1 << 20) if max(distances) <= 0.1 else (65536, 1 << 20)
        self.wires = Wires(
            world,
            latency=chance.choice(((0.0002, 0.001), (0.001, 0.03), (0.0, 0.2))),
            room=chance.choice(rooms) if hard else 1 << 20,
            distances=distances,
        )
        self.registry = self._registry(registry)
        self.stage = Stage(world)
        self.machines: dict[str, Machine] = {}
        self.nodes: dict[str, Node] = {}
        self.leaving: set[str] = set()
        self.trouble: list[list[float]] = []
        self._healing: list[Callable[[], None]] = []
        self.fronts = [f"front-{n}" for n in range(1, chance.randint(1, 3) + 1)]
        self.chats = [f"chat-{n}" for n in range(1, chance.randint(1, 4) + 1)]
        self.rooms = [f"room {n}" for n in range(1, chance.randint(1, 4) + 1)]
        self.people = [
            Person(
                uid=f"u{n}",
                world=world,
                wires=self.wires,
                fronts=self.open_fronts,
                awake_since=lambda front: self.machines[front].awake_since,
                rooms=self.rooms,
                pause=(0.2, 2.0),
                bytes=chance.choice((10, 10, 2000)),
                sleepy=chance.choice((0.0, 0.3)),
                restless=chance.choice((0.0, 0.05, 0.2)),
            )
            for n in range(1, chance.randint(2, 7) + 1)
        ]
        self.checker = Checker(self)

    def _registry(self, registry: str) -> Centre:
        chance = self.world.random
        silence = chance.choice((2.0, 3.0))
        if registry == "master":
            secret = self.script.run_folder.secret()
            return MasterCentre(self.world, self.wires, secret, silence)
        return Numbering(
            self.world,
            Delays(
                notice=chance.choice((0.0, 0.3, 2.5)),
                silence=silence,
                telling=chance.choice(((0.0, 0.002), (0.0, 0.2), (0.0, 1.0))),
            ),
        )

    # The acts

    def run(self) -> None:
        stage.enter(self.stage)
        self._gather()
        self._change()
        self._rest()
        self._part()

    def _gather(self) -> None:
        """Have all nodes start, and the people come."""
        world, chance = self.world, self.world.random
        for id in (*self.fronts, *self.chats):
            world.later(chance.uniform(0, 0.5), self.start, id)
        world.run(6)
        for person in self.people:
            world.later(chance.uniform(0, 2), person.connect)
        world.run(2)

    def _change(self) -> None:
        """Have that happen which is to happen."""
        world, chance = self.world, self.world.random
        length = chance.uniform(3, 15)
        for _ in range(chance.randint(1, 5)):
            world.later(chance.uniform(0, length), self._trouble)
        world.run(length)

    def _rest(self) -> None:
        """Have everything heal, all be heard, and nobody say anything any more."""
        self._heal()
        self.world.run(SETTLING_SECONDS)
        self._hush()
        self.world.run(3 + self.trip)
        for person in self.people:
            if person.stay is not None:
                person.say(person.stay)
        self.world.run(3 + self.trip)
        self.checker.at_rest()

    def _part(self) -> None:
        """Have the people go, and then the nodes."""
        world, chance = self.world, self.world.random
        for person in self.people:
            person.stop(politely=chance.random() < 0.5)
        world.run(5 + self.trip)
        self.checker.all_gone()
        for id in list(self.nodes):
            self.stop(id, gently=chance.random() < 0.5)
        world.run(STOP_SECONDS)
        self.registry.stop()
        world.run(2)
        self.checker.at_the_end()

    @property
    def trip(self) -> float:
        """Seconds that a message takes by a frontend to a backend and all the way back, at most."""
        return 4 * self.wires.longest_way

    def _hush(self) -> None:
        """Have everybody be silent, but stay; who is out comes in."""
        for person in self.people:
            person.hush()

    def _heal(self) -> None:
        self.world.tell("everything heals")
        for machine in self.machines.values():
            machine.writes_left = None
        for heal in list(self._healing):
            heal()
        for ids in (self.fronts, self.chats):
            if not any(self.alive(id) for id in ids):
                self._start_one(ids)

    def _start_one(self, ids: list[str]) -> None:
        """Start one of them, as soon as one has ended."""
        ended = [id for id in ids if id not in self.machines or self.machines[id].dead]
        if ended:
            self.start(ended[0])
        else:
            self.world.later(0.5, self._start_one, ids)

    # Nodes

    def alive(self, id: str) -> bool:
        """Whether a node runs, and is not about to stop."""
        machine = self.machines.get(id)
        return machine is not None and not machine.dead and id not in self.leaving

    def living(self, *ids: str) -> list[str]:
        return [id for id in ids or (*self.fronts, *self.chats) if self.alive(id)]

    def up(self, *ids: str) -> list[str]:
        """Those of them that are up, and will be."""
        members = (self.registry.record.view.get(id) for id in self.living(*ids))
        return [each.id for each in members if each is not None and each.state == "up"]

    def open_fronts(self) -> list[str]:
        """The frontends that take clients."""
        listening = self.wires.listening
        return [id for id in self.living(*self.fronts) if ("clients", id) in listening]

    def start(self, id: str) -> None:
        known = self.machines.get(id)
        if known is not None and not known.dead:
            return
        self.note(f"{id} starts")
        machine = self.machines[id] = Machine(self.world, id)
        machine.on_death(lambda: self.wires.machine_died(machine))
        machine.on_wake(lambda: self.wires.machine_woke(machine))
        self.leaving.discard(id)
        servers = self.script.cast([id, *self.fronts[:1], *self.chats[:1]])
        node = self.nodes[id] = Node(
            folder=self.script.folder,
            server=self.script.servers.by_id(id),
            servers=servers,
            run_folder=self.script.run_folder,
            assignments=self.assignments,
            reactor=machine,
            registry=self.registry.handle(machine),
            network=MemoryNetwork(self.wires, machine),
            ready=lambda: self.world.tell(f"{id} is ready"),
            failed=lambda problem: self.world.fault(f"{id} can't start: {problem}"),
        )
        self.stage.nodes[id], self.stage.machines[id] = node, machine
        node.startService()

    def stop(self, id: str, then: Callable[[], None] = lambda: None, gently: bool = True) -> None:
        """Have a node leave, as an operator does.

        Args:
            then: called when it has left.
            gently: whether it drains first.
        """
        if not self.alive(id) or self.machines[id].paused:
            return
        self.world.tell(f"{id} is asked to leave")
        self.leaving.add(id)
        machine, node = self.machines[id], self.nodes[id]
        late = self.world.later(STOP_SECONDS, self.world.fault, f"{id} does not stop")
        left: Deferred[Any] = node.drain() if gently else Deferred()
        left.addCallback(lambda _: node.stopService())
        if not gently:
            left.callback(None)

        def gone(result: Any) -> None:
            if late.active():
                late.cancel()
            if isinstance(result, Failure):
                self.world.fault(f"{id} could not stop: {result.getTraceback()}")
            if not machine.dead:
                # What closes connections may have a call of its own left: a turn later, none is.
                self.world.later(0.001, self._gone, id, machine, node, then)

        left.addBoth(gone)
        machine.on_death(lambda: late.active() and late.cancel())

    def _gone(self, id: str, machine: Machine, node: Node, then: Callable[[], None]) -> None:
        if machine.dead:
            return
        self.world.tell(f"{id} has left")
        if machine.calls:
            self.world.fault(f"{id} has left, and leaves {machine.getDelayedCalls()}")
        machine.kill()
        if self.nodes.get(id) is node:
            del self.nodes[id]
        then()

    def kill(self, id: str) -> None:
        machine = self.machines[id]
        self.world.tell(f"{id} is killed")
        machine.kill()
        self._fallen(id)

    def _fallen(self, id: str) -> None:
        node = self.nodes.pop(id, None)
        if node is not None:
            self.stage.died[id, node.links.incarnation] = self.world.now

    # Trouble

    def _trouble(self) -> None:
        from .trouble import choose

        choose(self)

    def note(self, what: str) -> None:
        """Something goes wrong now."""
        self.trouble.append([self.world.now, self.world.now])
        self.world.tell(what)

    def heal_later(self, seconds: float, heal: Callable[[], None]) -> None:
        """Have trouble end after a while, or when all of it does."""

        lasts = [self.world.now, self.world.now + seconds]
        self.trouble.append(lasts)

        def once() -> None:
            if once in self._healing:
                self._healing.remove(once)
                lasts[1] = self.world.now
                heal()

        self._healing.append(once)
        self.world.later(seconds, once)
