"""What happened to whom lately, as the parts of a node have decided it."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import Any, Final, Protocol

from chatcore.telemetry.keeping import OTHERS
from chatcore.telemetry.reasons import GATHERED, Happening, Reason

MOST_UIDS = 10_000
"""Uids of which it is known what happened to them; the one that was noted longest ago goes."""

MOST_STRANGERS = 1_000
"""Uids beside them that never did anything here, but that somebody pushed to."""

MOST_OF_EACH = 64
"""What is known of each uid: the newest."""

MOST_OF_NODE = 512
"""What is known of the node itself: the newest."""

MOST_IN_ALL = 50_000
"""What is known of all uids together."""

MOST_ROUTES = 8
"""Routes that are told apart in one entry."""

MOST_MISSED = 100
"""Users of whom it is noted that they did not get one push."""

LONGEST = 200
"""Characters that are kept of a text."""

TOGETHER_SECONDS = 60.0
"""Seconds within which what is the same again is told as one."""


class Entry:
    """Something that happened, once or many times in the same way.

    Args:
        what: happened.
        why: in the words of `chatcore.telemetry.reasons.REASONS` where a message did not arrive,
            else in those of who decided it.
        about: what it has to do with: ``channel``, ``peer``, ``session`` and the like.
        now: the time, in seconds since the epoch.

    Attributes:
        count: how often it happened.
        routes: of messages, how many of each route.
    """

    __slots__ = ("about", "count", "first", "last", "more", "routes", "what", "why")

    def __init__(self, what: Happening, why: str, about: dict[str, Any], now: float) -> None:
        self.what, self.why, self.about = what, why, about
        self.first = self.last = now
        self.count = 0
        self.routes: dict[str, int] | None = None
        self.more: dict[str, Any] | None = None

    def again(self, now: float, route: str = "", count: int = 1) -> None:
        """It happened now.

        Args:
            route: of the message that it happened to.
            count: how often.
        """
        self.last = now
        self.count += count
        if route:
            routes = self.routes
            if routes is None:
                routes = self.routes = {}
            elif route not in routes and len(routes) >= MOST_ROUTES:
                route = OTHERS
            routes[route] = routes.get(route, 0) + count

    def same(self, what: Happening, why: str, about: dict[str, Any]) -> bool:
        """Whether it is of the same kind."""
        return self.what == what and self.why == why and self.about == about

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types."""
        value = {
            "what": self.what,
            "why": self.why,
            "first": self.first,
            "last": self.last,
            "count": self.count,
            **self.about,
        }
        if self.more:
            value.update(self.more)
        if self.routes:
            value["routes"] = dict(self.routes)
        return value


Entries = deque[Entry]


class IKnown(Protocol):
    """Whoever may be known by a uid."""

    @property
    def uid(self) -> str | None: ...


class Journal:
    """What happened to the users of a node, and to the node, bounded in all its parts.

    Nothing here is on the way of a message that arrives. No bodies come here, and no secrets.

    Args:
        now: the time, in seconds since the epoch.
    """

    __slots__ = ("_known", "_of_node", "_size", "_strangers", "now")

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        # The uid that was noted last is the last.
        self._known: OrderedDict[str, Entries] = OrderedDict()
        self._strangers: OrderedDict[str, Entries] = OrderedDict()
        self._of_node: Entries = deque(maxlen=MOST_OF_NODE)
        self._size = 0

    def __len__(self) -> int:
        return len(self._known)

    def note(
        self,
        uid: str,
        what: Happening,
        why: str = "",
        *,
        route: str = "",
        count: int = 1,
        stranger: bool = False,
        more: dict[str, Any] | None = None,
        **about: Any,
    ) -> Entry:
        """Something happened to a user.

        Args:
            why: see `Entry`.
            route: of the message that it happened to.
            count: how often.
            stranger: whether the uid may never have been here: such ones displace no others.
            more: what is said besides, and is no matter for whether it is the same again.
            about: what it has to do with; what is None is left out.

        Returns:
            What it is noted in; whoever notes the same again and again may add to it.
        """
        if not isinstance(uid, str) or len(uid) > LONGEST:
            uid = _key(uid)
        entries = self._known.get(uid)
        if entries is not None:
            self._known.move_to_end(uid)
        elif stranger:
            entries = self._strangers.get(uid)
            if entries is None:
                entries = self._strangers[uid] = deque(maxlen=MOST_OF_EACH)
                if len(self._strangers) > MOST_STRANGERS:
                    self._strangers.popitem(last=False)
        else:
            entries = self._known[uid] = self._strangers.pop(uid, deque(maxlen=MOST_OF_EACH))
            self._size += len(entries)
        before = len(entries)
        found = self._add(entries, what, why, about, route, count, more)
        if uid in self._known:
            self._size += len(entries) - before
            self._make_room()
        return found

    def unanswered(
        self,
        session: IKnown | None,
        why: Reason,
        route: object,
        detail: str | None = None,
        *,
        error_id: str | None = None,
    ) -> None:
        """A request or notify of a session's client is not answered as it should be.

        Args:
            detail: what is known besides; nothing of its body.
            error_id: under which more of it is logged.
        """
        if session is not None and session.uid is not None:
            more = {"error": error_id} if error_id else None
            self.note(
                session.uid,
                "requests not answered",
                why,
                route=str(route),
                more=more,
                detail=detail,
            )

    def missed(
        self, uids: Iterable[str], why: Reason, route: str, *, peer: str | None = None
    ) -> None:
        """Users who may not be here do not get a push: of many, only the first are noted."""
        for uid in islice(uids, MOST_MISSED):
            self.note(uid, "pushes not sent", why, route=route, stranger=True, peer=peer)

    def note_node(
        self,
        what: Happening,
        why: str = "",
        *,
        route: str = "",
        count: int = 1,
        more: dict[str, Any] | None = None,
        **about: Any,
    ) -> Entry:
        """Something happened to this node, which its users may feel; as `note`."""
        return self._add(self._of_node, what, why, about, route, count, more)

    def of(self, uid: str) -> list[Entry]:
        """What is known of a uid, as it came."""
        uid = _key(uid)
        return list(self._known.get(uid) or self._strangers.get(uid) or ())

    def of_node(self) -> list[Entry]:
        """What is known of the node, as it came."""
        return list(self._of_node)

    def uids(self) -> Iterator[str]:
        """The uids of which something is known."""
        yield from list(self._known)
        yield from list(self._strangers)

    def _add(
        self,
        entries: Entries,
        what: Happening,
        why: str,
        about: dict[str, Any],
        route: str,
        count: int,
        more: dict[str, Any] | None,
    ) -> Entry:
        now = self.now()
        if len(why) > LONGEST:
            why = why[:LONGEST]
        if not all(map(_fits, about.values())):
            about = {key: _short(value) for key, value in about.items() if value is not None}
        found = _same(entries, what, why, about, now)
        if found is None:
            found = Entry(what, why, about, now)
            entries.append(found)
        if more:
            found.more = {**(found.more or {}), **more}
        found.again(now, route if len(route) <= LONGEST else route[:LONGEST], count)
        return found

    def _make_room(self) -> None:
        known = self._known
        while len(known) > MOST_UIDS or (self._size > MOST_IN_ALL and len(known) > 1):
            self._size -= len(known.popitem(last=False)[1])


def _key(uid: str) -> str:
    """A uid as it is kept: of one that is very long, not all of it."""
    if not isinstance(uid, str):  # what an application pushes to may be anything
        uid = repr(uid)
    if len(uid) <= LONGEST:
        return uid
    return f"{uid[:LONGEST]}…{sha256(uid.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _fits(value: Any) -> bool:
    """Whether it can be kept as it is."""
    return value is not None and (type(value) is not str or len(value) <= LONGEST)


def _short(value: Any) -> Any:
    return value[:LONGEST] if isinstance(value, str) else value


_LOOKED_AT: Final = 8
"""Of what is known, so much is looked through for the same."""


def _same(
    entries: Entries, what: Happening, why: str, about: dict[str, Any], now: float
) -> Entry | None:
    """What is the same already: of what comes in numbers, if it is not long ago; else the last."""
    if what not in GATHERED:
        last = entries[-1] if entries else None
        return last if last is not None and last.same(what, why, about) else None
    for place in range(1, min(len(entries), _LOOKED_AT) + 1):
        each = entries[-place]
        if each.same(what, why, about) and now - each.last <= TOGETHER_SECONDS:
            return each
    return None
