"""What a client may use up, and that going beyond it costs only this client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from socket import SO_KEEPALIVE, SOL_SOCKET

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from chatcore.connectors.parts import Reply
from chatcore.sessions.session import Session
from chatcore.wire import message, package
from chatcore.wire.body import Body
from chatcore.wire.message import Message

from .clients import (
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PONG,
    Client,
    Connector,
    close_frame,
    frame,
    is_served,
)

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

    def test_a_clock_that_is_set_back(self, make: Make) -> None:
        """What may be sent is not what the clock says it will be in an hour."""
        connector = make(limits={"messages_per_second": 1, "message_burst": 2})
        client = connector.enter()
        client.notify()
        connector.reactor.rightNow -= 3600
        client.notify()
        client.notify()
        assert len(connector.asked) == 2
        connector.reactor.advance(1)
        client.notify()
        assert len(connector.asked) == 3

    def test_turned_off(self, make: Make) -> None:
        connector = make(limits={"messages_per_second": 0, "message_burst": 1})
        client = connector.enter()
        for _ in range(1000):
            client.notify()
        assert len(connector.asked) == 1000


class TestFloods:
    """What is refused or of no use costs time, too: it may not come without end."""

    @pytest.fixture
    def connector(self, make: Make) -> Connector:
        return make(
            limits={"messages_per_second": 10, "message_burst": 20}, heartbeat={"interval": 30}
        )

    def closed_after(self, connector: Connector, say: Callable[[Client], object]) -> int:
        """How often a client says something before it is sent away; its neighbour stays."""
        client, neighbour = connector.enter(), connector.enter()
        times = 0
        while not client.closed:
            client.take()
            say(client)
            times += 1
            assert times < 1000
        assert client.close_code() == 1008
        assert connector.counters.clients_flooding == 1
        connector.asked.clear()
        assert is_served(connector, neighbour)
        return times

    def test_notifies(self, connector: Connector) -> None:
        """One burst is served, another one refused."""
        assert self.closed_after(connector, lambda client: client.notify()) == 41
        assert connector.counters.requests_refused == 21

    def test_requests_that_wait(self, make: Make) -> None:
        connector = make(limits={"message_burst": 20, "requests_under_way": 0})
        assert self.closed_after(connector, lambda client: client.request(1)) == 41

    @pytest.mark.parametrize(
        "say",
        [
            lambda client: client.say((package.HEARTBEAT, b"")),
            lambda client: client.say((package.ACK, b"")),
            lambda client: client.say((package.DATA, bytes((message.RESPONSE << 1, 1)))),
            lambda client: client.send(frame(b"", PING)),
            lambda client: client.send(frame(b"", PONG)),
        ],
        ids=["heartbeat", "ack", "response", "ping", "pong"],
    )
    def test_what_is_no_message(self, connector: Connector, say: Callable[[Client], None]) -> None:
        assert self.closed_after(connector, say) == 21
        connector.count(
            clients_accepted=2, clients_now=1, sessions_now=1, clients_flooding=1, requests=1
        )

    def test_all_in_one_frame(self, connector: Connector) -> None:
        client = connector.enter()
        client.say(*[(package.HEARTBEAT, b"")] * 1000)
        assert client.closed
        assert connector.counters.clients_flooding == 1

    def test_messages_in_tiny_fragments(self, connector: Connector) -> None:
        client = connector.enter()
        client.send(frame(b"", fin=False))
        for _ in range(1, 21 * 16):
            assert not client.closed
            client.send(frame(b"", CONTINUATION, fin=False))
        assert client.closed

    def test_before_the_handshake_is_through(self, connector: Connector) -> None:
        client = connector.open()
        client.say(*[(package.ACK, b"")] * 21)
        assert client.closed
        assert connector.counters.clients_flooding == 1

    def test_who_is_refused_a_little_stays(self, connector: Connector) -> None:
        """As much may be refused as is served."""
        client = connector.enter()
        for _ in range(1000):
            connector.reactor.advance(0.1)
            client.notify()
            client.notify()
        assert connector.counters.requests_refused > 900
        assert not client.closed

    def test_heartbeats_are_answered_however_little_may_be_sent(self, make: Make) -> None:
        connector = make(
            limits={"messages_per_second": 0.001, "message_burst": 1}, heartbeat={"interval": 3}
        )
        client = connector.enter()
        for _ in range(1000):
            connector.reactor.advance(3)
            client.say((package.HEARTBEAT, b""))
            assert client.packages() == [(package.HEARTBEAT, b"")]

    def test_turned_off(self, make: Make) -> None:
        connector = make(limits={"messages_per_second": 0}, heartbeat={"interval": 30})
        client = connector.enter()
        for _ in range(50):
            client.say(*[(package.HEARTBEAT, b"")] * 100)
            client.send(frame(b"", PING) * 100)
        assert not client.closed


class TestLog:
    """Who comes again and again with garbage does not fill it."""

    @pytest.fixture
    def lines(self) -> Iterator[list[str]]:
        lines: list[str] = []

        def note(event: LogEvent) -> None:
            if event["log_namespace"].startswith("chatcore.connectors"):
                lines.append(formatEvent(event))

        globalLogPublisher.addObserver(note)
        yield lines
        globalLogPublisher.removeObserver(note)

    def test_a_few_lines_a_second(self, connector: Connector, lines: list[str]) -> None:
        for _ in range(1000):
            connector.connect().send(b"garbage")
        assert len(lines) == 5
        assert all("broke the protocol" in line for line in lines)
        assert connector.counters.clients_broken == 1000
        connector.reactor.advance(1)
        assert lines[5:] == ["995 more clients at fault were not logged"]
        connector.connect().send(b"garbage")
        assert "broke the protocol" in lines[6]
        connector.reactor.advance(1)
        assert len(lines) == 7

    def test_what_is_left_out_is_said_at_the_end(
        self, connector: Connector, lines: list[str]
    ) -> None:
        for _ in range(7):
            connector.connect().send(b"garbage")
        connector.parts.stop()
        assert lines[5:] == ["2 more clients at fault were not logged"]


class TestConnections:
    def test_one_too_many_is_refused(self, make: Make) -> None:
        connector = make(limits={"connections": 2})
        first, second = connector.enter(), connector.connect()
        third = connector.connect()
        assert third.refused
        connector.count(clients_now=2, clients_accepted=2, clients_refused=1, sessions_now=1)
        assert len(connector.parts.clients) == 2
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


class TestIdle:
    @pytest.fixture
    def connector(self, make: Make) -> Connector:
        return make(limits={"idle_seconds": 60}, heartbeat={"interval": 30})

    def test_who_asks_for_nothing_is_closed(self, connector: Connector) -> None:
        """Heartbeats say that somebody is alive, not that he wants something."""
        client, neighbour = connector.enter(), connector.enter()
        told: list[str] = []
        connector.sessions.on_closed(client.session.id, lambda s, reason: told.append(reason))
        for seconds in (20, 20, 19.9):
            connector.reactor.advance(seconds)
            client.say((package.HEARTBEAT, b""))
            neighbour.notify()
        client.take()
        connector.reactor.advance(0.1)
        connector.reactor.settle()
        assert (client.close_code(), client.closed, told) == (1008, True, ["idle for too long"])
        connector.count(
            clients_accepted=2, clients_now=1, sessions_now=1, clients_idle=1, notifies=3
        )
        connector.asked.clear()
        assert is_served(connector, neighbour)

    def test_requests_and_notifies_begin_the_time_again(self, connector: Connector) -> None:
        client = connector.enter()
        for _ in range(3):
            connector.reactor.advance(30)
            client.say((package.HEARTBEAT, b""))
            connector.reactor.advance(29)
            client.request(1)
            connector.reactor.advance(59)
            client.notify()
        assert not client.closed

    def test_begins_with_the_ack(self, connector: Connector) -> None:
        client = connector.open()
        connector.reactor.advance(9)
        client.say((package.HANDSHAKE, HANDSHAKE), (package.ACK, b""))
        for _ in range(2):
            connector.reactor.advance(29.9)
            client.say((package.HEARTBEAT, b""))
        assert not client.closed
        connector.reactor.advance(0.3)
        connector.reactor.settle()
        assert client.closed

    def test_turned_off(self, connector: Connector, make: Make) -> None:
        connector = make()
        client = connector.enter()
        connector.reactor.advance(1_000_000)
        assert not client.closed


class TestBusyNode:
    """A node that is held up does not take its own silence for its clients'."""

    def test_a_handler_that_blocks(self, make: Make) -> None:
        connector = make(heartbeat={"interval": 3})
        client, other, dead = connector.enter(), connector.enter(), connector.enter()

        def block(session: Session, message: Message, reply: Reply | None) -> None:
            connector.reactor.rightNow += 60
            for _ in range(20):  # what they sent meanwhile is read in the next turn
                for living in (client, other):
                    say = partial(living.say, (package.HEARTBEAT, b""), settle=False)
                    connector.reactor.callLater(0, say)

        connector.serve = block
        for _ in range(3):
            client.notify()
            connector.reactor.settle()
        connector.serve = connector._note
        assert (client.closed, other.closed, dead.closed) == (False, False, True)
        assert other.packages() == [(package.HEARTBEAT, b"")] * 60
        assert connector.counters.clients_silent == 1
        assert is_served(connector, client)
        connector.reactor.advance(6)
        connector.reactor.settle()
        assert (client.closed, other.closed) == (True, True)

    def test_a_flood_of_messages(self, make: Make) -> None:
        """Of others, and of the client itself: refused or not, it is alive."""
        connector = make(heartbeat={"interval": 3})
        client, flooding = connector.enter(), connector.enter()
        for _ in range(20):
            connector.reactor.advance(2)
            client.say((package.HEARTBEAT, b""), settle=False)
            for _ in range(500):
                flooding.notify()
            assert client.packages() == [(package.HEARTBEAT, b"")]
        assert connector.counters.requests_refused > 1000
        assert (client.closed, flooding.closed) == (False, False)
        connector.asked.clear()
        assert is_served(connector, client)


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
        (connection,) = connector.parts.clients
        connection.kick("attack")
        connector.reactor.settle()
        assert [opcode for opcode, _ in client.frames()] == [CLOSE]
        assert connector.counters.clients_kicked == 0


class TestVanishing:
    def test_the_system_asks_whether_a_client_is_still_there(self, connector: Connector) -> None:
        client = connector.connect()
        assert (SOL_SOCKET, SO_KEEPALIVE, True) in client.socket.options


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
