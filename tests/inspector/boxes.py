"""Bytes that AMP peers send."""

from __future__ import annotations

from hypothesis import strategies as st
from twisted.protocols import amp

from chatcore.inspector.stream import Boxed, BoxStream, Piece


def box(**items: bytes | str) -> bytes:
    """A box as stock AMP writes it."""
    given = {key.encode(): value for key, value in items.items()}
    as_bytes = {k: v.encode() if isinstance(v, str) else v for k, v in given.items()}
    return bytes(amp.Box(as_bytes).serialize())


def told(stream: BoxStream, parts: list[bytes]) -> list[Piece]:
    """All that a stream comes to."""
    return [piece for part in parts for piece in stream.feed(part)] + stream.end()


def flattened(pieces: list[Piece]) -> list[tuple[object, ...]]:
    """The same for all ways to split a stream: what follows each other of one kind is one."""
    flat: list[tuple[object, ...]] = []
    for piece in pieces:
        if isinstance(piece, Boxed):
            flat.append(("box", piece.offset, piece.raw))
            continue
        if piece.why:
            flat.append(("why", piece.offset, piece.why))
        if piece.raw:
            if flat and flat[-1][0] == "raw":
                flat[-1] = ("raw", flat[-1][1], flat[-1][2] + piece.raw)  # type: ignore[operator]
            else:
                flat.append(("raw", piece.offset, piece.raw))
    return flat


BOXES = st.builds(
    lambda tag, command, body: box(_ask=tag, _command=command, body=body),
    st.text("0123456789abcdef", min_size=1, max_size=4),
    st.text("ABCdef", min_size=1, max_size=8),
    st.binary(max_size=60),
)
"""Asks."""

GARBAGE = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\0\0", b"GET / HTTP/1.1\r\n\r\n", b"\0\x04_as", b"\0\x04_ask", b"\x16"]),
)
"""Bytes that are no boxes, or break what follows them."""
