"""Pomelo's protobuf: the messages of an application in few bytes (Pomelo's ``useProtobuf``).

:mod:`chatcore.wire.schema` reads schemas, :mod:`chatcore.wire.protobuf_encoder` and
:mod:`chatcore.wire.protobuf_decoder` are made from them, once, when a server starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatcore.errors import BodyError, HandshakeError
from chatcore.wire import body, javascript, schema
from chatcore.wire.protobuf_decoder import decoders
from chatcore.wire.protobuf_encoder import FieldError, encoders
from chatcore.wire.schema import Parsed


class Schema:
    """The messages of one direction, ready to write and to read.

    Args:
        parsed: what `chatcore.wire.schema.parse` made.

    Raises:
        ValueError: ``parsed`` isn't a schema, or uses a type that doesn't exist.
    """

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        resolved = schema.resolve(parsed)
        self._utf8 = encoders(resolved.roots, resolved.every, cesu=False)
        self._cesu = encoders(resolved.roots, resolved.every, cesu=True)
        self._decoders = decoders(resolved.roots, resolved.every)

    @classmethod
    def received(cls, parsed: Any) -> Schema:
        """The schema that a server sent in its handshake reply.

        Raises:
            HandshakeError: it can't be one.
        """
        try:
            return cls(parsed)
        except ValueError as problem:
            raise HandshakeError(f"a protobuf schema that can't be used: {problem}") from None

    def __contains__(self, message: object) -> bool:
        return message in self._decoders

    def encode(self, value: Any, message: str, *, cesu: bool = False) -> bytes:
        """Write a value, as told in :mod:`chatcore.wire.protobuf_encoder`.

        Args:
            value: an object; a message without a field has no bytes.
            message: the key of its message, which is a route.
            cesu: whether its reader is one of Pomelo's JavaScript clients, which can't read
                characters beyond U+FFFF in UTF-8.

        Raises:
            BodyError: the value doesn't fit the message; names the field.
        """
        write = (self._cesu if cesu else self._utf8).get(message)
        if write is None:
            raise BodyError(f"there is no protobuf message '{message}'")
        try:
            return write(value)
        except FieldError as problem:
            raise BodyError(f"can't be sent as '{message}': {problem}") from None
        except RecursionError:
            raise BodyError(f"can't be sent as '{message}': it is nested too deeply") from None

    def decode(self, data: bytes, message: str) -> dict[str, Any]:
        """Read a value, as told in :mod:`chatcore.wire.protobuf_decoder`.

        Raises:
            BodyError: the bytes aren't such a message; names the field.
        """
        read = self._decoders.get(message)
        if read is None:
            raise BodyError(f"there is no protobuf message '{message}'")
        try:
            return read(data)
        except FieldError as problem:
            raise BodyError(f"a body that is no '{message}': {problem}") from None


class Protos:
    """The schemas of an application, as its server uses them.

    Args:
        server: what ``serverProtos.json`` holds, for what servers send; None: there is none.
        client: what ``clientProtos.json`` holds, for what clients send; None: there is none.

    Attributes:
        server, client: the schemas; ``route in protos.server`` says whether a push or a reply of
            that route is written in protobuf, ``route in protos.client`` whether a client's
            message is.
        version: what clients compare, to know whether the schemas they keep are these.

    Raises:
        ValueError: a field has a type, an option or a tag that doesn't exist.
    """

    def __init__(
        self, server: Mapping[str, Any] | None = None, client: Mapping[str, Any] | None = None
    ) -> None:
        self.server = Schema(schema.parse(server or {}))
        self.client = Schema(schema.parse(client or {}))
        self.version = ""
        if server is not None or client is not None:
            parts = (self.client.parsed, self.server.parsed)
            self.version = javascript.version("".join(map(javascript.compact_json, parts)))
        self.handshake = self._handshake()
        self.encode, self.decode = self.server.encode, self.client.decode

    def _handshake(self) -> bytes:
        """Its member of a handshake reply's ``sys``, made once for all clients."""
        protos = {
            "server": self.server.parsed,
            "client": self.client.parsed,
            "version": self.version,
        }
        return body.encode({"protos": protos})[1:-1]
