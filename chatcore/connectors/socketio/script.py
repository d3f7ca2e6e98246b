"""The library of socket.io that pages load from where they connect to."""

from __future__ import annotations

from chatcore.connectors.http import Exchange

KIND = "application/javascript; charset=utf-8"

SECONDS = 600
"""For which a browser need not ask for it again."""


class Script:
    """What is served at `path`.

    Args:
        content: the library.
    """

    path = "/socket.io/socket.io.js"

    def __init__(self, content: bytes) -> None:
        self._content = content

    def serve(self, exchange: Exchange) -> None:
        """Answer a request for it."""
        if exchange.head.method in ("GET", "HEAD"):
            headers = (("Cache-Control", f"public, max-age={SECONDS}"),)
            exchange.answer(200, self._content, kind=KIND, headers=headers)
        else:
            exchange.answer(405, headers=(("Allow", "GET, HEAD"),))
