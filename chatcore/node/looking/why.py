"""What a node knows of a user: what happened to it lately, and how it is now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from chatcore.admin.outcomes import REFUSED
from chatcore.deadlines import IClock
from chatcore.errors import AdminError
from chatcore.node.looking.looked_at import ILookedAt
from chatcore.node.looking.noted import told_of
from chatcore.sessions.session import LONGEST_UID, Session

MOST_CHANNELS = 20_000
"""Channels of a backend that are looked through for a user."""

MOST_SHOWN = 100
"""Sessions and channels of a user that are told."""

MOST_LOOKED_AT = 50_000
"""Uids that are looked through for similar ones."""

MOST_SIMILAR = 20
"""Of those, so many are told."""

SHORTEST = 3
"""Characters that two uids have to begin with alike to be similar."""


class Why:
    """Tells what a node knows of a user.

    Args:
        node: that node.
        clock: the reactor.
    """

    def __init__(self, node: ILookedAt, clock: IClock) -> None:
        self._node, self._clock = node, clock
        self._begun = node.counters.journal.now()

    def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is known of the uid that is given, in JSON's types.

        Raises:
            AdminError: none is given.
        """
        uid = given.get("uid")
        if not isinstance(uid, str) or not uid or len(uid) > LONGEST_UID:
            raise AdminError("there is no usable uid in what was asked", code=REFUSED)
        node = self._node
        journal, clients = node.counters.journal, node.clients
        happened = [told_of(each) for each in journal.of(uid)]
        sessions = [self._session(each) for each in islice(node.sessions.by_uid(uid), MOST_SHOWN)]
        groups = [] if clients is None else clients.groups.of_uid(uid)[:MOST_SHOWN]
        members = node.channels.of_uid(uid, MOST_CHANNELS)[:MOST_SHOWN]
        known = bool(happened or sessions or groups or members)
        return {
            "frontend": clients is not None,
            "since": self._begun,
            "time": journal.now(),
            "happened": happened,
            "node": [told_of(each) for each in journal.of_node()],
            "sessions": sessions,
            "groups": [[backend, channel] for backend, channel in groups],
            "members": [[channel, frontend] for channel, frontend in members],
            "similar": [] if known else list(islice(self._similar(uid), MOST_SIMILAR)),
        }

    def _session(self, session: Session) -> dict[str, Any]:
        outbox = session.connection.outbox
        return {
            "id": session.id,
            "since": session.logged_in,
            "address": str(session.address[0]),
            "encoding": getattr(session.connection.encoding, "name", None),
            "waiting": outbox.waiting,
            "unread": round(outbox.unread_seconds, 1),
        }

    def _similar(self, uid: str) -> Iterator[str]:
        """Uids that are known here and look like that one."""
        meant = uid.casefold()
        bound = (session.uid or "" for session in self._node.sessions.bound())
        known = chain(bound, self._node.counters.journal.uids())
        for each in dict.fromkeys(islice(known, MOST_LOOKED_AT)):
            other = each.casefold()
            if meant in other or other in meant or other[:SHORTEST] == meant[:SHORTEST]:
                yield each
