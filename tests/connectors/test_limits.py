"""What a client may use up, and that going beyond it costs only this client."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chatcore.wire import message, package
from chatcore.wire.body import Body

from .clients import CLOSE, PING, PONG, Client, Connector, close_frame, frame, is_served

Make = Callable[..., Connector]

REFUSED = b'{"code":500}'


def answer(connector: Connector, number: int) -> None:
    """Answer a request that waits."""
    (asked,) = [asked for asked in connector.asked if asked.message.id == number]
    connector.asked.remove(asked)
    assert asked.reply is not None
    asked.reply(Body(None, b"{}"))
    connector.reactor.settle()


class TestRequestsUnderWay:
    def test_one_too_many_is_refused(self, make: Make) -> None:
        connector = make(limits={"requests_under_way": 2})
        client, neighbour = connector.enter(), connector.enter()
        for number in (1, 2, 3):
            client.request(number)
        (refused,) = client.messages()
        assert (refused.id, refused.body) == (3, REFUSED)
        assert len(connector.asked) == 2
        assert is_served(connector, neighbour)
        assert (connector.counters.requests, connector.counters.requests_refused) == (4, 1)

    def test_an_answer_makes_room_for_another(self, make: Make) -> None:
        connector = make(limits={"requests_under_way": 1})
        client = connector.enter()
        for number in range(1, 6):
            client.request(number)
            answer(connector, number)
        assert [each.body for each in client.messages()] == [b"{}"] * 5
        assert connector.counters.requests_refused == 0

    def test_notifies_do_not_count(self, make: Make) -> None:
        connector = make(limits={"requests_under_way": 1})
        client = connector.enter()
        client.notify()
        client.notify()
        client.request(1)
        client.notify()
        assert len(connector.asked) == 4

    def test_turned_off(self, make: Make) -> None:
        connector = make(limits={"requests_under_way": 0, "messages_per_second": 0})
        client = connector.enter()
        for number in range(1, 1001):
            client.request(number, settle=False)
        assert len(connector.asked) == 1000


class TestMessagesPerSecond:
    def test_a_burst_and_then_so_many_a_second(self, make: Make) -> None:
        connector = make(limits={"messages_per_second": 10, "message_burst": 3})
        client, neighbour = connector.enter(), connector.enter()
        for number in range(1, 6):
            client.request(number)
        assert [asked.message.id for asked in connector.asked] == [1, 2, 3]
        assert [(each.id, each.body) for each in client.messages()] == [
            (4, REFUSED),
            (5, REFUSED),
        ]
        connector.asked.clear()
        connector.reactor.advance(0.1)
        client.request(6)
        client.request(7)
        assert [asked.message.id for asked in connector.asked] == [6]
        assert connector.counters.requests_refused == 3
        assert is_served(connector, neighbour)

    def test_what_was_not_used_is_kept_up_to_the_burst(self, make: Make) -> None:
        connector = make(limits={"messages_per_second": 10, "message_burst": 3})
        client = connector.enter()
        connector.reactor.advance(1000)
        for number in range(1, 6):
            client.request(number)
        assert len(connector.asked) == 3

    def test_notifies_count_too_and_are_dropped(self, make: Make) -> None:
        connector = make(limits={"messages_per_second": 1, "message_burst": 2})
        client = connector.enter()
        for _ in range(5):
            client.notify()
        assert (len(connector.asked), client.frames(), client.closed) == (2, [], False)
        assert (connector.counters.notifies, connector.counters.requests_refused) == (5, 3)

    def test_signs_of_life_are_always_answered(self, make: Make) -> None:
        connector = make(
            limits={"messages_per_second": 1, "message_burst": 1}, heartbeat={"interval": 10}
        )
        client = connector.enter()
        client.notify()
        client.notify()
        client.say((package.HEARTBEAT, b""))
        client.send(frame(b"hello", PING))
        assert client.frames() == [(2, b"\x03\0\0\0"), (PONG, b"hello")]
        assert len(connector.asked) == 1

    def test_long_messages_count_more(self, make: Make) -> None:
        """Four times 4096 bytes and a little are as much as five messages."""
        connector = make(limits={"messages_per_second": 1, "message_burst": 6})
        client = connector.enter()
        client.notify(body=b'"' + b"x" * 4 * 4096 + b'"')
        client.notify()
        client.notify()
        assert len(connector.asked) == 2

    def test_less_than_one_a_second(self, make: Make) -> None:
        connector = make(limits={"messages_per_second": 0.5, "message_burst": 0})
        client = connector.enter()
        client.notify()
        client.notify()
        assert len(connector.asked) == 1
        connector.reactor.advance(2)
        client.notify()
        assert len(connector.asked) == 2

    def test_turned_off(self, make: Make) -> None:
        connector = make(limits={"messages_per_second": 0, "message_burst": 1})
        client = connector.enter()
        for _ in range(1000):
            client.notify()
        assert len(connector.asked) == 1000


class TestConnections:
    def test_one_too_many_is_refused(self, make: Make) -> None:
        connector = make(limits={"connections": 2})
        first, second = connector.enter(), connector.connect()
        third = connector.connect()
        assert third.refused
        connector.count(clients_now=2, clients_accepted=2, clients_refused=1, sessions_now=1)
        assert len(connector.parts.connections) == 2
        assert is_served(connector, first)
        assert not second.closed

    def test_one_that_goes_makes_room_for_another(self, make: Make) -> None:
        connector = make(limits={"connections": 1})
        for _ in range(3):
            client = connector.enter()
            assert connector.connect().refused
            client.hang_up()
        connector.count(clients_accepted=3, clients_refused=3)

    def test_one_that_is_being_closed_still_counts(self, make: Make) -> None:
        connector = make(limits={"connections": 1})
        client = connector.enter()
        connector.sessions.kick(client.session.id, "away")
        connector.reactor.settle()
        assert connector.connect().refused
        client.send(close_frame())
        assert client.closed
        assert not connector.connect().refused

    def test_turned_off(self, make: Make) -> None:
        connector = make(limits={"connections": 0})
        assert not any(connector.connect().refused for _ in range(50))


class TestSizes:
    def data(self, size: int) -> tuple[int, bytes]:
        """A data package whose body has that many bytes."""
        head = message.encode_request(1, "a.b.c", b"")
        return package.DATA, head + b"x" * (size - len(head))

    def test_the_largest_package(self, make: Make) -> None:
        connector = make(limits={"package_bytes": 1000})
        client = connector.enter()
        client.say(self.data(1000))
        assert len(connector.asked) == 1

    @pytest.mark.parametrize("size", [1001, 5000, 70_000])
    def test_one_that_is_larger(self, make: Make, size: int) -> None:
        connector = make(limits={"package_bytes": 1000})
        client, neighbour = connector.enter(), connector.enter()
        client.say(self.data(size))
        assert connector.asked == []
        assert client.close_code() in (1002, 1009)
        assert client.closed
        assert connector.counters.clients_broken == 1
        assert is_served(connector, neighbour)

    def test_the_default(self, connector: Connector) -> None:
        client = connector.enter()
        client.say(self.data(65536))
        assert len(connector.asked) == 1
        client.say(self.data(65537))
        assert client.closed


class TestKicking:
    def kicked(self, connector: Connector, reason: str) -> Client:
        client = connector.enter()
        connector.sessions.kick(client.session.id, reason)
        connector.reactor.settle()
        return client

    def test_is_told_why_and_then_closed(self, connector: Connector) -> None:
        neighbour = connector.enter()
        client = self.kicked(connector, "attack")
        (kick, (opcode, close)) = client.frames()
        assert kick == (2, bytes.fromhex("050000137b22726561736f6e223a2261747461636b227d"))
        assert (opcode, close) == (CLOSE, b"\x03\xe8attack")
        assert connector.counters.clients_kicked == 1
        assert connector.counters.sessions_now == 1
        client.send(close_frame())
        assert client.closed
        assert is_served(connector, neighbour)

    def test_a_client_that_does_not_answer_is_cut_off(self, connector: Connector) -> None:
        client = self.kicked(connector, "attack")
        assert not client.closed
        connector.reactor.advance(2)
        connector.reactor.settle()
        assert (client.closed, client.transport.aborted) == (True, True)

    def test_the_session_ends_at_once(self, connector: Connector) -> None:
        client = connector.enter("alice")
        told: list[str] = []
        connector.sessions.on_closed(client.session.id, lambda s, reason: told.append(reason))
        client.session.connection.kick("attack")
        client.session.connection.kick("again")
        assert (told, connector.sessions.by_uid("alice")) == (["attack"], [])
        assert connector.counters.clients_kicked == 1

    def test_what_was_sent_before_arrives_before(self, connector: Connector) -> None:
        client = connector.enter()
        client.request(1)
        reply = connector.asked[0].reply
        assert reply is not None
        reply(Body(None, b"{}"))
        client.session.connection.kick("attack")
        connector.reactor.settle()
        assert [kind for kind, _ in client.packages()] == [package.DATA, package.KICK]

    def test_what_it_still_says_is_ignored(self, connector: Connector) -> None:
        client = self.kicked(connector, "attack")
        client.take()
        client.request(1)
        client.say((9, b""))
        client.say((package.HEARTBEAT, b""))
        assert (connector.asked, client.frames()) == ([], [])
        assert connector.counters.clients_broken == 0

    @pytest.mark.parametrize("reason", ["x" * 500, "ü" * 100, "\U0001f600" * 40])
    def test_a_reason_that_does_not_fit_a_close_frame_is_cut(
        self, connector: Connector, reason: str
    ) -> None:
        client = self.kicked(connector, reason)
        (_, (opcode, close)) = client.frames()
        assert opcode == CLOSE
        assert len(close) <= 125
        assert reason.startswith(close[2:].decode())

    def test_before_the_handshake_there_is_nobody_to_tell(self, connector: Connector) -> None:
        client = connector.open()
        (connection,) = connector.parts.connections
        connection.kick("attack")
        connector.reactor.settle()
        assert [opcode for opcode, _ in client.frames()] == [CLOSE]
        assert connector.counters.clients_kicked == 0


class TestClosingAll:
    def test_fires_when_the_last_is_gone(self, connector: Connector) -> None:
        first, second = connector.enter(), connector.open()
        third = connector.connect()
        done: list[None] = []
        connector.parts.close_all("server stops", 1001).addCallback(done.append)
        connector.reactor.settle()
        assert (first.close_code(), second.close_code()) == (1001, 1001)
        assert third.closed
        assert connector.counters.sessions_now == 0
        first.send(close_frame())
        assert (first.closed, done) == (True, [])
        second.send(close_frame())
        assert done == [None]

    def test_does_not_wait_for_ever(self, connector: Connector) -> None:
        connector.enter()
        done: list[None] = []
        connector.parts.close_all("server stops", 1001).addCallback(done.append)
        connector.reactor.advance(2)
        connector.reactor.settle()
        assert done == [None]
        assert connector.counters.clients_now == 0

    def test_with_nobody_there(self, connector: Connector) -> None:
        done: list[None] = []
        connector.parts.close_all("server stops", 1001).addCallback(done.append)
        assert done == [None]

    def test_the_reason_is_told_to_sessions(self, connector: Connector) -> None:
        client = connector.enter()
        told: list[str] = []
        connector.sessions.on_closed(client.session.id, lambda s, reason: told.append(reason))
        connector.parts.close_all("server stops", 1001)
        assert told == ["server stops"]


class TestGoing:
    def test_a_client_that_hangs_up(self, connector: Connector) -> None:
        client = connector.enter("alice")
        told: list[str] = []
        connector.sessions.on_closed(client.session.id, lambda s, reason: told.append(reason))
        client.hang_up()
        assert told == ["disconnect"]
        connector.count(clients_accepted=1)

    def test_a_client_that_closes(self, connector: Connector) -> None:
        client = connector.enter("alice")
        told: list[str] = []
        connector.sessions.on_closed(client.session.id, lambda s, reason: told.append(reason))
        client.send(close_frame(1001, b"bye"))
        assert client.close_code() == 1000
        assert (client.closed, told) == (True, ["disconnect"])
        connector.count(clients_accepted=1)

    def test_a_client_that_closes_and_does_not_read(self, connector: Connector) -> None:
        """Its session ends at once, and its connection does not stay for ever."""
        client = connector.enter("alice")
        client.socket.room = 0
        client.send(close_frame())
        assert connector.sessions.by_uid("alice") == []
        assert not client.closed
        connector.reactor.advance(2)
        connector.reactor.settle()
        assert client.closed
        connector.count(clients_accepted=1)
