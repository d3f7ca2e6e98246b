"""What happens to clients of whom nothing is known, in conversations that are made up."""

from __future__ import annotations

from typing import Any

from chatcore.channels.groups import GroupTable
from chatcore.wire.body import Body

from .clients import Connector


class Others:
    """All clients of a connector that have no uid: those with one are neighbours."""

    connector: Connector
    groups: GroupTable

    def answer(self, size: int) -> None:
        """Answer all that was asked."""
        for asked in self.connector.asked:
            if asked.reply is not None:
                asked.reply(Body("y" * size))
        self.connector.asked.clear()

    def push(self, value: Any) -> None:
        """Push to them, also what may be given up."""
        body = Body(value)
        others = [session for session in self.connector.sessions if session.uid is None]
        for droppable in (False, True):
            self.groups.push_to_sessions(
                others, "onChat", lambda e: e.push("onChat", body), droppable=droppable
            )

    def kick(self) -> None:
        for session in self.connector.sessions:
            if session.uid is None:
                session.connection.kick("enough")
