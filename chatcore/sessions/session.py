"""The session itself, on the frontend that its client is connected to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

pack = msgspec.msgpack.Encoder().encode


class IConnection(Protocol):
    """What a session needs of its client's connection."""

    @property
    def encoding(self) -> Any:
        """How pushes are encoded for it; connections with equal encodings share the bytes."""

    @property
    def outbox(self) -> Any:
        """Where what is sent to the client waits: has ``send(bytes)``."""

    def kick(self, reason: str) -> None:
        """Tell the client why, and close."""


class Session:
    """One client connection.

    Attributes:
        id: its number on this frontend.
        uid: who it is, once bound.
        settings: what the application keeps in it.
        closed: why it ended, once it has.
    """

    __slots__ = (
        "_exported",
        "_hooks",
        "closed",
        "connection",
        "frontend_id",
        "id",
        "settings",
        "uid",
    )

    def __init__(self, id: int, frontend_id: str, connection: IConnection) -> None:
        self.id = id
        self.frontend_id = frontend_id
        self.connection = connection
        self.uid: str | None = None
        self.settings: dict[str, Any] = {}
        self.closed: str | None = None
        self._hooks: list[ClosedHook] = []
        self._exported: bytes | None = None

    def on_closed(self, hook: ClosedHook) -> None:
        """Have ``hook(session, reason)`` called when the session ends."""
        self._hooks.append(hook)

    def take_hooks(self) -> list[ClosedHook]:
        """The hooks to call, once."""
        hooks, self._hooks = self._hooks, []
        return hooks

    def get(self, key: str, default: Any = None) -> Any:
        """A setting."""
        return self.settings.get(key, default)

    def changed(self) -> None:
        """Its uid or its settings are others now."""
        self._exported = None

    def export(self) -> bytes:
        """What travels with each request to a backend: id, uid and settings.

        It is packed once and kept until something changes, because most requests change nothing.

        Raises:
            TypeError: a setting can't travel.
        """
        if self._exported is None:
            self._exported = pack((self.id, self.uid, self.settings))
        return self._exported


ClosedHook = Callable[[Session, str], Any]
"""Told which session ended, and why."""
