"""The session itself, on the frontend that its client is connected to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from chatcore.interfaces import Address
from chatcore.tracing.traceparent import TraceParent
from chatcore.wire.text import check_text
from chatcore.wire.values import pack

_unpack = msgspec.msgpack.Decoder(dict[str, Any]).decode

_FLAT = frozenset((str, int, float, bool, type(None), bytes))


class IConnection(Protocol):
    """What a session needs of its client's connection."""

    @property
    def address(self) -> Address:
        """Where the client connects from."""

    @property
    def encoding(self) -> Any:
        """How pushes are encoded for it; connections with equal encodings share the bytes."""

    @property
    def outbox(self) -> Any:
        """Where what is sent to the client waits: has ``push(bytes, route)``."""

    def kick(self, reason: str) -> None:
        """Tell the client why, and close."""


class Session:
    """One client connection.

    Attributes:
        id: its number on this frontend.
        address: the IP address and the port that the client connects from.
        opened: when its client had shaken hands, in seconds since the epoch.
        uid: who it is, once bound.
        logged_in: when it was bound, in seconds since the epoch.
        settings: what the application keeps in it; changed by `update` alone.
        nested: whether a setting holds others, so that copies of it have to be made in depth.
        closed: why it ended, once it has.
        trace: what its client's own trace is called, if it has named one.
    """

    __slots__ = (
        "_exported",
        "_hooks",
        "address",
        "closed",
        "connection",
        "frontend_id",
        "id",
        "logged_in",
        "nested",
        "opened",
        "settings",
        "trace",
        "uid",
    )

    def __init__(
        self, id: int, frontend_id: str, connection: IConnection, opened: float = 0.0
    ) -> None:
        self.id, self.opened = id, opened
        self.frontend_id = frontend_id
        self.connection = connection
        self.address = connection.address
        self.uid: str | None = None
        self.logged_in: float | None = None
        self.settings: dict[str, Any] = {}
        self.nested = False
        self.closed: str | None = None
        self.trace: TraceParent | None = None
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

    def update(self, settings: Mapping[str, Any], removed: Sequence[str] = ()) -> None:
        """Change and remove settings.

        They are kept as a backend would be given them, and nothing is shared with who set them:
        what a handler does with its own list afterwards changes nothing here.

        Raises:
            TypeError: a key is no text, or a value can't travel; nothing was changed.
        """
        self.settings.update(travelling(settings))
        for key in removed:
            self.settings.pop(key, None)
        self.nested = not all(type(value) in _FLAT for value in self.settings.values())
        self._exported = None

    def bound(self, uid: str | None, when: float | None) -> None:
        """It is bound to a uid now, or to none."""
        self.uid, self.logged_in = uid, when
        self._exported = None

    def deep_settings(self) -> dict[str, Any]:
        """The settings, copied in depth."""
        return _unpack(pack(self.settings))

    def export(self) -> bytes:
        """What travels with each request to a backend: id, uid, settings, address, time of login.

        It is packed once and kept until something changes, because most requests change nothing.
        """
        if self._exported is None:
            self._exported = pack((self.id, self.uid, self.settings, self.address, self.logged_in))
        return self._exported


def travelling(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Settings as a backend is given them, which share nothing with these.

    Raises:
        TypeError: a key is no text, or a value can't travel.
    """
    check_keys(settings)
    try:
        packed = pack(settings)  # every request takes them along: refuse what would fail there
        flat = all(type(value) in _FLAT for value in settings.values())
        return settings if flat else _unpack(packed)
    except (ValueError, OverflowError, RecursionError) as problem:
        raise TypeError(f"these settings can't travel: {problem}") from None


ClosedHook = Callable[[Session, str], Any]
"""Told which session ended, and why."""


LONGEST_UID = 65_536
"""Characters of a uid: lists of them have to fit boxes that cross links."""


def check_uid(uid: object) -> None:
    """Refuse what is no uid.

    Raises:
        TypeError: as from `check_text`.
        ValueError: it is too long.
    """
    check_text("a uid", uid)
    assert isinstance(uid, str)
    if len(uid) > LONGEST_UID:
        raise ValueError(f"a uid of more than {LONGEST_UID} characters: {uid[:40]!r}…")


def check_reason(reason: object) -> None:
    """Refuse what can't be told to a client that is kicked.

    Raises:
        TypeError: as from `check_text`.
    """
    check_text("the reason of a kick", reason)


def check_keys(settings: Iterable[object]) -> None:
    """Refuse keys that a session can't have.

    Raises:
        TypeError: one is not a text.
    """
    for key in settings:
        if not isinstance(key, str):
            raise TypeError(f"the key of a setting is a text, not {key!r}")
