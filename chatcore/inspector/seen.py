"""What is told of a message between AMP peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from chatcore.inspector.capture import Direction

What = Literal[
    "ask",
    "tell",
    "answer",
    "error",
    "box",
    "unanswered",
    "garbage",
    "resumed",
    "encrypted",
    "lost",
    "damaged",
    "open",
    "end",
    "failed",
    "note",
]

KINDS: Final[Mapping[What, str]] = {
    "ask": "a command that wants an answer",
    "tell": "a command that wants none",
    "answer": "the answer to an ask; its route is that of the ask",
    "error": "an error as the answer to an ask",
    "box": "a box that is none of these",
    "unanswered": "an ask that had no answer when its connection, or the file, ended",
    "garbage": "bytes that are no boxes begin here",
    "resumed": "boxes go on behind garbage, whose size this tells",
    "encrypted": "TLS begins here, and nobody can look into it",
    "lost": "what passed and was not seen, because whoever looks could not keep up",
    "damaged": "bytes of a capture that can't be read",
    "open": "a connection was made",
    "end": "a connection has ended",
    "failed": "a connection could not be made",
    "note": "something else to be known",
}
"""What is told, by its kind."""

TROUBLE: Final = frozenset[What](
    ("error", "unanswered", "garbage", "encrypted", "lost", "damaged", "failed")
)
"""The kinds that ``--errors`` shows."""

FIELDS: Final = (
    "time",
    "node",
    "peer",
    "direction",
    "kind",
    "route",
    "size",
    "ms",
    "error",
    "offset",
)
"""The fields of a record, in their order."""


@dataclass(slots=True)
class Seen:
    """A message, or something else that was seen.

    Args:
        kind: what it is.
        time: microseconds since 1970, UTC; None where nobody knows.
        node: where it was seen.
        peer: who is at the other end of the connection.
        connection: its number.
        direction: ``out`` from the node to the peer, ``in`` the other way.
        command: AMP's name of it; of an answer, of that which it answers.
        route: what is asked for: the command, or more where it is one of chatcore's.
        ask: by what an ask and its answer know each other.
        size: bytes.
        ms: milliseconds between an ask and this.
        error: the code of an error, or what is wrong.
        why: what an error says besides.
        offset: where in the stream, or in the file, in bytes.
        body: what it carries, in JSON's types; None where that was not asked for.
        uids: whom it concerns, where that was asked for.
        channels: which channels it concerns, where that was asked for.
    """

    kind: What
    time: int | None = None
    node: str = ""
    peer: str = ""
    connection: int = 0
    direction: Direction = ""
    command: str = ""
    route: str = ""
    ask: str = ""
    size: int | None = None
    ms: float | None = None
    error: str = ""
    why: str = ""
    offset: int | None = None
    body: Mapping[str, Any] | None = None
    uids: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()

    def to_value(self) -> dict[str, Any]:
        """The same in JSON's types, for a line of ``--json``."""
        value: dict[str, Any] = {
            "time": None if self.time is None else self.time / 1e6,
            "node": self.node or None,
            "peer": self.peer or None,
            "kind": self.kind,
            "route": self.route or None,
            "size": self.size,
            "ms": self.ms,
            "error": self.error or None,
            "why": self.why or None,
            "direction": self.direction or None,
            "connection": self.connection or None,
            "command": self.command or None,
            "ask": self.ask or None,
            "offset": self.offset,
        }
        if self.body is not None:
            value["body"] = self.body
        return value

    def fields(self) -> list[object]:
        """The fields of a record, those of `FIELDS`."""
        when = None if self.time is None else clock_time(self.time)
        error = ": ".join(filter(None, (self.error, self.why)))
        return [
            when,
            self.node,
            self.peer,
            self.direction,
            self.kind,
            self.route,
            self.size,
            self.ms,
            error,
            self.offset,
        ]

    def text(self) -> str:
        """The same for people, in a line."""
        return "  ".join(self._parts()).rstrip()

    def _parts(self) -> Iterator[str]:
        if self.time is not None:
            yield clock_time(self.time)[11:-4]
        elif self.offset is not None:
            yield f"at {self.offset:<8}"
        if self.peer:
            arrow = {"in": "<-", "out": "->"}.get(self.direction, "--")
            yield f"{self.node} {arrow} {self.peer}"
        route = self.route
        if self.command not in ("", route):
            route = f"{self.command} {route}"
        yield f"{self.kind:<10} {route}".rstrip()
        if self.error:
            yield ": ".join(filter(None, (self.error, self.why)))
        if self.size is not None:
            yield f"{self.size} B"
        if self.ms is not None:
            yield f"{self.ms:.1f} ms"


def clock_time(microseconds: int) -> str:
    """A time as ISO 8601 has it, in UTC, with microseconds."""
    try:
        when = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{microseconds} us"
    return f"{when:%Y-%m-%dT%H:%M:%S}.{microseconds % 1_000_000:06}Z"
