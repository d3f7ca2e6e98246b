"""The sessions of a frontend, and all that is known of one."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from chatcore.admin.outcomes import REFUSED
from chatcore.deadlines import IClock
from chatcore.errors import AdminError
from chatcore.inspector.redaction import Redaction
from chatcore.inspector.values import shown
from chatcore.node.looking.gathering import for_each, largest
from chatcore.node.looking.given import short, text, whole
from chatcore.node.looking.looked_at import ILookedAt
from chatcore.node.looking.noted import told_of
from chatcore.sessions.session import LONGEST_UID, Session

MOST: Final = 1000
"""Sessions that one answer tells of."""

MOST_OF_ONE: Final = 50
"""Sessions of a uid that are told of at length."""

MOST_GROUPS: Final = 200
"""Groups of a session that are told."""

MOST_SETTINGS: Final = 64 * 1024
"""Bytes of settings beyond which their keys alone are told."""

LONGEST_VALUE: Final = 300
"""Characters of a setting that are told."""

_ORDERS: Final[Mapping[str, Callable[[Session], Any]]] = {
    "outbox": lambda session: session.connection.outbox.waiting,
    "oldest": lambda session: -session.id,
    "newest": lambda session: session.id,
}

_NOTED: Final = ("slow", "outbox high-water", "pushes not sent", "requests not answered")
"""What is told of what happened to a user: that what it was sent, or asked, came to nothing."""

_RULE: Final = Redaction()


class Sessions:
    """Tells of the sessions of a frontend: of some, or of all, one answer after the other.

    Args:
        node: that node.
        clock: the reactor.
    """

    def __init__(self, node: ILookedAt, clock: IClock) -> None:
        self._node, self._clock = node, clock

    async def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """So many sessions as are asked for, in JSON's types. Times are seconds, sizes bytes.

        With ``by``, those that come first by that order. With ``after``, those behind the session
        of that number; ``next`` is where the next answer goes on then. With ``uid``, those of it.

        Raises:
            AdminError: what was asked with makes no sense.
        """
        most = whole(given, "most", MOST, MOST)
        sessions, after = self._node.sessions, None
        if "uid" in given:
            found: Sequence[Session] = sessions.by_uid(text(given, "uid", LONGEST_UID))
            some = found[:most]
        elif "by" in given:
            found, by = sessions.many(), given["by"]
            if by not in _ORDERS:
                raise AdminError(f"there is no order {by!r:.40} of sessions", code=REFUSED)
            some = await largest(found, most, _ORDERS[by], self._clock)
        else:
            found = sessions.many()
            ids = [session.id for session in found]
            place = bisect_right(ids, whole(given, "after", 0, 2**53))
            some = found[place : place + most]
            if some and place + most < len(found):
                after = some[-1].id
        rows: list[dict[str, Any]] = []
        await for_each(some, lambda each: rows.append(in_short(each)), self._clock)
        return {
            "frontend": self._node.clients is not None,
            "count": len(found),
            "sessions": rows,
            "next": after,
        }


class OneSession:
    """Tells all that is known of a session, or of those of a uid.

    Args:
        node: that node.
    """

    def __init__(self, node: ILookedAt) -> None:
        self._node = node

    def __call__(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The sessions of the uid that is given as ``who``, and the one that has it as its number.

        Raises:
            AdminError: it is neither.
        """
        who = text(given, "who", LONGEST_UID)
        sessions = self._node.sessions
        found = {session.id: session for session in sessions.by_uid(who)}
        if who.isascii() and who.isdigit() and len(who) < 17:
            numbered = sessions.get(int(who))
            if numbered is not None:
                found[numbered.id] = numbered
        told = list(found.values())[:MOST_OF_ONE]
        return {
            "frontend": self._node.clients is not None,
            "count": len(found),
            "sessions": [self._at_length(session) for session in told],
        }

    def _at_length(self, session: Session) -> dict[str, Any]:
        clients, uid = self._node.clients, session.uid
        groups = [] if clients is None or uid is None else clients.groups.of_uid(uid)
        journal = self._node.counters.journal
        noted = [] if uid is None else [told_of(each) for each in journal.of(uid)]
        return {
            **in_short(session),
            **_settings(session),
            "groups": [[backend, channel] for backend, channel in groups[:MOST_GROUPS]],
            "groups_count": len(groups),
            "noted": [each for each in noted if each["what"] in _NOTED],
        }


def in_short(session: Session) -> dict[str, Any]:
    """What is told of each session, in JSON's types."""
    about = getattr(session.connection, "about", dict)
    return {
        "id": session.id,
        "uid": short(session.uid),
        "address": session.address[0],
        "port": session.address[1],
        "opened": round(session.opened, 3),
        "logged_in": session.logged_in and round(session.logged_in, 3),
        **about(),
    }


def _settings(session: Session) -> dict[str, Any]:
    """The keys of a session's settings, and what may be shown of their values."""
    settings = session.settings
    if len(session.export()) > MOST_SETTINGS:
        return {"settings": dict.fromkeys(map(short, settings)), "settings_cut": True}
    told = {short(key): _value(key, value) for key, value in settings.items()}
    return {"settings": told, "settings_cut": False}


def _value(key: str, value: Any) -> Any:
    told = shown(key, value, _RULE)
    written = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
    if len(written) <= LONGEST_VALUE:
        return told
    return f"{written[:LONGEST_VALUE]}… ({len(written) - LONGEST_VALUE} more)"
