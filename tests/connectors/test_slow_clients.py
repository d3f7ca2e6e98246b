"""Clients that do not read: what waits for them is bounded, in bytes and in seconds."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from chatcore.wire import message, package
from chatcore.wire.body import Body

from .clients import PING, Client, Connector, frame, frames, is_served

Make = Callable[..., Connector]

MOST = 65536


@pytest.fixture
def connector(make: Make) -> Connector:
    return make(outbox={"bytes": MOST, "seconds": 30})


def push(client: Client, number: int, size: int = 1000) -> bytes:
    """Put a push into a client's outbox; its bytes."""
    connection = client.session.connection
    data: bytes = connection.encoding.push("onChat", Body(None, b"%d " % number + b"x" * size))
    connection.outbox.send(data)
    return data


@contextmanager
def logged() -> Iterator[list[LogEvent]]:
    """What is logged meanwhile."""
    events: list[LogEvent] = []
    globalLogPublisher.addObserver(events.append)
    try:
        yield events
    finally:
        globalLogPublisher.removeObserver(events.append)


def held(client: Client) -> int:
    """All bytes that wait for a client, wherever they wait."""
    transport = client.transport
    queued = sum(map(len, client.session.connection.outbox._queue))
    return queued + len(transport.dataBuffer) + transport._tempDataLen


def test_resumes_in_order_with_nothing_lost_or_doubled(connector: Connector) -> None:
    dice = random.Random(5)
    client = connector.enter()
    expected = b""
    for number in range(300):
        client.socket.room = dice.choice((0, 0, 0, 10, 500, 3000, 20_000))
        for _ in range(dice.randrange(4)):
            expected += push(client, number, dice.randrange(1500))
        connector.reactor.settle()
    client.socket.room = 1 << 60
    connector.reactor.settle()
    assert client.take() == expected
    assert (held(client), client.session.connection.outbox.waiting) == (0, 0)
    assert not client.closed


def test_what_waits_is_counted(connector: Connector) -> None:
    client = connector.enter()
    outbox = client.session.connection.outbox
    client.socket.room = 100
    sent = push(client, 1)
    connector.reactor.settle()
    assert outbox.waiting == held(client) == len(sent) - 100
    sent += push(client, 2)
    connector.reactor.settle()
    assert outbox.waiting == held(client) == len(sent) - 100
    client.socket.room = 1 << 60
    connector.reactor.settle()
    assert outbox.waiting == held(client) == 0


def test_a_client_with_too_much_waiting_is_cut_off(connector: Connector) -> None:
    client, neighbour = connector.enter("alice"), connector.enter()
    told: list[str] = []
    connector.sessions.on_closed(client.session.id, lambda s, reason: told.append(reason))
    client.socket.room = 0
    most = 0
    for number in range(1000):
        push(client, number)
        push(neighbour, number)
        connector.reactor.settle()
        if client.closed:
            break
        most = max(most, held(client))
    assert most <= MOST
    assert most > MOST - 3000
    assert client.transport.aborted
    assert told == ["slow client"]
    assert connector.sessions.by_uid("alice") == []
    connector.count(clients_accepted=2, clients_now=1, sessions_now=1, clients_slow=1)
    assert is_served(connector, neighbour)


def test_too_much_in_one_turn(connector: Connector) -> None:
    client = connector.enter()
    client.socket.room = 0
    most = 0
    for number in range(1000):
        push(client, number)
        if client.transport.aborted:
            break
        most = max(most, held(client))
    connector.reactor.settle()
    assert client.closed
    assert most <= MOST
    assert connector.counters.clients_slow == 1


@pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "newest-per-route"])
def test_one_message_longer_than_the_outbox(make: Make, policy: str) -> None:
    """A client that reads is cut off by it, unless the socket takes it at once: the log says so."""
    connector = make(outbox={"bytes": MOST, "policy": policy})
    lucky, unlucky = connector.enter(), connector.enter()
    unlucky.socket.room = 1000
    with logged() as events:
        data = push(lucky, 1, 2 * MOST)
        assert push(unlucky, 1, 2 * MOST) == data
        connector.reactor.settle()
    assert (lucky.closed, lucky.take()) == (False, data)
    assert unlucky.closed
    (line,) = [formatEvent(event) for event in events]
    assert line.endswith(
        f"a message of {len(data)} bytes did not leave at once, and outbox.bytes is smaller: {MOST}"
    )


def test_the_log_names_who_does_not_read(connector: Connector) -> None:
    client = connector.enter()
    client.socket.room = 0
    with logged() as events:
        for number in range(70):
            push(client, number)
        connector.reactor.settle()
    (line,) = [formatEvent(event) for event in events]
    assert "it does not read: " in line
    assert line.endswith(" bytes wait for it")


def test_much_in_one_turn_is_fine_for_who_reads(connector: Connector) -> None:
    client = connector.enter()
    expected = b"".join(push(client, number) for number in range(1000))
    connector.reactor.settle()
    assert client.take() == expected
    assert not client.closed


def test_what_the_socket_left_over_counts_too(connector: Connector) -> None:
    """The bound holds for all that waits, not for what came after the first flush."""
    client = connector.enter()
    client.socket.room = 1000
    for number in range(60):
        push(client, number)
    connector.reactor.settle()
    client.socket.room = 0
    for number in range(60):
        push(client, number)
        connector.reactor.settle()
        if not client.closed:
            assert held(client) <= MOST
    assert client.closed


def test_a_client_that_does_not_read_for_too_long_is_cut_off(connector: Connector) -> None:
    client, neighbour = connector.enter(), connector.enter()
    client.socket.room = 5
    push(client, 1)
    connector.reactor.settle()
    connector.reactor.advance(29.9)
    assert not client.closed
    connector.reactor.advance(0.1)
    connector.reactor.settle()
    assert client.closed
    assert connector.counters.clients_slow == 1
    assert is_served(connector, neighbour)


def test_time_begins_again_when_all_was_read(connector: Connector) -> None:
    client = connector.enter()
    for number in range(5):
        client.socket.room = 5
        push(client, number)
        connector.reactor.settle()
        connector.reactor.advance(20)
        client.socket.room = 1 << 60
        connector.reactor.settle()
        connector.reactor.advance(20)
    assert not client.closed


def test_no_limit_in_time(make: Make) -> None:
    connector = make(outbox={"seconds": 0})
    client = connector.enter()
    client.socket.room = 0
    push(client, 1)
    connector.reactor.settle()
    connector.reactor.advance(100_000)
    assert not client.closed


def test_one_that_is_cut_off_is_counted_once(connector: Connector) -> None:
    client = connector.enter()
    client.socket.room = 0
    outbox = client.session.connection.outbox
    for number in range(5):
        push(client, number, MOST)
    connector.reactor.settle()
    outbox.send(b"x" * 2 * MOST)
    connector.reactor.settle()
    assert client.closed
    assert connector.counters.clients_slow == 1


def test_a_slow_client_that_is_kicked(connector: Connector) -> None:
    client = connector.enter()
    client.socket.room = 10
    sent = push(client, 1)
    connector.reactor.settle()
    push(client, 2)
    client.session.connection.kick("too slow")
    connector.reactor.advance(2)
    connector.reactor.settle()
    assert client.closed
    assert client.take() == sent[:10]
    assert connector.counters.clients_slow == 0


def test_a_slow_client_that_reads_again_after_its_kick(connector: Connector) -> None:
    """What waited comes, then the reason, then the close frame."""
    client = connector.enter()
    client.socket.room = 10
    sent = push(client, 1)
    connector.reactor.settle()
    sent += push(client, 2)
    connector.reactor.settle()
    client.session.connection.kick("too slow")
    client.socket.room = 1 << 60
    connector.reactor.settle()
    kick = package.encode(package.KICK, b'{"reason":"too slow"}')
    assert frames(client.take()) == [*frames(sent), (2, kick), (8, b"\x03\xe8too slow")]


def test_pings_of_a_client_that_does_not_read(make: Make) -> None:
    """Answers to pings are bounded like everything else."""
    connector = make(outbox={"bytes": MOST}, limits={"messages_per_second": 0})
    client, neighbour = connector.enter(), connector.enter()
    client.socket.room = 0
    for _ in range(5000):
        client.send(frame(b"p" * 125, PING))
        if client.closed:
            break
        assert held(client) <= MOST
    assert client.closed
    assert connector.counters.clients_slow == 1
    assert is_served(connector, neighbour)


def test_requests_of_a_client_that_does_not_read(make: Make) -> None:
    connector = make(outbox={"bytes": MOST}, limits={"messages_per_second": 0})
    client = connector.enter()
    connector.serve = lambda session, message, reply: (
        reply and reply(Body(None, b'"%s"' % (b"x" * 900)))
    )
    client.socket.room = 0
    for number in range(1, 1000):
        client.request(number)
        if client.closed:
            break
        assert held(client) <= MOST
    assert client.closed


def test_heartbeats_of_a_client_that_does_not_read(make: Make) -> None:
    connector = make(
        outbox={"bytes": MOST},
        heartbeat={"interval": 3},
        limits={"messages_per_second": 0},
    )
    client = connector.enter()
    client.socket.room = 0
    for _ in range(20_000):
        client.say((package.HEARTBEAT, b""), settle=False)
        if client.closed or client.transport.aborted:
            break
    connector.reactor.settle()
    assert client.closed


def test_a_socket_that_fails(connector: Connector) -> None:
    client, neighbour = connector.enter(), connector.enter()

    def broken(data: bytes) -> int:
        raise BrokenPipeError(32, "broken")

    socket: Any = client.socket
    socket.send = broken
    push(client, 1)
    connector.reactor.settle()
    assert client.closed
    assert connector.counters.sessions_now == 1
    assert is_served(connector, neighbour)


def test_the_answer_after_a_pause_is_whole(connector: Connector) -> None:
    client = connector.enter()
    client.request(1)
    client.request(2)
    client.socket.room = 3
    for asked in connector.asked:
        assert asked.reply is not None
        asked.reply(Body(None, b"{}"))
        connector.reactor.settle()
    client.socket.room = 1 << 60
    connector.reactor.settle()
    assert [(each.kind, each.id) for each in client.messages()] == [
        (message.RESPONSE, 1),
        (message.RESPONSE, 2),
    ]
