"""Pomelo's package layer: one byte of type, three of length, big-endian, then the body."""

from __future__ import annotations

from chatcore.errors import PackageError

HANDSHAKE, ACK, HEARTBEAT, DATA, KICK = 1, 2, 3, 4, 5

NAMES = {HANDSHAKE: "handshake", ACK: "ack", HEARTBEAT: "heartbeat", DATA: "data", KICK: "kick"}

HEAD = 4
LARGEST = 0xFFFFFF

Package = tuple[int, bytes]


def head(kind: int, size: int) -> bytes:
    """What stands before a package's body of that many bytes.

    Raises:
        PackageError: it is longer than three bytes of length can say.
    """
    if size > LARGEST:
        raise PackageError(f"a body of {size} bytes does not fit a package ({LARGEST} at most)")
    return (kind << 24 | size).to_bytes(HEAD, "big")


def encode(kind: int, body: bytes = b"") -> bytes:
    """One package; raises as `head` does."""
    return head(kind, len(body)) + body


def decode_frame(frame: bytes, limit: int) -> list[Package]:
    """All packages of one WebSocket frame, which holds whole packages and nothing else.

    Args:
        limit: the longest body accepted, in bytes.

    Raises:
        PackageError: the frame is empty, cut short, has bytes left over, or holds a package that
            is unknown or too long.
    """
    size = len(frame) - HEAD
    if 0 <= size <= limit and frame[0] in NAMES and int.from_bytes(frame[1:HEAD], "big") == size:
        return [(frame[0], frame[HEAD:])]  # nearly every frame
    parser = PackageParser(limit)
    packages = parser.feed(frame)
    if not packages or parser.waiting:
        parser.feed(b"")  # says it where the rest is no beginning of a package, either
        raise PackageError(f"a frame of {len(frame)} bytes is not made of whole packages")
    return packages


class PackageParser:
    """Cuts a byte stream into packages, however it was split.

    A package that is unknown or too long is refused when its head has come, before anything is
    kept for it.

    Args:
        limit: the longest body accepted, in bytes.
    """

    __slots__ = ("_kept", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: bytearray | None = None

    @property
    def waiting(self) -> int:
        """How many bytes are held that are no package yet."""
        return len(self._kept) if self._kept is not None else 0

    def feed(self, data: bytes) -> list[Package]:
        """Take what came in; the packages that are complete now come back.

        Packages in front of what breaks the stream come back first: it stays, and is found again
        with the next call, be it with nothing.

        Raises:
            PackageError: the stream is broken; the connection has to be closed.
        """
        buffer: bytes | bytearray = data
        if self._kept is not None:
            self._kept += data  # in place: a long one in small pieces is not copied for each
            buffer = self._kept
        packages: list[Package] = []
        problem = None
        start, end = 0, len(buffer)
        while start < end:
            kind = buffer[start]
            if kind not in NAMES:
                problem = f"there is no package type {kind}"
                break
            if end - start < HEAD:
                break
            size = int.from_bytes(buffer[start + 1 : start + HEAD], "big")
            if size > self._limit:
                problem = f"a {NAMES[kind]} package of {size} bytes; {self._limit} at most"
                break
            stop = start + HEAD + size
            if stop > end:
                break
            packages.append((kind, bytes(buffer[start + HEAD : stop])))
            start = stop
        if problem and not packages:
            raise PackageError(problem)
        if start == end:
            self._kept = None
        elif self._kept is None:
            self._kept = bytearray(buffer[start:])
        else:
            del self._kept[:start]
        return packages
