"""Nodes in one process, joined by memory and driven by one clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect
from zope.interface import implementer

from chatcore.links import hello
from chatcore.links.commands import VERSION, Hello, Prove, Remotes
from chatcore.links.dialler import Peer
from chatcore.links.hello import DIALLER, LISTENER, Party
from chatcore.links.link import Link, LinkParts, Responder
from chatcore.links.settings import LinkSettings
from chatcore.links.table import LinkTable
from chatcore.telemetry import Counters
from chatcore.turn import Turn
from chatcore.wire.box import END, Box, BoxParser, item

T = TypeVar("T")

SECRET = b"the secret of this cluster......"
NONCE = b"n" * 32


class Wire(FakeTransport):
    """A memory connection that counts its writes, and can be stopped from taking any more."""

    def __init__(self, protocol: Any, isServer: bool) -> None:
        super().__init__(protocol, isServer)
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self.disconnecting:
            self.writes.append(data)
        super().write(data)

    def abortConnection(self) -> None:
        self.stream.clear()
        super().abortConnection()

    def block(self) -> None:
        """Say that no more can be taken now."""
        self.producer.pauseProducing()

    def unblock(self) -> None:
        self.producer.resumeProducing()


class Net:
    """The machine that all nodes of a test are on."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.listening: dict[str, Factory] = {}
        self.dialled: list[tuple[float, str]] = []
        self.silent: set[str] = set()
        self.cancelled: list[str] = []
        self._pumps: list[IOPump] = []
        self._frozen: list[IOPump] = []

    def settle(self) -> None:
        """Let everything happen that is to happen now."""
        for _ in range(1000):
            self.clock.advance(0)
            moved = [self._pump(pump) for pump in list(self._pumps)]
            now = self.clock.seconds()
            if not any(moved) and not any(c.getTime() <= now for c in self.clock.getDelayedCalls()):
                return
        raise AssertionError("it never comes to rest")

    def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """Let time pass, in steps, with everything that happens in it."""
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            self.clock.advance(min(step, end - self.clock.seconds()))
            self.settle()

    def join(self, server: Any, client: Any) -> IOPump:
        """Connect two protocols."""
        server_wire, client_wire = Wire(server, True), Wire(client, False)
        pump = connect(server, server_wire, client, client_wire, greet=False, clock=self.clock)
        self._pumps.append(pump)
        return pump

    def freeze(self, wire: Wire) -> None:
        """Carry nothing on a connection, as when a cable is cut; neither side is told."""
        self._frozen = [
            *self._frozen,
            *(p for p in self._pumps if wire in (p.clientIO, p.serverIO)),
        ]

    def thaw(self) -> None:
        """Carry everything again."""
        self._frozen = []

    def _pump(self, pump: IOPump) -> bool:
        if pump not in self._frozen:
            return bool(pump.pump(advanceClock=False))
        for wire in (pump.clientIO, pump.serverIO):
            if wire.disconnecting and not wire.disconnected:
                wire.disconnected = True
                wire.reportDisconnect()
                return True
        return False

    def dial(self, to: str, client: T) -> T:
        """Connect a protocol to a node; it is closed at once if the node takes no more."""
        server = self.listening[to].buildProtocol(None)
        self.join(server or Closing(), client)
        self.settle()
        return client

    def result(self, deferred: Deferred[T]) -> T:
        """What a Deferred gives once everything has come to rest; raises its failure."""
        return done(deferred, self.settle)


def done(deferred: Deferred[T], settle: Callable[[], None] = lambda: None) -> T:
    """What a Deferred has given; raises its failure."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    settle()
    assert results, "it has no result yet"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


class Closing(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Leads to whoever listens under a name of the net."""

    def __init__(self, net: Net, to: str) -> None:
        self._net, self._to = net, to

    def connect(self, factory: Any) -> Deferred[Any]:
        net = self._net
        net.dialled.append((net.clock.seconds(), self._to))
        if self._to in net.silent:
            return Deferred(lambda _: net.cancelled.append(self._to))
        if self._to not in net.listening:
            return fail(ConnectionRefusedError())
        client = factory.buildProtocol(None)
        net.join(net.listening[self._to].buildProtocol(None) or Closing(), client)
        return succeed(client)


class Node:
    """A table of links, with what it reports."""

    def __init__(
        self,
        net: Net,
        id: str,
        others: Iterable[str],
        *,
        secret: bytes = SECRET,
        incarnation: str = "life 1",
        remotes: Mapping[str, str] | None = None,
        responders: Mapping[bytes, Responder] | None = None,
        on_up: Callable[[Link], None] | None = None,
        **settings: Any,
    ) -> None:
        self.net, self.id = net, id
        self.counters = Counters()
        self.ups: list[Link] = []
        self.downs: list[Link] = []
        self.heard: list[Box] = []
        self.table = LinkTable(
            id=id,
            incarnation=incarnation,
            secret=secret,
            remotes=remotes or {},
            parts=LinkParts(
                turn=Turn(net.clock.callLater),
                clock=net.clock,
                settings=LinkSettings(**settings),
                counters=self.counters,
                responders={b"Note": self._note, **(responders or {})},
            ),
        )
        self.table.follow({each: Peer(MemoryEndpoint(net, each)) for each in others})
        self.table.on_up(self.ups.append)
        self.table.on_down(self.downs.append)
        if on_up is not None:
            self.table.on_up(on_up)
        net.listening[id] = self.table.factory

    def _note(self, link: Link, box: Box, ask: bytes | None) -> None:
        self.heard.append(box)
        if ask is not None:
            link.answer(ask, b"")

    def link(self, peer: str) -> Link:
        link = self.table.get(peer)
        assert link is not None, f"{self.id} has no link to {peer}"
        return link

    def wire(self, peer: str) -> Wire:
        wire = self.link(peer).transport
        assert isinstance(wire, Wire)
        return wire

    def ask(self, peer: str, payload: bytes, timeout: float | None = None) -> Call:
        """Make a call over the link to a peer."""
        return self.ask_on(self.link(peer), payload, timeout)

    def ask_on(self, link: Link, payload: bytes, timeout: float | None = None) -> Call:
        """Make a call over a link of one's own choice."""
        call = Call()
        link.ask(payload, call, "a call", timeout)
        return call


class Call:
    """What became of a call."""

    def __init__(self) -> None:
        self.ended: list[tuple[Box | None, Exception | None]] = []

    def __call__(self, box: Box | None, problem: Exception | None) -> None:
        self.ended.append((box, problem))

    @property
    def box(self) -> Box:
        ((box, problem),) = self.ended
        assert box is not None, problem
        return box

    @property
    def problem(self) -> Exception:
        ((box, problem),) = self.ended
        assert problem is not None, box
        return problem


NOTE = item(b"_command", b"Note")


def note(text: bytes) -> bytes:
    """A box that the nodes of these tests write down."""
    return NOTE + item(b"text", text) + END


class Raw(Protocol):
    """A peer of a few bytes: sends what it is told to, and keeps the boxes that come."""

    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.closed = False
        self._parser = BoxParser(1 << 24)

    def dataReceived(self, data: bytes) -> None:
        self.boxes += self._parser.feed(data)

    def send(self, *boxes: Mapping[bytes, bytes]) -> None:
        self.send_bytes(
            b"".join(b"".join(item(*pair) for pair in box.items()) + END for box in boxes)
        )

    def send_bytes(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.closed = True


def hello_box(
    id: str = "a", to: str = "b", *, version: bytes = b"1", nonce: bytes = NONCE, ask: bytes = b"1"
) -> dict[bytes, bytes]:
    """What a dialling node says first."""
    return {
        b"_ask": ask,
        b"_command": b"Hello",
        b"version": version,
        b"id": id.encode(),
        b"to": to.encode(),
        b"incarnation": b"life 1",
        b"nonce": nonce,
    }


def prove_box(
    hello_said: Mapping[bytes, bytes],
    answer: Box,
    *,
    secret: bytes = SECRET,
    role: str = DIALLER,
    channel: bytes = b"",
) -> dict[bytes, bytes]:
    """What a dialling node that knows the secret says next."""
    me = Party(hello_said[b"id"].decode(), "life 1", hello_said[b"nonce"])
    it = Party(answer[b"id"].decode(), answer[b"incarnation"].decode(), answer[b"nonce"])
    return {
        b"_ask": b"2",
        b"_command": b"Prove",
        b"proof": hello.proof(secret, role, VERSION, me, it, channel),
    }


REMOTES = {b"_command": b"Remotes", b"remotes": b"\x80"}
"""The last of the hello: there are none."""


def link_up(net: Net, client: amp.AMP, id: str, to: str, secret: bytes = SECRET) -> dict[str, str]:
    """Lead a stock AMP peer through the hello with a node; that node's remotes come back."""
    net.dial(to, client)
    me = Party(id, "stock life", NONCE)
    said = net.result(
        client.callRemote(
            Hello, version=VERSION, id=id, to=to, incarnation=me.incarnation, nonce=me.nonce
        )
    )
    it = Party(said["id"], said["incarnation"], said["nonce"])
    assert said["proof"] == hello.proof(secret, LISTENER, VERSION, me, it)
    proof = hello.proof(secret, DIALLER, VERSION, me, it)
    proven = net.result(client.callRemote(Prove, proof=proof))
    client.callRemote(Remotes, remotes={"stock.method": "f00"})
    net.settle()
    remotes: dict[str, str] = proven["remotes"]
    return remotes


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        """The warnings and worse, as they read when they were logged."""
        self.failures: list[BaseException] = []
        """The exceptions."""

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"].name in ("warn", "error"):
            self.texts.append(formatEvent(event))
        if event.get("log_failure") is not None:
            self.failures.append(event["log_failure"].value)

    def __enter__(self) -> Log:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, *exc: object) -> None:
        globalLogPublisher.removeObserver(self)
