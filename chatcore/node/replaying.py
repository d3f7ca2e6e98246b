"""Acting on what another cluster's servers have asked each other, as it was recorded.

A box is acted on as if it had just come from the server that had sent it. For the sessions that a
recording speaks of, a frontend has stand-ins: members of channels that are told to read everything,
and throw it away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from twisted.internet.defer import Deferred

from chatcore.admin.outcomes import FAILED, REFUSED
from chatcore.connectors.outbox import INote
from chatcore.deadlines import IClock
from chatcore.dispatch.dispatcher import OWN_SERVICES
from chatcore.errors import AdminError, BoxError, SessionError
from chatcore.interfaces import Address
from chatcore.links.link import LONGEST_WHY, Link, Responder
from chatcore.links.table import LinkTable
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.telemetry import Counters, Reason
from chatcore.wire.body import Body
from chatcore.wire.box import END, Box, BoxParser, item

REPLAYED: Final = frozenset((b"Forward", b"ForwardNotify", b"Call", b"CallNotify"))
"""The commands that are acted on; others are chatcore's own affair."""

KEPT: Final = frozenset(
    (b"_command", b"route", b"coding", b"body", b"session", b"service", b"method", b"args")
)
"""The keys that are. The others say by which view somebody was chosen, which is not this one."""

MOST_STANDINS = 20_000
"""Sessions of recordings that a frontend may have."""

MOST_UNDER_WAY = 1000
"""Boxes that may be acted on at the same time."""

LONGEST_BOX = 16 * 1024 * 1024
"""Bytes of one of them."""

READ_SECONDS = 5.0
"""Seconds that others may take to hear that stand-ins have gone."""

ASK: Final = b"1"


class Replays:
    """Acts on recorded boxes, for those who administer this node.

    Args:
        responders: what acts on the boxes of other nodes.
        links: to them.
        sessions: of this node.
        frontend: whether clients come here.
        counters: what counts.
        clock: the reactor.
    """

    def __init__(
        self,
        *,
        responders: Mapping[bytes, Responder],
        links: LinkTable,
        sessions: SessionService,
        frontend: bool,
        counters: Counters,
        clock: IClock,
    ) -> None:
        self._responders, self._links = responders, links
        self._sessions, self._frontend, self._clock = sessions, frontend, clock
        self._standins: dict[Link, dict[str, Session]] = {}
        self._counters = counters
        self._under_way = 0

    async def act(self, by: Link, what: str, given: Mapping[str, Any], seconds: float) -> Any:
        """Do something for somebody who replays a recording.

        Args:
            by: the link to that one; stand-ins go when it ends.
            what: ``box``, ``come`` or ``go``.
            given: of a box, ``data`` and the ``sender``; else ``uids``.
            seconds: that a box may take.

        Raises:
            AdminError: it makes no sense, or can't be done.
        """
        if what == "box":
            return await self._act(given.get("data"), given.get("sender"), seconds)
        uids = given.get("uids")
        if not isinstance(uids, list) or not all(isinstance(each, str) for each in uids):
            raise AdminError("whose sessions are meant is a list of uids", code=REFUSED)
        if what == "come":
            return {"sessions": await self._come(by, uids)}
        if what == "go":
            return {"gone": await self._go(by, uids)}
        raise AdminError(f"nobody here knows how to replay {what[:40]!r}", code=REFUSED)

    def end(self, by: Link) -> None:
        """Whoever replayed something is gone, and so are the stand-ins for it."""
        for session in list(self._standins.pop(by, {}).values()):
            self._sessions.close(session, "the replay has ended")

    def stop(self) -> None:
        """Replay nothing more."""
        for link in list(self._standins):
            self.end(link)

    async def _act(self, data: Any, sender: Any, seconds: float) -> dict[str, Any]:
        box = _box(data)
        if not isinstance(sender, str):
            raise AdminError("a box has a sender", code=REFUSED)
        if self._under_way >= MOST_UNDER_WAY:
            raise AdminError(f"{MOST_UNDER_WAY} boxes are acted on already", code=REFUSED)
        name = box[b"_command"]
        is_ask = not name.endswith(b"Notify")
        link = self._links.get(sender)
        heard = Heard(sender, "" if link is None else link.peer_incarnation)
        late = self._clock.callLater(seconds, heard.give_up)
        self._under_way += 1
        self._counters.boxes_replayed += 1
        try:
            # It is no link, but all of one that acting on these commands takes.
            self._responders[name](cast(Link, heard), box, ASK if is_ask else None)
            return {"reply": await heard.said} if is_ask else {}
        except AdminError:
            raise
        except Exception as problem:
            raise AdminError(f"a bad box: {problem!r:.200}", code=FAILED) from None
        finally:
            self._under_way -= 1
            heard.up = False
            if late.active():
                late.cancel()

    async def _come(self, by: Link, uids: Sequence[str]) -> dict[str, int]:
        """Have stand-ins for these; the ids of their sessions come back."""
        if not self._frontend:
            raise AdminError("sessions are at frontends alone", code=REFUSED)
        mine = self._standins.setdefault(by, {})
        self._need_room(len(uids))
        for uid in uids:
            if uid not in mine:
                self._need_room(1)  # others may come meanwhile
                await self._open(by, uid, mine)
        return {uid: mine[uid].id for uid in uids if uid in mine}

    def _need_room(self, more: int) -> None:
        if sum(map(len, self._standins.values())) + more > MOST_STANDINS:
            raise AdminError(f"a frontend has {MOST_STANDINS} stand-ins at most", code=REFUSED)

    async def _open(self, by: Link, uid: str, mine: dict[str, Session]) -> None:
        standin = StandIn(lambda reason: self._close(by, uid, reason))
        # Before it is bound, which takes time: whoever wants it may be gone by then.
        session = mine[uid] = self._sessions.open(standin)
        try:
            bound = self._sessions.bind(session.id, uid)
            if bound is not None and not isinstance(bound, float):
                await bound
        except (SessionError, TypeError, ValueError) as problem:
            if mine.get(uid) is session:
                del mine[uid]
            self._sessions.close(session, "no stand-in")
            raise AdminError(f"no stand-in for {uid!r:.100}: {problem}", code=REFUSED) from None
        if session.closed is not None:
            raise AdminError(f"the stand-in for {uid!r:.100} is gone already", code=REFUSED)

    def _close(self, by: Link, uid: str, reason: str) -> bool:
        session = self._standins.get(by, {}).pop(uid, None)
        if session is None:
            return False
        self._sessions.close(session, reason)
        return True

    async def _go(self, by: Link, uids: Sequence[str]) -> int:
        """Have stand-ins go; returns when others have heard of it."""
        # First, what others have said before this was asked has to be here, as of which channels
        # they are members: behind the answer, all that was written before it has come.
        await self._links.all_read(READ_SECONDS)
        gone = sum(self._close(by, uid, "left") for uid in uids)
        if gone:
            await self._links.all_read(READ_SECONDS)
        return gone


class Heard:
    """What acts on a box takes this for the link that brought it, and answers here.

    Args:
        peer: who is taken for its sender.
        incarnation: which life of that.

    Attributes:
        said: gives the box of the answer, encoded.
    """

    def __init__(self, peer: str, incarnation: str) -> None:
        self.peer, self.peer_incarnation = peer, incarnation
        self.up = True
        self.said: Deferred[bytes] = Deferred()

    def answer(self, ask: bytes, payload: bytes) -> None:
        """As `Link.answer`."""
        self._say(item(b"_answer", ask) + payload + END)

    def refuse(self, ask: bytes, code: bytes, description: str) -> None:
        """As `Link.refuse`."""
        why = description[:LONGEST_WHY].encode("utf-8", "replace")
        error = item(b"_error", ask) + item(b"_error_code", code)
        self._say(error + item(b"_error_description", why) + END)

    def give_up(self) -> None:
        """It has taken too long."""
        self.refuse(ASK, b"LATE", "no answer in the time that it may take")

    def _say(self, data: bytes) -> None:
        if not self.said.called:
            self.said.callback(data)


class StandIn:
    """The connection of a client that is none.

    Args:
        kicked: told why, when it is to be closed.
    """

    address: Address = ("", 0)

    def __init__(self, kicked: Callable[[str], object]) -> None:
        self._kicked = kicked
        self.encoding = NO_ENCODING
        self.outbox = NOWHERE

    def kick(self, reason: str) -> None:
        """Its session ends."""
        self._kicked(reason)


class NoEncoding:
    """How what stand-ins are sent is written: not at all."""

    name = "replay"

    def push(self, route: str, body: Body) -> bytes:
        """As that of an encoding."""
        return b""


class Nowhere:
    """The outbox of stand-ins, who read everything at once; see `chatcore.connectors.outbox`."""

    waiting = 0
    unread_seconds = 0.0

    def push(self, data: bytes, route: str, note: INote | None = None) -> None:
        """Nothing is sent."""
        if note is not None:
            note.left()

    push_droppable = push

    def note(self, note: INote) -> None:
        """All has left."""
        note.left()

    def missed(self, why: Reason, route: str) -> None:
        """Nobody misses it."""


NO_ENCODING: Final = NoEncoding()
NOWHERE: Final = Nowhere()


def _box(data: Any) -> Box:
    """A box that may be acted on.

    Raises:
        AdminError: it is none.
    """
    parser = BoxParser(LONGEST_BOX)
    try:
        boxes = parser.feed(data) if isinstance(data, bytes) else []
    except BoxError as problem:
        raise AdminError(f"no box: {problem}", code=REFUSED) from None
    if len(boxes) != 1 or parser.waiting:
        raise AdminError("that is not one whole box", code=REFUSED)
    (box,) = boxes
    if box.get(b"_command") not in REPLAYED:
        raise AdminError(
            "only messages of clients and calls are replayed, which are "
            + ", ".join(sorted(each.decode() for each in REPLAYED)),
            code=REFUSED,
        )
    if box.get(b"service", b"").startswith(OWN_SERVICES.encode()):
        raise AdminError("calls between chatcore's own services are not replayed", code=REFUSED)
    return {key: value for key, value in box.items() if key.partition(b".")[0] in KEPT}
