"""Clients over UDP: known by where they send from, forgotten when they are silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import MessageLengthError
from twisted.logger import globalLogPublisher

from chatcore.channels.groups import GroupTable
from chatcore.connectors import udp
from chatcore.wire import message, package
from chatcore.wire.body import Body

from .clients import Connector, is_served
from .udp_clients import (
    ACK,
    ALICE,
    BOB,
    HEARTBEAT,
    HELLO,
    REFUSED,
    WELCOME,
    Port,
    request,
)

Make = Callable[..., Connector]


@pytest.fixture
def make_port(make: Make) -> Iterator[Callable[..., Port]]:
    """Makes UDP ports; when the test is over, nothing may be left of them."""
    made: list[Port] = []

    def make_port(**sections: dict[str, Any]) -> Port:
        made.append(Port(make(**{"heartbeat": {"interval": 3}} | sections)))
        return made[-1]

    yield make_port
    for port in made:
        port.finish()


@pytest.fixture
def port(make_port: Callable[..., Port]) -> Port:
    return make_port()


class TestConversation:
    def test_from_handshake_to_answer(self, port: Port) -> None:
        assert port.send(HELLO) == [WELCOME]
        assert port.send(ACK) == [HEARTBEAT]
        assert port.send(HEARTBEAT) == [HEARTBEAT]
        assert port.is_served()
        (session,) = port.connector.sessions
        assert session.connection.address == ALICE
        port.connector.count(clients_accepted=1, clients_now=1, sessions_now=1, requests=1)

    def test_clients_are_told_apart_by_address_and_port(self, port: Port) -> None:
        others = [BOB, ("192.0.2.10", 5001), ("2001:db8::1", 5000)]
        for who in others:
            port.enter(who)
        port.send(request(1), who=BOB)
        assert port.send(request(2), who=ALICE) == []
        assert [asked.message.id for asked in port.connector.asked] == [1]
        port.connector.asked.clear()
        assert all(port.is_served(who) for who in others)

    def test_what_is_sent_leaves_at_once_and_each_package_by_itself(self, port: Port) -> None:
        session = port.enter()
        port.wire.take(ALICE)
        connection = session.connection
        for number in range(3):
            connection.outbox.push(connection.encoding.push("onChat", Body(number)), "onChat")
        datagrams = port.wire.take(ALICE)
        assert [message.decode(each[4:]).body for each in datagrams] == [b"0", b"1", b"2"]

    def test_several_packages_in_one_datagram(self, port: Port) -> None:
        assert port.send(HELLO, ACK, HEARTBEAT, request(1)) == [WELCOME, HEARTBEAT, HEARTBEAT]
        assert [asked.message.id for asked in port.connector.asked] == [1]

    def test_ipv4_taken_in_by_an_ipv6_port(self, port: Port) -> None:
        mapped = ("::ffff:192.0.2.10", 5000)
        session = port.enter(mapped)
        assert session.connection.address == ALICE
        assert port.is_served(mapped)

    def test_a_kick_is_the_end(self, port: Port) -> None:
        session = port.enter(uid="alice")
        port.wire.take(ALICE)
        session.connection.kick("enough")
        assert port.wire.take(ALICE) == [package.encode(package.KICK, b'{"reason":"enough"}')]
        assert port.connector.sessions.by_uid("alice") == []
        port.connector.count(clients_accepted=1, clients_kicked=1)
        assert port.send(request(1)) == port.send(HEARTBEAT) == []
        assert port.connector.counters.datagrams_dropped == 2
        port.enter()
        assert port.is_served()

    def test_who_is_silent_is_forgotten(self, port: Port) -> None:
        port.enter(ALICE)
        port.enter(BOB)
        for _ in range(4):
            port.connector.reactor.advance(2)
            port.send(HEARTBEAT, who=BOB)
        assert port.send(HEARTBEAT, who=ALICE) == []
        assert port.is_served(BOB)
        assert port.connector.counters.clients_silent == 1
        assert port.connector.counters.clients_now == 1

    def test_closing_all(self, port: Port) -> None:
        port.enter(ALICE)
        port.send(HELLO, who=BOB)
        done: list[None] = []
        port.connector.parts.close_all("server stops", 1001).addCallback(done.append)
        assert done == [None]
        port.connector.count(clients_accepted=2)

    def test_nothing_is_written_once_the_port_is_gone(self, port: Port) -> None:
        session = port.enter()
        port.datagrams.doStop()
        port.datagrams.makeConnection(port.wire)  # so that the fixture can stop it
        assert session.closed == "server stops"
        session.connection.outbox.push(b"late", "onChat")
        assert port.wire.take(ALICE) == [WELCOME, HEARTBEAT][2:]

    def test_beside_websockets(self, port: Port) -> None:
        """Groups push to all; each is sent what its transport carries."""
        connector = port.connector
        groups = GroupTable(sessions=connector.sessions, gone=print, counters=connector.counters)
        client = connector.enter("bob")
        port.enter(uid="alice")
        port.wire.take(ALICE)
        groups.join("chat-1", "room", ["alice", "bob"])
        groups.push("chat-1", "room", "onChat", lambda e: e.push("onChat", Body("hi")))
        connector.reactor.settle()
        expected = message.encode_push("onChat", b'"hi"')
        assert port.wire.take(ALICE) == [package.encode(package.DATA, expected)]
        assert client.packages() == [(package.DATA, expected)]


class TestLosses:
    """UDP loses, repeats and reorders."""

    def test_a_handshake_whose_answer_was_lost(self, port: Port) -> None:
        for _ in range(5):
            assert port.send(HELLO) == [WELCOME]
        assert port.send(HELLO) == []
        assert port.send(ACK) == [HEARTBEAT]
        port.connector.count(clients_accepted=1, clients_now=1, sessions_now=1)

    def test_a_late_copy_of_a_handshake_or_an_ack_changes_nothing(self, port: Port) -> None:
        session = port.enter()
        assert port.send(HELLO) == port.send(ACK) == port.send(HELLO, ACK) == []
        assert set(port.connector.sessions) == {session}
        assert port.is_served()

    def test_they_are_no_signs_of_life(self, port: Port) -> None:
        """Else somebody who began anew would be kept out for ever."""
        port.enter()
        for _ in range(3):
            port.connector.reactor.advance(2)
            port.send(HELLO)
        assert port.send(HELLO) == [WELCOME]

    def test_while_the_application_thinks(self, make_port: Callable[..., Port]) -> None:
        waiting: list[Deferred[Any]] = []

        async def hook(handshake: Any) -> Any:
            waiting.append(Deferred())
            return await waiting[-1]

        port = make_port(welcome={"hook": hook})
        for _ in range(10):
            assert port.send(HELLO) == []
        assert len(waiting) == 1
        waiting[0].callback(None)
        port.connector.reactor.settle()
        assert port.wire.take(ALICE) == [WELCOME]
        assert port.send(HELLO) == [WELCOME]

    @pytest.mark.parametrize("problem", [BlockingIOError(11, "full"), MessageLengthError("long")])
    def test_what_the_system_does_not_take_is_lost(self, port: Port, problem: Exception) -> None:
        session = port.enter()
        port.wire.take(ALICE)
        port.wire.refuses = problem
        session.connection.outbox.push(b"push", "onChat")
        port.send(HEARTBEAT)
        port.wire.refuses = None
        assert port.connector.counters.datagrams_unsent == 2
        assert port.is_served()


class TestSizes:
    @pytest.fixture
    def log(self) -> Iterator[list[str]]:
        lines: list[str] = []

        def observe(event: Any) -> None:
            if event.get("problem") is not None:
                lines.append(str(event["problem"]))

        globalLogPublisher.addObserver(observe)
        yield lines
        globalLogPublisher.removeObserver(observe)

    def test_an_answer_that_fits_no_datagram(self, port: Port, log: list[str]) -> None:
        port.enter()
        port.wire.take(ALICE)
        most = 65507 - len(package.encode(package.DATA, message.encode_response(1, b'""')))
        came = []
        for number, size in ((1, most), (2, most + 1)):
            port.send(request(number))
            reply = port.connector.asked.pop().reply
            assert reply is not None
            reply(Body("x" * size))
            came += port.wire.take(ALICE)
        whole, refused = came
        assert len(whole) == 65507
        assert message.decode(refused[4:]).body == b'{"code":500}'
        assert log == ["a package of 65508 bytes does not fit a datagram (65507 at most)"]

    def test_a_push_that_fits_no_datagram(self, port: Port, log: list[str]) -> None:
        """The others get it."""
        connector = port.connector
        groups = GroupTable(sessions=connector.sessions, gone=print, counters=connector.counters)
        client = connector.enter()
        connector.sessions.bind(port.enter().id, "alice")
        port.wire.take(ALICE)
        news = Body("x" * 65500)
        groups.push_to_sessions(connector.sessions, "onNews", lambda e: e.push("onNews", news))
        connector.reactor.settle()
        assert port.wire.take(ALICE) == []
        assert len(client.packages()) == 1
        assert connector.counters.pushes_failed == 1
        assert connector.counters.journal.of("alice")[-1].why == "unencodable"
        assert len(log) == 1
        assert port.is_served()

    def test_a_handshake_answer_that_fits_no_datagram(
        self, make_port: Callable[..., Port], log: list[str]
    ) -> None:
        port = make_port(welcome={"hook": lambda handshake: "x" * 65500})
        assert port.send(HELLO) == [REFUSED]
        assert len(log) == 1
        port.connector.count(clients_accepted=1, clients_turned_away=1)

    def test_the_longest_package_from_a_client(self, make_port: Callable[..., Port]) -> None:
        port = make_port(limits={"package_bytes": 1000})
        port.enter()
        head = len(message.encode_request(1, "a.b.c", b""))
        for size in (1000 - head, 1001 - head):
            data = message.encode_request(1, "a.b.c", b" " * size)
            port.send(package.encode(package.DATA, data))
        assert len(port.connector.asked) == 1
        assert port.connector.counters.datagrams_dropped == 1
        port.connector.asked.clear()
        assert port.is_served()


class TestStrangers:
    @pytest.mark.parametrize(
        "datagram",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(HELLO[:-1], id="half a handshake"),
            pytest.param(HELLO + b"\1", id="a handshake and a byte"),
            pytest.param(ACK, id="ack"),
            pytest.param(ACK + HELLO, id="ack and handshake"),
            pytest.param(HEARTBEAT, id="heartbeat"),
            pytest.param(request(1), id="request"),
            pytest.param(b"\5\0\0\2{}", id="kick"),
            pytest.param(b"\6\0\0\0", id="package type 6"),
            pytest.param(b"\xff" * 1400, id="noise"),
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
        ],
    )
    def test_is_not_answered_and_leaves_no_trace(self, port: Port, datagram: bytes) -> None:
        port.enter(BOB)
        assert port.send(datagram, who=ALICE) == []
        assert len(port.datagrams) == 1
        assert port.connector.counters.datagrams_dropped == 1
        assert port.connector.counters.clients_accepted == 1
        assert port.is_served(BOB)

    @pytest.mark.parametrize(
        "datagram", [b"", b"\3", HEARTBEAT + b"\3", b"\xff\0\0\0", request(1)[:-1]]
    )
    def test_a_broken_datagram_of_a_client_is_dropped(self, port: Port, datagram: bytes) -> None:
        """Anybody may send it in the client's name."""
        port.enter()
        port.wire.take(ALICE)
        assert port.send(datagram) == []
        assert port.connector.counters.datagrams_dropped == 1
        assert port.is_served()

    @pytest.mark.parametrize("data", [b"", b"\0", b"\x08\1\1a{}", b"\0\1\xffabc"])
    def test_a_broken_message_is_the_end(self, port: Port, data: bytes) -> None:
        port.enter(BOB)
        port.enter()
        port.send(package.encode(package.DATA, data), request(1))
        assert port.connector.asked == []
        assert (len(port.datagrams), port.connector.counters.clients_broken) == (1, 1)
        assert port.is_served(BOB)

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"sys":1}'])
    def test_a_bad_handshake_is_answered_and_forgotten(self, port: Port, body: bytes) -> None:
        assert port.send(package.encode(package.HANDSHAKE, body), ACK) == [REFUSED]
        assert len(port.datagrams) == 0
        port.connector.count(clients_accepted=1, clients_broken=1)

    def test_who_never_acks_is_forgotten(self, port: Port) -> None:
        port.send(HELLO)
        port.connector.reactor.advance(9.9)
        assert len(port.datagrams) == 1
        port.connector.reactor.advance(0.1)
        assert len(port.datagrams) == 0
        port.connector.count(clients_accepted=1, clients_silent=1)


class TestLimits:
    def test_connections(self, make_port: Callable[..., Port]) -> None:
        """Over both transports together; who is refused leaves no trace."""
        port = make_port(limits={"connections": 2})
        client = port.connector.enter()
        port.enter(ALICE)
        assert port.send(HELLO, who=BOB) == []
        assert port.connector.counters.clients_refused == 1
        client.hang_up()
        port.enter(BOB)
        assert port.is_served(BOB)

    def test_connections_of_an_address(self, make_port: Callable[..., Port]) -> None:
        port = make_port(limits={"connections_per_address": 2})
        mine = [("192.0.2.10", number) for number in range(4)]
        sessions = [port.enter(who) for who in mine[:2]]
        assert port.send(HELLO, who=mine[2]) == []
        assert port.connector.counters.clients_crowded == 1
        port.enter(BOB)
        sessions[0].connection.kick("enough")
        port.enter(mine[3])

    def test_blacklisted_addresses(self, make_port: Callable[..., Port]) -> None:
        port = make_port(limits={"blacklist": ("192.0.2.10",)})
        assert port.send(HELLO, who=ALICE) == []
        assert port.connector.counters.clients_blacklisted == 1
        port.enter(BOB)
        port.connector.parts.admission.blacklist.add("192.0.2.0/24")
        assert len(port.datagrams) == 0

    def test_handshakes_of_an_address(self, make_port: Callable[..., Port]) -> None:
        """One that sends in many names of one address is answered a few times."""
        port = make_port(limits={"udp_handshakes_per_address": 3})
        for number in range(10):
            port.send(HELLO, who=("192.0.2.66", number))
        for number in range(10):
            port.send(HELLO, who=(f"2001:db8::{number:x}", 5000))
        assert len(port.datagrams) == 6
        assert port.connector.counters.clients_crowded == 14
        port.enter(ALICE)
        port.connector.reactor.advance(10)
        assert port.send(HELLO, who=("192.0.2.66", 9)) == [WELCOME]

    def test_handshakes_that_are_through_count_too(self, make_port: Callable[..., Port]) -> None:
        """Whoever invents a handshake also invents its ack, and an end to it."""
        port = make_port(limits={"udp_handshakes_per_address": 3})
        answers = []
        for number in range(10):
            who = ("192.0.2.66", number)
            answers += port.send(HELLO, ACK, who=who)
            answers += port.send(package.encode(package.KICK), who=who)
        assert answers == [WELCOME, HEARTBEAT] * 3
        assert port.connector.counters.clients_crowded == 7

    def test_counts_of_many_addresses(
        self, make_port: Callable[..., Port], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(udp, "MOST_ADDRESSES", 4)
        port = make_port(limits={"udp_handshakes_per_address": 1})
        for number in range(18):
            assert port.send(HELLO, who=(f"198.51.100.{number}", 5000)) == [WELCOME]
        assert port.send(HELLO, who=("198.51.100.17", 5001)) == []

    def test_a_share_of_the_connections(self, make_port: Callable[..., Port]) -> None:
        """Invented clients keep nobody out who comes by another transport."""
        port = make_port(limits={"connections": 8, "udp_connections": 4})
        for number in range(20):
            port.send(HELLO, ACK, who=(f"198.51.100.{number}", 5000))
        assert len(port.datagrams) == 4
        assert port.connector.counters.clients_refused == 16
        assert is_served(port.connector, port.connector.enter())

    @pytest.mark.parametrize("limits", [{"udp_handshakes": 5}, {"connections": 20}])
    def test_handshakes_of_many_addresses(
        self, make_port: Callable[..., Port], limits: dict[str, int]
    ) -> None:
        """Invented ones make room for each other, and take none of those who came."""
        port = make_port(limits=limits)
        port.enter(ALICE)
        for number in range(250):
            port.send(HELLO, who=(f"198.51.100.{number}", 5000))
            assert len(port.datagrams) <= 6
        port.enter(BOB)
        assert port.connector.counters.clients_silent == 246
        assert port.is_served(ALICE)
        assert port.is_served(BOB)

    def test_messages_per_second(self, make_port: Callable[..., Port]) -> None:
        port = make_port(limits={"messages_per_second": 1, "message_burst": 2})
        port.enter()
        for number in range(1, 6):
            port.send(request(number))
        assert len(port.connector.asked) == 2
        assert port.connector.counters.requests_refused == 3

    def test_idle_clients(self, make_port: Callable[..., Port]) -> None:
        port = make_port(limits={"idle_seconds": 5})
        port.enter()
        for _ in range(2):
            port.connector.reactor.advance(2.5)
            port.send(HEARTBEAT)
        assert len(port.datagrams) == 0
        assert port.connector.counters.clients_idle == 1


def test_a_neighbour_over_websocket_notices_nothing(port: Port) -> None:
    neighbour = port.connector.enter()
    for number in range(300):
        port.send(bytes([number % 7, 0, 0, number % 5]) + b"x" * (number % 5), who=ALICE)
        port.send(HELLO, who=("192.0.2.10", number))
    assert is_served(port.connector, neighbour)
