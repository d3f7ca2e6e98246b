"""What the client port says to those who speak plain HTTP with it (RFC 9110)."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

UPGRADE = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
"""The headers that go with 426 (RFC 9110, section 15.5.22)."""

NO_SOCKETIO = "Clients of socket.io may not come here.\n"
"""What they are told where that is so."""

DRAINING = "This server sends its clients on to others, and takes no new ones.\n"
"""What health checks and people are told by a frontend that drains."""


def welcome(*, websocket: bool, tcp: bool, socketio: bool) -> str:
    """What people are told, and clients that come in a way in which they may not.

    Args:
        websocket: whether Pomelo's clients may come by WebSocket.
        tcp: whether they may come by TCP.
        socketio: whether clients of socket.io may come.
    """
    carriers = [name for name, on in (("WebSocket", websocket), ("TCP", tcp)) if on]
    spoken = [f"Pomelo's protocol over {' or '.join(carriers)}"] if carriers else []
    if socketio:
        spoken.append("socket.io")
    return f"This port speaks {', and '.join(spoken)}.\n"


def answer(
    status: int, text: str, *, headers: Iterable[tuple[str, str]] = (), body: bool = True
) -> bytes:
    """A whole answer, after which the connection is closed.

    Args:
        status: its status.
        text: what a person is told.
        headers: further headers.
        body: whether the text is sent; not in an answer to HEAD.
    """
    content = text.encode()
    fields = dict(headers)
    lines = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Server: chatcore",
        f"Date: {formatdate(usegmt=True)}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(content)}",
        f"Connection: {'upgrade, ' if 'Upgrade' in fields else ''}close",
        *(f"{name}: {value}" for name, value in fields.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + (content if body else b"")
