"""How what is sent to a client is put into bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chatcore.wire import body, frame, message, package
from chatcore.wire.body import Body


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One way to write and read messages; clients that share an encoding are sent the same bytes.

    Args:
        name: what it is called.
        envelope: puts one package into what the transport carries.
    """

    name: str
    envelope: Callable[[bytes], bytes]

    def package(self, kind: int, body: bytes = b"") -> bytes:
        """One package."""
        return self.envelope(package.encode(kind, body))

    def response(self, number: int, route: str | int, body: Body) -> bytes:
        """The answer to the request with the id ``number``.

        Raises:
            BodyError: the body can't be written.
            PackageError: it is too long.
        """
        return self.package(package.DATA, message.encode_response(number, body.json))

    def push(self, route: str, body: Body) -> bytes:
        """A push; raises as `response` does."""
        return self.package(package.DATA, message.encode_push(route, body.json))

    def decode(self, route: str | int, data: bytes) -> Any:
        """The value of a client's body.

        Raises:
            BodyError: it can't be read.
        """
        return body.decode(data)


WEBSOCKET = Encoding("websocket", frame.encode)
"""One package in one binary frame: the only way that every Pomelo client understands."""
