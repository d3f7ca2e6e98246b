"""What the client port says to those who speak plain HTTP with it (RFC 9110)."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

UPGRADE = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
"""The headers that go with 426 (RFC 9110, section 15.5.22)."""

WELCOME = "This port speaks WebSocket, and Pomelo's protocol over WebSocket or TCP.\n"

TCP_ONLY = "This port speaks Pomelo's protocol over TCP only.\n"
"""What is said instead where clients may not come by WebSocket."""

DRAINING = "This server sends its clients on to others, and takes no new ones.\n"
"""What health checks and people are told by a frontend that drains."""


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
