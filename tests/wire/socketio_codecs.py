"""The parsers of engine.io and socket.io, of every generation, in one process of Node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from npm import npm_packages

from .pomelo_codecs import Codecs

PACKAGES = {
    "engine.io-parser-1": "npm:engine.io-parser@1.3.2",
    "engine.io-parser-2": "npm:engine.io-parser@2.2.1",
    "engine.io-parser-5": "npm:engine.io-parser@5.2.3",
    "socket.io-parser-2": "npm:socket.io-parser@2.3.1",
    "socket.io-parser-3": "npm:socket.io-parser@3.3.6",
    "socket.io-parser-4": "npm:socket.io-parser@4.2.7",
    "engine.io-1": "npm:engine.io@1.8.2",
    "engine.io-6": "npm:engine.io@6.6.11",
    "socket.io-0": "npm:socket.io@0.9.19",
    "socket.io-client-0": "npm:socket.io-client@0.9.17",
}

TEXTS = [
    "",
    "a",
    "hello there",
    "hé中文",
    "é",
    "über »Größe«",
    "😀",
    "a😀b\U0010ffff中",
    "x" * 130,
    "\0\t\r\n\x1f\x7f\x80\xff",
    "\\n \\\\n \\\n \\\\\n n\\",
    "\u2028\u2029\ufeff\ufffd￿",
    '"quoted" \\ / :5:b4',
    "5:4abc2:40",
    "\ud7ff\ue000",
]
BYTES = [
    b"",
    b"\0",
    b"a",
    b"\x00\x01\x02\xff",
    bytes(range(256)),
    b"\xf0\x9f\x98\x80",
    b"\xff" * 99,
]


class SocketioCodecs(Codecs):
    """A running ``socketio_codecs.js``."""

    def __init__(self) -> None:
        super().__init__(Path(__file__).with_suffix(".js"), npm_packages(PACKAGES))


def hexed(value: Any) -> Any:
    """A value with ``{"hex": …}`` for bytes, wherever they stand in it."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, list):
        return [hexed(item) for item in value]
    if isinstance(value, dict):
        return {key: hexed(item) for key, item in value.items()}
    return value


def unhexed(value: Any) -> Any:
    """The value that `hexed` was given."""
    if isinstance(value, list):
        return [unhexed(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"hex"}:
            return bytes.fromhex(value["hex"])
        return {key: unhexed(item) for key, item in value.items()}
    return value
