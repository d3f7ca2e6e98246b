"""What is asked of the sessions of this node, by itself and by others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from chatcore.channels.groups import GroupTable
from chatcore.node.replies import push_encoder
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session

PORTION = 500
"""How many sessions are told at once, where all are asked for."""

PORTION_BYTES = 256 * 1024
"""Beyond so many bytes of them, there are fewer."""


class SessionsHere:
    """Answers calls to ``sys.sessions``. A backend has no sessions, and so finds none.

    Args:
        sessions: those of this node.
        groups: sends messages to them; a backend has none.
    """

    def __init__(self, *, sessions: SessionService, groups: GroupTable | None) -> None:
        self._sessions = sessions
        self._groups = groups

    def remotes(self) -> Sequence[Callable[..., Any]]:
        """What other nodes may call, each under its own name."""
        sessions = self._sessions
        return [
            sessions.bind,
            sessions.unbind,
            sessions.update,
            sessions.kick,
            sessions.kick_uid,
            self.get,
            self.by_uid,
            self.count,
            self.portion,
            self.statistics,
            self.push,
            self.push_to_uid,
            self.push_to_uids,
        ]

    def get(self, id: int) -> bytes | None:
        """A session, as it travels to backends."""
        session = self._sessions.get(id)
        return None if session is None else session.export()

    def by_uid(self, uid: str) -> list[bytes]:
        """All sessions of a uid, as they travel to backends."""
        return [session.export() for session in self._sessions.by_uid(uid)]

    def count(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    def portion(self, after: int, bound: bool) -> list[bytes]:
        """The next sessions after one, as they travel to backends; none when there are no more.

        Args:
            bound: only those that are bound to a uid.
        """
        taken: list[bytes] = []
        size = 0
        for session in self._sessions:  # their numbers rise
            if session.id <= after or (bound and session.uid is None):
                continue
            taken.append(session.export())
            size += len(taken[-1])
            if len(taken) >= PORTION or size >= PORTION_BYTES:
                break
        return taken

    def statistics(self, most: int) -> Any:
        """What there is to be known of them, as values."""
        return msgspec.to_builtins(self._sessions.statistics(most))

    def push(self, id: int, route: str, packed: bytes, droppable: bool = False) -> bool:
        """Send a message to a session; False if it is gone."""
        session = self._sessions.get(id)
        return session is not None and self._push([session], route, packed, droppable) == 1

    def push_to_uid(self, uid: str, route: str, packed: bytes, droppable: bool = False) -> int:
        """Send a message to all sessions of a uid; how many there were."""
        return self._push(self._sessions.by_uid(uid), route, packed, droppable)

    def push_to_uids(
        self, uids: Sequence[str], route: str, packed: bytes, droppable: bool = False
    ) -> list[str]:
        """Send a message to all sessions of these uids; which of them have any comes back."""
        found = [uid for uid in dict.fromkeys(uids) if self._sessions.has_uid(uid)]
        sessions = [session for uid in found for session in self._sessions.by_uid(uid)]
        self._push(sessions, route, packed, droppable)
        return found

    def _push(self, sessions: Sequence[Session], route: str, packed: bytes, droppable: bool) -> int:
        if not sessions or self._groups is None:
            return 0
        encode = push_encoder(route, packed)
        self._groups.push_to_sessions(sessions, route, encode, droppable=droppable)
        return len(sessions)
