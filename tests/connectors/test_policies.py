"""What happens to clients that do not read, by the policy; and what is collected for a while."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from chatcore.wire import message, package
from chatcore.wire.body import Body

from .clients import (
    CLOSE,
    HANDSHAKE,
    Client,
    Connector,
    WrappedTransport,
    close_frame,
    frame,
    frames,
    is_served,
)

Make = Callable[..., Connector]

MOST = 65536
DROPPING = ["drop-oldest", "newest-per-route"]
ALL = ["disconnect", *DROPPING]


@pytest.fixture(params=DROPPING)
def dropping(make: Make, request: pytest.FixtureRequest) -> Connector:
    """A connector for each of the policies that give up pushes."""
    return make(outbox={"policy": request.param, "bytes": MOST, "seconds": 30})


def push(
    client: Client, number: int, size: int = 1000, *, route: str = "", droppable: bool = False
) -> bytes:
    """Push to a client; its bytes. Without a route, each has one of its own."""
    connection = client.session.connection
    route = route or f"on{number}"
    data: bytes = connection.encoding.push(route, Body({"n": number, "fill": "x" * size}))
    if droppable:
        connection.outbox.push_droppable(data, route)
    else:
        connection.outbox.push(data, route)
    return data


def read(connector: Connector, client: Client, most: int = 1 << 60) -> None:
    """Have a client read so many bytes."""
    client.socket.room = most
    connector.reactor.settle()


def numbers(client: Client) -> list[int]:
    """The numbers of the pushes that came, and the ids of the answers as negative numbers."""
    found = []
    for each in client.messages():
        if each.kind == message.RESPONSE:
            found.append(-each.id)
        else:
            found.append(int(each.body.removeprefix(b'{"n":').partition(b",")[0]))
    return found


def settled(client: Client) -> bool:
    """Whether nothing is left of what waited."""
    outbox = client.session.connection.outbox
    kept = [getattr(outbox, name, ()) for name in ("_queue", "_pushes")]
    return outbox.waiting == getattr(outbox, "_queued", 0) == sum(map(len, kept)) == 0


class TestDropping:
    def test_the_oldest_go_and_the_client_stays(self, dropping: Connector) -> None:
        client, neighbour = dropping.enter(), dropping.enter()
        client.socket.room = 10
        outbox = client.session.connection.outbox
        for number in range(1000):
            push(client, number)
            dropping.reactor.settle()
            assert outbox.waiting <= MOST
        assert outbox.waiting > MOST - 3000
        read(dropping, client)
        found = numbers(client)
        # The first was in the transport, whole or in part; it can't be taken back.
        assert found[0] == 0
        assert found[1:] == list(range(1000 - len(found) + 1, 1000))
        assert dropping.counters.pushes_dropped == 1000 - len(found) > 900
        assert settled(client)
        push(client, 1000)
        dropping.reactor.settle()
        assert numbers(client) == [1000]
        assert dropping.counters.clients_slow == 0
        assert is_served(dropping, neighbour)

    def test_all_in_one_turn(self, dropping: Connector) -> None:
        client = dropping.enter()
        client.socket.room = 0
        for number in range(1000):
            push(client, number)
            assert client.session.connection.outbox.waiting <= MOST
        read(dropping, client)
        assert numbers(client)[-1] == 999
        assert not client.closed

    def test_much_in_one_turn_is_fine_for_who_reads(self, dropping: Connector) -> None:
        client = dropping.enter()
        for number in range(1000):
            push(client, number)
        dropping.reactor.settle()
        assert numbers(client) == list(range(1000))
        assert dropping.counters.pushes_dropped == 0

    def test_only_pushes_go(self, dropping: Connector) -> None:
        """What waits for its turn comes in its order, whatever was given up around it."""
        client = dropping.enter()
        for number in range(1, 41):
            client.request(number)
        client.socket.room = 10
        push(client, 0)
        dropping.reactor.settle()
        for number, asked in enumerate(dropping.asked, 1):
            assert asked.reply is not None
            asked.reply(Body(["y" * 500]))
            for each in range(10):
                push(client, 10 * number + each)
            dropping.reactor.settle()
        read(dropping, client)
        found = numbers(client)
        assert [-each for each in found if each < 0] == list(range(1, 41))
        pushes = [each for each in found if each >= 0]
        assert pushes == sorted(pushes)
        assert dropping.counters.pushes_dropped == 401 - len(pushes) > 300

    def test_answers_that_are_too_much_by_themselves(self, dropping: Connector) -> None:
        client, neighbour = dropping.enter(), dropping.enter()
        client.socket.room = 0
        for number in range(1, 64):
            client.request(number)
        for number, asked in enumerate(dropping.asked):
            push(client, number)
            assert asked.reply is not None
            asked.reply(Body(["y" * 2000]))
        dropping.reactor.settle()
        assert client.closed
        assert dropping.counters.clients_slow == 1
        assert dropping.counters.pushes_dropped > 0
        dropping.asked.clear()
        assert is_served(dropping, neighbour)

    def test_a_push_that_is_too_long_by_itself(self, dropping: Connector) -> None:
        client = dropping.enter()
        client.socket.room = 0
        push(client, 0)
        dropping.reactor.settle()
        push(client, 1, 2 * MOST)
        read(dropping, client)
        assert numbers(client) == [0]
        push(client, 2, 2 * MOST)
        dropping.reactor.settle()
        assert numbers(client) == [2]

    def test_who_takes_nothing_at_all_is_cut_off(self, dropping: Connector) -> None:
        client = dropping.enter()
        client.socket.room = 10
        push(client, 0)
        dropping.reactor.settle()
        dropping.reactor.advance(29.9)
        assert not client.closed
        dropping.reactor.advance(0.1)
        dropping.reactor.settle()
        assert client.closed
        assert dropping.counters.clients_slow == 1

    @pytest.mark.parametrize("policy", DROPPING)
    def test_pushes_that_are_too_old_are_not_written(self, make: Make, policy: str) -> None:
        connector = make(outbox={"policy": policy, "bytes": 4 * MOST, "seconds": 10})
        client = connector.enter()
        client.socket.room = 0
        push(client, 0)
        connector.reactor.settle()
        for number in range(1, 141):
            push(client, number)
        connector.reactor.advance(5)
        push(client, 141)
        connector.reactor.advance(4)
        read(connector, client, 2000)  # 0 is through; the next part can't be taken back now
        connector.reactor.advance(6)
        read(connector, client)
        found = numbers(client)
        assert found[:-1] == list(range(len(found) - 1))
        assert 10 < len(found) < 20
        assert found[-1] == 141
        assert connector.counters.pushes_dropped == 142 - len(found)

    def test_an_answer_that_is_too_old_costs_the_client(self, make: Make) -> None:
        connector = make(outbox={"policy": "drop-oldest", "bytes": 4 * MOST, "seconds": 10})
        client = connector.enter()
        client.request(1)
        client.socket.room = 0
        for number in range(140):
            push(client, number)
        connector.reactor.settle()
        assert connector.asked[0].reply is not None
        connector.asked[0].reply(Body(1))
        connector.reactor.advance(9)
        read(connector, client, 70_000)
        connector.reactor.advance(9)
        read(connector, client, 70_000)
        assert client.closed
        assert connector.counters.clients_slow == 1

    def test_a_kick_comes_behind_all_that_was_sent_in_the_turn(self, dropping: Connector) -> None:
        client = dropping.enter()
        for number in range(200):
            push(client, number)
        client.session.connection.kick("enough")
        dropping.reactor.settle()
        found = client.packages()
        assert len(found) == 201
        assert found[-1] == (package.KICK, b'{"reason":"enough"}')

    def test_a_slow_client_that_is_kicked(self, dropping: Connector) -> None:
        client = dropping.enter()
        client.socket.room = 10
        sent = push(client, 1)
        dropping.reactor.settle()
        sent += push(client, 2)
        client.session.connection.kick("too slow")
        read(dropping, client)
        *before, (_, kick), close = frames(client.take())
        assert before == frames(sent)
        assert kick == package.encode(package.KICK, b'{"reason":"too slow"}')
        assert close == (CLOSE, b"\x03\xe8too slow")

    @pytest.mark.parametrize("policy", DROPPING)
    def test_behind_tls(self, make: Make, policy: str) -> None:
        """A transport that says itself when it wants no more."""
        connector = make(outbox={"policy": policy, "bytes": MOST})
        transport = WrappedTransport()
        transport.connect(connector)
        protocol = transport.protocol
        for each in ((package.HANDSHAKE, HANDSHAKE), (package.ACK, b"")):
            protocol.dataReceived(frame(package.encode(*each)))
        connector.reactor.settle()
        transport.clear()
        (session,) = connector.sessions
        outbox = session.connection.outbox
        transport.producer.pauseProducing()
        for number in range(100):
            outbox.push(b"%02d" % number * 500, str(number))
        outbox.send(b"answer")
        connector.reactor.settle()
        assert transport.value() == b""
        transport.producer.resumeProducing()
        expected = b"".join(b"%02d" % number * 500 for number in range(35, 100)) + b"answer"
        assert transport.value() == expected
        assert outbox.waiting == 0
        assert connector.counters.pushes_dropped == 35
        protocol.dataReceived(close_frame())
        protocol.connectionLost(Failure(ConnectionDone()))

    @pytest.mark.parametrize("seed", range(20))
    def test_by_chance(self, dropping: Connector, seed: int) -> None:
        """However it reads: whole frames, in order, every answer, and never more than the bound."""
        dice = random.Random(seed)
        client = dropping.enter()
        outbox = client.session.connection.outbox
        sent: list[bytes] = []
        kept: list[bytes] = []
        for number in range(400):
            if dice.random() < 0.2:
                client.socket.room = dice.choice((0, 0, 0, 10, 5000, 90_000))
            for _ in range(dice.randrange(4)):
                if dice.random() < 0.2:
                    data = frame(b"answer %d" % len(sent), mask=None)
                    outbox.send(data)
                    kept.append(data)
                else:
                    data = push(client, number, dice.randrange(3000), route=dice.choice("abcdefgh"))
                sent.append(data)
                assert outbox.waiting <= MOST
            if dice.random() < 0.7:
                dropping.reactor.settle()
        read(dropping, client)
        assert settled(client)
        assert not client.closed
        came = frames(client.take())
        left = iter([frames(each)[0] for each in sent])
        assert all(each in left for each in came), "invented, doubled or out of order"
        assert [each for each in came if each[1].startswith(b"answer")] == [
            frames(each)[0] for each in kept
        ]
        given_up = dropping.counters.pushes_dropped + dropping.counters.pushes_replaced
        assert len(came) == len(sent) - given_up


class TestNewestPerRoute:
    @pytest.fixture
    def connector(self, make: Make) -> Connector:
        return make(outbox={"policy": "newest-per-route", "bytes": MOST})

    def test_of_each_route_the_newest_comes(self, connector: Connector) -> None:
        client = connector.enter()
        client.socket.room = 10
        push(client, 0, route="onMove")
        connector.reactor.settle()
        for number in range(1, 1000):
            push(client, number, route="onMove" if number % 3 else "onScore")
            connector.reactor.settle()
        assert client.session.connection.outbox.waiting < 4000
        read(connector, client)
        assert numbers(client) == [0, 998, 999]
        assert connector.counters.pushes_replaced == 997
        assert connector.counters.pushes_dropped == 0
        assert settled(client)

    def test_within_a_turn_too(self, connector: Connector) -> None:
        client = connector.enter()
        for number in range(5):
            push(client, number, route="onMove")
        connector.reactor.settle()
        assert numbers(client) == [4]
        push(client, 5, route="onMove")
        connector.reactor.settle()
        assert numbers(client) == [5]

    def test_an_answer_stays_before_what_was_pushed_after_it(self, connector: Connector) -> None:
        client = connector.enter()
        client.request(7)
        push(client, 1, route="onMove")
        assert connector.asked[0].reply is not None
        connector.asked[0].reply(Body(1))
        push(client, 2, route="onMove")
        connector.reactor.settle()
        assert numbers(client) == [-7, 2]

    def test_any_number_of_routes_is_bounded(self, connector: Connector) -> None:
        client = connector.enter()
        outbox = client.session.connection.outbox
        client.socket.room = 0
        for number in range(5000):
            push(client, number, 1000 if number % 2 else 0)
            assert len(outbox._newest) < 2000
            assert len(outbox._queue) + len(outbox._pushes) < 4000
        read(connector, client)
        assert not client.closed

    def test_collecting_does_not_put_it_off_for_ever(self, make: Make) -> None:
        connector = make(outbox={"policy": "newest-per-route", "interval": 0.02})
        client = connector.enter()
        connector.reactor.advance(1)
        client.take()
        found = []
        for number in range(40):
            push(client, number, route="onMove")
            connector.reactor.advance(0.015625)
            found += numbers(client)
        assert len(found) >= 19


class TestDroppable:
    """Pushes that are marked: whoever does not keep up does without, whatever the policy is."""

    @pytest.fixture(params=ALL)
    def connector(self, make: Make, request: pytest.FixtureRequest) -> Connector:
        return make(outbox={"policy": request.param, "bytes": MOST})

    def test_who_reads_gets_all(self, connector: Connector) -> None:
        client = connector.enter()
        for number in range(200):
            push(client, number, droppable=True)
        push(client, 200, MOST // 2, droppable=True)
        connector.reactor.settle()
        assert numbers(client) == list(range(201))
        assert connector.counters.pushes_dropped == 0

    def test_who_does_not_read_is_not_closed_for_it(self, connector: Connector) -> None:
        client = connector.enter()
        client.socket.room = 10
        push(client, 0)
        connector.reactor.settle()
        for number in range(1, 1000):
            push(client, number, droppable=True)
            connector.reactor.settle()
        push(client, 1000)
        read(connector, client)
        assert numbers(client) == [0, 1000]
        assert connector.counters.pushes_dropped == 999
        push(client, 1001, droppable=True)
        connector.reactor.settle()
        assert numbers(client) == [1001]

    def test_in_one_turn(self, connector: Connector) -> None:
        client = connector.enter()
        client.socket.room = 0
        for number in range(1000):
            push(client, number, droppable=True)
        connector.reactor.settle()
        assert client.session.connection.outbox.waiting <= MOST
        assert not client.closed
        assert connector.counters.pushes_dropped > 900

    def test_one_that_is_too_long_by_itself(self, connector: Connector) -> None:
        client = connector.enter()
        push(client, 0, 2 * MOST, droppable=True)
        connector.reactor.settle()
        assert client.frames() == []
        assert connector.counters.pushes_dropped == 1
        assert is_served(connector, client)


class TestInterval:
    """Collecting for longer than a turn: Pomelo's buffer scheduler."""

    @pytest.fixture(params=ALL)
    def connector(self, make: Make, request: pytest.FixtureRequest) -> Connector:
        outbox = {"interval": 0.02, "policy": request.param, "bytes": MOST}
        return make(outbox=outbox, heartbeat={"interval": 3})

    def enter(self, connector: Connector) -> Client:
        client = connector.enter()
        connector.reactor.advance(0.02)
        client.take()
        return client

    def test_leaves_in_one_write_a_while_after_the_first(self, connector: Connector) -> None:
        client, other = self.enter(connector), self.enter(connector)
        sends = client.socket.sends
        push(client, 1)
        connector.reactor.advance(0.01)
        push(client, 2)
        push(other, 3)
        connector.reactor.advance(0.009)
        assert client.take() == b""
        connector.reactor.advance(0.001)
        assert (numbers(client), client.socket.sends) == ([1, 2], sends + 1)
        assert other.take() == b""
        push(client, 4)
        connector.reactor.advance(0.01)
        assert (numbers(client), numbers(other)) == ([], [3])
        connector.reactor.advance(0.01)
        assert numbers(client) == [4]

    def test_answers_wait_too(self, connector: Connector) -> None:
        client = self.enter(connector)
        client.request(1)
        assert connector.asked[0].reply is not None
        connector.asked[0].reply(Body(1))
        connector.reactor.settle()
        assert client.take() == b""
        connector.reactor.advance(0.02)
        assert numbers(client) == [-1]

    def test_a_kick_does_not_wait(self, connector: Connector) -> None:
        client = self.enter(connector)
        push(client, 1)
        client.session.connection.kick("enough")
        assert [kind for kind, _ in client.packages()] == [package.DATA, package.KICK]
        connector.reactor.advance(1)
        assert client.packages() == []

    def test_nor_does_closing(self, connector: Connector) -> None:
        client = self.enter(connector)
        push(client, 1)
        client.session.connection.close("over")
        connector.reactor.settle()
        assert [opcode for opcode, _ in client.frames()] == [2, CLOSE]

    def test_is_bounded(self, connector: Connector) -> None:
        client = self.enter(connector)
        for number in range(1000):
            push(client, number)
            assert client.session.connection.outbox.waiting <= MOST
        assert len(client.socket.taken) > 900_000
        connector.reactor.advance(0.02)
        assert numbers(client) == list(range(1000))

    def test_who_does_not_read(self, connector: Connector) -> None:
        client = self.enter(connector)
        client.socket.room = 10
        push(client, 1)
        connector.reactor.advance(0.02)
        push(client, 2)
        connector.reactor.advance(0.02)
        read(connector, client)
        assert numbers(client) == [1, 2]
