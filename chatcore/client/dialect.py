"""What a client and its server agreed on in the handshake: route codes and protobuf schemas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from chatcore.errors import BodyError, HandshakeError, MessageError
from chatcore.wire import body
from chatcore.wire.protobuf import Schema

_LARGEST_CODE = 0xFFFF


@dataclass(frozen=True, slots=True)
class Dialect:
    """How routes and bodies are written; without anything agreed on, in full and as JSON.

    Args:
        codes: what stands for a route that has a code.
        routes: the routes that codes stand for.
        client: the schemas of what the client sends.
        server: the schemas of what the server sends.
    """

    codes: Mapping[str, int] = field(default_factory=dict)
    routes: Mapping[int, str] = field(default_factory=dict)
    client: Schema | None = None
    server: Schema | None = None

    @classmethod
    def agreed(cls, sys: Mapping[str, Any]) -> Dialect:
        """What the server said in its handshake.

        Raises:
            HandshakeError: it said something that can't be used.
        """
        codes = sys.get("routeToCode", sys.get("dict", {}))
        protos = sys.get("protos", {})
        if not isinstance(codes, dict) or not all(map(_is_code, codes.values())):
            raise HandshakeError("a route dictionary that is none")
        if not isinstance(protos, dict):
            raise HandshakeError("protobuf schemas that are none")
        return cls(
            codes=codes,
            routes={code: route for route, code in codes.items()},
            client=Schema.received(protos["client"]) if protos.get("client") else None,
            server=Schema.received(protos["server"]) if protos.get("server") else None,
        )

    def encode(self, route: str, msg: Any) -> tuple[str | int, bytes]:
        """A route and a message, as they are sent.

        Raises:
            BodyError: the message can't be sent, or doesn't fit the schema of its route.
        """
        code = self.codes.get(route, route)
        if self.client is not None and route in self.client:
            return code, self.client.encode(msg, route)
        return code, body.encode(msg)

    def route(self, route: str | int) -> str:
        """The route of a push.

        Raises:
            MessageError: it came as a code that stands for nothing.
        """
        if isinstance(route, str):
            return route
        known = self.routes.get(route)
        if known is None:
            raise MessageError(f"the route code {route}, which stands for nothing")
        return known

    def decode(self, route: str, data: bytes) -> Any:
        """The value of what the server sent.

        Raises:
            BodyError: it can't be read.
        """
        if self.server is not None and route in self.server:
            return self.server.decode(data, route)
        return decode_json(data)


def decode_json(data: bytes) -> Any:
    """Decode what a server sent; unlike a client's message it may be an array.

    Raises:
        BodyError: it isn't JSON.
    """
    if not data:
        return {}
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError, msgspec.MsgspecError) as problem:
        raise BodyError(f"a body that is not JSON: {problem}") from None


def _is_code(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST_CODE
