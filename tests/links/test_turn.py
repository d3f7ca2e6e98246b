"""Putting off until the end of the turn, and writing straight to a socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet import tcp
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.unix import Server as UnixServer
from twisted.protocols.tls import TLSMemoryBIOFactory

from chatcore.turn import Turn, is_plain, write_now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nothing_happens_before_the_end_of_the_turn(clock: Clock) -> None:
    done: list[int] = []
    turn = Turn(clock.callLater)
    for number in range(5):
        turn.at_end(lambda number=number: done.append(number))
    assert done == []
    assert len(clock.getDelayedCalls()) == 1
    clock.advance(0)
    assert done == [0, 1, 2, 3, 4]
    assert clock.getDelayedCalls() == []


def test_what_is_put_off_at_the_end_waits_for_the_next(clock: Clock) -> None:
    done: list[str] = []
    turn = Turn(clock.callLater)

    def again() -> None:
        done.append("first")
        turn.at_end(lambda: done.append("second"))

    turn.at_end(again)
    turn._run()
    assert done == ["first"]
    clock.advance(0)
    assert done == ["first", "second"]


def test_an_action_that_raises_costs_the_others_nothing(clock: Clock) -> None:
    done: list[str] = []
    turn = Turn(clock.callLater)
    turn.at_end(lambda: done.append("before"))
    turn.at_end(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    turn.at_end(lambda: done.append("after"))
    turn.at_end(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    turn.at_end(lambda: done.append("last"))
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            clock.advance(0)
    clock.advance(0)
    assert done == ["before", "after", "last"]
    assert clock.getDelayedCalls() == []


class Socket:
    """Takes as much as it is told to."""

    def __init__(self, takes: int | OSError) -> None:
        self.takes = takes
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        if isinstance(self.takes, OSError):
            raise self.takes
        self.sent.append(data[: self.takes])
        return min(self.takes, len(data))


class Plain:
    """As much of a TCP connection of Twisted's as is looked at."""

    def __init__(self, takes: int | OSError = 1000) -> None:
        self.socket = Socket(takes)
        self.dataBuffer = b""
        self._tempDataBuffer: list[bytes] = []
        self.connected, self.disconnecting = True, False
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


def test_an_idle_connection_is_written_to_at_once() -> None:
    transport = Plain()
    assert write_now(transport, b"hello")
    assert transport.socket.sent == [b"hello"]
    assert transport.written == []


def test_what_the_socket_did_not_take_is_left_to_the_transport() -> None:
    transport = Plain(takes=2)
    assert not write_now(transport, b"hello")
    assert transport.socket.sent == [b"he"]
    assert transport.written == [b"llo"]


@pytest.mark.parametrize("problem", [BlockingIOError(), BrokenPipeError(), ConnectionResetError()])
def test_a_full_or_broken_socket_is_left_to_the_transport(problem: OSError) -> None:
    transport = Plain(takes=problem)
    assert not write_now(transport, b"hello")
    assert transport.written == [b"hello"]


@pytest.mark.parametrize(
    "state",
    [
        {"dataBuffer": b"before"},
        {"_tempDataBuffer": [b"before"]},
        {"connected": False},
        {"disconnecting": True},
    ],
    ids=lambda state: next(iter(state)),
)
def test_nothing_overtakes_what_waits(state: dict[str, Any]) -> None:
    transport = Plain()
    vars(transport).update(state)
    assert not write_now(transport, b"hello")
    assert transport.socket.sent == []
    assert transport.written == [b"hello"]


def test_any_other_transport_writes_itself() -> None:
    transport = StringTransport()
    assert not is_plain(transport)
    assert write_now(transport, b"hello")
    assert transport.value() == b"hello"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


class Poller:
    """A reactor that notes who wants to write."""

    def __init__(self) -> None:
        self.writers: set[object] = set()

    def addWriter(self, writer: object) -> None:
        self.writers.add(writer)

    def removeWriter(self, writer: object) -> None:
        self.writers.discard(writer)

    addReader = removeReader = removeWriter


def connection(cls: Any, ours: socket.socket, protocol: Any) -> Any:
    class Made(cls):
        def __init__(self) -> None:
            tcp.Connection.__init__(self, ours, protocol, Poller())
            self.connected = True

        logstr = "test"

    return Made()


@pytest.mark.parametrize("cls", [tcp.Connection, tcp.Server, UnixServer])
def test_twisteds_own_connections_are_plain(cls: Any, pair: Any) -> None:
    ours, theirs = pair
    transport = connection(cls, ours, Protocol())
    assert is_plain(transport)
    assert write_now(transport, b"hello")
    assert theirs.recv(100) == b"hello"
    assert not transport.reactor.writers


def test_a_real_socket_that_is_full_loses_nothing(pair: Any) -> None:
    ours, theirs = pair
    transport = connection(tcp.Connection, ours, Protocol())
    sent = b"".join(b"%07d\n" % number for number in range(500_000))
    pieces = [sent[at : at + 300_000] for at in range(0, len(sent), 300_000)]
    taken = [write_now(transport, piece) for piece in pieces]
    assert taken[-1] is False
    assert transport in transport.reactor.writers
    received = b""
    while len(received) < len(sent):
        received += theirs.recv(1 << 20)
        transport.doWrite()
    assert received == sent
    assert transport.dataBuffer == b""


def test_nothing_goes_around_tls(pair: Any) -> None:
    # A TLS transport passes on whatever it is asked for to the connection under it.
    ours, theirs = pair
    factory = TLSMemoryBIOFactory(
        CertificateOptions(), True, Factory.forProtocol(Protocol), clock=Clock()
    )
    tls = factory.buildProtocol(None)
    tls.makeConnection(connection(tcp.Connection, ours, tls))
    assert tls.transport.socket is ours
    assert not is_plain(tls)
    write_now(tls, b"hello")
    tls.transport.doWrite()
    assert b"hello" not in theirs.recv(10_000)


def test_nothing_goes_around_tls_that_was_started_later(pair: Any) -> None:
    # As Twisted's `startTLS` leaves a connection: what is written goes to the TLS protocol.
    ours, theirs = pair
    encrypted = StringTransport()
    transport = connection(tcp.Connection, ours, encrypted)
    transport.TLS = True
    assert not is_plain(transport)
    write_now(transport, b"hello")
    assert encrypted.value() == b"hello"
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
