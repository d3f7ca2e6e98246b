"""The copy of a session that a handler works on, on the frontend or on a backend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import msgspec
from zope.interface import implementer

from chatcore.errors import SessionError
from chatcore.hooks import check_hook
from chatcore.interfaces import Address, ISession
from chatcore.sessions.session import (
    ClosedHook,
    Session,
    check_keys,
    check_reason,
    check_uid,
)
from chatcore.wire.values import pack

T = TypeVar("T")

_Exported = tuple[int, str | None, dict[str, Any], Address, float | None]
_unpack = msgspec.msgpack.Decoder(_Exported).decode


class IHome(Protocol):
    """Where sessions live: here, or on another node. Each call is done, or can be waited for."""

    def bind(self, id: int, uid: str) -> Awaitable[float | None] | float | None: ...

    def unbind(self, id: int, uid: str | None) -> Awaitable[None] | None: ...

    def update(
        self, id: int, settings: Mapping[str, Any], removed: Sequence[str] = ()
    ) -> Awaitable[None] | None: ...

    def kick(self, id: int, reason: str) -> Awaitable[bool] | bool: ...

    def on_closed(self, id: int, hook: ClosedHook) -> None: ...


class FarHome:
    """The sessions of another node.

    Args:
        call: ``call(method, *args)`` asks the frontend to do it.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Awaitable[Any]]) -> None:
        self._call = call

    def bind(self, id: int, uid: str) -> Awaitable[float | None]:
        check_uid(uid)
        return self._call("bind", id, uid)

    def unbind(self, id: int, uid: str | None) -> Awaitable[None]:
        return self._call("unbind", id, uid)

    def update(
        self, id: int, settings: Mapping[str, Any], removed: Sequence[str] = ()
    ) -> Awaitable[None]:
        check_keys(settings)
        if removed:
            return self._call("update", id, dict(settings), list(removed))
        return self._call("update", id, dict(settings))

    def kick(self, id: int, reason: str) -> Awaitable[bool]:
        check_reason(reason)
        return self._call("kick", id, reason)

    def on_closed(self, id: int, hook: ClosedHook) -> None:
        raise SessionError(
            "only the frontend knows when a session closes; use the channels' on_left on a backend"
        )


@implementer(ISession)
class SessionCopy:
    """A session as of now, for one request."""

    __slots__ = (
        "_home",
        "_removed",
        "_settings",
        "address",
        "frontend_id",
        "id",
        "logged_in",
        "uid",
    )

    def __init__(
        self,
        id: int,
        frontend_id: str,
        uid: str | None,
        settings: dict[str, Any],
        home: IHome,
        address: Address = ("", 0),
        logged_in: float | None = None,
    ) -> None:
        self.id = id
        self.frontend_id = frontend_id
        self.uid = uid
        self.address = address
        self.logged_in = logged_in
        self._settings = settings
        self._removed: dict[str, None] | None = None
        self._home = home

    def __repr__(self) -> str:
        return f"<session {self.id} of {self.frontend_id}, uid {self.uid!r}>"

    @property
    def settings(self) -> Mapping[str, Any]:
        return MappingProxyType(self._settings)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "frontend_id": self.frontend_id,
            "uid": self.uid,
            "address": self.address,
            "logged_in": self.logged_in,
            "settings": self._settings.copy(),
        }

    def export(self) -> bytes:
        """What travels with a request to a backend, as `Session.export`, but as this copy is now.

        Raises:
            TypeError: a setting of this copy can't travel.
        """
        return pack((self.id, self.uid, self._settings, self.address, self.logged_in))

    def get(self, key: str, default: Any = None) -> Any:
        return self._settings.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self._settings[key] = value

    def remove(self, key: str) -> None:
        self._settings.pop(key, None)
        if self._removed is None:
            self._removed = {}
        self._removed[key] = None

    async def push(self, *keys: str) -> None:
        settings, removed = self._settings, self._removed or {}
        named = keys or (*settings, *removed)
        kept = {key: settings[key] for key in named if key in settings or key not in removed}
        await _done(self._home.update(self.id, kept, [key for key in named if key not in kept]))

    async def update(self, **settings: Any) -> None:
        await _done(self._home.update(self.id, settings))
        self._settings.update(settings)

    async def bind(self, uid: str) -> None:
        self.logged_in = await _done(self._home.bind(self.id, uid))
        self.uid = uid

    async def unbind(self) -> None:
        await _done(self._home.unbind(self.id, self.uid))
        self.uid = self.logged_in = None

    async def kick(self, reason: str = "kick") -> None:
        await _done(self._home.kick(self.id, reason))

    def on_closed(self, hook: Callable[[ISession, str], Any]) -> None:
        check_hook(hook, "on_closed", "session", "reason")
        home = self._home
        # What is bound and published until then is known to the hook: it gets a copy of its own.
        home.on_closed(self.id, lambda session, reason: hook(copy_of(session, home), reason))


async def _done(outcome: Awaitable[T] | T) -> T:
    if isinstance(outcome, Awaitable):
        return await outcome
    return outcome


def copy_of(session: Session, home: IHome) -> SessionCopy:
    """A copy of a session that lives on this node."""
    return SessionCopy(
        session.id,
        session.frontend_id,
        session.uid,
        session.deep_settings() if session.nested else session.settings.copy(),
        home,
        session.address,
        session.logged_in,
    )


def import_copy(exported: bytes, frontend_id: str, home: IHome) -> SessionCopy:
    """The copy that a frontend sent along with a request.

    Raises:
        ValueError: that was no session.
    """
    id, uid, settings, address, logged_in = _unpack(exported)
    return SessionCopy(id, frontend_id, uid, settings, home, address, logged_in)
