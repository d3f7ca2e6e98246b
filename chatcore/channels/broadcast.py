"""A frontend's share of a broadcast: to all of its clients, or to those that it picks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from twisted.logger import Logger

from chatcore.channels.groups import Encode, GroupTable
from chatcore.interfaces import BroadcastFilter
from chatcore.sessions.copy import copy_of
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.wire.values import unpack


class Broadcasts:
    """Sends what is for every client of this frontend.

    Args:
        sessions: those of this frontend.
        groups: sends to them.
        wanted: picks sessions where a broadcast says ``where``; what ``app.broadcast_filter`` got.
    """

    log = Logger()

    def __init__(
        self, *, sessions: SessionService, groups: GroupTable, wanted: BroadcastFilter | None
    ) -> None:
        self._sessions = sessions
        self._groups = groups
        self._wanted = wanted
        self._said = False

    def send(
        self,
        route: str,
        encode: Encode,
        packed: bytes,
        *,
        bound: bool = False,
        where: bytes | None = None,
        droppable: bool = False,
    ) -> None:
        """Send to each session at most once.

        Args:
            encode: makes the bytes for one encoding.
            packed: the message, packed; the filter looks at it.
            bound: whether only sessions that are bound to a uid are meant.
            where: what the filter goes by, packed; without it, nobody is left out.
            droppable: whether who does not keep up is passed over.
        """
        sessions: Iterable[Session] = self._sessions.bound() if bound else self._sessions
        if where is not None:
            sessions = list(self._picked(sessions, unpack(packed), unpack(where)))
        self._groups.push_to_sessions(sessions, route, encode, droppable=droppable)

    def _picked(self, sessions: Iterable[Session], msg: Any, where: Any) -> Iterator[Session]:
        wanted = self._wanted
        if wanted is None:
            if not self._said:
                self._said = True
                self.log.error(
                    "A broadcast says where={where!r}, and nothing here understands it: it goes to"
                    " nobody. Give app.broadcast_filter a function for this server type, too",
                    where=where,
                )
            return
        failed = False
        for session in sessions:
            try:
                if wanted(copy_of(session, self._sessions), msg, where):
                    yield session
            except Exception:
                if not failed:  # it may fail for all of them
                    self.log.failure("The broadcast filter failed for {id}", id=session.id)
                failed = True
