"""Clients: they enter rooms, say numbered things, leave, and come again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from chatcore.wire import message, package
from chatcore.wire.package import PackageParser

from .wires import Wires
from .world import Machine, World

HANDSHAKE = package.encode(package.HANDSHAKE, b'{"sys":{"type":"sim","version":"1"}}')
ACK = package.encode(package.ACK)

ENTER, SEND, LEAVE = "front.entryHandler.enter", "chat.chatHandler.send", "chat.chatHandler.leave"

PATIENCE = 12.0
"""Seconds after which an answer is late: handlers have 10, and links take their time."""


@dataclass(slots=True)
class Said:
    """A message of a client.

    Attributes:
        code: of its answer; None while there is none.
        missed: uids that the backend could not reach, as it said itself.
    """

    id: str
    rid: str
    stay: Stay
    sent: float
    quick: bool
    answered: float | None = None
    code: int | None = None
    by: str = ""
    missed: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Stay:
    """The time from an answer to ``enter`` to the end of that.

    Attributes:
        until: when it ended, as far as the client knows.
        leaves: when the client asked to leave, if it did.
        why: how.
        heard: the messages that came, in order.
    """

    uid: str
    rid: str
    front: str
    since: float
    until: float | None = None
    leaves: float | None = None
    why: str = ""
    heard: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Asked:
    """A request."""

    route: str
    sent: float
    done: Callable[[dict[str, Any]], None]


class Wire(Protocol):
    """A client's connection: Pomelo's packages over plain TCP."""

    def __init__(self, person: Person) -> None:
        self._person = person
        self._parser = PackageParser(1 << 20)
        self.works = self.over = False
        self.kicked: str | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(HANDSHAKE)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        for kind, body in self._parser.feed(data):
            if self.over:
                return
            if kind == package.HANDSHAKE:
                self.transport.write(ACK)
                self.works = True
                self._person.connected(self)
            elif kind == package.DATA:
                self._person.received(self, message.decode(body))
            elif kind == package.KICK:
                self.kicked = json.loads(body)["reason"]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.over:
            self.over = True
            self._person.lost(self)


class Person:
    """One client, who connects again and again.

    Args:
        fronts: the ids of the frontends that take clients now.
        awake_since: when a frontend was stopped last, as by SIGSTOP, and could answer nobody.
        rooms: the names of the rooms that there are.
        pause: seconds between messages, at least and at most.
    """

    def __init__(
        self,
        *,
        uid: str,
        world: World,
        wires: Wires,
        fronts: Callable[[], list[str]],
        awake_since: Callable[[str], float],
        rooms: list[str],
        pause: tuple[float, float],
        bytes: int,
        sleepy: float,
        restless: float,
    ) -> None:
        self.uid = uid
        self.machine = Machine(world, uid)
        self.stays: list[Stay] = []
        self.tries: list[tuple[str, str]] = []
        self.said: list[Said] = []
        self.late: list[str] = []
        self._world, self._wires = world, wires
        self._fronts, self._awake_since = fronts, awake_since
        self.rooms, self._pause = rooms, pause
        self._bytes, self._sleepy, self.restless = bytes, sleepy, restless
        self._wire: Wire | None = None
        self.stay: Stay | None = None
        self._entering: Stay | None = None
        self._unsure = ""
        self.front = ""
        self._asked: dict[int, Asked] = {}
        self._acknowledged: set[str] = set()
        self._last = self._said = 0
        self.stopped = self.silent = False

    # What it does

    def connect(self) -> None:
        if self.stopped or self._wire is not None:
            return
        fronts = self._fronts()
        if not fronts:
            self._again()
            return
        self.front = self._world.random.choice(fronts)
        wire = self._wire = Wire(self)
        dialled = self._wires.dial(
            self.machine, ("clients", self.front), Factory.forProtocol(lambda: wire)
        )
        dialled.addErrback(lambda failure: self.lost(wire))

    def _again(self) -> None:
        self.machine.callLater(self._world.random.uniform(0.1, 0.6), self.connect)

    def _ask(self, route: str, msg: dict[str, Any], done: Callable[[dict[str, Any]], None]) -> None:
        wire = self._wire
        assert wire is not None and wire.transport is not None
        self._last += 1
        self._asked[self._last] = Asked(route, self._world.now, done)
        request = message.encode_request(self._last, route, json.dumps(msg).encode())
        wire.transport.write(package.encode(package.DATA, request))
        self.machine.callLater(PATIENCE, self._look, self._last, wire)

    def _look(self, number: int, wire: Wire) -> None:
        asked = self._asked.get(number)
        if asked is None or wire is not self._wire:
            return
        left = self._awake_since(self.front) + PATIENCE - self._world.now
        if left > 0:
            self.machine.callLater(left, self._look, number, wire)
        else:
            self.late.append(f"{self.uid} has no answer to {asked.route} of {asked.sent:.3f}")

    def enter(self) -> None:
        if self._wire is None or not self._wire.works or self.stay is not None:
            return
        # Who does not know whether it is in may be; in two rooms it would be a stranger in one.
        rid = self._unsure or self._world.random.choice(self.rooms)
        self._unsure = rid
        wire = self._wire

        def entered(answer: dict[str, Any]) -> None:
            if answer["code"] != 200:
                self.hang_up(f"could not enter {rid}: {answer}")
                return
            self.stay, self._entering, self._unsure = self._entering, None, ""
            assert self.stay is not None
            self.stay.since = self._world.now
            self.stays.append(self.stay)
            self._world.tell(f"{self.uid} is in {rid}, at {self.front} (by {answer['by']})")
            self._speak_later(wire)

        self._world.tell(f"{self.uid} enters {rid} at {self.front}")
        self.tries.append((rid, self.front))
        self._entering = Stay(self.uid, rid, self.front, self._world.now)
        self._ask(ENTER, {"uid": self.uid, "rid": rid}, entered)

    def _speak_later(self, wire: Wire) -> None:
        self.machine.callLater(self._world.random.uniform(*self._pause), self._speak, wire)

    def _speak(self, wire: Wire) -> None:
        stay, chance = self.stay, self._world.random
        if wire is not self._wire or stay is None or stay.leaves is not None:
            return
        if self.stopped or self.silent:
            return
        if chance.random() < self.restless:
            chance.choice((self.leave, self.hang_up))()
            return
        for _ in range(chance.choice((1, 1, 1, 3))):
            self.say(stay)
        self._speak_later(wire)

    def say(self, stay: Stay) -> Said:
        chance = self._world.random
        self._said += 1
        sleepy = chance.random() < self._sleepy
        said = Said(f"{self.uid}:{self._said}", stay.rid, stay, self._world.now, not sleepy)
        self.said.append(said)
        msg: dict[str, Any] = {"id": said.id, "pad": "x" * int(chance.uniform(0, self._bytes))}
        if sleepy:
            msg[chance.choice(("before", "after"))] = chance.choice((0.01, 0.3, 1.5))

        def answered(answer: dict[str, Any]) -> None:
            said.answered, said.code = self._world.now, answer["code"]
            said.by, said.missed = answer.get("by", ""), answer.get("missed", [])
            if said.code == 200:
                self._acknowledged.add(said.id)
            else:
                self._world.tell(f"{said.id} in {said.rid} is answered {answer}")

        self._ask(SEND, msg, answered)
        return said

    def leave(self) -> None:
        """Leave the room, and enter another on the same connection."""
        stay, wire = self.stay, self._wire
        if stay is None or stay.leaves is not None or wire is None:
            return

        def enter_again() -> None:
            if wire is self._wire:  # else it has entered by another, or is about to
                self.enter()

        def left(answer: dict[str, Any]) -> None:
            self._end("left" if answer["code"] == 200 else "could not leave")
            if answer["code"] != 200:
                self.hang_up(f"could not leave {stay.rid}: {answer}")
            elif not self.stopped:
                self.machine.callLater(self._world.random.uniform(0, 0.5), enter_again)

        stay.leaves = self._world.now
        self._world.tell(f"{self.uid} leaves {stay.rid}")
        self._ask(LEAVE, {}, left)

    def hang_up(self, why: str = "hangs up") -> None:
        wire, self._wire = self._wire, None
        self._asked.clear()
        self._end(why)
        if wire is not None:
            self._world.tell(f"{self.uid} hangs up: {why}")
            wire.over = True
            if wire.transport is not None:
                wire.transport.loseConnection()
        self._again()

    def hush(self) -> None:
        """Say nothing any more, but come in."""
        self.silent = True

    def stop(self, politely: bool) -> None:
        """Come no more."""
        self.stopped = True
        if politely and self.stay is not None:
            self.leave()
            self.machine.callLater(2.0, self._go)
        else:
            self._go()

    def _go(self) -> None:
        self.hang_up("goes home")

    # What happens to it

    def connected(self, wire: Wire) -> None:
        if wire is self._wire:
            self.enter()

    def received(self, wire: Wire, each: message.Message) -> None:
        if wire is not self._wire:
            return
        if each.kind == message.RESPONSE:
            asked = self._asked.pop(each.id, None)
            if asked is None:
                self._world.fault(f"{self.uid} got an answer that it did not ask for: {each}")
                return
            asked.done(json.loads(each.body))
        elif each.route == "onChat":
            self._heard(json.loads(each.body))

    def _heard(self, push: dict[str, Any]) -> None:
        # Between the backend's doing and the answer to `enter`, there may be some already.
        stay = self.stay or self._entering
        if stay is None:
            self._world.fault(f"{self.uid} is in no room, and got {push['id']} of {push['rid']}")
        elif push["rid"] != stay.rid:
            self._world.fault(f"{self.uid} is in {stay.rid}, and got {push['id']} of {push['rid']}")
        else:
            stay.heard.append(push["id"])
            if push["id"] in self._acknowledged:
                self._world.fault(f"{self.uid} got {push['id']} after the answer to it")

    def lost(self, wire: Wire) -> None:
        if wire is not self._wire:
            return
        self._wire = None
        self._asked.clear()
        why = f"kicked: {wire.kicked}" if wire.kicked else "cut off"
        self._world.tell(f"{self.uid} is {why}")
        self._end(why)
        self._again()

    def _end(self, why: str) -> None:
        stay, self.stay, self._entering = self.stay, None, None
        if stay is not None:
            stay.until, stay.why = self._world.now, why
