"""A script for a Redis server."""

from __future__ import annotations

import hashlib


class Script:
    """What the server is to run in one go.

    Args:
        text: it, in Lua.
    """

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest().encode()
