"""All sessions of a frontend, by id and by uid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.errors import SessionError
from chatcore.sessions.session import ClosedHook, IConnection, Session, pack
from chatcore.telemetry import Counters

_NONE: list[Session] = []


class SessionService:
    """Opens, finds, binds and closes sessions.

    Args:
        frontend_id: the id of this server.
        counters: where the sessions are counted.
    """

    log = Logger()

    def __init__(self, *, frontend_id: str, counters: Counters) -> None:
        self.frontend_id = frontend_id
        self._counters = counters
        self._last = 0
        self._by_id: dict[int, Session] = {}
        self._by_uid: dict[str, list[Session]] = {}
        self._uid_hooks: list[Callable[[str], None]] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    def on_uid_changed(self, hook: Callable[[str], None]) -> None:
        """Have ``hook(uid)`` called when a uid has gained or lost a session here."""
        self._uid_hooks.append(hook)

    def open(self, connection: IConnection) -> Session:
        """A new session for a client that has shaken hands."""
        self._last += 1
        session = Session(self._last, self.frontend_id, connection)
        self._by_id[session.id] = session
        self._counters.sessions_now += 1
        return session

    def get(self, id: int) -> Session | None:
        """The session with that number."""
        return self._by_id.get(id)

    def by_uid(self, uid: str) -> list[Session]:
        """All sessions bound to that uid; not to be changed by the caller."""
        return self._by_uid.get(uid, _NONE)

    def bind(self, id: int, uid: str) -> None:
        """Say who a session's client is; the same uid again is no mistake.

        Raises:
            SessionError: the session is gone, or is bound to another uid.
            TypeError: the uid is not a text, or empty.
        """
        if not isinstance(uid, str) or not uid:
            raise TypeError(f"a uid is a text that is not empty, not {uid!r}")
        session = self._existing(id)
        if session.uid == uid:
            return
        if session.uid is not None:
            raise SessionError(f"session {id} is bound to {session.uid!r} already")
        session.uid = uid
        session.changed()
        self._by_uid.setdefault(uid, []).append(session)
        self._uid_changed(uid)

    def unbind(self, id: int) -> None:
        """Forget who a session's client is."""
        session = self._existing(id)
        session.changed()
        self._forget_uid(session)

    def update(self, id: int, settings: Mapping[str, Any]) -> None:
        """Change settings of a session.

        Raises:
            SessionError: the session is gone.
            TypeError: a value can't travel to a backend; nothing was changed.
        """
        session = self._existing(id)
        pack(settings)  # every request takes them along: refuse here what would fail there
        session.settings.update(settings)
        session.changed()

    def on_closed(self, id: int, hook: ClosedHook) -> None:
        """Have ``hook(session, reason)`` called when the session ends.

        Raises:
            SessionError: it has ended already.
        """
        self._existing(id).on_closed(hook)

    def kick(self, id: int, reason: str) -> None:
        """Tell a session's client why, and close its connection. Nothing if it is gone."""
        session = self._by_id.get(id)
        if session is not None:
            session.connection.kick(reason)

    def close(self, session: Session, reason: str) -> None:
        """The client is gone: forget its session and tell all who asked. Once is enough."""
        if self._by_id.pop(session.id, None) is None:
            return
        self._counters.sessions_now -= 1
        session.closed = reason
        uid = session.uid
        hooks = session.take_hooks()
        if uid is not None:
            self._forget_uid(session, keep=True)
        for hook in hooks:
            maybeDeferred(hook, session, reason).addErrback(self._hook_failed, session)

    def _hook_failed(self, failure: Failure, session: Session) -> None:
        self.log.failure("An on_closed hook of session {id} raised", failure, id=session.id)

    def _existing(self, id: int) -> Session:
        session = self._by_id.get(id)
        if session is None:
            raise SessionError(f"session {id} of {self.frontend_id} is gone")
        return session

    def _forget_uid(self, session: Session, keep: bool = False) -> None:
        uid = session.uid
        if uid is None:
            return
        if not keep:  # a closed session keeps it, so that its hooks know whose it was
            session.uid = None
        sessions = self._by_uid[uid]
        sessions.remove(session)
        if not sessions:
            del self._by_uid[uid]
        self._uid_changed(uid)

    def _uid_changed(self, uid: str) -> None:
        for hook in self._uid_hooks:
            hook(uid)
