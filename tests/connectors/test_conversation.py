"""Pomelo's conversation over a WebSocket (reference: packages, handshake, heartbeat, messages)."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from chatcore.connectors.settings import HeartbeatSettings
from chatcore.wire import message, package
from chatcore.wire.body import Body
from chatcore.wire.message import Message

from .clients import (
    CLOSE,
    HANDSHAKE,
    UPGRADE,
    Connector,
    WrappedTransport,
    close_frame,
    frame,
    frames,
    is_served,
)

Make = Callable[..., Connector]


class TestHandshake:
    def test_without_heartbeats(self, connector: Connector) -> None:
        client = connector.open()
        client.say((package.HANDSHAKE, HANDSHAKE))
        assert client.packages() == [(package.HANDSHAKE, b'{"code":200,"sys":{}}')]
        client.say((package.ACK, b""))
        assert client.frames() == []
        connector.count(clients_now=1, clients_accepted=1, sessions_now=1)

    def test_with_heartbeats(self, make: Make) -> None:
        connector = make(heartbeat={"interval": 3})
        client = connector.open()
        client.say((package.HANDSHAKE, HANDSHAKE))
        assert client.frames() == [(2, b'\x01\x00\x00\x22{"code":200,"sys":{"heartbeat":3}}')]
        client.say((package.ACK, b""))
        assert client.frames() == [(2, b"\x03\x00\x00\x00")]
        assert len(connector.sessions) == 1

    def test_there_is_no_session_before_the_ack(self, connector: Connector) -> None:
        client = connector.open()
        client.say((package.HANDSHAKE, HANDSHAKE))
        connector.count(clients_now=1, clients_accepted=1)
        assert len(connector.sessions) == 0
        client.say((package.ACK, b""))
        (session,) = connector.sessions
        assert session.frontend_id == "connector-1"

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{}",
            b"null",
            b"5",
            b'"sys"',
            b'{"sys":5}',
            b'{"user":{}}',
            b"[]",
            b'[{"sys":{}}]',
            b"{",
            b"\xff\xfe",
            b"[" * 60_000,
        ],
    )
    def test_one_that_is_bad_is_answered_500(self, connector: Connector, body: bytes) -> None:
        neighbour = connector.enter()
        client = connector.open()
        client.say((package.HANDSHAKE, body))
        (first, (opcode, _)) = client.frames()
        assert first == (2, bytes.fromhex("0100000c7b22636f6465223a3530307d"))
        assert opcode == CLOSE
        assert client.closed
        assert connector.counters.clients_broken == 1
        assert is_served(connector, neighbour)

    def test_a_body_in_the_ack_does_not_matter(self, connector: Connector) -> None:
        client = connector.open()
        client.say((package.HANDSHAKE, HANDSHAKE))
        client.say((package.ACK, b"whatever"))
        assert connector.counters.sessions_now == 1

    def test_what_comes_too_early_is_ignored(self, connector: Connector) -> None:
        client = connector.open()
        early = [
            (package.DATA, message.encode_request(1, "a.b.c", b"{}")),
            (package.ACK, b""),
            (package.HEARTBEAT, b""),
        ]
        client.say(*early)
        client.say((package.HANDSHAKE, HANDSHAKE))
        client.take()
        client.say(early[0], early[2], (package.HANDSHAKE, HANDSHAKE))
        assert (client.frames(), connector.asked, client.closed) == ([], [], False)
        client.say((package.ACK, b""))
        assert connector.counters.sessions_now == 1

    def test_again_is_ignored(self, connector: Connector) -> None:
        client = connector.enter()
        client.say((package.HANDSHAKE, HANDSHAKE), (package.ACK, b""))
        assert client.frames() == []
        assert connector.counters.sessions_now == 1
        assert is_served(connector, client)

    def test_all_in_the_bytes_of_the_upgrade(self, connector: Connector) -> None:
        client = connector.connect()
        packages = [
            (package.HANDSHAKE, HANDSHAKE),
            (package.ACK, b""),
            (package.DATA, message.encode_request(1, "a.b.c", b"{}")),
        ]
        client.send(UPGRADE + b"".join(frame(package.encode(*each)) for each in packages))
        assert [asked.message.id for asked in connector.asked] == [1]
        assert client.take().count(b'{"code":200,"sys":{}}') == 1

    def test_byte_by_byte(self, connector: Connector) -> None:
        client = connector.connect()
        data = UPGRADE + b"".join(
            frame(package.encode(*each))
            for each in [
                (package.HANDSHAKE, HANDSHAKE),
                (package.ACK, b""),
                (package.DATA, message.encode_request(1, "a.b.c", b'{"x":1}')),
            ]
        )
        for byte in data:
            client.send(bytes((byte,)))
        ((asked),) = connector.asked
        assert asked.message == Message(message.REQUEST, 1, "a.b.c", b'{"x":1}')


class TestHandshakeDeadline:
    @pytest.mark.parametrize("said", [b"", UPGRADE[:30], UPGRADE, UPGRADE + b"\x82"])
    def test_a_handshake_that_never_comes(self, connector: Connector, said: bytes) -> None:
        neighbour = connector.enter()
        client = connector.connect()
        client.send(said)
        connector.reactor.advance(9.9)
        assert not client.closed
        connector.reactor.advance(0.1)
        connector.reactor.settle()
        assert client.closed
        connector.count(clients_accepted=2, clients_now=1, sessions_now=1, clients_silent=1)
        assert is_served(connector, neighbour)

    def test_an_ack_that_never_comes(self, connector: Connector) -> None:
        client = connector.open()
        connector.reactor.advance(9)
        client.say((package.HANDSHAKE, HANDSHAKE))
        client.take()
        connector.reactor.advance(1)
        connector.reactor.settle()
        assert client.close_code() == 1008
        assert client.closed
        assert connector.counters.clients_silent == 1

    def test_after_the_ack_there_is_none(self, connector: Connector) -> None:
        client = connector.enter()
        connector.reactor.advance(100_000)
        assert is_served(connector, client)

    @pytest.mark.parametrize(("interval", "told"), [(2.5, 3), (0.2, 1), (4, 4)])
    def test_whole_seconds_are_told_and_waited_for(
        self, make: Make, interval: float, told: int
    ) -> None:
        """libpomelo2 reads a fraction as none, and others hold to what they were told."""
        connector = make(heartbeat={"interval": interval})
        client = connector.open()
        client.say((package.HANDSHAKE, HANDSHAKE))
        (reply,) = client.packages()
        assert json.loads(reply[1]) == {"code": 200, "sys": {"heartbeat": told}}
        client.say((package.ACK, b""))
        connector.reactor.advance(2 * told - 0.1)
        assert not client.closed
        connector.reactor.advance(0.2)
        connector.reactor.settle()
        assert client.closed

    def test_a_timeout_that_nobody_could_keep(self) -> None:
        with pytest.raises(ValueError, match=r"every 3 s, so the timeout has to be longer"):
            HeartbeatSettings(interval=2.5, timeout=3)
        assert HeartbeatSettings(interval=2.5, timeout=3.5).silence == 3.5
        with pytest.raises(ValueError, match=r"limits\.idle_seconds"):
            HeartbeatSettings(interval=0, timeout=60)

    def test_turned_off(self, make: Make) -> None:
        connector = make(limits={"handshake_seconds": 0})
        client = connector.connect()
        connector.reactor.advance(100_000)
        assert not client.closed


class TestHeartbeat:
    @pytest.fixture
    def connector(self, make: Make) -> Connector:
        return make(heartbeat={"interval": 3})

    def test_is_answered_at_once(self, connector: Connector) -> None:
        client = connector.enter()
        client.say((package.HEARTBEAT, b""))
        assert client.packages() == [(package.HEARTBEAT, b"")]
        client.say((package.HEARTBEAT, b"ignored"))
        assert client.packages() == [(package.HEARTBEAT, b"")]

    def test_without_any_the_client_is_gone(self, connector: Connector) -> None:
        neighbour, client = connector.enter(), connector.enter()
        told: list[str] = []
        connector.sessions.on_closed(client.session.id, lambda s, reason: told.append(reason))
        connector.reactor.advance(3)
        neighbour.say((package.HEARTBEAT, b""))
        connector.reactor.advance(2.9)
        assert not client.closed
        connector.reactor.advance(0.1)
        connector.reactor.settle()
        assert (client.close_code(), client.closed, told) == (1008, True, ["heartbeat timeout"])
        connector.count(clients_accepted=2, clients_now=1, sessions_now=1, clients_silent=1)
        assert is_served(connector, neighbour)

    @pytest.mark.parametrize(
        "life",
        [
            (package.HEARTBEAT, b""),
            (package.DATA, message.encode_notify("a.b.c", b"{}")),
            (package.DATA, message.encode_request(1, "a.b.c", b"{}")),
        ],
    )
    def test_whatever_is_said_is_life(self, connector: Connector, life: tuple[int, bytes]) -> None:
        client = connector.enter()
        for _ in range(5):
            connector.reactor.advance(5)
            client.say(life)
        assert not client.closed
        connector.reactor.advance(6)
        connector.reactor.settle()
        assert client.closed

    def test_a_timeout_of_its_own(self, make: Make) -> None:
        connector = make(heartbeat={"interval": 3, "timeout": 20})
        client = connector.enter()
        connector.reactor.advance(19.9)
        assert not client.closed
        connector.reactor.advance(0.2)
        connector.reactor.settle()
        assert client.closed

    def test_turned_off(self, make: Make) -> None:
        connector = make(heartbeat={"interval": 0})
        client = connector.enter()
        client.say((package.HEARTBEAT, b""))
        assert client.frames() == []
        connector.reactor.advance(100_000)
        assert not client.closed


class TestMessages:
    def test_a_request_and_its_answer(self, connector: Connector) -> None:
        client = connector.enter()
        client.request(300, "chat.chatHandler.send", {"content": "hi"})
        (asked,) = connector.asked
        assert asked.session is client.session
        assert asked.message == Message(
            message.REQUEST, 300, "chat.chatHandler.send", b'{"content": "hi"}'
        )
        assert asked.reply is not None
        asked.reply(Body(None, b'{"code":200}'))
        connector.reactor.settle()
        assert client.frames() == [(2, b'\x04\x00\x00\x0f\x04\xac\x02{"code":200}')]
        connector.count(clients_now=1, clients_accepted=1, sessions_now=1, requests=1)

    def test_answers_in_another_order(self, connector: Connector) -> None:
        client = connector.enter()
        for number in (1, 2, 2**32 - 1):
            client.request(number)
        for asked in reversed(connector.asked):
            assert asked.reply is not None
            asked.reply(Body(None, b"%d" % asked.message.id))
        connector.reactor.settle()
        assert [(each.id, each.body) for each in client.messages()] == [
            (2**32 - 1, b"4294967295"),
            (2, b"2"),
            (1, b"1"),
        ]

    def test_an_answer_given_at_once(self, connector: Connector) -> None:
        client = connector.enter()
        connector.serve = lambda session, message, reply: reply and reply(Body(None, b"{}"))
        client.request(1)
        client.request(2)
        assert [each.id for each in client.messages()] == [1, 2]

    @pytest.mark.parametrize(
        ("data", "route"),
        [
            (message.encode_notify("a.b.c", b"5"), "a.b.c"),
            (b"\x00\x00\x05a.b.c5", "a.b.c"),  # a request with the id 0
            (message.encode_push("a.b.c", b"5"), "a.b.c"),
            (b"\x03\x00\x075", 7),  # a route by its code
        ],
    )
    def test_what_is_a_notify_to_pomelo(
        self, connector: Connector, data: bytes, route: str | int
    ) -> None:
        client = connector.enter()
        client.say((package.DATA, data))
        (asked,) = connector.asked
        assert (asked.message.route, asked.message.body, asked.reply) == (route, b"5", None)
        assert client.frames() == []
        connector.count(clients_now=1, clients_accepted=1, sessions_now=1, notifies=1)

    def test_an_answer_from_a_client_is_dropped(self, connector: Connector) -> None:
        client = connector.enter()
        client.say((package.DATA, message.encode_response(1, b"{}")))
        assert (connector.asked, client.frames(), client.closed) == ([], [], False)
        connector.count(clients_now=1, clients_accepted=1, sessions_now=1)

    def test_an_answer_to_somebody_who_went(self, connector: Connector) -> None:
        client = connector.enter()
        client.request(1)
        client.hang_up()
        reply = connector.asked[0].reply
        assert reply is not None
        reply(Body(None, b"{}"))
        connector.reactor.settle()
        assert client.frames() == []
        assert client.session.connection.outbox.waiting == 0

    def test_several_packages_in_one_frame(self, connector: Connector) -> None:
        client = connector.open()
        client.say(
            (package.HANDSHAKE, HANDSHAKE),
            (package.ACK, b""),
            (package.DATA, message.encode_request(1, "a.b.c", b"{}")),
            (package.DATA, message.encode_notify("a.b.c", b"{}")),
            (package.DATA, message.encode_request(2, "a.b.c", b"{}")),
        )
        assert [asked.message.id for asked in connector.asked] == [1, 0, 2]

    def test_a_text_frame_is_taken_as_bytes(self, connector: Connector) -> None:
        client = connector.enter()
        data = package.encode(package.DATA, message.encode_request(5, "a.b.c", b"\xff\xfe"))
        client.send(frame(data, 1))
        assert [asked.message.body for asked in connector.asked] == [b"\xff\xfe"]

    def test_what_is_sent_in_one_turn_leaves_in_one_write(self, connector: Connector) -> None:
        client = connector.enter()
        sends = client.socket.sends
        outbox = client.session.connection.outbox
        for number in range(5):
            outbox.send(frame(b"%d" % number, mask=None))
        assert client.socket.sends == sends
        connector.reactor.settle()
        assert client.socket.sends == sends + 1
        assert [payload for _, payload in client.frames()] == [b"0", b"1", b"2", b"3", b"4"]

    def test_a_transport_that_is_not_plain(self, connector: Connector) -> None:
        transport = WrappedTransport()
        transport.connect(connector)
        protocol = transport.protocol
        transport.clear()
        for each in ((package.HANDSHAKE, HANDSHAKE), (package.ACK, b"")):
            protocol.dataReceived(frame(package.encode(*each)))
        connector.reactor.settle()
        assert frames(transport.value()) == [(2, b'\x01\x00\x00\x15{"code":200,"sys":{}}')]
        assert transport.streaming is True
        transport.clear()
        (session,) = connector.sessions
        outbox = session.connection.outbox
        transport.producer.pauseProducing()
        outbox.send(b"one")
        outbox.send(b"two")
        connector.reactor.settle()
        assert (transport.value(), outbox.waiting) == (b"", 6)
        transport.producer.resumeProducing()
        assert (transport.value(), outbox.waiting) == (b"onetwo", 0)
        protocol.dataReceived(close_frame())
        assert transport.disconnecting
        protocol.connectionLost(Failure(ConnectionDone()))


class TestBodies:
    """What is in a body is for whoever answers it: the connector passes it on as it came."""

    @pytest.mark.parametrize(
        "body",
        [b"", b"null", b"5", b"[1,2]", b"{", b"\x00", b"[" * 50_000, json.dumps("ü").encode()],
    )
    def test_is_passed_on_as_it_came(self, connector: Connector, body: bytes) -> None:
        client = connector.enter()
        client.say((package.DATA, message.encode_request(1, "a.b.c", body)))
        assert [asked.message.body for asked in connector.asked] == [body]
