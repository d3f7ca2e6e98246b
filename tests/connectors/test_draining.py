"""A frontend that drains: who is told where to go on, when, and what each is told before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chatcore.connectors.draining import Draining
from chatcore.connectors.settings import DrainSettings
from chatcore.wire import message, package
from chatcore.wire.body import Body

from .clients import BINARY, CLOSE, HANDSHAKE, Client, Connector, close_frame, frames
from .udp_clients import ACK, ALICE, HELLO, Port

Make = Callable[..., Connector]

MOVED = {"reason": "moved", "host": "door-2", "port": 3011}


class Drained:
    """A connector that drains, on a clock.

    Args:
        settings: of the section ``drain``.
        elsewhere: where the client of a key goes on.
    """

    def __init__(
        self,
        connector: Connector,
        elsewhere: Callable[[str], Any] = lambda key: ("door-2", 3011),
        **settings: Any,
    ) -> None:
        self.connector = connector
        self.draining = Draining(
            parts=connector.parts, settings=DrainSettings(**settings), elsewhere=elsewhere
        )
        self.ended = False
        self.draining.begin().addCallback(self._end)
        connector.reactor.settle()

    def _end(self, _: None) -> None:
        self.ended = True

    def later(self, seconds: float) -> None:
        """Let time pass, in steps of a batch's interval."""
        steps = round(seconds * 10)
        for _ in range(steps):
            self.connector.reactor.advance(0.1)
            self.connector.reactor.settle()


@pytest.fixture
def drain(connector: Connector) -> Iterator[Any]:
    """Drains the connector."""
    made: list[Drained] = []

    def drain(which: Connector = connector, **how: Any) -> Drained:
        made.append(Drained(which, **how))
        return made[-1]

    yield drain
    for each in made:
        each.draining.stop()


def kick_of(client: Client) -> Any:
    """The kick that came last, if the client was told that it is moved; and it goes."""
    found = frames(client.take())
    if not found:
        return None
    (*_, (opcode, payload), (last, close)) = found
    assert (opcode, last, close) == (BINARY, CLOSE, (1001).to_bytes(2, "big") + b"moved")
    ((kind, body),) = package.decode_frame(payload, package.LARGEST)
    assert kind == package.KICK
    client.send(close_frame(1001))
    assert client.closed
    return json.loads(body)


def push(client: Client, size: int = 1000) -> None:
    data = client.session.connection.encoding.push("onChat", Body(None, b'"%s"' % (b"x" * size)))
    client.session.connection.outbox.push(data, "onChat")


def test_all_are_told_in_batches(connector: Connector, drain: Any) -> None:
    clients = [connector.enter() for _ in range(120)]
    drained = drain(grace_seconds=0)
    told = [[kick_of(client) for client in clients[:50]]]
    assert not any(client.take() for client in clients[50:])
    drained.later(0.1)
    told.append([kick_of(client) for client in clients[50:100]])
    assert not any(client.take() for client in clients[100:])
    assert not drained.ended
    drained.later(0.1)
    told.append([kick_of(client) for client in clients[100:]])
    assert [told] == [[[MOVED] * 50, [MOVED] * 50, [MOVED] * 20]]
    drained.later(0.1)
    assert drained.ended
    assert connector.counters.clients_moved == 120
    assert connector.counters.clients_kicked == 0


def test_batches_are_as_large_as_they_have_to_be(connector: Connector, drain: Any) -> None:
    """Half of the time does for all, however many they are."""
    clients = [connector.enter() for _ in range(100)]
    drained = drain(batch=1, seconds=1)
    drained.later(0.4)
    assert [kick_of(client) for client in clients] == [MOVED] * 100


def test_each_goes_where_its_key_says(connector: Connector, drain: Any) -> None:
    places = {"alice": ("a", 1), "connector-1 2": ("b", 2), "bob": None}
    asked = []

    def elsewhere(key: str) -> Any:
        asked.append(key)
        return places[key]

    clients = [connector.enter("alice"), connector.enter(), connector.enter("bob")]
    drain(elsewhere=elsewhere)
    assert [kick_of(client) for client in clients] == [
        {"reason": "moved", "host": "a", "port": 1},
        {"reason": "moved", "host": "b", "port": 2},
        {"reason": "moved"},
    ]
    assert asked == list(places)


@pytest.mark.logs_failures
def test_a_mistake_in_choosing_costs_the_place_only(connector: Connector, drain: Any) -> None:
    def elsewhere(key: str) -> Any:
        raise ValueError(key)

    client = connector.enter()
    drained = drain(elsewhere=elsewhere)
    assert kick_of(client) == {"reason": "moved"}
    drained.later(2.2)
    assert drained.ended


def test_the_session_ends_with_the_kick(connector: Connector, drain: Any) -> None:
    client = connector.enter("alice")
    reasons: list[Any] = []
    connector.sessions.on_closed(client.session.id, lambda s, why: reasons.append((s.uid, why)))
    drain()
    assert reasons == [("alice", "moved")]
    assert not connector.sessions.has_uid("alice")
    assert kick_of(client) == MOVED


def test_what_was_pushed_before_comes_before(connector: Connector, drain: Any) -> None:
    client = connector.enter()
    push(client)
    push(client)
    drain()
    first, second, kick, close = client.frames()
    assert [json.loads(message.decode(each[1][4:]).body)[:1] for each in (first, second)] == [
        "x",
        "x",
    ]
    assert (kick[1][0], close[0]) == (package.KICK, CLOSE)
    client.send(close_frame())


class TestRequestsUnderWay:
    def test_are_answered_first(self, connector: Connector, drain: Any) -> None:
        client, idle = connector.enter(), connector.enter()
        client.request(1)
        client.request(2)
        drained = drain()
        assert kick_of(idle) == MOVED
        drained.later(1)
        first, second = connector.asked
        first.reply(Body("one"))  # type: ignore[misc]
        drained.later(1)
        assert [each.id for each in client.messages()] == [1]
        second.reply(Body("two"))  # type: ignore[misc]
        connector.reactor.settle()
        ((kind, answer),) = client.packages()
        assert (kind, message.decode(answer).id) == (package.DATA, 2)
        drained.later(0.1)
        assert kick_of(client) == MOVED
        drained.later(0.1)
        assert drained.ended

    def test_nothing_more_is_taken_meanwhile(self, connector: Connector, drain: Any) -> None:
        """So what is not answered when the kick comes was not acted on."""
        client = connector.enter()
        client.request(1)
        drained = drain()
        client.request(2)
        client.notify()
        assert len(connector.asked) == 1
        connector.asked[0].reply(Body("one"))  # type: ignore[misc]
        drained.later(0.1)
        (_, answer), (_, kick), *_ = client.frames()
        assert message.decode(answer[4:]).id == 1
        assert kick[0] == package.KICK
        client.send(close_frame())
        assert len(connector.asked) == 1

    def test_are_not_waited_for_for_ever(self, connector: Connector, drain: Any) -> None:
        client = connector.enter()
        client.request(1)
        drained = drain()
        drained.later(4.9)
        assert client.take() == b""
        drained.later(0.2)
        assert kick_of(client) == MOVED
        connector.asked[0].reply(Body("late"))  # type: ignore[misc]
        drained.later(0.1)
        assert drained.ended

    def test_who_waits_is_still_alive(self, make: Make, drain: Any) -> None:
        connector = make(heartbeat={"interval": 1})
        client = connector.enter()
        client.request(1)
        drained = drain(connector)
        for _ in range(4):
            drained.later(1)
            client.say((package.HEARTBEAT, b""))
            assert client.packages() == [(package.HEARTBEAT, b"")]
        connector.asked[0].reply(Body("late"))  # type: ignore[misc]
        drained.later(0.2)
        assert b'"moved"' in client.take()
        client.send(close_frame())
        drained.later(0.2)

    def test_who_waits_may_not_flood(self, make: Make, drain: Any) -> None:
        connector = make(limits={"messages_per_second": 10, "message_burst": 10})
        client = connector.enter()
        client.request(1)
        drain(connector)
        for _ in range(11):
            client.notify()
        assert client.close_code() == 1008
        assert connector.counters.clients_flooding == 1

    def test_who_waits_can_be_kicked(self, connector: Connector, drain: Any) -> None:
        client = connector.enter("alice")
        client.request(1)
        drained = drain()
        assert connector.sessions.kick_uid("alice", "be nice") == 1
        connector.reactor.settle()
        (kick, _) = client.frames()
        assert json.loads(kick[1][4:]) == {"reason": "be nice"}
        client.send(close_frame())
        drained.later(2.2)
        assert (drained.ended, connector.counters.clients_moved) == (True, 0)


class TestSlowClients:
    def block(self, connector: Connector) -> Client:
        client = connector.enter()
        client.socket.room = 0
        push(client, 50_000)
        connector.reactor.settle()
        return client

    def test_read_first_what_waits_for_them(self, connector: Connector, drain: Any) -> None:
        client = self.block(connector)
        drained = drain()
        drained.later(3)
        client.socket.room = 1 << 60
        drained.later(0.2)
        assert kick_of(client) == MOVED
        drained.later(0.1)
        assert drained.ended

    def test_have_time_to_take_the_kick_as_well(self, connector: Connector, drain: Any) -> None:
        """Who is in a room where much is said may never be done with it before the kick."""
        client = self.block(connector)
        drained = drain()
        drained.later(9.9)
        assert client.take() == b""
        client.socket.room = 1 << 60
        connector.reactor.settle()
        assert kick_of(client) == MOVED
        drained.later(0.1)
        assert drained.ended

    def test_are_cut_off_at_last(self, connector: Connector, drain: Any) -> None:
        client = self.block(connector)
        drained = drain()
        drained.later(9.9)
        assert not client.closed
        drained.later(0.5)
        assert (client.closed, drained.ended) == (True, True)


class TestNewcomers:
    def test_are_told_when_they_have_shaken_hands(self, connector: Connector, drain: Any) -> None:
        """They get no session: nothing of theirs is acted on."""
        ended: list[Any] = []
        connector.sessions.on_session_closed(lambda *session: ended.append(session))
        drained = drain()
        client = connector.open()
        client.say((package.HANDSHAKE, HANDSHAKE))
        assert [kind for kind, _ in client.packages()] == [package.HANDSHAKE]
        request = package.DATA, message.encode_request(1, "a.b.c", b"{}")
        client.say((package.ACK, b""), request)
        assert kick_of(client) == MOVED
        assert (connector.asked, connector.counters.clients_moved) == ([], 1)
        assert (len(connector.sessions), ended) == (0, [])
        drained.later(2.2)
        assert drained.ended

    def test_over_tcp(self, connector: Connector, drain: Any) -> None:
        """They are cut off only where they don't go by themselves."""
        drained = drain()
        client, stays = connector.connect(), connector.connect()
        for each in (client, stays):
            each.shake_hands()
            (_, (kind, body)) = each.stream()
            assert (kind, json.loads(body)) == (package.KICK, MOVED)
        client.hang_up()
        drained.later(4.9)
        assert not stays.closed
        drained.later(0.3)
        assert (client.transport.aborted, stays.transport.aborted) == (False, True)

    def test_who_does_not_go_holds_nothing_up(self, connector: Connector, drain: Any) -> None:
        """Once those who were here are gone, nobody has longer than in any other close."""
        drained = drain(client_seconds=60)
        stays = connector.connect()
        stays.shake_hands()
        drained.later(2.2)
        assert (drained.ended, stays.closed) == (True, False)
        ended: list[None] = []
        connector.parts.close_all("moved", 1001).addCallback(ended.append)
        drained.later(2.2)
        assert (stays.closed, ended) == (True, [None])

    def test_over_udp(self, connector: Connector, drain: Any) -> None:
        port = Port(connector)
        port.enter(("192.0.2.99", 1))
        drained = drain()
        assert json.loads(port.wire.take(("192.0.2.99", 1))[-1][4:]) == MOVED
        port.send(HELLO)
        (kick,) = port.send(ACK, who=ALICE)
        assert json.loads(kick[4:]) == MOVED
        assert len(port.datagrams) == 0
        drained.later(2.2)
        assert drained.ended
        port.finish()

    def test_have_a_grace_though_nobody_is_here(self, drain: Any) -> None:
        drained = drain()
        drained.later(1.9)
        assert not drained.ended
        drained.later(0.2)
        assert drained.ended

    def test_who_was_about_to_shake_hands(self, connector: Connector, drain: Any) -> None:
        asked, silent = connector.open(), connector.connect()
        asked.say((package.HANDSHAKE, HANDSHAKE))
        asked.take()
        drained = drain()
        drained.later(4)
        asked.say((package.ACK, b""))
        assert kick_of(asked) == MOVED
        assert (drained.ended, silent.closed) == (False, False)
        drained.later(1.3)
        assert (drained.ended, silent.closed) == (True, True)

    def test_health_checks_take_note(self, connector: Connector, drain: Any) -> None:
        drain()
        client = connector.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.take().startswith(b"HTTP/1.1 503 ")


class TestTimeInAll:
    def test_nobody_is_waited_for_towards_the_end(self, connector: Connector, drain: Any) -> None:
        client, frozen = connector.enter(), connector.enter()
        client.request(1)
        frozen.socket.room = 0
        push(frozen)
        drained = drain(seconds=4, client_seconds=60)
        drained.later(1.9)
        assert client.take() == b""
        drained.later(0.2)
        assert kick_of(client) == MOVED
        drained.later(1.8)
        assert not drained.ended
        drained.later(0.3)
        assert (drained.ended, frozen.closed) == (True, True)

    def test_it_can_be_broken_off(self, connector: Connector, drain: Any) -> None:
        client = connector.enter()
        client.request(1)
        drained = drain()
        assert not drained.ended
        drained.draining.stop()
        assert drained.ended  # and no timer is left: `make` looks


def test_what_others_are_told_of_its_end_leaves_before_the_kick(
    connector: Connector, drain: Any
) -> None:
    """Whoever moves fast must not come to the next frontend before its channels let it go."""
    client = connector.enter("alice")
    seen = []
    parts = connector.parts
    parts.sessions.on_uid_changed(
        lambda uid: parts.turn.at_end(lambda: seen.append((uid, client.take())))
    )
    drain()
    assert seen == [("alice", b"")]
    assert kick_of(client) == MOVED
