"""Pomelo's package layer: one byte of type, three of length, big-endian, then the body."""

from __future__ import annotations

from chatcore.errors import PackageError

HANDSHAKE, ACK, HEARTBEAT, DATA, KICK = 1, 2, 3, 4, 5

NAMES = {HANDSHAKE: "handshake", ACK: "ack", HEARTBEAT: "heartbeat", DATA: "data", KICK: "kick"}

HEAD = 4
LARGEST = 0xFFFFFF

Package = tuple[int, bytes]


def encode(kind: int, body: bytes = b"") -> bytes:
    """One package.

    Raises:
        PackageError: the body is longer than three bytes of length can say.
    """
    size = len(body)
    if size > LARGEST:
        raise PackageError(f"a body of {size} bytes does not fit a package ({LARGEST} at most)")
    return (kind << 24 | size).to_bytes(HEAD, "big") + body


def decode_frame(frame: bytes, limit: int) -> list[Package]:
    """All packages of one WebSocket frame, which holds whole packages and nothing else.

    Args:
        limit: the longest body accepted, in bytes.

    Raises:
        PackageError: the frame is empty, cut short, has bytes left over, or holds a package that
            is unknown or too long.
    """
    parser = PackageParser(limit)
    packages = parser.feed(frame)
    if not packages or parser.waiting:
        raise PackageError(f"a frame of {len(frame)} bytes is not made of whole packages")
    return packages


class PackageParser:
    """Cuts a byte stream into packages, however it was split.

    A package that is unknown or too long is refused when its head has come, before anything is
    kept for it.

    Args:
        limit: the longest body accepted, in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = b""

    @property
    def waiting(self) -> int:
        """How many bytes of an unfinished package are held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Package]:
        """Take what came in; the packages that are complete now come back.

        Raises:
            PackageError: the stream is broken; the connection has to be closed.
        """
        buffer = self._buffer + data if self._buffer else data
        packages: list[Package] = []
        start, end = 0, len(buffer)
        while end - start >= HEAD:
            head = int.from_bytes(buffer[start : start + HEAD], "big")
            kind, size = head >> 24, head & LARGEST
            if kind not in NAMES:
                raise PackageError(f"there is no package type {kind}")
            if size > self._limit:
                raise PackageError(
                    f"a {NAMES[kind]} package of {size} bytes; {self._limit} at most"
                )
            stop = start + HEAD + size
            if stop > end:
                break
            packages.append((kind, buffer[start + HEAD : stop]))
            start = stop
        self._buffer = buffer[start:]
        return packages
