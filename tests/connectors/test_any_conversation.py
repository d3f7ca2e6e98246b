"""Whatever clients say, over whatever carries it: nothing raises, nobody else notices, all is left.

Conversations are made of packages that belong there, packages that don't, and bytes, cut anywhere,
from several clients at once, some of which stop reading, vanish or are kicked.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import Logger

from chatcore.channels.groups import GroupTable
from chatcore.connectors.connection import Connection
from chatcore.connectors.outbox import Outbox
from chatcore.connectors.settings import Policy
from chatcore.sessions.session import Session
from chatcore.wire import message, package

from .clients import PING, UPGRADE, Client, Connector, close_frame, frame, is_served
from .others import Others
from .udp_clients import ACK, HEARTBEAT, HELLO, Port, request

POLICIES: list[Policy] = ["disconnect", "drop-oldest", "newest-per-route"]
NOTIFY = package.encode(package.DATA, message.encode_notify("a.b.c", b"{}"))
SPOKEN = [
    HELLO,
    HELLO + ACK,
    ACK,
    HEARTBEAT,
    request(1),
    request(2**32 - 1, "x" * 255),
    NOTIFY,
    package.encode(package.DATA, b"\0\0\5a.b.c{}"),
    package.encode(package.DATA, message.encode_notify(7, b"")),
    package.encode(package.DATA, message.encode_response(1, b"{}")),
    package.encode(package.DATA, message.encode_push("onChat", b"{}")),
    package.encode(package.KICK, b'{"reason":"you"}'),
    package.encode(package.HANDSHAKE, b"[]"),
]
FRAMES = [frame(b"", PING), close_frame(), frame(b"", 0), UPGRADE, b"GET / HTTP/1.1\r\n\r\n"]

packages = st.one_of(
    st.sampled_from(SPOKEN),
    st.builds(package.encode, st.integers(0, 7), st.binary(max_size=30)),
    st.binary(max_size=30),
)
said = st.lists(packages, min_size=1, max_size=4).map(b"".join)
framed = st.one_of(
    said.map(frame),
    st.builds(frame, said, st.integers(0, 15), fin=st.booleans(), rsv=st.sampled_from([0, 0, 4])),
    st.sampled_from(FRAMES),
    said,
)


@dataclass
class Speaker:
    """A client of any kind."""

    carrier: str
    client: Any
    source: Any = None

    def say(self, data: bytes, cuts: list[int]) -> None:
        """Say something; what is no datagram comes in pieces."""
        if self.source is not None:
            self.client.send(data, who=self.source)
            return
        places = sorted({each % (len(data) + 1) for each in cuts} | {0, len(data)})
        for start, stop in pairwise(places):
            self.client.send(data[start:stop])

    def read(self, most: int) -> None:
        if self.source is None:
            self.client.socket.room = most

    def vanish(self) -> None:
        if self.source is None:
            self.client.hang_up()


class Scene(Others):
    """A frontend with two neighbours whom nothing may happen to, and anybody else."""

    def __init__(self, policy: Policy) -> None:
        self.connector = Connector(
            heartbeat={"interval": 3},
            limits={"idle_seconds": 30, "udp_handshakes": 2},
            outbox={"policy": policy, "bytes": 65536, "seconds": 5},
        )
        self.port = Port(self.connector)
        self.groups = GroupTable(
            sessions=self.connector.sessions, gone=print, counters=self.connector.counters
        )
        self.neighbour = self.connector.enter("neighbour")
        self.port.enter(("198.51.100.1", 1), "other")
        self.speakers: list[Speaker] = []

    def come(self, carrier: str) -> None:
        connector = self.connector
        if carrier == "udp":
            source = ("192.0.2.77", len(self.speakers))
            self.speakers.append(Speaker(carrier, self.port, source))
        else:
            client = connector.open() if carrier == "websocket" else connector.connect()
            self.speakers.append(Speaker(carrier, client))

    def say(self, who: int, data: bytes, cuts: list[int]) -> None:
        self.speakers[who % len(self.speakers)].say(data, cuts)

    def read(self, who: int, most: int) -> None:
        self.speakers[who % len(self.speakers)].read(most)

    def vanish(self, who: int) -> None:
        self.speakers[who % len(self.speakers)].vanish()

    def wait(self, seconds: float) -> None:
        self.connector.reactor.advance(seconds)
        self.neighbour.notify()
        self.port.send(NOTIFY, who=("198.51.100.1", 1))
        self.connector.reactor.settle()

    def end(self) -> None:
        """The neighbours are served as ever, and when all have gone nothing is left of them."""
        connector = self.connector
        connector.reactor.settle()
        connector.asked.clear()
        assert is_served(connector, self.neighbour)
        assert self.port.is_served(("198.51.100.1", 1))
        self.port.finish()
        connector.finish()


who = st.integers(0, 4)
sizes = st.sampled_from([0, 100, 30_000, 70_000])
steps = st.one_of(
    st.tuples(st.just(Scene.come), st.sampled_from(["websocket", "tcp", "udp"])),
    *[
        st.tuples(st.just(Scene.say), who, data, st.lists(st.integers(0, 300), max_size=4))
        for data in (said, framed, st.just(HELLO + ACK), st.just(frame(HELLO + ACK)))
    ],
    st.tuples(st.just(Scene.read), who, st.sampled_from([0, 10, 40_000, 1 << 60])),
    st.tuples(st.just(Scene.vanish), who),
    st.tuples(st.just(Scene.wait), st.sampled_from([0.0, 1.0, 3.0, 5.5])),
    st.tuples(st.just(Scene.answer), sizes),
    st.tuples(st.just(Scene.push), sizes.map(lambda size: "z" * size)),
    st.tuples(st.just(Scene.kick)),
)


@settings(max_examples=300)
@given(st.sampled_from(POLICIES), st.lists(steps, max_size=40))
def test_any_conversation(policy: Policy, play: list[tuple[Any, ...]]) -> None:
    scene = Scene(policy)
    for carrier in ("websocket", "tcp", "udp"):
        scene.come(carrier)
    for step, *arguments in play:
        step(scene, *arguments)
    scene.end()


def alive() -> list[Any]:
    """What there is of clients in memory, tables or not."""
    gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, Connection | Session | Outbox)]


def test_a_thousand_clients_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the tables, nor anywhere else in memory."""
    # Until somebody begins to write the log, it keeps all events, and each its connection.
    monkeypatch.setattr(Connection, "log", Logger(observer=lambda event: None))
    before = alive()
    dice = random.Random(11)
    scene = Scene("drop-oldest")
    connector = scene.connector
    openings: list[Callable[[], Client]] = [connector.connect, connector.open, connector.enter]
    for number in range(1000):
        client = dice.choice(openings)()
        for _ in range(dice.randrange(1, 4)):
            data = dice.choice([*SPOKEN, dice.randbytes(dice.choice((0, 1, 2, 5, 30, 200)))])
            scene.port.send(data, who=("203.0.113.5", number % 50))
            if dice.random() < 0.6:
                data = package.encode(dice.randrange(7), data)
            if dice.random() < 0.7:
                opcode = dice.choice((0, 1, 2, 2, 2, 8, 9, 10, 3))
                data = frame(data, opcode, fin=dice.random() < 0.8)
            client.send(data)
        connector.asked.clear()
        client.hang_up()
        connector.clients.remove(client)
        if not number % 10:
            scene.wait(1)
    scene.wait(5)
    scene.wait(5)
    assert connector.counters.clients_now == 2
    assert connector.counters.sessions_now == 2
    assert connector.counters.clients_broken > 100
    connector.asked.clear()
    del client
    assert len(alive()) == len(before) + 2 * 3
    scene.end()
