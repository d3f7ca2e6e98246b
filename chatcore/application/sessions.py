"""``app.sessions``."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from chatcore.interfaces import ISession, ISessions
from chatcore.sessions.copy import copy_of
from chatcore.sessions.service import SessionService


@implementer(ISessions)
class Sessions:
    """The sessions of this frontend, as the application sees them."""

    def __init__(self, service: SessionService) -> None:
        self._service = service

    def __len__(self) -> int:
        return len(self._service)

    def get(self, id: int) -> ISession | None:
        session = self._service.get(id)
        return None if session is None else copy_of(session, self._service)

    def by_uid(self, uid: str) -> Sequence[ISession]:
        return [copy_of(session, self._service) for session in self._service.by_uid(uid)]

    def kick(self, uid: str, reason: str = "kick") -> int:
        sessions = list(self._service.by_uid(uid))
        for session in sessions:
            session.connection.kick(reason)
        return len(sessions)
