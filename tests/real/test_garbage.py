"""Strangers who send anything, while two people go on talking."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from people import Person, connect
from running import PATIENCE, RunningChat
from twisted.internet.threads import deferToThread

from chatcore.wire import message, package

HELLO = package.encode(package.HANDSHAKE, b'{"sys":{"type":"x","version":"1"}}')
ACK = package.encode(package.ACK)
ROUTE = "connector.entryHandler.enter"


class Stranger:
    """A socket, and the frames it writes."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)

    def upgrade(self) -> Stranger:
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key.encode() + b"\r\n\r\n"
        )
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(1)
        assert head.startswith(b"HTTP/1.1 101")
        return self

    def frame(self, payload: bytes, opcode: int = 0x82) -> Stranger:
        size = len(payload)
        if size < 126:
            head = bytes((opcode, 0x80 | size))
        elif size < 65536:
            head = bytes((opcode, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((opcode, 0xFF)) + size.to_bytes(8, "big")
        self.raw(head + b"\0\0\0\0" + payload)
        return self

    def raw(self, data: bytes) -> Stranger:
        self.socket.sendall(data)
        return self

    def shake_hands(self) -> Stranger:
        return self.upgrade().frame(HELLO).frame(ACK)

    def data(self, body: bytes) -> Stranger:
        return self.frame(package.encode(package.DATA, body))

    def request(self, body: bytes, route: str = ROUTE) -> Stranger:
        return self.data(message.encode_request(77, route, body))

    def ending(self) -> bytes:
        """All that comes until the connection is closed."""
        found = b""
        while chunk := self._receive():
            found += chunk
        return found

    def answer(self, expected: bytes) -> bool:
        """Whether these bytes come."""
        found = b""
        while expected not in found:
            chunk = self._receive()
            if not chunk:
                return False
            found += chunk
        return True

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""


REFUSED = message.encode_response(77, b'{"code":500}')

CLOSED: dict[str, Callable[[Stranger], Stranger]] = {
    "an empty message": lambda s: s.shake_hands().data(b""),
    "an unknown flag": lambda s: s.shake_hands().data(b"\xff"),
    "a gzipped message": lambda s: s.shake_hands().data(b"\x10\x01\x01a{}"),
    "an endless id": lambda s: s.shake_hands().data(b"\0" + b"\xff" * 20),
    "a route beyond the end": lambda s: s.shake_hands().data(b"\0\x01\x50abc"),
    "a route that is no text": lambda s: s.shake_hands().data(b"\0\x01\x02\xff\xff{}"),
    "a heartbeat and two bytes": lambda s: s.shake_hands().frame(b"\x03\0\0\0\0\0"),
    "an empty frame": lambda s: s.shake_hands().frame(b""),
    "100,000 brackets": lambda s: s.shake_hands().request(b"[" * 100_000),
    "half a package": lambda s: s.shake_hands().frame(b"\x04\0\0\x09abc"),
    "type 0": lambda s: s.shake_hands().frame(b"\0\0\0\0"),
    "type 6": lambda s: s.shake_hands().frame(b"\x06\0\0\0"),
    "a kick": lambda s: s.shake_hands().frame(b"\x05\0\0\0"),
    "a length of 16 MB": lambda s: s.shake_hands().frame(b"\x04\xff\xff\xffabc"),
    "a frame of 16 MB": lambda s: s.shake_hands().raw(b"\x82\xff\0\0\0\0\x01" + bytes(7)),
    "a frame of 2**62 bytes": lambda s: s.shake_hands().raw(b"\x82\xff\x40" + bytes(11)),
    "an unmasked frame": lambda s: s.shake_hands().raw(b"\x82\x04\x03\0\0\0"),
    "an unknown opcode": lambda s: s.shake_hands().frame(b"abc", 0x83),
    "reserved bits": lambda s: s.shake_hands().frame(b"\x03\0\0\0", 0xF2),
    "a handshake of garbage": lambda s: s.upgrade().frame(package.encode(1, b"{")),
    "a handshake without sys": lambda s: s.upgrade().frame(package.encode(1, b"{}")),
    "a handshake that is an array": lambda s: s.upgrade().frame(package.encode(1, b"[]")),
    "garbage before any handshake": lambda s: s.upgrade().frame(b"garbage"),
    "plain HTTP": lambda s: s.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    "no HTTP at all": lambda s: s.raw(b"\x01\0\0\x02{}\r\n\r\n"),
}

ANSWERED: dict[str, bytes] = {
    "an array": b"[]",
    "an array of arguments": b'[{"username":"x","rid":"y"},{}]',
    "a number": b"3",
    "null": b"null",
    "no JSON": b"{",
    "100,000 brackets": b"[" * 60000,
    "brackets in brackets": b'{"a":' * 10000,
    "no text": b"\xff\xfe",
    "half a surrogate pair": b'{"username":"\\ud800","rid":"x"}',
    "prototype keys": b'{"__proto__":{},"constructor":{},"username":null}',
    "huge numbers": b'{"username":1e999,"rid":123456789012345678901234567890}',
}


@pytest.fixture
def stranger(chat: RunningChat) -> Iterator[Stranger]:
    stranger = Stranger(chat.port("connector-server-1"))
    yield stranger
    stranger.socket.close()


async def test_everything_at_once(chat: RunningChat) -> None:
    """Each is closed or answered at once; those who talk notice nothing."""
    port = chat.port("connector-server-1")
    alice, bob = await enter(chat, "alice"), await enter(chat, "bob")
    for n, (name, act) in enumerate(CLOSED.items()):
        assert await deferToThread(closes, port, act), name
        await heard(alice, bob, f"closed {n}")
    for n, (name, body) in enumerate(ANSWERED.items()):
        assert await deferToThread(answers, port, body), name
        await heard(alice, bob, f"answered {n}")
    await alice.leave()
    await bob.leave()


def closes(port: int, act: Callable[[Stranger], Stranger]) -> bool:
    stranger = Stranger(port)
    with stranger.socket:
        act(stranger).ending()
    return True


def answers(port: int, body: bytes) -> bool:
    stranger = Stranger(port)
    with stranger.socket:
        return stranger.shake_hands().request(body).answer(REFUSED)


async def enter(chat: RunningChat, name: str) -> Person:
    person = await connect(chat, "connector-server-1")
    assert name in (await person.enter(name, "garden"))["users"]
    return person


async def heard(alice: Person, bob: Person, text: str) -> None:
    assert await alice.say(text) == {}
    await bob.until("onChat", msg=text)


def test_half_frames_wait_and_then_count(stranger: Stranger) -> None:
    """A request that trickles in byte by byte is answered like any other."""
    stranger.shake_hands()
    body = package.encode(package.DATA, message.encode_request(77, ROUTE, b"[]"))
    for byte in bytes((0x82, 0x80 | len(body))) + b"\0\0\0\0" + body:
        stranger.raw(bytes((byte,)))
    assert stranger.answer(REFUSED)


def test_a_flood_is_refused_message_by_message(stranger: Stranger) -> None:
    """Beyond what is allowed, each request is refused; only who goes on is sent away."""
    stranger.shake_hands()
    one = package.encode(package.DATA, message.encode_request(77, "gate.gateHandler.nope", b"{}"))
    frame = bytes((0x82, 0x80 | len(one))) + b"\0\0\0\0" + one
    stranger.raw(frame * 500)
    assert stranger.answer(REFUSED)
    stranger.frame(b"\x03\0\0\0")
    assert stranger.answer(b"\x03\0\0\0")
    with suppress(ConnectionError):
        for _ in range(20):
            stranger.raw(frame * 500)
    stranger.ending()
