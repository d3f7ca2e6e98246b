"""How what is sent to a client is put into bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chatcore.wire import frame, message, package


@dataclass(frozen=True, slots=True)
class Encoding:
    """One way to write packages; clients with equal encodings are sent the same bytes.

    Args:
        name: what it is called.
        envelope: puts one package into what the transport carries.
    """

    name: str
    envelope: Callable[[bytes], bytes]

    def package(self, kind: int, body: bytes = b"") -> bytes:
        """One package."""
        return self.envelope(package.encode(kind, body))

    def response(self, number: int, body: bytes) -> bytes:
        """The answer to the request with the id ``number``."""
        return self.package(package.DATA, message.encode_response(number, body))

    def push(self, route: str, body: bytes) -> bytes:
        """A push."""
        return self.package(package.DATA, message.encode_push(route, body))


WEBSOCKET = Encoding("websocket", frame.encode)
"""One package in one binary frame: the only way that every Pomelo client understands."""
