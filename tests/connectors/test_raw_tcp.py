"""Pomelo's conversation over plain TCP, byte for byte."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from chatcore.connectors.guest import NORMAL
from chatcore.wire import message, package
from chatcore.wire.body import Body
from chatcore.wire.message import Message

from .clients import HANDSHAKE, Client, Connector, is_served

Make = Callable[..., Connector]

ASKS = package.encode(package.DATA, message.encode_request(7, "a.b.c", b"{}"))


def entered(connector: Connector) -> Client:
    client = connector.connect()
    client.shake_hands()
    client.take()
    return client


@pytest.fixture
def client(connector: Connector) -> Client:
    return entered(connector)


def test_a_whole_conversation(make: Make) -> None:
    connector = make(heartbeat={"interval": 3})
    client = connector.connect()
    client.send(bytes.fromhex("01000031") + HANDSHAKE)
    assert client.take() == b'\x01\0\0\x22{"code":200,"sys":{"heartbeat":3}}'
    client.send(bytes.fromhex("02000000"))
    assert client.take() == bytes.fromhex("03000000")
    client.send(bytes.fromhex("03000000"))
    assert client.take() == bytes.fromhex("03000000")

    client.send(bytes.fromhex("0400000d 00 01 05") + b"a.b.c" + b'{"x"}')
    (asked,) = connector.asked
    assert asked.message == Message(message.REQUEST, 1, "a.b.c", b'{"x"}')
    assert asked.reply is not None
    asked.reply(Body(None, b'{"code":200}'))
    connector.reactor.settle()
    assert client.take() == bytes.fromhex("0400000e 04 01") + b'{"code":200}'

    connection = asked.session.connection
    connection.outbox.send(connection.encoding.push("onChat", Body(None, b'{"msg":"hi"}')))
    connector.reactor.settle()
    assert client.take() == bytes.fromhex("04000014 06 06") + b"onChat" + b'{"msg":"hi"}'

    connector.sessions.kick(asked.session.id, "attack")
    connector.reactor.settle()
    assert client.take() == bytes.fromhex("05000013 7b22726561736f6e223a2261747461636b227d")
    client.hang_up()
    assert asked.session.closed == "attack"


def test_many_packages_in_one_piece_and_one_in_many(connector: Connector, client: Client) -> None:
    client.send(ASKS * 20)
    for byte in ASKS:
        client.send(bytes((byte,)))
    assert [asked.message.id for asked in connector.asked] == [7] * 21


def test_answers_of_one_turn_leave_in_one_write(connector: Connector, client: Client) -> None:
    connector.serve = lambda session, message, reply: reply and reply(Body(None, b"{}"))
    sends = client.socket.sends
    client.send(ASKS * 5)
    assert client.socket.sends == sends + 1
    assert [kind for kind, _ in client.stream()] == [package.DATA] * 5


@pytest.mark.parametrize("entered_before", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\5\0\0\2{}", id="kick"),
        pytest.param(b"\4\xff\xff\xff", id="16 MB announced"),
        pytest.param(b"\1\1\0\1", id="a little too long"),
    ],
)
def test_what_breaks_the_protocol(connector: Connector, data: bytes, entered_before: bool) -> None:
    neighbour = connector.enter()
    client = entered(connector) if entered_before else connector.connect()
    client.send(data)
    assert client.closed
    assert client.take() == b""
    assert connector.counters.clients_broken == 1
    assert connector.counters.clients_now == 1
    assert is_served(connector, neighbour)


@pytest.mark.parametrize("data", [b"\0", b"\6\0\0\0", b"GET / HTTP/1.1\r\n\r\n", b"\x04\0\0\0"])
def test_what_breaks_it_later(connector: Connector, client: Client, data: bytes) -> None:
    client.send(ASKS + data + ASKS)
    assert [asked.message.id for asked in connector.asked] == [7]
    assert client.closed
    assert connector.counters.clients_broken == 1


def test_nothing_is_allocated_for_what_is_only_announced(make: Make) -> None:
    connector = make(limits={"package_bytes": 1 << 22})
    clients = [connector.connect() for _ in range(50)]
    tracemalloc.start()
    try:
        for client in clients:
            client.send(b"\4\x3f\xff\xff")
        assert not any(client.closed for client in clients)
        assert tracemalloc.get_traced_memory()[0] < 50 * 4096
    finally:
        tracemalloc.stop()


def test_a_handshake_that_is_refused(connector: Connector) -> None:
    client = connector.connect()
    client.send(package.encode(package.HANDSHAKE, b"{}"))
    assert client.take() == b'\x01\0\0\x0c{"code":500}'
    assert client.closed


def test_a_client_that_does_not_read(make: Make) -> None:
    connector = make(outbox={"bytes": 65536})
    slow, neighbour = entered(connector), connector.enter()
    session = next(iter(connector.sessions))
    slow.socket.room = 100
    push = session.connection.encoding.push("on", Body(None, b'"' + b"x" * 1000 + b'"'))
    for _ in range(100):
        session.connection.outbox.send(push)
        connector.reactor.settle()
    assert slow.transport.aborted
    assert connector.counters.clients_slow == 1
    assert is_served(connector, neighbour)


def test_who_goes_while_something_waits_for_it(connector: Connector, client: Client) -> None:
    client.socket.room = 0
    session = next(iter(connector.sessions))
    session.connection.outbox.send(b"x" * 1000)
    connector.reactor.settle()
    client.hang_up()
    assert session.closed == "disconnect"


def test_what_was_said_last_is_not_taken_back(connector: Connector, client: Client) -> None:
    """A kicked client may be sending: closing the socket then would reset it, kick and all."""
    session = next(iter(connector.sessions))
    connector.sessions.kick(session.id, "away")
    connector.reactor.settle()
    assert [kind for kind, _ in client.stream()] == [package.KICK]
    client.send(ASKS)
    assert connector.asked == []
    assert not client.closed
    connector.reactor.advance(2)
    connector.reactor.settle()
    assert client.closed


def test_a_kick_of_who_does_not_read_just_now(connector: Connector, client: Client) -> None:
    """Over plain TCP, the package is all that tells why."""
    session = next(iter(connector.sessions))
    client.socket.room = 3
    session.connection.outbox.push(package.encode(package.HEARTBEAT))
    connector.reactor.settle()
    connector.sessions.kick(session.id, "away")
    client.socket.room = 1 << 60
    connector.reactor.settle()
    assert client.stream() == [(package.HEARTBEAT, b""), (package.KICK, b'{"reason":"away"}')]


def test_who_does_not_even_close(connector: Connector, client: Client) -> None:
    client.socket.room = 0
    session = next(iter(connector.sessions))
    session.connection.close("over", NORMAL)
    connector.reactor.settle()
    assert not client.closed
    connector.reactor.advance(2)
    connector.reactor.settle()
    assert client.closed


def test_silence(make: Make) -> None:
    connector = make(heartbeat={"interval": 3})
    client = entered(connector)
    connector.reactor.advance(5)
    client.send(b"\3\0\0\0")
    connector.reactor.advance(5)
    assert connector.counters.clients_silent == 0
    connector.reactor.advance(1)
    connector.reactor.settle()
    assert client.closed
    assert connector.counters.clients_silent == 1
