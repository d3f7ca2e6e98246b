"""What carries packages to a server under test: a WebSocket or plain TCP, blocking and bare."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from typing import Protocol

from pomelo.raw_client import Stream

Package = tuple[int, bytes]

_BINARY, _TEXT, _CLOSE, _PING, _PONG = 2, 1, 8, 9, 10


class Closed(Exception):
    """The server closed the connection.

    Args:
        code: of the close frame, if there was one.
    """

    def __init__(self, code: int | None = None) -> None:
        super().__init__(code)
        self.code = code


class ICarrier(Protocol):
    """One connection."""

    def send(self, data: bytes) -> None:
        """Send bytes: a WebSocket's frame, or a piece of a stream. Nothing once it is closed."""

    def receive(self, seconds: float) -> list[Package]:
        """The packages of one frame, or those that came at once.

        Raises:
            TimeoutError: nothing came in that time.
            Closed: it is closed.
        """

    def close(self) -> None:
        """Hang up."""


class TcpCarrier:
    """Packages in a stream of their own."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = Stream()

    def send(self, data: bytes) -> None:
        _send(self._socket, data)

    def receive(self, seconds: float) -> list[Package]:
        while True:
            if found := list(self._stream.feed(_receive(self._socket, seconds))):
                return found

    def close(self) -> None:
        self._socket.close()


class WebSocketCarrier:
    """Packages in frames (RFC 6455)."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._waiting = b""
        self._socket.sendall(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n" % port
        )
        while b"\r\n\r\n" not in self._waiting:
            self._waiting += _receive(self._socket, 20)
        head, _, self._waiting = self._waiting.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def send(self, data: bytes, opcode: int = _BINARY) -> None:
        size, mask = len(data), os.urandom(4)
        head = bytes((0x80 | opcode,))
        if size < 126:
            head += bytes((0x80 | size,))
        elif size < 0x10000:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        _send(self._socket, head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def send_text(self, data: bytes) -> None:
        """Send a text frame."""
        self.send(data, _TEXT)

    def receive(self, seconds: float) -> list[Package]:
        while True:
            opcode, payload = self._frame(seconds)
            if opcode == _PING:
                self.send(payload, _PONG)
            elif opcode == _CLOSE:
                raise Closed(struct.unpack_from("!H", payload)[0] if payload else None)
            else:
                assert opcode == _BINARY, f"a frame with the opcode {opcode}"
                stream = Stream()
                found = list(stream.feed(payload))
                assert not stream.waiting, "a frame that is not made of whole packages"
                return found

    def close(self) -> None:
        self._socket.close()

    def _frame(self, seconds: float) -> tuple[int, bytes]:
        first, size = self._take(2, seconds)
        assert first & 0xF0 == 0x80 and not size & 0x80, "not final, or masked"
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2, seconds))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8, seconds))
        return first & 0x0F, self._take(size, seconds)

    def _take(self, size: int, seconds: float) -> bytes:
        while len(self._waiting) < size:
            self._waiting += _receive(self._socket, seconds)
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data


class UdpCarrier:
    """Packages in datagrams. Nobody says when it is over."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        _send(self._socket, data)

    def receive(self, seconds: float) -> list[Package]:
        self._socket.settimeout(seconds)
        data = self._socket.recv(65536)
        stream = Stream()
        found = list(stream.feed(data))
        assert found and not stream.waiting, "a datagram that is not made of whole packages"
        return found

    def close(self) -> None:
        self._socket.close()


CARRIERS = {"websocket": WebSocketCarrier, "tcp": TcpCarrier, "udp": UdpCarrier}


def _send(to: socket.socket, data: bytes) -> None:
    with suppress(ConnectionError):  # what came before the end is still to be read
        to.sendall(data)


def _receive(source: socket.socket, seconds: float) -> bytes:
    source.settimeout(seconds)
    try:
        data = source.recv(65536)
    except ConnectionError:
        raise Closed from None
    if not data:
        raise Closed
    return data
