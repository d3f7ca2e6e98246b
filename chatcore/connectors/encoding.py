"""How what is said to a client, and by it, is put into bytes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chatcore.connectors.coding import Coded
from chatcore.dispatch.dispatcher import FAILED
from chatcore.errors import BodyError, PackageError
from chatcore.wire import body, frame, message, package
from chatcore.wire.body import Body
from chatcore.wire.dictionary import Dictionary
from chatcore.wire.message import Message
from chatcore.wire.protobuf import Protos

REFUSED = Body(FAILED)
"""The body of the answer to what is refused or failed at."""

JAVASCRIPT = "js"
"""How the types of Pomelo's JavaScript clients begin."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """One way to write and read messages; clients that share an encoding are sent the same bytes.

    Args:
        name: what its transport is called.
        envelope: what the transport needs before a package of so many bytes.
        codes: what stands for a route that has a code.
        routes: the routes that codes stand for.
        protos: the protobuf schemas, where they are in use, or the application's coder.
        cesu: whether protobuf's texts are written for JavaScript (see `chatcore.wire.protobuf`).
        json_responses: whether answers are JSON even where a schema has their route.
    """

    name: str
    envelope: Callable[[int], bytes]
    codes: Mapping[str, int] = field(default_factory=dict)
    routes: Mapping[int, str] = field(default_factory=dict)
    protos: Protos | Coded | None = None
    cesu: bool = False
    json_responses: bool = False
    heartbeat: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "heartbeat", self.package(package.HEARTBEAT))

    def package(self, kind: int, body: bytes = b"", head: bytes = b"") -> bytes:
        """One package.

        Args:
            head: what stands before the body; not copied together first, as it is for most.

        Raises:
            PackageError: it is too long.
        """
        size = len(head) + len(body)
        before = package.head(kind, size)
        return b"".join((self.envelope(package.HEAD + size), before, head, body))

    def about(self) -> dict[str, Any]:
        """What those who look are told of it, in JSON's types."""
        bodies = "json" if self.protos is None else "protobuf"
        if isinstance(self.protos, Coded):
            bodies = "the application's"
        return {"transport": self.name, "bodies": bodies, "dictionary": bool(self.codes)}

    def response(self, number: int, route: str | int, body: Body) -> bytes:
        """The answer to the request with the id ``number``.

        Raises:
            BodyError: the body can't be written.
            PackageError: it is too long.
        """
        data = body.json if self.json_responses else self._write(route, body)
        return self.package(package.DATA, data, message.response_head(number))

    def refusal(self, number: int, route: str | int) -> bytes:
        """The answer to a request that is refused or failed at.

        Where the route's schema has no room for a code, the client gets an empty body, as from
        Pomelo: JSON would be read as protobuf.
        """
        try:
            return self.response(number, route, REFUSED)
        except BodyError:
            return self.package(package.DATA, head=message.response_head(number))

    def push(self, route: str, body: Body) -> bytes:
        """A push; raises as `response` does."""
        code = self.codes.get(route, route)
        return self.package(package.DATA, self._write(route, body), message.push_head(code))

    def is_json(self, message: Message) -> bool:
        """Whether the body of a client's message is JSON."""
        return self.protos is None or message.route not in self.protos.client

    def decode(self, message: Message) -> Any:
        """The value of the body of a client's message.

        Raises:
            BodyError: it can't be read.
        """
        route = message.route
        if self.protos is not None and route in self.protos.client:
            return self.protos.client.decode(message.body, str(route))
        return body.decode(message.body)

    def _write(self, route: str | int, body: Body) -> bytes:
        if self.protos is not None and route in self.protos.server:
            return self.protos.server.encode(body.value, str(route), cesu=self.cesu)
        return body.json


TCP = Encoding("tcp", lambda size: b"")
"""Packages as they are, one after the other."""

WEBSOCKET = Encoding("websocket", frame.head)
"""One package in one binary frame: the only way that every Pomelo client understands."""

LONGEST_DATAGRAM = 65507
"""Bytes that a datagram of UDP over IPv4 may have."""


def _datagram(size: int) -> bytes:
    if size > LONGEST_DATAGRAM:
        raise PackageError(
            f"a package of {size} bytes does not fit a datagram ({LONGEST_DATAGRAM} at most)"
        )
    return b""


UDP = Encoding("udp", _datagram)
"""One package in one datagram."""


class Dialects:
    """Which encoding a client gets, by its transport and its type.

    Args:
        dictionary: the codes of routes, where they are in use.
        protos: the protobuf schemas, where they are in use.
        json_responses: the types of clients that read every answer as JSON.
        coded: the application's coder of bodies, if it has one.
    """

    def __init__(
        self,
        *,
        dictionary: Dictionary | None = None,
        protos: Protos | None = None,
        json_responses: Collection[str] = (),
        coded: Coded | None = None,
    ) -> None:
        self.dictionary = dictionary
        self.protos = protos
        self._coded = coded
        self._json_responses = frozenset(json_responses)
        self._made: dict[tuple[Encoding, bool, bool], Encoding] = {}

    def use(self, protos: Protos) -> None:
        """Speak by these schemas with who comes from now on; the others keep theirs."""
        self.protos = protos
        self._made.clear()

    def of(self, transport: Encoding, type: str) -> Encoding:
        """The encoding for a client.

        Args:
            transport: the plain encoding of its transport.
            type: what its library calls itself.
        """
        if self.protos is None and self.dictionary is None and self._coded is None:
            return transport
        # Where there are no schemas, all clients of a transport share the bytes of a push.
        cesu = self.protos is not None and type.startswith(JAVASCRIPT)
        json_responses = self.protos is not None and type in self._json_responses
        made = self._made.get((transport, cesu, json_responses))
        if made is None:
            dictionary = self.dictionary
            made = self._made[transport, cesu, json_responses] = replace(
                transport,
                codes=dictionary.codes if dictionary else {},
                routes=dictionary.routes if dictionary else {},
                protos=self._coded or self.protos,
                cesu=cesu,
                json_responses=json_responses,
            )
        return made
