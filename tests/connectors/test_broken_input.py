"""Whatever a client sends, its own connection closes or gets an answer, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from chatcore.dispatch.calling import Caller
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.node.frontend import Frontend
from chatcore.wire import message, package
from chatcore.wire.body import Body

from .clients import (
    BINARY,
    CLOSE,
    CONTINUATION,
    HANDSHAKE,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    Client,
    Connector,
    close_frame,
    frame,
    is_served,
)

Make = Callable[..., Connector]

REQUEST = package.encode(package.DATA, message.encode_request(9, "a.b.c", b"{}"))


@pytest.fixture
def neighbour(connector: Connector) -> Iterator[Client]:
    """Somebody else on the same connector, for whom nothing may change."""
    neighbour = connector.enter("neighbour")
    yield neighbour
    assert not neighbour.closed
    assert is_served(connector, neighbour)


def expect_closed(connector: Connector, client: Client, code: int) -> None:
    """Exactly this client has been closed, and counted as broken once."""
    opcode, payload = client.frames()[-1]
    assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
    assert len(payload) <= 125
    payload[2:].decode()
    assert client.closed
    assert connector.counters.clients_broken == 1
    assert connector.counters.clients_now == 1
    assert connector.counters.sessions_now == 1
    assert connector.asked == []


class TestPackages:
    """The rows of Pomelo's table of malformed input, and what is like them."""

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param(b"\x04\0\0\0", id="data with an empty body"),
            pytest.param(b"\x04\0\0\1\0", id="data with a flag only"),
            pytest.param(b"\x04\0\0\1\4", id="answer without an id"),
            pytest.param(package.encode(4, b"\0" + b"\xff" * 50), id="endless id"),
            pytest.param(package.encode(4, b"\0" + b"\xff" * 5 + b"\1"), id="id of 6 bytes"),
            pytest.param(package.encode(4, b"\0\xff\xff\xff\xff\x7f"), id="id over 32 bits"),
            pytest.param(package.encode(4, b"\0\1\xffabc"), id="route longer than the body"),
            pytest.param(package.encode(4, b"\0\1"), id="no route"),
            pytest.param(package.encode(4, b"\1\1\0"), id="half a route code"),
            pytest.param(package.encode(4, b"\0\1\2\xff\xfe"), id="route that is not UTF-8"),
            pytest.param(package.encode(4, b"\x10\1\1a{}"), id="gzip"),
            pytest.param(package.encode(4, b"\x08\1\1a{}"), id="message type 4"),
            pytest.param(package.encode(4, b"\xff\1\1a{}"), id="message type 7, all flags"),
            pytest.param(b"\x03\0\0\0\0\0", id="heartbeat and two bytes"),
            pytest.param(b"", id="an empty frame"),
            pytest.param(b"\x03", id="a quarter of a head"),
            pytest.param(b"\x03\0\0", id="most of a head"),
            pytest.param(b"\x04\0\0\5abc", id="half a package"),
            pytest.param(b"\x04\xff\xff\xff", id="16 MB announced"),
            pytest.param(b"\x04\xff\xff\xff" + b"x" * 50_000, id="16 MB announced and begun"),
            pytest.param(b"\0\0\0\0", id="package type 0"),
            pytest.param(b"\5\0\0\2{}", id="kick"),
            pytest.param(b"\6\0\0\0", id="package type 6"),
            pytest.param(b"\xff\0\0\0", id="package type 255"),
            pytest.param(REQUEST + b"\0", id="a package and a byte"),
            pytest.param(REQUEST + b"\4\0\0\5abc", id="a package and a half"),
            pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="HTTP"),
            pytest.param(bytes(range(256)) * 4, id="all bytes there are"),
        ],
    )
    @pytest.mark.parametrize("opcode", [BINARY, TEXT])
    def test_closes(
        self, connector: Connector, neighbour: Client, payload: bytes, opcode: int
    ) -> None:
        client = connector.enter()
        client.send(frame(payload, opcode))
        expect_closed(connector, client, 1002)

    @pytest.mark.parametrize("kind", [0, 5, 6, 255])
    @pytest.mark.parametrize("stage", [0, 1])
    def test_closes_before_the_handshake_is_through(
        self, connector: Connector, neighbour: Client, kind: int, stage: int
    ) -> None:
        client = connector.open()
        if stage:
            client.say((package.HANDSHAKE, HANDSHAKE))
        client.say((kind, b"{}"))
        expect_closed(connector, client, 1002)

    def test_what_follows_the_mistake_is_ignored(
        self, connector: Connector, neighbour: Client
    ) -> None:
        client = connector.enter()
        client.send(frame(b"") * 3 + frame(REQUEST) + frame(b"\xff"), settle=False)
        client.send(frame(REQUEST) + frame(b""))
        expect_closed(connector, client, 1002)

    def test_what_came_before_the_mistake_counts(
        self, connector: Connector, neighbour: Client
    ) -> None:
        client = connector.enter()
        client.send(frame(REQUEST) + frame(b"\0\0\0\0"))
        assert [asked.message.id for asked in connector.asked] == [9]
        assert client.closed
        connector.asked.clear()

    def test_the_session_is_told(self, connector: Connector) -> None:
        client = connector.enter()
        told: list[str] = []
        connector.sessions.on_closed(client.session.id, lambda s, reason: told.append(reason))
        client.send(frame(b"\6\0\0\0"))
        assert told == ["there is no package type 6"]

    def test_a_text_frame_is_a_heartbeat_too(self, make: Make) -> None:
        connector = make(heartbeat={"interval": 3})
        client = connector.enter()
        client.send(frame(b"\x03\0\0\0", TEXT))
        assert client.packages() == [(package.HEARTBEAT, b"")]


class TestFrames:
    @pytest.mark.parametrize(
        ("data", "code"),
        [
            pytest.param(frame(REQUEST, mask=None), 1002, id="not masked"),
            pytest.param(frame(REQUEST, 3), 1002, id="opcode 3"),
            pytest.param(frame(REQUEST, 7), 1002, id="opcode 7"),
            pytest.param(frame(b"", 11), 1002, id="opcode 11"),
            pytest.param(frame(b"", 15), 1002, id="opcode 15"),
            pytest.param(frame(REQUEST, rsv=4), 1002, id="reserved bit"),
            pytest.param(frame(REQUEST, CONTINUATION), 1002, id="continues nothing"),
            pytest.param(frame(b"x" * 126, PING), 1002, id="long ping"),
            pytest.param(frame(b"x", PING, fin=False), 1002, id="fragmented ping"),
            pytest.param(frame(b"x", CLOSE), 1002, id="close of one byte"),
            pytest.param(close_frame(999), 1002, id="close code 999"),
            pytest.param(close_frame(1000, b"\xff"), 1007, id="close reason not UTF-8"),
            pytest.param(b"\x82\xfe\0\5\0\0\0\0hello", 1002, id="length not minimal"),
            pytest.param(b"\x82\xff" + b"\0" * 7 + b"\5\0\0\0\0", 1002, id="length of 8 bytes"),
            pytest.param(b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0", 1002, id="length over 2**63"),
            pytest.param(
                b"\x82\xff" + (1 << 24).to_bytes(8, "big") + b"\0\0\0\0", 1009, id="16 MB"
            ),
            pytest.param(frame(b"x" * 65541), 1009, id="a little too long"),
            pytest.param(frame(REQUEST[:5], fin=False) + frame(REQUEST), 1002, id="begun twice"),
        ],
    )
    def test_closes(self, connector: Connector, neighbour: Client, data: bytes, code: int) -> None:
        client = connector.enter()
        client.send(data)
        expect_closed(connector, client, code)

    def test_fragments_are_one_message(self, connector: Connector, neighbour: Client) -> None:
        client = connector.enter()
        client.send(frame(REQUEST[:3], fin=False))
        client.send(frame(b"", CONTINUATION, fin=False))
        client.send(frame(b"are you there", PING))
        client.send(frame(REQUEST[3:7], CONTINUATION, fin=False))
        client.send(frame(REQUEST[7:], CONTINUATION))
        assert client.frames() == [(PONG, b"are you there")]
        assert [asked.message.id for asked in connector.asked] == [9]
        connector.asked.clear()
        client.send(frame(REQUEST))
        assert [asked.message.id for asked in connector.asked] == [9]
        connector.asked.clear()

    def test_a_whole_frame_inside_a_fragmented_message_is_no_message(
        self, connector: Connector, neighbour: Client
    ) -> None:
        client = connector.enter()
        client.send(frame(REQUEST[:3], fin=False))
        client.send(frame(REQUEST))
        expect_closed(connector, client, 1002)

    def test_fragments_that_are_too_long_together(
        self, connector: Connector, neighbour: Client
    ) -> None:
        client = connector.enter()
        client.send(frame(b"x" * 40_000, fin=False))
        client.send(frame(b"x" * 40_000, CONTINUATION, fin=False))
        expect_closed(connector, client, 1009)

    def test_fragments_without_end(self, connector: Connector, neighbour: Client) -> None:
        """Empty ones add nothing to the length of a message that never comes."""
        client = connector.enter()
        client.send(frame(b"", fin=False))
        for _ in range(2000):
            client.send(frame(b"", CONTINUATION, fin=False), settle=False)
        connector.reactor.settle()
        expect_closed(connector, client, 1009)

    def test_as_many_fragments_as_may_be(self, connector: Connector, neighbour: Client) -> None:
        client = connector.enter()
        for _ in range(3):
            client.send(frame(REQUEST, fin=False))
            for _ in range(1022):
                client.send(frame(b"", CONTINUATION, fin=False), settle=False)
            client.send(frame(b"", CONTINUATION))
            assert connector.asked.pop().message.id == 9
        assert not client.closed

    def test_a_frame_in_pieces(self, connector: Connector, neighbour: Client) -> None:
        client = connector.enter()
        data = frame(REQUEST)
        for at in range(len(data)):
            client.send(data[:at])
            assert connector.asked == []
            client.send(data[at:] + data)
            assert [asked.message.id for asked in connector.asked] == [9, 9]
            connector.asked.clear()

    def test_half_a_frame_and_then_nothing(self, make: Make) -> None:
        connector = make(heartbeat={"interval": 3})
        client = connector.enter()
        client.send(frame(REQUEST)[:-1])
        connector.reactor.advance(6)
        connector.reactor.settle()
        assert client.closed

    def test_pings_are_answered_and_pongs_are_not(
        self, connector: Connector, neighbour: Client
    ) -> None:
        client = connector.enter()
        client.send(frame(b"", PING) + frame(b"x" * 125, PING) + frame(b"unasked", PONG))
        assert client.frames() == [(PONG, b""), (PONG, b"x" * 125)]
        assert not client.closed

    def test_a_ping_before_the_handshake(self, connector: Connector, neighbour: Client) -> None:
        client = connector.open()
        client.send(frame(b"hello", PING))
        assert client.frames() == [(PONG, b"hello")]

    def test_a_ping_that_is_too_long_after_a_kick(
        self, connector: Connector, neighbour: Client
    ) -> None:
        """It breaks the protocol, and nobody answers it any more."""
        client = connector.enter()
        client.session.connection.kick("enough")
        connector.reactor.settle()
        client.take()
        client.send(frame(b"x" * 300, PING))
        assert client.take() == b""

    def test_what_was_sent_comes_before_the_answer_to_a_close(
        self, connector: Connector, neighbour: Client
    ) -> None:
        client = connector.enter()
        connector.serve = lambda session, message, reply: reply and reply(Body(None, b"{}"))
        client.send(frame(REQUEST) + frame(b"hello", PING) + close_frame())
        connector.serve = connector._note
        assert [opcode for opcode, _ in client.frames()] == [BINARY, PONG, CLOSE]

    def test_nothing_is_kept_of_a_message_that_never_ends(self, connector: Connector) -> None:
        client = connector.enter()
        client.send(b"\x82\xff" + (1 << 24).to_bytes(8, "big") + b"\0\0\0\0")
        assert client.closed
        assert len(client.protocol.data) < 100


class TestHttp:
    @pytest.mark.parametrize(
        ("request_", "answer"),
        [
            (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 "),
            (UPGRADE.replace(b"GET", b"POST"), b"HTTP/1.1 426 "),
            (UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"), b"HTTP/1.1 426 "),
            (UPGRADE.replace(b"websocket", b"h2c"), b"HTTP/1.1 426 "),
            (UPGRADE.replace(b"Version: 13", b"Version: 5"), b"HTTP/1.1 400 "),
            (UPGRADE.replace(b"Version: 13", b"Version: x"), b"HTTP/1.1 400 "),
            (UPGRADE.replace(b"Host: localhost:3050\r\n", b""), b"HTTP/1.1 400 "),
            (UPGRADE.replace(b"Host: localhost:3050", b"Host: a:b:c"), b"HTTP/1.1 400 "),
            (UPGRADE.replace(b"dGhlIHNh", b"\xff\xfe\xfd\xfcIHNh"), b"HTTP/1.1 400 "),
            (UPGRADE.replace(b"GET / ", b"GET /#a "), b"HTTP/1.1 400 "),
            (UPGRADE.replace(b"GET / ", b"GET http://[ "), b"HTTP/1.1 400 "),
        ],
    )
    def test_is_answered_and_closed(
        self, connector: Connector, neighbour: Client, request_: bytes, answer: bytes
    ) -> None:
        client = connector.connect()
        client.send(request_)
        assert client.take().startswith(answer)
        assert client.closed
        assert connector.counters.clients_now == 1
        assert len(connector.parts.clients) == 1

    @pytest.mark.parametrize(
        "headers",
        [
            b"Origin: null",
            b"Origin: http://elsewhere.example",
            b"Origin: https://elsewhere.example:8443",
            b"Origin: app://",
            b"origin: 192.0.2.9:3010",
            b"ORIGIN: http://[",
            b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            b"Cookie: " + b"x" * 8000,
            b"X-Forwarded-For: 203.0.113.9",
        ],
    )
    def test_what_browsers_send_is_accepted(
        self, connector: Connector, neighbour: Client, headers: bytes
    ) -> None:
        client = connector.connect()
        client.send(UPGRADE.replace(b"\r\n\r\n", b"\r\n" + headers + b"\r\n\r\n"))
        head = client.take()
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"Server: chatcore\r\n" in head
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        assert b"Extensions" not in head

    @pytest.mark.parametrize(
        ("asked", "agreed"),
        [
            (b"binary, pomelo", b"\r\nSec-WebSocket-Protocol: binary\r\n"),
            (b"", None),
            (b"two words", None),
            (b"\xe4", None),
        ],
    )
    def test_a_subprotocol_that_a_page_insists_on(
        self, connector: Connector, neighbour: Client, asked: bytes, agreed: bytes | None
    ) -> None:
        client = connector.connect()
        named = b"\r\nSec-WebSocket-Protocol: " + asked + b"\r\n\r\n"
        client.send(UPGRADE.replace(b"\r\n\r\n", named))
        head = client.take()
        assert head.startswith(b"HTTP/1.1 101 ")
        if agreed is None:
            assert b"Sec-WebSocket-Protocol" not in head
        else:
            assert agreed in head

    def test_a_request_that_does_not_end(self, connector: Connector, neighbour: Client) -> None:
        client = connector.connect()
        client.send(b"GET / HTTP/1.1\r\n")
        sent = 0
        while not client.closed and sent < 1 << 20:
            client.send(b"X: " + b"y" * 1000 + b"\r\n")
            sent += 1005
            connector.reactor.advance(0.1)
            assert len(client.protocol._buffer) <= 16384
        assert client.take().startswith(b"HTTP/1.1 431 ")
        assert connector.counters.clients_broken == 1

    def test_one_large_piece_of_nothing(self, connector: Connector, neighbour: Client) -> None:
        client = connector.connect()
        client.send(b"\0" * 65536)
        assert client.closed

    def test_an_answer_that_is_not_read(self, connector: Connector, neighbour: Client) -> None:
        client = connector.connect()
        client.socket.room = 0
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not client.closed
        connector.reactor.advance(10)
        connector.reactor.settle()
        assert client.closed


class TestBodies:
    """With the frontend that really serves requests behind the connector."""

    @pytest.fixture
    def connector(self, make: Make) -> Iterator[Connector]:
        connector = make()
        caller = Caller(seconds=10, clock=connector.reactor)
        dispatcher = Dispatcher(caller=caller, counters=connector.counters)
        dispatcher.add_handler("connector.echo.say", lambda msg, session: msg)
        links: Any = SimpleNamespace(
            on_up=lambda hook: None,
            get=lambda id: None,
            knows=lambda id: True,
            wait_for=lambda id, send: False,
        )
        sessions = connector.sessions
        connector.serve = Frontend(
            server_type="connector",
            routes=["connector.echo.say", "chat.echo.say"],
            choose=lambda server_type, session: "chat-1",
            dispatcher=dispatcher,
            sessions=sessions,
            links=links,
            counters=connector.counters,
            handler_seconds=10,
        ).serve
        yield connector
        caller.stop()

    def ask(self, connector: Connector, route: str, body: bytes) -> bytes:
        client, neighbour = connector.enter(), connector.enter()
        client.say((package.DATA, message.encode_request(1, route, body)))
        (answer,) = client.messages()
        assert answer.id == 1
        assert not client.closed
        neighbour.say((package.DATA, message.encode_request(2, "connector.echo.say", b"5")))
        (other,) = neighbour.messages()
        assert (other.id, other.body) == (2, b"5")
        client.take()
        client.say((package.DATA, message.encode_notify(route, body)))
        assert client.frames() == []
        return answer.body

    @pytest.mark.parametrize(
        ("body", "answer"),
        [
            (b"", b"{}"),
            (b"null", b"{}"),
            (b"{}", b"{}"),
            (b"5", b"5"),
            (b"-1.5e3", b"-1500.0"),
            (b'"text"', b'"text"'),
            (b"true", b"true"),
            (b'{"a":[1,{"b":null}]}', b'{"a":[1,{"b":null}]}'),
            ('{"a":"\u4e00\U0001f600"}'.encode(), '{"a":"\u4e00\\ud83d\\ude00"}'.encode()),
        ],
    )
    def test_values(self, connector: Connector, body: bytes, answer: bytes) -> None:
        assert self.ask(connector, "connector.echo.say", body) == answer
        assert connector.counters.requests_refused == 0

    @pytest.mark.parametrize(
        "body",
        [
            b"[]",
            b'[{"session":1},{"uid":"admin"}]',
            b"{",
            b"{'a':1}",
            b"\xff\xfe",
            b"NaN",
            b"[" * 50_000,
            b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
            b"\0",
            b'{"a":"\\ud800"}',
        ],
    )
    def test_what_is_answered_500(self, connector: Connector, body: bytes) -> None:
        assert self.ask(connector, "connector.echo.say", body) == b'{"code":500}'
        assert connector.counters.requests_failed == 0
        assert connector.counters.requests_refused == 2

    def test_a_hundred_thousand_brackets(self, make: Make, connector: Connector) -> None:
        wide = make(limits={"package_bytes": 300_000})
        wide.serve = connector.serve
        client = wide.enter()
        client.say((package.DATA, message.encode_request(1, "connector.echo.say", b"[" * 100_000)))
        (answer,) = client.messages()
        assert answer.body == b'{"code":500}'

    @pytest.mark.parametrize(
        "route",
        [
            "",
            "connector",
            "connector.echo",
            "connector.echo.nothing",
            "connector.echo.say.more",
            "connector.echo.constructor",
            "connector.echo.__class__",
            "connector.echo.__init__",
            "connector.echo.hasOwnProperty",
            "nowhere.echo.say",
            "chat.echo.say",
            "\u4e00.\u4e00.\u4e00",
        ],
    )
    def test_routes_that_lead_nowhere(self, connector: Connector, route: str) -> None:
        assert self.ask(connector, route, b"{}") == b'{"code":500}'

    def test_route_codes_without_a_dictionary(self, connector: Connector) -> None:
        client = connector.enter()
        client.say((package.DATA, message.encode_request(1, 1, b"{}")))
        (answer,) = client.messages()
        assert answer.body == b'{"code":500}'
