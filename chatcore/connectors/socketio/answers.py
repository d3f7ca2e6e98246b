"""How requests of socket.io's clients are answered: headers for pages, and Engine.IO's errors."""

from __future__ import annotations

from collections.abc import Iterable

from chatcore.connectors.exchange import TEXT, Exchange, Header
from chatcore.wire import body
from chatcore.wire.http import Head, is_token

UNKNOWN_TRANSPORT, UNKNOWN_SID, BAD_METHOD, BAD_REQUEST, FORBIDDEN, UNSUPPORTED = range(6)
MESSAGES = (
    "Transport unknown",
    "Session ID unknown",
    "Bad handshake method",
    "Bad request",
    "Forbidden",
    "Unsupported protocol version",
)
"""What Engine.IO's clients are told, by the number of the error."""

_METHODS = "GET, HEAD, POST, OPTIONS"
_REMEMBERED = "600"
"""Seconds for which a browser need not ask again what it may."""


_AS_IT_IS = (
    ("Cache-Control", "no-store"),
    # Or browsers might take what one client says to another for a page of ours.
    ("X-Content-Type-Options", "nosniff"),
)


class Trouble(Exception):
    """A request that is refused, with the number of Engine.IO's error."""

    def __init__(self, code: int) -> None:
        super().__init__(MESSAGES[code])
        self.code = code

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return 403 if self.code == FORBIDDEN else 400


def answer(
    exchange: Exchange,
    content: bytes = b"",
    *,
    status: int = 200,
    kind: str = TEXT,
    headers: Iterable[Header] = (),
) -> None:
    """Answer so that pages of any origin that is allowed may read it, and nothing stores it."""
    more = (*_allowed(exchange.head), *_AS_IT_IS, *headers)
    exchange.answer(status, content, kind=kind, headers=more)


def refuse(exchange: Exchange, trouble: Trouble) -> None:
    """Answer with an error of Engine.IO."""
    said = body.encode({"code": trouble.code, "message": str(trouble)})
    answer(exchange, said, status=trouble.status, kind="application/json")


def answer_preflight(exchange: Exchange) -> None:
    """Tell a browser what a page of another origin may do (CORS): whatever it asks for."""
    asked = exchange.head.fields.get("access-control-request-headers", "")
    names = [name.strip() for name in asked.split(",")]
    headers = [
        *_allowed(exchange.head),
        ("Access-Control-Allow-Methods", _METHODS),
        ("Access-Control-Max-Age", _REMEMBERED),
    ]
    if all(map(is_token, names)):
        headers.append(("Access-Control-Allow-Headers", ", ".join(names)))
    exchange.answer(200, headers=headers)  # there are browsers that don't take 204 for a yes


def _allowed(head: Head) -> list[Header]:
    origin = head.fields.get("origin")
    if origin is None:
        return [("Access-Control-Allow-Origin", "*")]
    return [
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    ]
