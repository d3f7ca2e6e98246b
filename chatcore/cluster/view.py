"""The view: a numbered list of the nodes there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from chatcore.config.names import is_server_id, is_server_type
from chatcore.config.servers import Server
from chatcore.errors import ViewError

State = Literal["starting", "up", "draining"]
"""How far a node is.

``starting``
    a frontend that takes no clients yet
``up``
    it owns its share of keys, and takes its share of clients
``draining``
    it owns no key any more and takes no new client; what it has it hands over
"""

_STATES = get_args(State)

MOST_EPOCH = 2**53
"""The highest epoch that a view may have, and that JSON can write for everybody."""

MOST_TOLD = MOST_EPOCH // 2
"""The highest epoch that registries take over from what they are told, or find: nobody who counts
on from there gets to the end."""

MOST_BYTES = 4 * 1024 * 1024
"""Bytes that all members of a view may have, as they are written; a quarter of a box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A node of a view.

    Args:
        server: what it is and where it is reached.
        incarnation: which life of it this is; empty where only its links tell.
        state: how far it is.
    """

    server: Server
    incarnation: str = ""
    state: State = "up"

    @property
    def id(self) -> str:
        """The node's id."""
        return self.server.id

    @property
    def life(self) -> tuple[str, str]:
        """What tells it from another node, and from an earlier life of its own."""
        return self.server.id, self.incarnation

    def to_value(self) -> dict[str, Any]:
        """The member in JSON's types, as it crosses links and lies in registries."""
        server = self.server
        return {
            "id": server.id,
            "type": server.type,
            "host": server.host,
            "port": server.port,
            "clientHost": server.client_host,
            "clientPort": server.client_port,
            "frontend": server.frontend,
            "max": server.max_connections,
            "weight": server.weight,
            "data": dict(server.data),
            "incarnation": self.incarnation,
            "state": self.state,
        }

    @classmethod
    def from_value(cls, value: object) -> Member:
        """Read what `to_value` made.

        Raises:
            ViewError: it is something else.
        """
        try:
            return _member(value)
        except (KeyError, TypeError, ValueError) as wrong:
            raise ViewError(f"{value!r:.200} is no member of a view: {wrong!r}") from None


@dataclass(frozen=True, slots=True)
class View:
    """A numbered list of nodes. Who owns what follows from it, and from nothing else.

    Args:
        epoch: its number. A later view has a higher one.
        members: the nodes, sorted by id.
    """

    epoch: int
    members: tuple[Member, ...]
    _by_id: Mapping[str, Member] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_id = {member.id: member for member in sorted(self.members, key=lambda each: each.id)}
        object.__setattr__(self, "members", tuple(by_id.values()))
        object.__setattr__(self, "_by_id", by_id)

    @classmethod
    def of(cls, servers: Iterable[Server]) -> View:
        """The only view there is where nobody watches who is alive: all servers, for ever."""
        return cls(0, tuple(Member(server=server) for server in servers))

    def get(self, id: str) -> Member | None:
        """The member of that id."""
        return self._by_id.get(id)

    def has(self, member: Member) -> bool:
        """Whether that life of a node is in it."""
        known = self._by_id.get(member.id)
        return known is not None and known.life == member.life

    def to_value(self) -> dict[str, Any]:
        """The view in JSON's types."""
        return {"epoch": self.epoch, "members": [each.to_value() for each in self.members]}

    @classmethod
    def from_value(cls, value: object) -> View:
        """Read what `to_value` made.

        Raises:
            ViewError: it is something else.
        """
        if not (
            isinstance(value, dict)
            and isinstance(epoch := value.get("epoch"), int)
            and 0 <= epoch <= MOST_EPOCH
            and isinstance(members := value.get("members"), list)
        ):
            raise ViewError(f"{value!r:.200} is no view")
        return cls(epoch, tuple(Member.from_value(member) for member in members))


def _member(value: Any) -> Member:
    state, incarnation = value["state"], value["incarnation"]
    if state not in _STATES or not isinstance(incarnation, str):
        raise ValueError("its state or its incarnation")
    id, type = value["id"], value["type"]
    if not (isinstance(id, str) and is_server_id(id)):
        raise ValueError("its id")
    if not (isinstance(type, str) and is_server_type(type)):
        raise ValueError("its type")
    return Member(
        server=Server(
            id=id,
            type=type,
            host=_of(str, value["host"]),
            port=_port(value["port"]),
            client_host=None if value["clientHost"] is None else _of(str, value["clientHost"]),
            client_port=_port(value["clientPort"]),
            frontend=_of(bool, value["frontend"]),
            max_connections=None if value["max"] is None else _of(int, value["max"]),
            weight=_of(int, value["weight"]),
            data=_of(dict, value["data"]),
        ),
        incarnation=incarnation,
        state=state,
    )


def _of(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} is no {kind.__name__}")
    return value


def _port(value: Any) -> int | None:
    if value is None:
        return None
    if not 1 <= _of(int, value) <= 65535:
        raise ValueError("a port")
    return int(value)
