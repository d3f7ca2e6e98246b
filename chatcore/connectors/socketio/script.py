"""The library of socket.io that pages load from where they connect to."""

from __future__ import annotations

import re

from chatcore.connectors.exchange import Exchange

KIND = "application/javascript; charset=utf-8"

SECONDS = 600
"""For which a browser need not ask for it again."""

PATH = "/socket.io/socket.io.js"

# As the servers of its versions have them: whole or small, for some transports only, with maps.
_PATHS = re.compile(r"/socket\.io/socket\.io[\w.+-]*\.(?:js|map)")
_NONE = b"No library is served here: set socketio.script to its file, or load it from elsewhere.\n"
_OTHER = b"The library is served at " + PATH.encode() + b" only.\n"


def is_script(path: str) -> bool:
    """Whether a path is one at which pages look for the library."""
    return _PATHS.fullmatch(path) is not None


class Script:
    """What is served at `PATH`.

    Args:
        content: the library; None for none.
    """

    def __init__(self, content: bytes | None = None) -> None:
        self._content = content

    def serve(self, exchange: Exchange) -> None:
        """Answer a request for it."""
        if exchange.head.method not in ("GET", "HEAD"):
            exchange.answer(405, headers=(("Allow", "GET, HEAD"),))
        elif self._content is None:
            exchange.answer(404, _NONE)
        elif exchange.head.path != PATH:
            exchange.answer(404, _OTHER)
        else:
            headers = (("Cache-Control", f"public, max-age={SECONDS}"),)
            exchange.answer(200, self._content, kind=KIND, headers=headers)
