"""One port for WebSocket, plain TCP and HTTP: told apart however the first bytes are cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatcore.connectors.answers import welcome
from chatcore.wire import message, package

from .clients import HANDSHAKE, UPGRADE, Client, Connector, frame, frames, is_served

Make = Callable[..., Connector]

HELLO = package.encode(package.HANDSHAKE, HANDSHAKE)
ACK = package.encode(package.ACK)
ASKS = package.encode(package.DATA, message.encode_request(7, "a.b.c", b"{}"))
OVER_TCP = HELLO + ACK + ASKS
OVER_WEBSOCKET = UPGRADE + frame(HELLO) + frame(ACK) + frame(ASKS)
WELCOME = b'\x01\x00\x00\x15{"code":200,"sys":{}}'


def spoken(connector: Connector, pieces: list[bytes]) -> tuple[list[int], bytes]:
    """Which requests arrive, and what is answered, apart from the head of an HTTP answer."""
    client = connector.connect()
    for piece in pieces:
        client.send(piece)
    asked = [asked.message.id for asked in connector.asked]
    connector.asked.clear()
    client.hang_up()
    _, _, rest = client.take().rpartition(b"\r\n\r\n")
    return asked, rest


@pytest.mark.parametrize(
    ("said", "answer"),
    [(OVER_TCP, WELCOME), (OVER_WEBSOCKET, b"\x82\x19" + WELCOME)],
    ids=["TCP", "WebSocket"],
)
class TestSplits:
    def test_in_two_everywhere(self, connector: Connector, said: bytes, answer: bytes) -> None:
        for at in range(len(said) + 1):
            pieces = [piece for piece in (said[:at], said[at:]) if piece]
            assert spoken(connector, pieces) == ([7], answer), at

    def test_byte_by_byte(self, connector: Connector, said: bytes, answer: bytes) -> None:
        assert spoken(connector, [bytes((byte,)) for byte in said]) == ([7], answer)


class TestTheFirstByte:
    @pytest.mark.parametrize("rest", [b"", b"ET / HTTP/1.1\r\n\r\n", b"\0\0\0"])
    def test_what_begins_nothing_is_closed_at_once(self, connector: Connector, rest: bytes) -> None:
        neighbour = connector.enter()
        others = [byte for byte in range(256) if not (1 <= byte <= 5 or 65 <= byte <= 90)]
        for byte in others:
            client = connector.connect()
            client.send(bytes((byte,)) + rest)
            assert client.closed, byte
            assert client.take() == b""
        assert connector.counters.clients_broken == len(others)
        assert connector.counters.clients_now == 1
        assert is_served(connector, neighbour)

    def test_who_says_nothing_is_closed_in_time(self, connector: Connector) -> None:
        client = connector.connect()
        connector.reactor.advance(10)
        connector.reactor.settle()
        assert client.closed
        connector.count(clients_accepted=1, clients_silent=1)

    @pytest.mark.parametrize("said", [HELLO[:1], HELLO[:20], HELLO, UPGRADE[:1], UPGRADE[:-1]])
    def test_the_deadline_begins_with_the_connection(
        self, connector: Connector, said: bytes
    ) -> None:
        client = connector.connect()
        connector.reactor.advance(9)
        client.send(said)
        connector.reactor.advance(1)
        connector.reactor.settle()
        connector.reactor.advance(2)
        connector.reactor.settle()
        assert client.closed
        assert connector.counters.clients_silent == 1

    def test_the_node_stops_while_nothing_was_said(self, connector: Connector) -> None:
        clients = [connector.connect() for _ in range(3)]
        clients[1].send(b"G")
        stopped = connector.parts.close_all("server stops", 1001)
        connector.reactor.settle()
        assert stopped.called
        assert all(client.closed for client in clients)

    @given(said=st.lists(st.binary(max_size=60), max_size=6))
    def test_anything_at_all(self, said: list[bytes]) -> None:
        connector = Connector(limits={"package_bytes": 64})
        neighbour = connector.enter()
        for first in (b"", HELLO[:4], OVER_TCP, b"GET / HTTP/1.1\r\n", UPGRADE):
            client = connector.connect()
            for piece in (first, *said):
                if piece:
                    client.send(piece)
            client.hang_up()
        connector.asked.clear()
        assert is_served(connector, neighbour)
        connector.finish()


class TestTurnedOff:
    def test_tcp(self, make: Make) -> None:
        connector = make(connector={"tcp": False})
        client = connector.connect()
        client.send(HELLO)
        assert client.closed
        assert client.take() == b""
        assert is_served(connector, connector.enter())

    def test_websocket(self, make: Make) -> None:
        connector = make(connector={"websocket": False})
        client = connector.connect()
        client.send(UPGRADE)
        assert client.take().startswith(b"HTTP/1.1 501 ")
        assert client.closed
        assert spoken(connector, [OVER_TCP]) == ([7], WELCOME)

    @pytest.mark.parametrize("upgrades", [False, True])
    def test_socketio(self, make: Make, upgrades: bool) -> None:
        """Its clients are told at once, instead of waiting for what never comes."""
        connector = make()
        client = connector.connect()
        kind = b"websocket" if upgrades else b"polling"
        client.send(
            (UPGRADE if upgrades else b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").replace(
                b"GET /", b"GET /socket.io/?EIO=4&transport=" + kind
            )
        )
        assert answered(client)[0::2] == (404, b"Clients of socket.io may not come here.\n")
        assert client.closed
        assert is_served(connector, connector.enter())

    def test_all_but_socketio(self, make: Make) -> None:
        connector = make(socketio={}, connector={"websocket": False, "tcp": False})
        for said in (UPGRADE, HELLO):
            client = connector.connect()
            client.send(said)
            assert client.closed
        client = connector.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answered(client)[2] == b"This port speaks socket.io.\n"
        client = connector.connect()
        client.send(UPGRADE.replace(b"GET /", b"GET /socket.io/?EIO=3&transport=websocket"))
        assert client.take().endswith(b"\x81\x0240")

    def test_what_the_port_says_of_itself(self) -> None:
        assert welcome(websocket=True, tcp=True, socketio=True) == (
            "This port speaks Pomelo's protocol over WebSocket or TCP, and socket.io.\n"
        )
        assert welcome(websocket=False, tcp=True, socketio=False) == (
            "This port speaks Pomelo's protocol over TCP.\n"
        )


def answered(client: Client) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the one answer that came."""
    head, _, body = client.take().partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first.startswith("HTTP/1.1 ")
    fields = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {key.lower(): value for key, value in fields.items()}, body


class TestHttp:
    @pytest.fixture
    def neighbour(self, connector: Connector) -> Iterator[Client]:
        client = connector.enter()
        yield client
        assert is_served(connector, client)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "X"])
    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    @pytest.mark.parametrize("target", ["/", "/any/path?x=1", "*"])
    def test_plain_requests_are_told_what_the_port_is_for(
        self, connector: Connector, neighbour: Client, method: str, version: str, target: str
    ) -> None:
        client = connector.connect()
        client.send(f"{method} {target} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        status, fields, body = answered(client)
        assert status == 426
        assert fields["upgrade"] == "websocket"
        assert fields["sec-websocket-version"] == "13"
        assert [each.strip() for each in fields["connection"].split(",")] == ["upgrade", "close"]
        assert fields["content-type"] == "text/plain; charset=utf-8"
        assert int(fields["content-length"]) == len(body)
        assert fields["date"].endswith(" GMT")
        assert b"WebSocket" in body
        assert client.closed
        assert connector.counters.http_answers == 1
        assert connector.counters.clients_broken == 0

    @pytest.mark.parametrize("version", ["1.0", "1.1"])
    @pytest.mark.parametrize("target", ["/", "/healthz?x=1"])
    @pytest.mark.parametrize("websocket", [True, False])
    def test_probes_find_it_healthy(
        self, make: Make, version: str, target: str, websocket: bool
    ) -> None:
        """Load balancers take every status from 400 on for an illness."""
        connector = make(connector={"websocket": websocket})
        client = connector.connect()
        client.send(f"GET {target} HTTP/{version}\r\nHost: x\r\n\r\n".encode())
        status, fields, body = answered(client)
        assert status == 200
        assert fields["connection"] == "close"
        assert "upgrade" not in fields
        assert int(fields["content-length"]) == len(body)
        assert (b"WebSocket" in body) is websocket
        assert client.closed
        assert connector.counters.http_answers == 1

    def test_head_is_answered_without_a_body(self, connector: Connector) -> None:
        client = connector.connect()
        client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        status, fields, body = answered(client)
        assert (status, body) == (200, b"")
        assert int(fields["content-length"]) > 0

    @pytest.mark.parametrize("field", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
    def test_an_answer_is_not_lost_while_a_body_comes(
        self, connector: Connector, neighbour: Client, field: bytes
    ) -> None:
        """Closing a socket that was not read empty takes back what was written."""
        client = connector.connect()
        client.send(b"POST / HTTP/1.1\r\n" + field + b"\r\n\r\n" + b"x" * 1000)
        assert answered(client)[0] == 426
        assert not client.closed
        for _ in range(20):
            client.send(b"x" * 1000)
        assert client.take() == b""
        connector.reactor.advance(2)
        connector.reactor.settle()
        assert client.closed

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            (b"HELLO\r\n", 400),
            (b"GET / HTTP/1.1\nHost: x\n\n", 400),
            (b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400),
            (b"GET \xff HTTP/1.1\r\n\xfe: \xfd\r\n\r\n", 400),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            (b"GET /" + b"x" * 20_000, 431),
        ],
    )
    def test_what_is_no_http_is_told_so(
        self, connector: Connector, neighbour: Client, data: bytes, status: int
    ) -> None:
        client = connector.connect()
        client.send(data)
        found, fields, body = answered(client)
        assert found == status
        assert int(fields["content-length"]) == len(body)
        assert connector.counters.clients_broken == 1
        client.send(b"more")
        connector.reactor.advance(2)
        connector.reactor.settle()
        assert client.closed

    def test_a_bad_request_for_a_websocket_is_told_so(
        self, connector: Connector, neighbour: Client
    ) -> None:
        client = connector.connect()
        client.send(UPGRADE.replace(b"Version: 13", b"Version: 7"))
        status, fields, body = answered(client)
        assert status == 400
        assert fields["sec-websocket-version"] == "13,8"
        assert int(fields["content-length"]) == len(body)
        assert client.closed
        assert connector.counters.clients_broken == 1


class TestOrigins:
    def opened(self, connector: Connector, origin: bytes | None) -> bool:
        client = connector.connect()
        field = b"" if origin is None else b"Origin: " + origin + b"\r\n"
        client.send(UPGRADE.replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n"))
        answer = client.take()
        opened = answer.startswith(b"HTTP/1.1 101 ")
        assert opened or answer.startswith(b"HTTP/1.1 403 ")
        return opened

    @pytest.mark.parametrize(
        ("origin", "may"),
        [
            (b"https://chat.example.org", True),
            (b"https://chat.example.org:443", True),
            (b"HTTPS://Chat.Example.Org", True),
            (b"http://localhost:3001", True),
            (b"http://[::1]:3001", True),
            (b"http://chat.example.org", False),
            (b"https://chat.example.org:8443", False),
            (b"https://example.org", False),
            (b"https://chat.example.org.evil.example", False),
            (b"https://chat.example.org@evil.example", False),
            (b"https://chat.example.org/", False),
            (b"https://evil.example https://chat.example.org", False),
            (b"https://chat.example.org\r\nOrigin: https://evil.example", False),
            (b"http://localhost", False),
            (b"null", False),
            (b"", False),
            (None, True),
        ],
    )
    def test_only_those_given(self, make: Make, origin: bytes | None, may: bool) -> None:
        allowed = ("https://chat.example.org", "http://localhost:3001", "http://[::1]:3001")
        connector = make(limits={"origins": allowed})
        assert self.opened(connector, origin) is may
        assert connector.counters.clients_foreign == (not may)
        assert is_served(connector, connector.enter())

    def test_null_where_it_is_given(self, make: Make) -> None:
        connector = make(limits={"origins": ("null",)})
        assert self.opened(connector, b"null")
        assert not self.opened(connector, b"https://chat.example.org")

    def test_all_where_none_is_given(self, connector: Connector) -> None:
        assert self.opened(connector, b"https://evil.example")
        assert self.opened(connector, b"null")


def test_a_session_knows_where_its_client_is(connector: Connector) -> None:
    client = connector.enter(host="2001:db8::7")
    assert client.session.connection.address == ("2001:db8::7", 54321)
    client = connector.enter(host="::ffff:192.0.2.9")
    assert client.session.connection.address == ("192.0.2.9", 54321)


def test_pushes_reach_both_kinds_of_clients(connector: Connector) -> None:
    over_websocket, over_tcp = connector.enter(), connector.connect()
    over_tcp.shake_hands()
    over_tcp.take()
    connector.sessions.kick(1, "one")
    connector.sessions.kick(2, "two")
    connector.reactor.settle()
    kicks = [frames(over_websocket.take())[0][1], over_tcp.take()]
    assert [json.loads(kick[4:]) for kick in kicks] == [{"reason": "one"}, {"reason": "two"}]
