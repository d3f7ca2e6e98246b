"""The copy of a session that a handler works on, on the frontend or on a backend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from zope.interface import implementer

from chatcore.errors import SessionError
from chatcore.interfaces import ISession
from chatcore.sessions.session import ClosedHook, Session

_unpack = msgspec.msgpack.Decoder(tuple[int, str | None, dict[str, Any]]).decode


class IHome(Protocol):
    """Where sessions live: here, or on another node. Each call is done, or can be waited for."""

    def bind(self, id: int, uid: str) -> Awaitable[None] | None: ...

    def unbind(self, id: int) -> Awaitable[None] | None: ...

    def update(self, id: int, settings: Mapping[str, Any]) -> Awaitable[None] | None: ...

    def kick(self, id: int, reason: str) -> Awaitable[None] | None: ...

    def on_closed(self, id: int, hook: ClosedHook) -> None: ...


class FarHome:
    """The sessions of another node.

    Args:
        call: ``call(method, *args)`` asks the frontend to do it.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Awaitable[None]]) -> None:
        self._call = call

    def bind(self, id: int, uid: str) -> Awaitable[None]:
        return self._call("bind", id, uid)

    def unbind(self, id: int) -> Awaitable[None]:
        return self._call("unbind", id)

    def update(self, id: int, settings: Mapping[str, Any]) -> Awaitable[None]:
        return self._call("update", id, dict(settings))

    def kick(self, id: int, reason: str) -> Awaitable[None]:
        return self._call("kick", id, reason)

    def on_closed(self, id: int, hook: ClosedHook) -> None:
        raise SessionError(
            "only the frontend knows when a session closes; use the channels' on_left on a backend"
        )


@implementer(ISession)
class SessionCopy:
    """A session as of now, for one request."""

    __slots__ = ("_home", "_settings", "frontend_id", "id", "uid")

    def __init__(
        self, id: int, frontend_id: str, uid: str | None, settings: dict[str, Any], home: IHome
    ) -> None:
        self.id = id
        self.frontend_id = frontend_id
        self.uid = uid
        self._settings = settings
        self._home = home

    def __repr__(self) -> str:
        return f"<session {self.id} of {self.frontend_id}, uid {self.uid!r}>"

    def get(self, key: str, default: Any = None) -> Any:
        return self._settings.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self._settings[key] = value

    async def push(self, *keys: str) -> None:
        settings = self._settings
        await _done(self._home.update(self.id, {k: settings[k] for k in keys or settings}))

    async def update(self, **settings: Any) -> None:
        self._settings.update(settings)
        await _done(self._home.update(self.id, settings))

    async def bind(self, uid: str) -> None:
        await _done(self._home.bind(self.id, uid))
        self.uid = uid

    async def unbind(self) -> None:
        await _done(self._home.unbind(self.id))
        self.uid = None

    async def kick(self, reason: str = "kick") -> None:
        await _done(self._home.kick(self.id, reason))

    def on_closed(self, hook: Callable[[ISession, str], Any]) -> None:
        home = self._home
        # What is bound and published until then is known to the hook: it gets a copy of its own.
        home.on_closed(self.id, lambda session, reason: hook(copy_of(session, home), reason))


async def _done(waiting: Awaitable[None] | None) -> None:
    if waiting is not None:
        await waiting


def copy_of(session: Session, home: IHome) -> SessionCopy:
    """A copy of a session that lives on this node."""
    return SessionCopy(session.id, session.frontend_id, session.uid, session.settings.copy(), home)


def import_copy(exported: bytes, frontend_id: str, home: IHome) -> SessionCopy:
    """The copy that a frontend sent along with a request.

    Raises:
        ValueError: that was no session.
    """
    id, uid, settings = _unpack(exported)
    return SessionCopy(id, frontend_id, uid, settings, home)
