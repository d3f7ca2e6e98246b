"""Clients that come through proxies."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from twisted.logger import LogEvent, globalLogPublisher

from chatcore.interfaces import Address
from chatcore.wire import package
from chatcore.wire.proxy import SIGNATURE

from .clients import HANDSHAKE, UPGRADE, Client, Connector, frame, is_served

Make = Callable[..., Connector]

PROXY = "10.0.0.1"
LINE = b"PROXY TCP4 198.51.100.7 192.0.2.1 56324 443\r\n"
BINARY = (
    SIGNATURE
    + struct.pack("!BBH", 0x21, 0x11, 12)
    + (b"\xc6\x33\x64\x07\xc0\0\2\1" + struct.pack("!HH", 56324, 443))
)
HELLO = package.encode(package.HANDSHAKE, HANDSHAKE) + package.encode(package.ACK)


def came_from(connector: Connector) -> Address:
    """Where the one session that there is has its client."""
    (session,) = connector.sessions
    address: Address = session.connection.address
    return address


@pytest.fixture
def behind(make: Make) -> Connector:
    """A connector behind proxies that say whom they stand for."""
    return make(proxy={"protocol": True})


class TestProxyProtocol:
    @pytest.mark.parametrize("header", [LINE, BINARY])
    @pytest.mark.parametrize("said", [HELLO, UPGRADE + frame(HELLO)])
    def test_the_client_is_whom_the_proxy_names(
        self, behind: Connector, header: bytes, said: bytes
    ) -> None:
        data = header + said
        for pieces in (
            [data],
            [header, said],
            [bytes((byte,)) for byte in data],
            *([data[:at], data[at:]] for at in range(1, len(header) + 3)),
        ):
            client = behind.connect(PROXY)
            for piece in pieces:
                client.send(piece)
            assert came_from(behind) == ("198.51.100.7", 56324)
            client.hang_up()

    @pytest.mark.parametrize(
        "header",
        [
            b"PROXY UNKNOWN\r\n",
            SIGNATURE + b"\x20\0\0\0",
            SIGNATURE + b"\x21\0\0\4abcd",
        ],
    )
    def test_a_proxy_that_speaks_for_itself(self, behind: Connector, header: bytes) -> None:
        behind.connect(PROXY).send(header + HELLO)
        assert came_from(behind) == (PROXY, 54321)

    def test_ipv4_as_ipv6(self, behind: Connector) -> None:
        behind.connect(PROXY).send(b"PROXY TCP6 ::ffff:198.51.100.7 ::1 5 6\r\n" + HELLO)
        assert came_from(behind) == ("198.51.100.7", 5)

    @pytest.mark.parametrize(
        "said",
        [
            HELLO,
            UPGRADE,
            b"PROXY TCP4 198.51.100.7\r\n",
            b"PROXY " + b"x" * 200,
            SIGNATURE + b"\x21\x11\xff\xff",
            b"\0",
        ],
    )
    def test_without_a_header_nobody_comes_in(self, behind: Connector, said: bytes) -> None:
        client = behind.connect(PROXY)
        client.send(said)
        assert client.closed
        behind.count(clients_accepted=1, clients_unproxied=1)

    def test_a_header_that_never_ends_is_not_waited_for(self, behind: Connector) -> None:
        client = behind.connect(PROXY)
        client.send(LINE[:-1])
        behind.reactor.advance(10)
        behind.reactor.settle()
        assert client.closed
        behind.count(clients_accepted=1, clients_silent=1)

    def test_two_headers(self, behind: Connector) -> None:
        client = behind.connect(PROXY)
        client.send(LINE + LINE + HELLO)
        assert client.take().startswith(b"HTTP/1.1 400 ")

    def test_who_is_no_proxy(self, behind: Connector) -> None:
        assert behind.connect("198.51.100.1").refused
        behind.count(clients_unproxied=1)

    def test_the_log_says_so_once(self, behind: Connector) -> None:
        logged: list[LogEvent] = []
        globalLogPublisher.addObserver(logged.append)
        try:
            for _ in range(3):
                behind.connect(PROXY).send(HELLO)
                behind.connect("198.51.100.1")
        finally:
            globalLogPublisher.removeObserver(logged.append)
        (warning,) = [event for event in logged if event["log_level"].name == "warn"]
        assert warning["client"] == "10.0.0.1:54321"
        assert behind.counters.clients_unproxied == 6

    def test_other_proxies(self, make: Make) -> None:
        connector = make(proxy={"protocol": True, "trusted": ("198.51.100.0/24", "2001:db8::1")})
        assert connector.connect(PROXY).refused
        assert connector.connect("2001:db8::2").refused
        for host in ("198.51.100.1", "2001:db8::1"):
            client = connector.connect(host)
            client.send(LINE + HELLO)
            assert came_from(connector) == ("198.51.100.7", 56324)
            client.hang_up()

    def test_where_none_is_expected_none_is_accepted(self, connector: Connector) -> None:
        client = connector.connect(PROXY)
        client.send(LINE + HELLO)
        assert client.take().startswith(b"HTTP/1.1 400 ")


class TestForwardedFor:
    def upgraded(self, connector: Connector, *values: str, host: str = PROXY) -> Client:
        client = connector.connect(host)
        fields = "".join(f"X-Forwarded-For: {value}\r\n" for value in values).encode()
        client.send(UPGRADE.replace(b"\r\n\r\n", b"\r\n" + fields + b"\r\n") + frame(HELLO))
        return client

    @pytest.mark.parametrize(
        ("hops", "values", "address"),
        [
            (1, ["198.51.100.7"], ("198.51.100.7", 0)),
            (1, ["spoofed, 198.51.100.7"], ("198.51.100.7", 0)),
            (1, ["203.0.113.1", "198.51.100.7"], ("198.51.100.7", 0)),
            (1, ["198.51.100.7:5000"], ("198.51.100.7", 5000)),
            (1, ["2001:DB8::7"], ("2001:db8::7", 0)),
            (1, ["[2001:db8::7]:5000"], ("2001:db8::7", 5000)),
            (1, ["[2001:db8::7]"], ("2001:db8::7", 0)),
            (1, ["::ffff:198.51.100.7"], ("198.51.100.7", 0)),
            (2, ["203.0.113.1, 198.51.100.7,10.0.0.2"], ("198.51.100.7", 0)),
            (2, ["203.0.113.1, 198.51.100.7", "10.0.0.2"], ("198.51.100.7", 0)),
        ],
    )
    def test_what_the_proxies_say_counts(
        self, make: Make, hops: int, values: list[str], address: Address
    ) -> None:
        connector = make(proxy={"forwarded_hops": hops})
        self.upgraded(connector, *values)
        assert came_from(connector) == address

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "unknown",
            "198.51.100.7, unknown",
            "198.51.100",
            "198.51.100.7:99999",
            "198.51.100.7:+5",
            "[2001:db8::7",
            "[2001:db8::7]5000",
            "2001:db8::7%any text",
            "198.51.100.7,",
        ],
    )
    def test_what_is_malformed_is_refused(self, make: Make, value: str) -> None:
        """Taking the proxy's address instead would let it pass the limits for clients."""
        connector = make(proxy={"forwarded_hops": 1})
        client = self.upgraded(connector, value)
        assert client.take().startswith(b"HTTP/1.1 400 ")
        assert len(connector.sessions) == 0
        assert connector.counters.clients_broken == 1

    def test_what_is_too_short_is_refused(self, make: Make) -> None:
        connector = make(proxy={"forwarded_hops": 2})
        assert self.upgraded(connector, "198.51.100.7").take().startswith(b"HTTP/1.1 400 ")

    def test_without_the_header_it_is_the_proxy_itself(self, make: Make) -> None:
        connector = make(proxy={"forwarded_hops": 1})
        self.upgraded(connector)
        assert came_from(connector) == (PROXY, 54321)

    def test_who_is_no_proxy_is_not_believed(self, make: Make) -> None:
        connector = make(proxy={"forwarded_hops": 1})
        self.upgraded(connector, "198.51.100.7", host="203.0.113.5")
        assert came_from(connector) == ("203.0.113.5", 54321)

    def test_turned_off(self, connector: Connector) -> None:
        self.upgraded(connector, "198.51.100.7")
        assert came_from(connector) == (PROXY, 54321)

    def test_over_tcp_nobody_forwards(self, make: Make) -> None:
        connector = make(proxy={"forwarded_hops": 1})
        connector.connect(PROXY).send(HELLO)
        assert came_from(connector) == (PROXY, 54321)

    def test_behind_the_other_kind_of_proxy(self, make: Make) -> None:
        connector = make(proxy={"protocol": True, "forwarded_hops": 1})
        header = b"PROXY TCP4 10.0.0.9 10.0.0.1 1 2\r\n"
        fields = b"\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"
        client = connector.connect(PROXY)
        client.send(header + UPGRADE.replace(b"\r\n\r\n", fields) + frame(HELLO))
        assert came_from(connector) == ("198.51.100.7", 0)
        client.hang_up()
        connector.connect(PROXY).send(LINE + UPGRADE.replace(b"\r\n\r\n", fields) + frame(HELLO))
        assert came_from(connector) == ("198.51.100.7", 56324)


class TestLimitsBehindProxies:
    """What is counted and refused is the client, not the proxy."""

    def entered(self, connector: Connector, host: str) -> Client:
        client = connector.connect(PROXY)
        client.send(f"PROXY TCP4 {host} 192.0.2.1 1 2\r\n".encode() + HELLO)
        return client

    def test_per_address(self, make: Make) -> None:
        connector = make(proxy={"protocol": True}, limits={"connections_per_address": 1})
        one, two = self.entered(connector, "198.51.100.1"), self.entered(connector, "198.51.100.1")
        other = self.entered(connector, "198.51.100.2")
        assert [each.closed for each in (one, two, other)] == [False, True, False]
        assert connector.counters.clients_crowded == 1
        assert connector.counters.clients_now == 2
        one.hang_up()
        assert not self.entered(connector, "198.51.100.1").closed

    def test_forwarded_ones(self, make: Make) -> None:
        connector = make(proxy={"forwarded_hops": 1}, limits={"connections_per_address": 1})
        for host, closed in (("198.51.100.1", False), ("198.51.100.2", False), (PROXY, True)):
            client = connector.connect(PROXY)
            field = f"\r\nX-Forwarded-For: {host}\r\n\r\n".encode()
            if closed:
                connector.connect(PROXY).send(HELLO)
            client.send(UPGRADE.replace(b"\r\n\r\n", field))
            assert client.closed is closed, host

    def test_the_blacklist(self, make: Make) -> None:
        connector = make(proxy={"protocol": True}, limits={"blacklist": ("198.51.100.1",)})
        assert self.entered(connector, "198.51.100.1").closed
        client = self.entered(connector, "198.51.100.2")
        assert connector.parts.admission.blacklist.add("198.51.100.0/24") == 1
        connector.reactor.settle()
        assert (package.KICK, b'{"reason":"blacklisted"}') in client.stream()
        assert connector.counters.clients_blacklisted == 2
        assert connector.counters.clients_accepted == 2


def test_a_neighbour_is_served_meanwhile(behind: Connector) -> None:
    client = behind.connect(PROXY)
    client.send(LINE + UPGRADE + frame(HELLO))
    for said in (b"\0", LINE[:5], BINARY[:15]):
        behind.connect(PROXY).send(said)
    (client.session,) = behind.sessions
    client.take()
    assert is_served(behind, client)
