"""Our WebSocket does what stock Autobahn does, over a corpus and however the bytes are split."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.task import Clock

from chatcore.connectors.guest import NORMAL
from chatcore.connectors.websocket import ClientWebSocket, WebSocketFactory

from .clients import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    Connector,
    WrappedTransport,
    close_frame,
    frame,
)

LIMIT = 300

CORPUS: dict[str, bytes] = {
    "nothing": b"",
    "a frame": frame(b"hello"),
    "an empty frame": frame(b""),
    "a text frame": frame("grüße".encode(), TEXT),
    "a text frame that is not UTF-8": frame(b"\xff\xfe", TEXT),
    "frames": frame(b"one") + frame(b"two") + frame(b"") + frame(b"three", TEXT),
    "125 bytes": frame(b"x" * 125),
    "126 bytes": frame(b"x" * 126),
    "as long as allowed": frame(b"x" * LIMIT),
    "too long": frame(b"x" * (LIMIT + 1)) + frame(b"after"),
    "no mask to speak of": frame(b"hello", mask=b"\0\0\0\0"),
    "another mask": frame(bytes(range(200)), mask=b"\xff\0\x80\x01"),
    "fragments": frame(b"he", fin=False)
    + frame(b"ll", CONTINUATION, fin=False)
    + frame(b"o", CONTINUATION)
    + frame(b"after"),
    "fragments with a ping between": frame(b"he", fin=False)
    + frame(b"ping", PING)
    + frame(b"llo", CONTINUATION)
    + frame(b"after"),
    "empty fragments": frame(b"", fin=False) + frame(b"", CONTINUATION),
    "text in fragments": frame(b"\xc3", TEXT, fin=False) + frame(b"\xbc", CONTINUATION),
    "fragments too long together": frame(b"x" * 200, fin=False)
    + frame(b"x" * 200, CONTINUATION)
    + frame(b"after"),
    "a whole frame between fragments": frame(b"he", fin=False) + frame(b"whole") + frame(b"x"),
    "a text frame between fragments": frame(b"he", fin=False) + frame(b"whole", TEXT),
    "continues nothing": frame(b"x", CONTINUATION) + frame(b"after"),
    "continues a whole frame": frame(b"x") + frame(b"y", CONTINUATION) + frame(b"after"),
    "pings": frame(b"", PING) + frame(b"1", PING) + frame(b"x" * 125, PING) + frame(b"after"),
    "pongs": frame(b"", PONG) + frame(b"x" * 125, PONG) + frame(b"after"),
    "a long ping": frame(b"x" * 126, PING) + frame(b"after"),
    "a fragmented ping": frame(b"x", PING, fin=False) + frame(b"after"),
    "no mask": frame(b"hello", mask=None) + frame(b"after"),
    "no mask, nothing in it": frame(b"", mask=None) + frame(b"after"),
    "reserved bits": frame(b"hello", rsv=4) + frame(b"after"),
    "a reserved bit in a ping": frame(b"hello", PING, rsv=1) + frame(b"after"),
    "length in 2 bytes, not needed": b"\x82\xfe\0\x05\0\0\0\0hello" + frame(b"after"),
    "length in 8 bytes, not needed": b"\x82\xff\0\0\0\0\0\0\0\x05\0\0\0\0hello" + frame(b"x"),
    "length in 8 bytes": frame(b"x" * 70_000)[:400],
    "length over 2**63": b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0",
    "half a frame": frame(b"hello")[:-2],
    "half a head": frame(b"x" * 200)[:3],
    "a frame and a half": frame(b"hello") + frame(b"world")[:-2],
    "a frame in a frame": frame(frame(b"inner"), mask=b"\0\0\0\0"),
    "a frame in a ping": frame(frame(b"inner"), PING, mask=b"\0\0\0\0"),
    "half a head and what looks like a frame": b"\x82\xfe" + frame(b"hello"),
    "close": close_frame() + frame(b"after"),
    "close without a code": frame(b"", CLOSE),
    "close with a reason": close_frame(1001, "tschüß".encode()),
    "close of the application's own": close_frame(4000, b"x"),
    "close of one byte": frame(b"\x03", CLOSE),
    "close with a code that is not allowed": close_frame(1005) + frame(b"after"),
    "close with a code of nobody": close_frame(999) + frame(b"after"),
    "close with a reason not in UTF-8": close_frame(1000, b"\xff\xfe") + frame(b"after"),
    "close twice": close_frame() + close_frame(),
    "close between fragments": frame(b"he", fin=False) + close_frame(),
    "ping and close": frame(b"1", PING) + frame(b"hello") + close_frame(),
} | {
    f"opcode {opcode}": frame(b"hello", opcode) + frame(b"after")
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
}


class Outcome:
    """What a server made of some bytes: messages, what it wrote, and whether it closes.

    How it closes is not compared: after a mistake of the client's, stock Autobahn waits for its
    close frame, and ours does not.
    """

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.transport = WrappedTransport()
        self.closing = False

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Outcome)
        return self._told() == other._told()

    def _told(self) -> tuple[Any, ...]:
        return self.messages, self.transport.value(), self.closing

    def __repr__(self) -> str:
        return repr(self._told())


class Stock(WebSocketServerProtocol):
    outcome: Outcome

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.outcome.messages.append(payload)


class Ours(ClientWebSocket):
    """Our own, with somebody behind it who takes all payloads, and answers at once."""

    outcome: Outcome
    sendHttpErrorResponse = WebSocketServerProtocol.sendHttpErrorResponse  # ours says more

    def connectionMade(self) -> None:
        WebSocketServerProtocol.connectionMade(self)
        self._limit = LIMIT
        self._ended = False
        self.connection: Any = SimpleNamespace(
            received=self.outcome.messages.append,
            pinged=self.outcome.transport.write,
            bears=lambda size=0: True,
            broken=self._broken,
            close=lambda reason: None,
            lost=lambda reason: None,
            flush=lambda: None,
            outbox=SimpleNamespace(open=lambda transport: None),
        )

    def _broken(self, problem: str, code: int) -> None:
        if not self._ended:
            self._ended = True
            self.end(code, problem)


def options(connector: Connector) -> dict[str, Any]:
    """The options of our factory, so that stock Autobahn has the same."""
    ours = WebSocketFactory(connector.parts, Clock())
    names = (
        "versions", "webStatus", "utf8validateIncoming", "requireMaskedClientFrames",
        "maskServerFrames", "applyMask", "autoFragmentSize", "failByDrop", "echoCloseCodeReason",
        "openHandshakeTimeout", "closeHandshakeTimeout", "tcpNoDelay", "autoPingInterval",
        "autoPingTimeout", "autoPingSize", "allowNullOrigin", "maxConnections",
    )  # fmt: skip
    return {name: getattr(ours, name) for name in names} | {
        "maxFramePayloadSize": LIMIT,
        "maxMessagePayloadSize": LIMIT,
    }


@pytest.fixture(scope="module")
def factories() -> Iterator[tuple[WebSocketServerFactory, WebSocketServerFactory]]:
    """Stock Autobahn's and one that differs in its protocol only."""
    connector = Connector()
    made = []
    for protocol in (Stock, Ours):
        factory = WebSocketServerFactory(server="chatcore", reactor=connector.reactor)
        factory.setProtocolOptions(**options(connector))
        factory.protocol = protocol
        made.append(factory)
    yield made[0], made[1]
    connector.finish()


def outcome_of(factory: WebSocketServerFactory, pieces: list[bytes]) -> Outcome:
    """Feed pieces to a new connection until it is closed."""
    protocol = factory.buildProtocol(None)
    outcome = protocol.outcome = Outcome()
    protocol.makeConnection(outcome.transport)
    for piece in pieces:
        protocol.dataReceived(piece)
        if outcome.transport.disconnecting:
            break
    outcome.closing = protocol.state in (protocol.STATE_CLOSING, protocol.STATE_CLOSED)
    return outcome


def cut(data: bytes, *places: int) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


Factories = tuple[WebSocketServerFactory, WebSocketServerFactory]


@pytest.mark.parametrize("name", CORPUS)
def test_whole(factories: Factories, name: str) -> None:
    stock, ours = (outcome_of(each, [UPGRADE, CORPUS[name]]) for each in factories)
    assert ours == stock


@pytest.mark.parametrize("name", CORPUS)
def test_behind_the_upgrade(factories: Factories, name: str) -> None:
    stock, ours = (outcome_of(each, [UPGRADE + CORPUS[name]]) for each in factories)
    assert ours == stock


@pytest.mark.parametrize("name", CORPUS)
def test_cut_in_two_everywhere(factories: Factories, name: str) -> None:
    data = CORPUS[name]
    whole = outcome_of(factories[0], [UPGRADE, data])
    for place in range(len(data) + 1):
        assert outcome_of(factories[1], [UPGRADE, *cut(data, place)]) == whole, place


@pytest.mark.parametrize("name", CORPUS)
def test_byte_by_byte(factories: Factories, name: str) -> None:
    pieces = [bytes((byte,)) for byte in CORPUS[name]]
    stock, ours = (outcome_of(each, [UPGRADE, *pieces]) for each in factories)
    assert ours == stock


@pytest.mark.parametrize("seed", range(8))
def test_conversations_by_chance(factories: Factories, seed: int) -> None:
    """Frames of all kinds one after the other, cut at random."""
    dice = random.Random(seed)
    names = list(CORPUS)
    for _ in range(60):
        chosen = dice.choices(names, k=dice.randrange(1, 5))
        data = b"".join(CORPUS[name] for name in chosen)
        places = [dice.randrange(len(data) + 1) for _ in range(dice.randrange(8))]
        stock, ours = (outcome_of(each, [UPGRADE, *cut(data, *places)]) for each in factories)
        assert ours == stock, (chosen, places)


@pytest.mark.parametrize("seed", range(4))
def test_garbage(factories: Factories, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(150):
        data = dice.randbytes(dice.randrange(1, 60))
        if dice.random() < 0.7:
            data = frame(dice.randbytes(dice.randrange(20)), dice.choice((BINARY, TEXT))) + data
        places = [dice.randrange(len(data) + 1) for _ in range(dice.randrange(4))]
        stock, ours = (outcome_of(each, [UPGRADE, *cut(data, *places)]) for each in factories)
        assert ours == stock, (data, places)


@pytest.mark.parametrize(
    "request_",
    [
        UPGRADE,
        UPGRADE.replace(b"GET", b"PUT"),
        UPGRADE.replace(b"Upgrade: websocket\r\n", b""),
        UPGRADE.replace(b"Version: 13", b"Version: 7"),
        UPGRADE.replace(b"\r\n\r\n", b"\r\nOrigin: null\r\n\r\n"),
        UPGRADE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        b"\r\n\r\n",
    ],
)
def test_the_upgrade_cut_everywhere(factories: Factories, request_: bytes) -> None:
    whole = outcome_of(factories[0], [request_])
    for place in range(len(request_) + 1):
        assert outcome_of(factories[1], cut(request_, place)) == whole, place


def test_a_connection_of_ours_closes_with_the_same_codes(factories: Factories) -> None:
    """Who closes first does it in the same way, too."""
    transports = []
    for factory in factories:
        protocol = factory.buildProtocol(None)
        protocol.outcome = Outcome()
        protocol.makeConnection(protocol.outcome.transport)
        protocol.dataReceived(UPGRADE)
        if isinstance(protocol, Ours):
            protocol.end(NORMAL, "grüße " * 30)
        else:
            protocol.sendClose(NORMAL, "grüße " * 30)
        protocol.dataReceived(frame(b"late") + close_frame())
        transports.append(protocol.outcome.transport)
    assert transports[0].value() == transports[1].value()
    assert transports[0].aborted == transports[1].aborted is True
