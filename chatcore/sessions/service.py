"""All sessions of a frontend, by id and by uid."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import Any, Protocol

from twisted.internet.defer import maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.errors import SessionError
from chatcore.interfaces import Login, SessionStatistics
from chatcore.sessions.session import (
    ClosedHook,
    IConnection,
    Session,
    check_reason,
    check_uid,
)
from chatcore.sessions.settings import SessionSettings
from chatcore.telemetry import Counters, Happening

TAKEN_OVER = "logged in elsewhere"
"""Why a session is kicked whose uid has a newer one, where there is one for each uid."""

BoundHook = Callable[[Session], Any]
UnboundHook = Callable[[Session, str], Any]


class IClaims(Protocol):
    """Sees to it that a uid has one session in the whole cluster."""

    def bind(self, id: int, uid: str) -> Awaitable[float | None]:
        """Have a session bound, with `SessionService.bound_to`, once nobody else has the uid.

        Raises:
            SessionError: it is being bound to another uid.
        """

    def ended(self, id: int) -> None:
        """The session is bound no more, and is not to be bound either."""


class SessionService:
    """Opens, finds, binds and closes sessions.

    Args:
        frontend_id: the id of this server.
        counters: where the sessions are counted.
        settings: what may be set about them.
        now: the time, in seconds since the epoch.
    """

    log = Logger()

    def __init__(
        self,
        *,
        frontend_id: str,
        counters: Counters,
        settings: SessionSettings | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.frontend_id = frontend_id
        self._counters = counters
        self._per_uid = (settings or SessionSettings()).per_uid
        self._now = now
        self._claims: IClaims | None = None
        self._last = 0
        self._by_id: dict[int, Session] = {}
        # In order; a dict, because many sessions of one uid may end at once.
        self._by_uid: dict[str, dict[Session, None]] = {}
        self._uid_hooks: list[Callable[[str], None]] = []
        self._bound_hooks: list[BoundHook] = []
        self._unbound_hooks: list[UnboundHook] = []
        self._closed_hooks: list[ClosedHook] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_id.values()))

    def bound(self) -> Iterator[Session]:
        """Those that are bound to a uid, uid by uid."""
        return iter([session for sessions in self._by_uid.values() for session in sessions])

    # Who wants to know.

    def on_uid_changed(self, hook: Callable[[str], None]) -> None:
        """Have ``hook(uid)`` called when a uid has gained or lost a session here."""
        self._uid_hooks.append(hook)

    def on_bound(self, hook: BoundHook) -> None:
        """Have ``hook(session)`` called when a session has been bound.

        These three kinds of hooks may wait; what they raise is logged, and changes nothing.
        """
        self._bound_hooks.append(hook)

    def on_unbound(self, hook: UnboundHook) -> None:
        """Have ``hook(session, uid)`` called when a session has been unbound from that uid.

        Not for a session that ends: it keeps its uid.
        """
        self._unbound_hooks.append(hook)

    def on_session_closed(self, hook: ClosedHook) -> None:
        """Have ``hook(session, reason)`` called when a session has ended, after its own hooks."""
        self._closed_hooks.append(hook)

    def share(self, claims: IClaims) -> None:
        """Have all uids claimed in the whole cluster before they are bound here."""
        self._claims = claims

    # Sessions come, change and go.

    def open(self, connection: IConnection, settings: Mapping[str, Any] | None = None) -> Session:
        """A new session for a client that has shaken hands.

        Args:
            settings: what it begins with.

        Raises:
            TypeError: they can't travel.
        """
        self._last += 1
        session = Session(self._last, self.frontend_id, connection, self._now())
        if settings:
            session.update(settings)
        self._by_id[session.id] = session
        self._counters.sessions_now += 1
        return session

    def speaks_otherwise(self, session: Session) -> None:
        """The client of a session is written to in another way from now on."""
        if session.uid is not None:
            self._uid_changed(session.uid)

    def get(self, id: int) -> Session | None:
        """The session with that number."""
        return self._by_id.get(id)

    def by_uid(self, uid: str) -> list[Session]:
        """All sessions bound to that uid now, in the order in which they were."""
        return list(self._by_uid.get(uid, ()))

    def many(self) -> list[Session]:
        """All of them as they are now, in the order in which they came."""
        return list(self._by_id.values())

    def has_uid(self, uid: str) -> bool:
        """Whether a session is bound to that uid."""
        return uid in self._by_uid

    def bind(self, id: int, uid: str) -> Awaitable[float | None] | float | None:
        """Say who a session's client is; the same uid again is no mistake.

        Returns:
            when it was bound, in seconds since the epoch; to be waited for where others are asked.

        Raises:
            SessionError: the session is gone, or is bound to another uid, or the uid has a session
                already and may have one only, or it can't be known now whether it has one.
            TypeError: the uid is not a text, or empty.
            ValueError: it is too long.
        """
        check_uid(uid)
        session = self._existing(id)
        if session.uid == uid:
            return session.logged_in
        if session.uid is not None:
            raise SessionError(f"session {id} is bound to {session.uid!r} already")
        if self._claims is not None:
            return self._claims.bind(id, uid)
        return self._bind(session, uid, self._admit(uid))

    def bound_to(self, id: int, uid: str) -> float | None:
        """A session has claimed a uid in the whole cluster; when it was bound comes back.

        Raises:
            SessionError: the session is gone.
        """
        return self._bind(self._existing(id), uid, ())

    def _bind(self, session: Session, uid: str, for_the_uid: Sequence[Session]) -> float | None:
        session.bound(uid, self._now())
        self._by_uid.setdefault(uid, {})[session] = None
        self._uid_changed(uid)
        more = {"address": str(session.address[0])}
        self._counters.journal.note(uid, "logged in", session=session.id, more=more)
        for older in for_the_uid:
            older.connection.kick(TAKEN_OVER)
        self._tell(self._bound_hooks, session)
        return session.logged_in

    def unbind(self, id: int, uid: str | None = None) -> None:
        """Forget who a session's client is.

        Args:
            uid: who it is thought to be; nothing happens where it is nobody any more.

        Raises:
            SessionError: the session is gone, or it is bound to somebody else.
        """
        session = self._existing(id)
        known = session.uid
        if known is None:
            if uid is None and self._claims is not None:
                self._claims.ended(id)  # it is nobody, and is not to become anybody either
            return
        if uid is not None and uid != known:
            raise SessionError(f"session {id} is bound to {known!r}, not to {uid!r}")
        if self._claims is not None:
            self._claims.ended(id)
        session.bound(None, None)
        self._counters.journal.note(known, "logged out", session=id)
        self._forget_uid(session, known)
        self._tell(self._unbound_hooks, session, known)

    def update(self, id: int, settings: Mapping[str, Any], removed: Sequence[str] = ()) -> None:
        """Change and remove settings of a session.

        Raises:
            SessionError: the session is gone.
            TypeError: a value can't travel to a backend; nothing was changed.
        """
        self._existing(id).update(settings, removed)

    def on_closed(self, id: int, hook: ClosedHook) -> None:
        """Have ``hook(session, reason)`` called when the session ends.

        Raises:
            SessionError: it has ended already.
        """
        self._existing(id).on_closed(hook)

    def kick(self, id: int, reason: str) -> bool:
        """Tell a session's client why, and close its connection; False if it is gone.

        Raises:
            TypeError: the reason is not a text, or empty.
        """
        check_reason(reason)
        session = self._by_id.get(id)
        if session is None:
            return False
        session.connection.kick(reason)
        return True

    def kick_uid(self, uid: str, reason: str, but: int | None = None) -> int:
        """Kick all sessions of a uid; how many there were. Raises as `kick` does.

        Args:
            but: the number of one that stays.
        """
        check_reason(reason)
        sessions = [session for session in self.by_uid(uid) if session.id != but]
        for session in sessions:
            session.connection.kick(reason)
        return len(sessions)

    def close(self, session: Session, reason: str) -> None:
        """The client is gone: forget its session and tell all who asked. Once is enough."""
        if self._by_id.pop(session.id, None) is None:
            return
        self._counters.sessions_now -= 1
        session.closed = reason
        if self._claims is not None:
            self._claims.ended(session.id)
        hooks = session.take_hooks()
        if session.uid is not None:  # which it keeps, so that its hooks know whose it was
            self._counters.journal.note(session.uid, "closed", reason, session=session.id)
            self._forget_uid(session, session.uid)
        self._tell(hooks, session, reason)
        self._tell(self._closed_hooks, session, reason)

    # What is noted.

    def note_kick(self, session: Session | None, reason: str) -> None:
        """A session's client is kicked."""
        if session is not None and session.uid is not None:
            what: Happening = "taken over" if reason == TAKEN_OVER else "kicked"
            self._counters.journal.note(session.uid, what, reason, session=session.id)

    def statistics(self, most: int) -> SessionStatistics:
        """What there is to be known of all of them.

        Args:
            most: how many logins are listed, the newest first.
        """
        bound = list(self.bound())
        newest = nlargest(most, bound, key=lambda session: session.logged_in or 0)
        return SessionStatistics(
            server_id=self.frontend_id,
            connections=self._counters.clients_now,
            sessions=len(self._by_id),
            logged_in=len(bound),
            logins=[
                Login(
                    uid=session.uid or "",
                    id=session.id,
                    address=session.address,
                    logged_in=session.logged_in or 0,
                )
                for session in newest
            ],
        )

    def _admit(self, uid: str) -> Sequence[Session]:
        """Who has to go when a uid gets another session.

        Raises:
            SessionError: it may not get one.
        """
        others = self._by_uid.get(uid)
        if others is None or self._per_uid == "many":
            return ()
        if self._per_uid == "refuse":
            self._counters.journal.note(uid, "refused login", "it has a session here already")
            raise SessionError(f"{uid!r} has a session already, and sessions.per_uid is refuse")
        return tuple(others)

    def _tell(self, hooks: Sequence[Callable[..., Any]], session: Session, *more: str) -> None:
        for hook in hooks:
            maybeDeferred(hook, session, *more).addErrback(self._hook_failed, session)

    def _hook_failed(self, failure: Failure, session: Session) -> None:
        what = "on_closed hook" if session.closed is not None else "hook"
        self.log.failure("An {what} of session {id} raised", failure, what=what, id=session.id)

    def _existing(self, id: int) -> Session:
        session = self._by_id.get(id)
        if session is None:
            raise SessionError(f"session {id} of {self.frontend_id} is gone")
        return session

    def _forget_uid(self, session: Session, uid: str) -> None:
        sessions = self._by_uid[uid]
        del sessions[session]
        if not sessions:
            del self._by_uid[uid]
        self._uid_changed(uid)

    def _uid_changed(self, uid: str) -> None:
        for hook in self._uid_hooks:
            hook(uid)
