"""Connections in memory: ordered bytes that take their time, get stuck, and get lost."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IConsumer,
    IListeningPort,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from .world import Machine, World

DIAL_SECONDS = 5.0
SPLIT = 0.03
"""How often what was written in one piece comes in two."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What a machine wrote, or was told to keep for later, and another never read.

    Args:
        since: when it was written, or the first of it was kept.
        until: when it was lost.
    """

    sender: str
    receiver: str
    since: float
    until: float


class Pipe:
    """One direction of a connection.

    Args:
        latency: seconds on the way, at least and at most.
        room: bytes that are on the way or wait to be read before the writer is told to stop.
    """

    def __init__(
        self, wires: Wires, sender: Transport, latency: tuple[float, float], room: int
    ) -> None:
        self._wires, self._world = wires, wires.world
        self.sender = sender
        self.receiver: Transport
        self.latency, self.room = latency, room
        self.rate = 0.0
        self.held = False
        self.broken = False
        # When it was written, when it can be read, and what it is; None is the end.
        self.waiting: deque[tuple[float, float, bytes | None]] = deque()
        self.size = 0
        self._arrives = 0.0
        self._moving = False
        self._coming: Any = None

    def write(self, data: bytes | None, since: float | None = None) -> None:
        """Send bytes; None ends it, after them.

        Args:
            since: when the first of them were to be sent, if they have waited since.
        """
        now = self._world.now
        written = now if since is None else since
        if self.broken:
            if data is not None:
                self._wires.lost(self, written)
            return
        self._arrives = max(self._arrives, now + self._world.random.uniform(*self.latency))
        self.waiting.append((written, self._arrives, data))
        self.size += len(data or b"")
        self._move()

    def _move(self) -> None:
        """See to it that what is first in line arrives."""
        if self._moving or self.held or self.broken or not self.waiting:
            return
        _, arrives, data = self.waiting[0]
        seconds = max(arrives - self._world.now, 0)
        if self.rate:
            seconds += len(data or b"") / self.rate
        self._moving = True
        self._coming = self._world.later(seconds, self._arrived)

    def _arrived(self) -> None:
        self._moving = False
        self.deliver()

    def at_rate(self, rate: float) -> None:
        """Bring so many bytes a second from now on."""
        self.rate = rate
        if self._moving:
            self._coming.cancel()
            self._moving = False
            self._move()

    def hold(self) -> None:
        self.held = True

    def release(self) -> None:
        if self.held:
            self.held = False
            self._move()

    def deliver(self) -> None:
        """Have the receiver read what has arrived."""
        if self._moving or self.held or self.broken or not self.waiting:
            return
        receiver = self.receiver
        if receiver.machine.dead:
            self.snap()
            self._wires.reset_by_peer(self.sender)
            return
        if receiver.machine.paused or (receiver.connected and receiver.protocol is None):
            return  # it reads when it wakes, or has taken the connection
        _, _, data = self.waiting[0]
        if data is None:
            self.waiting.clear()
            receiver.ended(ConnectionDone())
            return
        data = self._taken()
        self.size -= len(data)
        receiver.received(data)
        self.sender.drained()
        self._move()

    def _taken(self) -> bytes:
        """What can be read now; all that has arrived, or a part of it."""
        now, chance = self._world.now, self._world.random
        written, arrives, data = self.waiting.popleft()
        assert data is not None
        if chance.random() < SPLIT and len(data) > 1:
            at = chance.randrange(1, len(data))
            self.waiting.appendleft((written, arrives, data[at:]))
            return data[:at]
        while (
            not self.rate
            and self.waiting
            and self.waiting[0][1] <= now
            and (more := self.waiting[0][2]) is not None
        ):
            data += more
            self.waiting.popleft()
        return data

    def cut(self, keep: int = 0) -> None:
        """Lose all but the first bytes, and let the receiver hear the end after them."""
        kept: deque[tuple[float, float, bytes | None]] = deque()
        for written, arrives, data in self.waiting:
            if data is None:
                break
            if len(data) > keep:
                self._wires.lost(self, written)
            if keep > 0:
                kept.append((written, arrives, data[:keep]))
                keep -= len(data)
        self.waiting = kept
        self.size = sum(len(data or b"") for _, _, data in kept)
        self.write(None)

    def snap(self) -> None:
        """Lose everything, now and later."""
        self.broken = True
        self._lose()

    def _lose(self) -> None:
        for written, _, data in self.waiting:
            if data is not None:
                self._wires.lost(self, written)
        self.waiting.clear()
        self.size = 0


@implementer(ITCPTransport, IConsumer)
class Transport:
    """One end of a connection."""

    disconnecting = False

    def __init__(self, machine: Machine, peer: Machine, wires: Wires) -> None:
        self.machine, self.peer = machine, peer
        self._wires = wires
        self.out: Pipe
        self.protocol: Any = None
        self.connected = True
        self._producer: Any = None
        self._streams = False
        self._stopped: float | None = None
        self._waited_since: float | None = None

    def __repr__(self) -> str:
        return f"<{self.machine} to {self.peer}>"

    # ITransport

    def write(self, data: bytes) -> None:
        if not self.connected or self.disconnecting or not data:
            return
        if not self.machine.may_write():
            return
        out = self.out
        out.write(bytes(data), self._waited_since)
        if out.size > out.room and self._producer is not None and self._stopped is None:
            self._stopped = self._wires.world.now
            if self._streams:
                self._producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if not self.connected or self.disconnecting:
            return
        self.disconnecting = True
        if self._producer is None:
            self._finish()

    def abortConnection(self) -> None:
        if not self.connected:
            return
        self.disconnecting = True
        self._note_kept()
        if self.machine.may_write():
            self.out.cut()
        self.connected = False
        self._wires.pipe_to(self).snap()
        self.machine.callLater(0, self._lost, ConnectionLost())

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert self._producer is None, "two producers"
        self._producer, self._streams = producer, streaming
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self._producer = None
        if self.disconnecting and self.connected:
            self._finish()

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 40000)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 40001)

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    setTcpKeepAlive = setTcpNoDelay

    def getTcpNoDelay(self) -> bool:
        return True

    getTcpKeepAlive = getTcpNoDelay

    # What the pipes say

    def received(self, data: bytes) -> None:
        if not self.connected:
            return
        try:
            self.protocol.dataReceived(data)
        except Exception:
            if self.machine.dead:
                return
            self._wires.world.fault(f"{self} raised\n{traceback.format_exc()}")
            self.abortConnection()

    def ended(self, why: Exception) -> None:
        """The other side has closed, or the connection broke."""
        if self.connected:
            self._note_kept()
            # What its user has not written yet, in this turn, is lost as well.
            self._wires.lost(self.out, self._wires.world.now)
            self.connected = False
            self.out.snap()
            self._lost(why)

    def drained(self) -> None:
        """Some of what was written has been read."""
        out = self.out
        if not self.connected or self.machine.dead or self._stopped is None:
            return
        if out.size <= out.room // 2:
            self.machine.callLater(0, self._resume)

    def died(self) -> None:
        """Its machine was killed: the system closes what it had."""
        if self.connected:
            self._note_kept()
            self.connected = False
            self.out.cut(self.out.room)
            self._wires.pipe_to(self).snap()
            self._wires.forget(self)

    def _note_kept(self) -> None:
        """What its user kept while it could not be written is lost, too."""
        if self._stopped is not None:
            self._wires.lost(self.out, self._stopped)

    def _resume(self) -> None:
        if self._producer is not None and self.connected and self._stopped is not None:
            self._waited_since, self._stopped = self._stopped, None
            self._producer.resumeProducing()
            self._waited_since = None

    def _finish(self) -> None:
        if self.machine.may_write():
            self.out.write(None)
        self.connected = False
        self._wires.pipe_to(self).snap()
        self.machine.callLater(0, self._lost, ConnectionDone())

    def _lost(self, why: Exception) -> None:
        self._wires.forget(self)
        self._producer = None
        protocol, self.protocol = self.protocol, None
        if protocol is not None and not self.machine.dead:
            try:
                protocol.connectionLost(Failure(why))
            except Exception:
                self._wires.world.fault(f"{self} ended, and raised\n{traceback.format_exc()}")


class Wires:
    """All connections of a world.

    Args:
        latency: seconds that bytes take, at least and at most.
        distances: seconds more that they may take from one machine to another, each time as many.
        room: bytes that a connection holds before its writer is told to stop.
    """

    def __init__(
        self,
        world: World,
        latency: tuple[float, float],
        room: int,
        distances: Sequence[float] = (0.0,),
    ) -> None:
        self.world = world
        self.latency, self.room = latency, room
        self._choices, self.distances = distances, dict[tuple[str, str], float]()
        self.listening: dict[tuple[str, str], tuple[Machine, Any]] = {}
        self.losses: list[Loss] = []
        self.open: dict[Transport, Transport] = {}
        self._pipes_to: dict[Transport, Pipe] = {}
        self.held: dict[tuple[str, str], int] = {}
        self.rates: dict[tuple[str, str], float] = {}

    @property
    def longest_way(self) -> float:
        """Seconds that anything takes from one machine to another, at most."""
        return self.latency[1] + max((*self._choices, *self.distances.values()))

    # What the nodes do

    def listen(self, place: tuple[str, str], machine: Machine, factory: Any) -> Port:
        assert place not in self.listening, f"{place} is in use"
        self.listening[place] = machine, factory
        factory.doStart()
        return Port(self, place)

    def dial(self, machine: Machine, place: tuple[str, str], factory: Any) -> Deferred[Any]:
        dialled: Deferred[Any] = Deferred(lambda _: expire.active() and expire.cancel())
        expire = machine.callLater(DIAL_SECONDS, self._expire, dialled)
        delay = self.world.random.uniform(*self.latency) * 2
        self.world.later(delay, self._arrive, machine, place, factory, dialled, expire)
        return dialled

    def _expire(self, dialled: Deferred[Any]) -> None:
        dialled.errback(TimeoutError())

    def _arrive(
        self,
        machine: Machine,
        place: tuple[str, str],
        factory: Any,
        dialled: Deferred[Any],
        expire: Any,
    ) -> None:
        if machine.dead or dialled.called or not expire.active():
            return
        listener = self.listening.get(place)
        to = place[1]
        if self.is_held(machine.id, to) or self.is_held(to, machine.id):
            self.world.later(0.2, self._arrive, machine, place, factory, dialled, expire)
            return
        expire.cancel()
        if listener is None or listener[0].dead:
            machine.callLater(0, self._refuse, dialled)
            return
        machine.callLater(0, self._connect, machine, listener, factory, dialled)

    def _refuse(self, dialled: Deferred[Any]) -> None:
        if not dialled.called:
            dialled.errback(ConnectionRefusedError())

    def _connect(
        self, machine: Machine, listener: tuple[Machine, Any], factory: Any, dialled: Deferred[Any]
    ) -> None:
        if dialled.called:
            return
        other, answering = listener
        if other.dead:
            dialled.errback(ConnectionRefusedError())
            return
        protocol = factory.buildProtocol(None)
        if protocol is None:
            dialled.errback(CancelledError())
            return
        near, far = Transport(machine, other, self), Transport(other, machine, self)
        for one, two in ((near, far), (far, near)):
            least, most = self.latency
            more = self._distance(one.machine.id, two.machine.id)
            pipe = one.out = Pipe(self, one, (least + more, most + more), self.room)
            pipe.receiver = two
            pipe.rate = self.rates.get((one.machine.id, two.machine.id), 0.0)
            self._pipes_to[two] = pipe
            self.open[one] = two
            if self.is_held(one.machine.id, two.machine.id):
                pipe.hold()
        other.callLater(0, self._accept, far, answering)
        near.protocol = protocol
        protocol.makeConnection(near)
        dialled.callback(protocol)

    def _distance(self, sender: str, receiver: str) -> float:
        way = sender, receiver
        if way not in self.distances:
            self.distances[way] = self.world.random.choice(self._choices)
        return self.distances[way]

    def _accept(self, far: Transport, answering: Any) -> None:
        if not far.connected:
            return
        protocol = answering.buildProtocol(far.getPeer())
        if protocol is None:
            far.abortConnection()
            return
        far.protocol = protocol
        protocol.makeConnection(far)
        self.pipe_to(far).deliver()

    # What is done to them

    def pipe_to(self, transport: Transport) -> Pipe:
        """What brings an end what it reads."""
        return self._pipes_to[transport]

    def forget(self, transport: Transport) -> None:
        self.open.pop(transport, None)

    def lost(self, pipe: Pipe, since: float) -> None:
        """Note that what a pipe was given since then is not read any more."""
        sender, receiver = pipe.sender.machine.id, pipe.receiver.machine.id
        self.losses.append(Loss(sender, receiver, since, self.world.now))

    def of(self, machine: Machine) -> list[Transport]:
        return [each for each in self.open if each.machine is machine]

    def between(self, one: str, other: str) -> list[Transport]:
        ids = {one, other}
        return [e for e in self.open if {e.machine.id, e.peer.id} == ids and e.connected]

    def reset_by_peer(self, sender: Transport) -> None:
        """What was sent reached a machine that knows nothing of the connection any more."""
        self.world.later(
            self.world.random.uniform(*self.latency),
            sender.machine.callLater,
            0,
            sender.ended,
            ConnectionLost(),
        )

    def machine_died(self, machine: Machine) -> None:
        for place, (listener, _) in list(self.listening.items()):
            if listener is machine:
                del self.listening[place]
        for transport in self.of(machine):
            transport.died()

    def machine_woke(self, machine: Machine) -> None:
        for transport in self.of(machine):
            if not machine.dead:
                self._pipes_to[transport].deliver()

    def is_held(self, sender: str, receiver: str) -> bool:
        return self.held.get((sender, receiver), 0) > 0

    def hold(self, sender: str, receiver: str) -> None:
        """Bring nothing from one machine to another, and tell nobody."""
        self.held[sender, receiver] = self.held.get((sender, receiver), 0) + 1
        for transport in self.between(sender, receiver):
            if transport.machine.id == sender:
                transport.out.hold()

    def release(self, sender: str, receiver: str) -> None:
        self.held[sender, receiver] -= 1
        if self.held[sender, receiver] == 0:
            for transport in self.between(sender, receiver):
                if transport.machine.id == sender:
                    transport.out.release()

    def slow(self, sender: str, receiver: str, rate: float) -> None:
        """Bring so many bytes a second from now on; 0 for any number."""
        self.rates[sender, receiver] = rate
        for transport in self.between(sender, receiver):
            if transport.machine.id == sender:
                transport.out.at_rate(rate)

    def reset(self, one: str, other: str) -> bool:
        """Break the connection of two machines; each hears of it in its own time."""
        ends = self.between(one, other)
        for transport in ends:
            transport.out.snap()
        for transport in ends:
            self.world.later(
                self.world.random.choice((0.0, 0.01, 0.2, 1.0)),
                transport.machine.callLater,
                0,
                transport.ended,
                ConnectionLost(),
            )
        return bool(ends)


@implementer(IListeningPort)
class Port:
    """A place that is listened at."""

    def __init__(self, wires: Wires, place: tuple[str, str]) -> None:
        self._wires, self._place = wires, place

    def startListening(self) -> None:
        raise NotImplementedError

    def stopListening(self) -> None:
        found = self._wires.listening.pop(self._place, None)
        if found is not None:
            found[1].doStop()

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 40001)


@implementer(IStreamClientEndpoint)
class Endpoint:
    """Leads from a machine to a place."""

    def __init__(self, wires: Wires, machine: Machine, place: tuple[str, str]) -> None:
        self._wires, self._machine, self._place = wires, machine, place

    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        return self._wires.dial(self._machine, self._place, protocolFactory)


class Place:
    """A place to listen at: `chatcore.node.network.IPlace`."""

    def __init__(self, wires: Wires, machine: Machine, place: tuple[str, str]) -> None:
        self._wires, self._machine, self._place = wires, machine, place

    def listen(self, reactor: Any, factory: Any) -> Port:
        return self._wires.listen(self._place, self._machine, factory)

    def release(self) -> None:
        pass


class MemoryNetwork:
    """What a node is reached by and reaches others by: `chatcore.node.network.INetwork`."""

    def __init__(self, wires: Wires, machine: Machine) -> None:
        self._wires, self._machine = wires, machine

    def link_place(self, server: Any) -> Place:
        return Place(self._wires, self._machine, ("links", server.id))

    def link_endpoint(self, server: Any) -> Endpoint:
        return Endpoint(self._wires, self._machine, ("links", server.id))

    def client_place(self, server: Any) -> Place:
        return Place(self._wires, self._machine, ("clients", server.id))

    def datagram_place(self, server: Any) -> Any:
        raise NotImplementedError
