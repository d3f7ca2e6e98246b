"""Processes in memory: each has a clock of its own, can be paused, and can be killed."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import implementer

STEP = 0.05


class Host:
    """A process: its clock stands still while it is paused, and for ever once it is dead."""

    def __init__(self, world: World) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.awake = True
        self.dead = False
        self.cut_off = False
        """Whether nothing comes from it, or to it, for now; connections stay."""
        self.missed = 0.0
        self.ends: list[End] = []
        self._world = world
        world.hosts.append(self)

    def pause(self) -> None:
        """Have it do nothing until `wake`; what is sent to it waits."""
        self.awake = False

    def wake(self, *, reads_first: bool = False) -> None:
        """Have it go on: to itself it is as if no time had passed until it looks at its clock.

        Args:
            reads_first: whether it was stopped while it waited for its sockets, so that it reads
                before its timers are due.
        """
        self.awake = True
        missed, self.missed = self.missed, 0.0
        if reads_first:
            self.clock.rightNow += missed
            for end in list(self.ends):
                end.act()
        else:
            self.clock.advance(missed)
        self._world.settle()

    def die(self) -> None:
        """Have it end without a word: the system closes its connections."""
        self.awake, self.dead = False, True
        for end in self.ends:
            end.closed = True
            end.other.hear_end(ConnectionLost())
        for name in [name for name, (host, _) in self._world.listening.items() if host is self]:
            del self._world.listening[name]
        self._world.hosts.remove(self)
        self._world.settle()


class End:
    """One end of a connection."""

    other: End

    def __init__(self, host: Host, protocol: Any) -> None:
        self.host, self.protocol = host, protocol
        self.closed = self.connected = False
        self._inbox: list[bytes] = []
        self._over: Exception | None = None
        host.ends.append(self)

    def make(self) -> None:
        self.connected = True
        self.protocol.makeConnection(self)

    def hear(self, data: bytes) -> None:
        if self._over is None:
            self._inbox.append(data)

    def hear_end(self, why: Exception) -> None:
        if self._over is None:
            self._over = why

    def act(self) -> bool:
        """Hand on what has come, if its process is awake; whether there was anything."""
        if not self.host.awake or self not in self.host.ends:
            return False
        if self.host.cut_off or self.other.host.cut_off:
            return False
        inbox, self._inbox = self._inbox, []
        for data in inbox:
            if not self.closed:
                self.protocol.dataReceived(data)
        if self._over is not None:
            self.host.ends.remove(self)
            self.closed = True
            self.other.hear_end(ConnectionDone())
            self.protocol.connectionLost(Failure(self._over))
            return True
        return bool(inbox)

    # What protocols say.

    @property
    def disconnecting(self) -> bool:
        return self.closed

    def write(self, data: bytes) -> None:
        if not self.closed:
            self.other.hear(data)

    def loseConnection(self) -> None:
        self.closed = True
        self.hear_end(ConnectionDone())

    def abortConnection(self) -> None:
        self._inbox.clear()
        self.loseConnection()

    def getHost(self) -> str:
        return "memory"

    def getPeer(self) -> str:
        return "memory"

    def registerProducer(self, producer: object, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass


class World:
    """All processes, and the ports that some of them listen on."""

    def __init__(self) -> None:
        self.hosts: list[Host] = []
        self.listening: dict[str, tuple[Host, Factory]] = {}
        self.dialled: list[str] = []
        self.masters = 0

    def settle(self) -> None:
        """Let everything happen that is to happen now."""
        for _ in range(1000):
            moved = False
            for host in list(self.hosts):
                if host.awake:
                    now = host.clock.seconds()
                    moved |= any(call.getTime() <= now for call in host.clock.getDelayedCalls())
                    host.clock.advance(0)
                for end in list(host.ends):
                    moved |= end.act()
            if not moved:
                return
        raise AssertionError("it never comes to rest")

    def pass_time(self, seconds: float) -> None:
        """Let time pass for all, in small steps."""
        self.settle()
        for _ in range(round(seconds / STEP)):
            for host in list(self.hosts):
                if host.awake:
                    host.clock.advance(STEP)
                else:
                    host.missed += STEP
            self.settle()


@implementer(IStreamClientEndpoint)
class Way:
    """How one process dials a port of another's; a connection to one that is paused waits.

    So does one that a cut is in the way of, until who dials it has had enough.
    """

    def __init__(self, world: World, host: Host, to: str) -> None:
        self._world, self._host, self._to = world, host, to

    def connect(self, factory: Any) -> Deferred[Any]:
        self._world.dialled.append(self._to)
        if self._to not in self._world.listening:
            return fail(ConnectionRefusedError())
        there, listener = self._world.listening[self._to]
        if there.cut_off or self._host.cut_off:
            return Deferred()
        here = End(self._host, factory.buildProtocol(None))
        here.other = End(there, listener.buildProtocol(None))
        here.other.other = here
        here.other.make()
        here.make()
        return succeed(here.protocol)


class Port:
    """A place to listen on, and the port that it becomes."""

    def __init__(self, world: World, host: Host, name: str) -> None:
        self._world, self._host, self._name = world, host, name

    def listen(self, reactor: object, factory: Factory) -> Port:
        self._world.listening[self._name] = self._host, factory
        return self

    def stopListening(self) -> Deferred[None]:
        self._world.listening.pop(self._name, None)
        return succeed(None)

    def release(self) -> None:
        """Nothing was taken."""
