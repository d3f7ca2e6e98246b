"""What is noted of clients, for those who ask why a message did not arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.testing import StringTransport

from chatcore.connectors.outbox import Outbox
from chatcore.wire import package
from chatcore.wire.body import Body

from .clients import Client, Connector

Make = Callable[..., Connector]

MOST = 65536


def noted(connector: Connector, uid: str, what: str) -> list[dict[str, Any]]:
    entries = (each.to_value() for each in connector.counters.journal.of(uid))
    return [each for each in entries if each["what"] == what]


def push(connector: Connector, client: Client, count: int, route: str = "onChat") -> None:
    connection = client.session.connection
    for _ in range(count):
        connection.outbox.push(connection.encoding.push(route, Body("x" * 1000)), route)
        connector.reactor.settle()


@pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "newest-per-route"])
def test_each_mark_is_noted_once_until_the_client_has_read(make: Make, policy: str) -> None:
    connector = make(outbox={"policy": policy, "bytes": MOST, "seconds": 0})
    client = connector.enter("bob")
    for times in (1, 2):
        client.socket.room = 10
        for number in range(40):
            push(connector, client, 1, f"on{number}")
        entries = noted(connector, "bob", "outbox high-water")
        assert {each["why"].partition(" of ")[0]: each["count"] for each in entries} == {
            "a quarter": times,
            "half": times,
        }
        client.socket.room = 1 << 60
        connector.reactor.settle()
    assert connector.counters.outbox_high_water_bytes.count == 4


def test_who_is_cut_off_for_not_reading(make: Make) -> None:
    connector = make(outbox={"bytes": MOST, "seconds": 30})
    client = connector.enter("bob")
    client.socket.room = 10
    push(connector, client, 20)
    connector.reactor.advance(31)
    connector.reactor.settle()

    (slow,) = noted(connector, "bob", "slow")
    (closed,) = noted(connector, "bob", "closed")
    assert (slow["why"], slow["seconds"]) == ("it has not read for too long", 30)
    assert slow["messages"] == 19  # one is in the transport, whole or in part
    assert slow["bytes"] > 19_000
    assert closed["why"] == "slow client"


def test_of_those_who_are_nobody_nothing_is_noted(make: Make) -> None:
    connector = make(outbox={"policy": "drop-oldest", "bytes": MOST, "seconds": 30})
    client = connector.enter()
    client.socket.room = 10
    push(connector, client, 200)
    assert connector.counters.pushes_dropped > 100
    assert list(connector.counters.journal.uids()) == []


def test_pushes_given_up_are_told_by_their_routes_and_under_who_it_was(make: Make) -> None:
    connector = make(outbox={"policy": "drop-oldest", "bytes": MOST, "seconds": 30})
    client = connector.enter("bob")
    client.socket.room = 10
    push(connector, client, 100, "onChat")
    push(connector, client, 100, "onMove")
    (lost,) = noted(connector, "bob", "pushes not sent")
    assert (lost["why"], lost["count"]) == ("dropped", connector.counters.pushes_dropped)
    assert set(lost["routes"]) == {"onChat", "onMove"}
    connector.sessions.unbind(client.session.id)
    connector.sessions.bind(client.session.id, "eve")
    push(connector, client, 10)
    (of_eve,) = noted(connector, "eve", "pushes not sent")
    assert of_eve["count"] == 10
    assert noted(connector, "bob", "pushes not sent") == [lost]


@pytest.mark.parametrize(
    ("limits", "heartbeat", "why"),
    [({}, {"interval": 3}, "heartbeat timeout"), ({"idle_seconds": 5}, {}, "idle for too long")],
)
def test_why_a_session_ended(
    make: Make, limits: dict[str, Any], heartbeat: dict[str, Any], why: str
) -> None:
    connector = make(limits=limits, heartbeat={"interval": 0} | heartbeat)
    connector.enter("bob")
    for _ in range(20):
        connector.reactor.advance(1)
    (closed,) = noted(connector, "bob", "closed")
    assert closed["why"] == why


def test_refused_handshakes_are_counted_without_what_clients_say(make: Make) -> None:
    connector = make()
    for number in range(3):
        client = connector.open()
        client.say((package.HANDSHAKE, b'{"sys":{"rsa":%d' % number))
        connector.reactor.settle()
    (entry,) = [each.to_value() for each in connector.counters.journal.of_node()]
    assert (entry["what"], entry["why"], entry["count"]) == (
        "refused handshake",
        "it can't be read",
        3,
    )


class Told:
    """Somebody who wants to know what becomes of a push."""

    said = ""

    def waits(self, before: int) -> None:
        self.said = "waits"

    def left(self) -> None:
        self.said = "left"

    def lost(self, reason: str, detail: str = "") -> None:
        self.said = reason


@pytest.mark.parametrize("end", ["close", "drop"])
def test_what_a_transport_holds_that_does_not_say_how_much(make: Make, end: str) -> None:
    connector = make()
    outbox = Outbox(parts=connector.parts.outboxes, full=lambda why: None)
    outbox.open(StringTransport())
    outbox.pauseProducing()
    told = Told()
    outbox.note(told)
    assert told.said == "waits"
    getattr(outbox, end)()
    assert told.said == "gone"
    outbox.close()
