"""All channels of a backend, and what it tells the frontends of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Protocol
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.channels.channel import Channel
from chatcore.deadlines import Deadlines, IClock
from chatcore.errors import BodyError, NoSuchServer
from chatcore.hooks import check_hook
from chatcore.interfaces import IChannel, IChannels
from chatcore.sessions.session import check_uid
from chatcore.wire.body import encode as to_json
from chatcore.wire.message import LONGEST_ROUTE
from chatcore.wire.text import check_text
from chatcore.wire.values import pack

LONGEST_NAME = 1024
"""Bytes of a channel's name."""

LONGEST_PUSH = 4 * 1024 * 1024

CLOSED = "closed"
"""Why a member went whose last session has ended."""

LeftHook = Callable[[IChannel, str, str, str], Any]


class IFrontends(Protocol):
    """The frontends, as channels need them. What can't be sent now is answered False."""

    def exists(self, frontend: str) -> bool:
        """Whether the view has such a frontend."""

    def all(self) -> Sequence[str]:
        """The ids of all frontends."""

    def of_type(self, server_type: str) -> Sequence[str]:
        """The ids of all frontends of a type."""

    def join(self, frontend: str, channel: str, uids: Sequence[str]) -> bool: ...

    def leave(self, frontend: str, channel: str, uids: Sequence[str]) -> bool: ...

    def renew(self, frontend: str) -> bool:
        """Forget all my groups; they come anew."""

    def forget(self, frontend: str, uids: Sequence[str]) -> bool:
        """These were given up while the link was down; they have to come in again."""

    def push(
        self,
        frontends: Iterable[str],
        channel: str,
        route: str,
        body: bytes,
        droppable: bool = False,
    ) -> list[str]:
        """Push to a channel's groups; the frontends that could not be reached come back."""

    def push_to_uids(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> bool: ...

    def push_to_found(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> Coroutine[Any, Any, list[str]]:
        """Push to those that have a session there; which of them have comes back."""

    def broadcast(
        self,
        frontend: str,
        route: str,
        body: bytes,
        *,
        bound: bool = False,
        where: bytes | None = None,
        droppable: bool = False,
    ) -> bool: ...


@implementer(IChannels)
class ChannelService:
    """Makes, finds and removes channels, and keeps their groups on the frontends right.

    Args:
        frontends: how to reach them.
        clock: for the time a lost frontend has to come back.
        patience: that time, in seconds.
    """

    log = Logger()

    def __init__(self, *, frontends: IFrontends, clock: IClock, patience: float = 10) -> None:
        self._frontends = frontends
        self._channels: dict[str, Channel] = {}
        # Channels without members live as long as somebody holds them: they need no removal, and
        # a name never has two channels.
        self._empty: WeakValueDictionary[str, Channel] = WeakValueDictionary()
        self._hooks: list[LeftHook] = []
        self._lost = Deadlines(patience, clock, self._give_up)
        self._incarnations: dict[str, str] = {}
        self._adopting: set[str] = set()
        self._forgotten: dict[str, dict[str, None]] = {}

    def get(self, name: str, create: bool = False) -> Channel | None:
        channel = self._channels.get(name)
        if channel is None and create:
            channel = self._empty.get(name)
            if channel is None:
                _check_name(name)
                channel = self._empty[name] = Channel(name, self)
        return channel

    def names(self) -> list[str]:
        return list(self._channels)

    def on_left(self, hook: LeftHook) -> None:
        check_hook(hook, "on_left", "channel", "uid", "frontend_id", "reason")
        if hook not in self._hooks:
            self._hooks.append(hook)

    def destroy(self, name: str) -> bool:
        channel = self._channels.get(name)
        if channel is None:
            return False
        self.remove(channel)
        return True

    def push_to_uids(
        self,
        route: str,
        msg: Any,
        members: Iterable[tuple[str, str] | str],
        *,
        droppable: bool = False,
    ) -> Deferred[list[str]]:
        by_frontend, anywhere = _by_frontend(members)
        body = encode_push(route, msg)
        missed: dict[str, None] = {}
        for sid, uids in by_frontend.items():
            if not self._frontends.push_to_uids(sid, list(uids), route, body, droppable):
                missed.update(uids)
        if not anywhere:
            return succeed(list(missed))
        nowhere = Deferred.fromCoroutine(self._push_anywhere(anywhere, route, body, droppable))
        return nowhere.addCallback(lambda uids: list(missed | uids))

    async def _push_anywhere(
        self, uids: Iterable[str], route: str, body: bytes, droppable: bool
    ) -> dict[str, None]:
        """Push to uids wherever they have sessions; those that have none come back."""
        push = self._frontends.push_to_found
        asked = [
            Deferred.fromCoroutine(push(frontend, list(uids), route, body, droppable))
            for frontend in self._frontends.all()
        ]
        nowhere = dict.fromkeys(uids)
        for found in await gatherResults(asked, consumeErrors=True):
            for uid in found:
                nowhere.pop(uid, None)
        return nowhere

    def broadcast(
        self,
        server_type: str,
        route: str,
        msg: Any,
        *,
        bound: bool = False,
        where: Any = None,
        droppable: bool = False,
    ) -> Deferred[list[str]]:
        frontends = self._frontends.of_type(server_type)
        if not frontends:
            raise NoSuchServer(server_type, "broadcast", "the view has no frontend of that type")
        body = encode_push(route, msg)
        whom = None if where is None else _packed(where)
        send = partial(self._frontends.broadcast, bound=bound, where=whom, droppable=droppable)
        return succeed([each for each in frontends if not send(each, route, body)])

    # What channels ask for.

    def add(self, channel: Channel, uid: str, sid: str) -> bool:
        """Make somebody a member, and tell the frontend."""
        if not isinstance(uid, str) or not uid:
            raise TypeError(
                f"a uid is a text that is not empty, not {uid!r}; bind the session first"
            )
        check_uid(uid)
        if not self._frontends.exists(sid):
            raise NoSuchServer(sid, f"add to channel {channel.name!r}")
        if not channel.put(uid, sid):
            return False
        self._channels[channel.name] = channel
        if not self._frontends.join(sid, channel.name, [uid]):
            self._miss(sid)  # told anew if it comes back, given up if it does not
        return True

    def leave(self, channel: Channel, uid: str, sid: str) -> bool:
        """Make somebody a member no more, and tell the frontend."""
        if not channel.take(uid, sid):
            return False
        self._frontends.leave(sid, channel.name, [uid])
        self._drop_if_empty(channel)
        return True

    def push(
        self, channel: Channel, route: str, msg: Any, droppable: bool = False
    ) -> Deferred[list[str]]:
        """Send to all members of a channel: one box for each frontend that has any."""
        body = encode_push(route, msg)
        # A list, because a slow client of this node is cut off by what it is sent, and leaves.
        frontends = list(channel.by_frontend)
        missed = self._frontends.push(frontends, channel.name, route, body, droppable)
        return succeed([uid for sid in missed for uid in channel.by_frontend.get(sid, ())])

    def remove(self, channel: Channel) -> None:
        """Remove a channel and all of its members."""
        for sid, uids in list(channel.by_frontend.items()):
            self._frontends.leave(sid, channel.name, list(uids))
            for uid in list(uids):
                channel.take(uid, sid)
        self._drop_if_empty(channel)

    # What frontends say.

    def gone(self, frontend: str, name: str, uid: str, reason: str = CLOSED) -> None:
        """A member's last session on its frontend has ended."""
        channel = self._channels.get(name)
        if channel is None or not channel.take(uid, frontend):
            return
        if reason == CLOSED:
            # It may have crossed a join of mine, and that have found a new session of the same uid.
            self._frontends.leave(frontend, name, [uid])
        for hook in tuple(self._hooks):
            maybeDeferred(hook, channel, uid, frontend, reason).addErrback(self._hook_failed, name)
        self._drop_if_empty(channel)

    def _hook_failed(self, failure: Failure, name: str) -> None:
        self.log.failure("An on_left hook of channel {channel} raised", failure, channel=name)

    def frontend_up(self, frontend: str, incarnation: str) -> None:
        """The link to a frontend is there, for the first time or again."""
        self._lost.stop(frontend)
        known = self._incarnations.get(frontend)
        self._incarnations[frontend] = incarnation
        if known == incarnation:
            self._renew(frontend)
            return
        # One of us started anew. What it holds, it holds from before my own start: adopt it.
        self._adopting.add(frontend)
        self._forgotten.pop(frontend, None)
        if known is not None:
            self._strike(frontend, "frontend restarted")
        self._join_all(frontend)  # who came in before it was there

    def offered(self, frontend: str, name: str, uids: Sequence[str]) -> None:
        """Who a frontend holds as members of a channel of mine."""
        if frontend not in self._adopting:
            return  # my own list is the newer one, and on its way
        channel = self.get(name, create=True)
        assert channel is not None
        for uid in uids:
            channel.put(uid, frontend)
            self._channels[name] = channel
        if uids:
            # It may have crossed a leave of mine: then the frontend has forgotten them since.
            self._frontends.join(frontend, name, uids)

    def offers_done(self, frontend: str) -> None:
        """A frontend has offered all that it holds."""
        self._adopting.discard(frontend)

    def frontend_down(self, frontend: str) -> None:
        """The link to a frontend is lost; its members stay for a while."""
        if frontend in self._adopting:
            self._adopting.discard(frontend)
            del self._incarnations[frontend]  # it has not offered all: it begins again
        self._miss(frontend)

    def stop(self) -> None:
        """Forget the timers."""
        self._lost.clear()

    def _miss(self, frontend: str) -> None:
        if frontend not in self._lost:
            self._lost.start(frontend)

    def _join_all(self, frontend: str) -> None:
        for channel in self._channels.values():
            uids = channel.by_frontend.get(frontend)
            if uids:
                self._frontends.join(frontend, channel.name, list(uids))

    def _renew(self, frontend: str) -> None:
        self._frontends.renew(frontend)
        self._join_all(frontend)
        forgotten = self._forgotten.pop(frontend, None)
        if forgotten:
            self._frontends.forget(frontend, list(forgotten))

    def _give_up(self, frontend: str) -> None:
        self._forgotten.setdefault(frontend, {}).update(
            dict.fromkeys(
                uid for c in self._channels.values() for uid in c.by_frontend.get(frontend, ())
            )
        )
        self._strike(frontend, "frontend lost")

    def _strike(self, frontend: str, reason: str) -> None:
        for channel in list(self._channels.values()):
            for uid in list(channel.by_frontend.get(frontend, ())):
                self.gone(frontend, channel.name, uid, reason)

    def _drop_if_empty(self, channel: Channel) -> None:
        if not len(channel) and self._channels.get(channel.name) is channel:
            self._empty[channel.name] = self._channels.pop(channel.name)


def _by_frontend(
    members: Iterable[tuple[str, str] | str],
) -> tuple[dict[str, dict[str, None]], dict[str, None]]:
    """Members by their frontend, and those of whom only the uid is known; each once."""
    if isinstance(members, str):
        raise TypeError(f"members are a list, not {members!r}")
    by_frontend: dict[str, dict[str, None]] = {}
    anywhere: dict[str, None] = {}
    for member in members:
        if isinstance(member, str):
            anywhere[member] = None
            continue
        try:
            uid, sid = member
            by_frontend.setdefault(sid, {})[uid] = None
        except (TypeError, ValueError):
            raise TypeError(
                f"a member is a uid, or a pair of uid and frontend id, not {member!r}"
            ) from None
    try:
        for uids in (anywhere, *by_frontend.values()):
            pack(list(uids))
    except (TypeError, ValueError) as problem:
        raise TypeError(f"these members can't cross a link: {problem}") from None
    return by_frontend, anywhere


def _packed(where: Any) -> bytes:
    try:
        return pack(where)
    except (TypeError, ValueError, OverflowError, RecursionError) as problem:
        raise TypeError(f"where={where!r} can't cross a link: {problem}") from None


def _check_name(name: str) -> None:
    check_text("the name of a channel", name)
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"a channel's name of more than {LONGEST_NAME} bytes: {name[:40]!r}…")


def encode_push(route: str, msg: Any) -> bytes:
    """A message to be pushed, as it crosses links.

    Raises:
        BodyError: it can't be pushed.
    """
    if not isinstance(route, str):
        raise BodyError(f"{route!r:.100} can't be pushed: a route is a text")
    try:
        if len(route.encode()) > LONGEST_ROUTE:
            raise BodyError(f"a route of more than {LONGEST_ROUTE} bytes")
        # What packs but has no form in JSON, or no room, would fail at every frontend instead.
        if len(to_json(msg)) > LONGEST_PUSH:
            raise BodyError(f"a message of more than {LONGEST_PUSH} bytes")
        return pack(msg)
    except (BodyError, TypeError, ValueError, OverflowError, RecursionError) as problem:
        raise BodyError(f"{route[:40]!r} can't be pushed: {problem}") from None
