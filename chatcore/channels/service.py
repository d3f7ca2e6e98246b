"""All channels of a backend, and what it tells the frontends of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any, Protocol
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.channels.channel import Channel
from chatcore.channels.checks import by_frontend, check_name, encode_push, packed
from chatcore.channels.forgotten import Forgotten
from chatcore.channels.latest import Latest
from chatcore.channels.moving import Arriving, Hand, movable
from chatcore.deadlines import Deadlines, IClock
from chatcore.errors import ChannelMoved, NoSuchServer
from chatcore.hooks import check_hook
from chatcore.interfaces import IChannel, IChannels
from chatcore.sessions.session import check_uid
from chatcore.telemetry import Journal, Reason

CLOSED = "closed"
"""Why a member went whose last session has ended."""

TAKEN_OUT = "taken out by the application"
DESTROYED = "the channel was destroyed"
"""Why a member went, as it is noted."""

MOST_MOVED = 10_000
"""Channels of which it is remembered where they went."""

MOST_DEPARTED = 10_000
"""Members of whom it is remembered that they are members no more."""

MovingHook = Callable[[Channel, str], "Deferred[Any] | None"]
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

    def forget(
        self, frontend: str, uids: Sequence[str], done: Callable[[Sequence[str]], None]
    ) -> None:
        """These were given up while the link was down; they have to come in again.

        Args:
            done: called with those of whom the frontend has said that it forgot them.
        """

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
    ) -> Coroutine[Any, Any, list[str] | Reason]:
        """Push to those that have a session there; which of them have comes back.

        Or why none of them can have got it.
        """

    def broadcast(
        self,
        frontends: Iterable[str],
        route: str,
        body: bytes,
        *,
        bound: bool = False,
        where: bytes | None = None,
        droppable: bool = False,
    ) -> list[str]:
        """Send to all clients of these; those that could not be reached come back."""


@implementer(IChannels)
class ChannelService:
    """Makes, finds and removes channels, and keeps their groups on the frontends right.

    Args:
        frontends: how to reach them.
        clock: for the time a lost frontend has to come back.
        patience: that time, in seconds.
        owns: whether the name of a channel places it on this node; raises `ChannelMoved` where
            whoever asks should have asked the next owner.
        journal: where it is noted who joins and leaves, and who does not get a push.
    """

    log = Logger()

    def __init__(
        self,
        *,
        frontends: IFrontends,
        clock: IClock,
        patience: float = 10,
        owns: Callable[[str], bool] = lambda name: True,
        journal: Journal | None = None,
    ) -> None:
        self._frontends = frontends
        self._journal = Journal() if journal is None else journal
        self._owns = owns
        self._moved: Latest[str, str] = Latest(MOST_MOVED)
        self._departed: Latest[tuple[str, str, str], None] = Latest(MOST_DEPARTED)
        self._moving_hook: MovingHook = lambda channel, to: None
        self._arrived_hook: MovingHook = lambda channel, how: None
        self._channels: dict[str, Channel] = {}
        # Channels without members live as long as somebody holds them: they need no removal, and
        # a name never has two channels.
        self._empty: WeakValueDictionary[str, Channel] = WeakValueDictionary()
        self._hooks: list[LeftHook] = []
        self._lost = Deadlines(patience, clock, self._give_up)
        self._incarnations: dict[str, str] = {}
        # The frontends that have yet to offer what they hold; and by channel and uid, who has gone
        # there since, and whether others have been told.
        self._adopting: dict[str, dict[tuple[str, str], bool]] = {}
        self._forgotten = Forgotten(clock)

    def get(self, name: str, create: bool = False) -> Channel | None:
        channel = self._channels.get(name)
        if channel is None and create:
            channel = self._empty.get(name)
            if channel is None:
                check_name(name)
                placed = self._owns(name)
                if name in self._moved and not placed:
                    raise moved(name, self._moved[name])
                channel = self._empty[name] = Channel(name, self)
                channel.placed = placed
        return channel

    def has(self, name: str) -> bool:
        """Whether a channel of that name has members here."""
        return name in self._channels

    def names(self) -> list[str]:
        return list(self._channels)

    def count_members(self) -> int:
        """How many members all channels have."""
        return sum(len(each) for each in self._channels.values())

    def of_uid(self, uid: str, most: int) -> list[tuple[str, str]]:
        """The channels that a uid is a member of, each with the frontend where it is.

        Args:
            most: how many channels are looked through, and how many are told.
        """
        looked_through = islice(self._channels.values(), most)
        return [(each.name, sid) for each in looked_through for sid in each.sids(uid)]

    def went(self, name: str) -> str | None:
        """Where a channel has gone from here, if it did lately and has not come back."""
        return self._moved.get(name)

    def departed(self, name: str) -> list[tuple[str, str]]:
        """Who was a member of a channel and is not any more, as far as that is remembered.

        Each is a uid, and the frontend where it was.
        """
        channel = self._channels.get(name)
        members = {} if channel is None else channel.by_frontend
        gone = [(uid, sid) for where, uid, sid in self._departed if where == name]
        return [(uid, sid) for uid, sid in gone if uid not in members.get(sid, ())]

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
        known, anywhere = by_frontend(members)
        body = encode_push(route, msg)
        missed: dict[str, None] = {}
        for sid, uids in known.items():
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
        unasked: Reason | None = None
        for found in await gatherResults(asked, consumeErrors=True):
            if isinstance(found, str):
                unasked = found
                continue
            for uid in found:
                nowhere.pop(uid, None)
        if nowhere:
            self._journal.missed(nowhere, unasked or "gone", route)
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
        whom = None if where is None else packed(where)
        send = partial(self._frontends.broadcast, bound=bound, where=whom, droppable=droppable)
        return succeed(send(frontends, route, body))

    # What channels ask for.

    def add(self, channel: Channel, uid: str, sid: str) -> bool:
        """Make somebody a member, and tell the frontend."""
        if not isinstance(uid, str) or not uid:
            raise TypeError(
                f"a uid is a text that is not empty, not {uid!r}; bind the session first"
            )
        check_uid(uid)
        _refuse_moved(channel)
        if not self._frontends.exists(sid):
            raise NoSuchServer(sid, f"add to channel {channel.name!r}")
        if not len(channel) and channel.placed and not self._owns(channel.name):
            raise moved(channel.name, "")
        if not channel.put(uid, sid):
            return False
        self._forgotten.done(sid, [uid])
        self._channels[channel.name] = channel
        self._journal.note(uid, "joined", channel=channel.name, peer=sid)
        if not self._frontends.join(sid, channel.name, [uid]):
            self._miss(sid)  # told anew if it comes back, given up if it does not
        return True

    def leave(self, channel: Channel, uid: str, sid: str) -> bool:
        """Make somebody a member no more, and tell the frontend."""
        _refuse_moved(channel)
        if not self._take(channel, uid, sid):
            return False
        self._journal.note(uid, "left", TAKEN_OUT, channel=channel.name, peer=sid)
        self._frontends.leave(sid, channel.name, [uid])
        self._drop_if_empty(channel)
        return True

    def push(
        self, channel: Channel, route: str, msg: Any, droppable: bool = False
    ) -> Deferred[list[str]]:
        """Send to all members of a channel: one box for each frontend that has any."""
        _refuse_moved(channel)
        body = encode_push(route, msg)
        # A list, because a slow client of this node is cut off by what it is sent, and leaves.
        frontends = list(channel.by_frontend)
        missed = self._frontends.push(frontends, channel.name, route, body, droppable)
        return succeed([uid for sid in missed for uid in channel.by_frontend.get(sid, ())])

    def remove(self, channel: Channel) -> None:
        """Remove a channel and all of its members."""
        _refuse_moved(channel)
        for sid, uids in list(channel.by_frontend.items()):
            self._frontends.leave(sid, channel.name, list(uids))
            for uid in list(uids):
                if self._take(channel, uid, sid):
                    self._journal.note(uid, "left", DESTROYED, channel=channel.name, peer=sid)
        self._drop_if_empty(channel)

    def _take(self, channel: Channel, uid: str, sid: str) -> bool:
        """Strike a member off; False if it was none."""
        if not channel.take(uid, sid):
            return False
        self._departed[channel.name, uid, sid] = None
        return True

    # Channels that come and go.

    def on_move(self, moving: MovingHook, arrived: MovingHook) -> None:
        """Have the application told of channels that go to another node, and come from one."""
        self._moving_hook, self._arrived_hook = moving, arrived

    def is_placed(self, name: str) -> bool:
        """Whether a channel is here because its name places it here."""
        channel = self._channels.get(name)
        return channel is not None and channel.placed

    def moving(self, name: str, to: str) -> Deferred[Any] | None:
        """Tell the application that a channel is about to go; what to wait for, if anything."""
        channel = self._channels.get(name)
        return None if channel is None else self._moving_hook(channel, to)  # a hook may destroy it

    def give_away(self, name: str, to: str) -> Hand | None:
        """Forget a channel that another node owns now; its members and state come back."""
        channel = self._channels.pop(name, None) or self._empty.pop(name, None)
        if channel is None:
            return None
        channel.moved_to = to
        self._moved[name] = to
        return Hand(channel.members(), movable(channel.name, channel.state))

    def given_up(self) -> list[tuple[str, list[str]]]:
        """By frontend, the members that others were told of as gone, which it may not know yet."""
        return self._forgotten.all()

    def arrive(
        self, name: str, arriving: Arriving, told: Callable[[str], bool], *, late: bool = False
    ) -> Deferred[Any] | None:
        """Make a channel this node's, from what its old owner and the frontends say.

        Args:
            told: whether a frontend has said of all its members that they are its.
            late: whether it has been this node's for a while. Then its old owner may say again what
                it said before, and not know who has left since.

        Returns:
            what to wait for before anybody may ask for it, if anything.
        """
        self._moved.pop(name, None)
        channel = self.get(name, create=True)
        assert channel is not None
        was_here = name in self._channels
        gone = []
        for hand in arriving.hands:
            channel.state = {**hand.state, **channel.state}
            for uid, sid in hand.members:
                if (late or was_here) and (name, uid, sid) in self._departed:
                    continue
                offered = uid in arriving.offers.get(sid, ())
                if not channel.put(uid, sid, inherited=True) or offered:
                    continue
                if told(sid) or not self._has(sid):
                    gone.append((uid, sid))
        for sid, uids in arriving.offers.items():
            if self._has(sid):
                for uid in uids:
                    channel.put(uid, sid, inherited=True)
        for sid, given_up in arriving.given_up.items():
            self._forgotten.add(sid, given_up)
            self._forget(sid, given_up)
        if not len(channel):
            return None
        channel.placed = True
        self._channels[name] = channel
        for sid, members in list(channel.by_frontend.items()):
            if not self._frontends.join(sid, name, list(members)):
                self._miss(sid)
        how = "merged" if was_here else "moved" if arriving.hands else "rebuilt"
        waiting = self._arrived_hook(channel, how)
        for uid, sid in gone:
            self.gone(sid, name, uid)
        return waiting

    def _is_elsewhere(self, name: str) -> bool:
        """Whether a channel has been given away, and is not this node's again."""
        try:
            return name in self._moved and not self._owns(name)
        except ChannelMoved:
            return True

    def begin_anew(self) -> list[tuple[str, dict[str, Any]]]:
        """Forget all channels: others own them now. The states of those that have one come back."""
        states = [(name, each.state) for name, each in self._channels.items() if each.state]
        for channel in self._channels.values():
            channel.moved_to = ""
        self._channels.clear()
        self._empty.clear()
        self._lost.clear()
        self._incarnations.clear()
        self._adopting.clear()
        self._forgotten.clear()
        self._departed.clear()
        return states

    def _has(self, frontend: str) -> bool:
        return self._frontends.exists(frontend)

    # What frontends say.

    def gone(self, frontend: str, name: str, uid: str, reason: str = CLOSED) -> None:
        """A member's last session on its frontend has ended."""
        channel = self._channels.get(name)
        was_member = channel is not None and self._take(channel, uid, frontend)
        early = self._adopting.get(frontend)
        if early is not None and reason == CLOSED and len(early) < MOST_DEPARTED:
            early[name, uid] = early.get((name, uid), False) or was_member
        if channel is None or not was_member:
            return
        self._journal.note(uid, "left", reason, channel=name, peer=frontend)
        if reason == CLOSED:
            # It may have crossed a join of mine, and that have found a new session of the same uid.
            self._frontends.leave(frontend, name, [uid])
        for hook in tuple(self._hooks):
            maybeDeferred(hook, channel, uid, frontend, reason).addErrback(self._hook_failed, name)
        self._drop_if_empty(channel)

    def gone_before(self, frontend: str, name: str, uid: str) -> None:
        """A member's last session has ended, as its frontend told another node.

        Who has come in here since, maybe on a new session, is not meant.
        """
        channel = self._channels.get(name)
        if channel is not None and channel.inherits(uid, frontend):
            self.gone(frontend, name, uid)

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
        self._adopting[frontend] = {}
        if known is not None:
            self._strike(frontend, "frontend restarted")
        self._join_all(frontend)  # who came in before it was there

    def offered(
        self,
        frontend: str,
        name: str,
        uids: Sequence[str],
        *,
        moved: bool = False,
        settled: bool = False,
    ) -> None:
        """Who a frontend holds as members of a channel of mine.

        Args:
            moved: whether the channel has come here since it was told who its members are.
            settled: whether it had come here before that; what it was told may have been lost.
        """
        if frontend not in self._adopting and not moved:
            # My own list is the newer one, and on its way; but it names nobody who is no member.
            if settled and not self._is_elsewhere(name):
                self._deny(frontend, name, uids)
            return
        if self._is_elsewhere(name):
            return  # it was given away: the frontend has yet to hear to whom, and offers it there
        forgotten = self._forgotten.of(frontend)
        channel = self.get(name, create=True)
        assert channel is not None
        adopted = [uid for uid in uids if uid not in forgotten]
        if len(adopted) < len(uids):  # whom others have been told of as gone
            self._forget(frontend, [uid for uid in uids if uid in forgotten])
        gone = self._gone_early(frontend, channel, adopted)
        adopted = [uid for uid in adopted if uid not in gone]
        for uid in adopted:
            channel.put(uid, frontend, inherited=True)
            self._channels[name] = channel
        if adopted:
            # It may have crossed a leave of mine: then the frontend has forgotten them since.
            self._frontends.join(frontend, name, adopted)
        for uid, told in gone.items():
            if not told:
                channel.put(uid, frontend)
                self._channels[name] = channel
                self.gone(frontend, name, uid)

    def _gone_early(self, frontend: str, channel: Channel, uids: Iterable[str]) -> dict[str, bool]:
        """Who of these has gone, as the frontend said before; and whether others were told."""
        early = self._adopting.get(frontend, {})
        members = channel.by_frontend.get(frontend, {})
        return {
            uid: early[channel.name, uid]
            for uid in uids
            if uid not in members and (channel.name, uid) in early
        }

    def _deny(self, frontend: str, name: str, uids: Sequence[str]) -> None:
        """Tell a frontend who of these are no members."""
        channel = self._channels.get(name)
        members = {} if channel is None else channel.by_frontend.get(frontend, {})
        strangers = [uid for uid in uids if uid not in members]
        if strangers:
            self._frontends.leave(frontend, name, strangers)

    def offers_done(self, frontend: str) -> None:
        """A frontend has offered all that it holds."""
        if self._adopting.pop(frontend, None) is not None:
            self._forgotten.held_by_nobody(frontend)

    def frontend_left(self, frontend: str) -> None:
        """A frontend is in the view no more: its members go at once."""
        self._lost.stop(frontend)
        self._incarnations.pop(frontend, None)
        self._adopting.pop(frontend, None)
        self._give_up(frontend, "frontend left")

    def frontend_down(self, frontend: str) -> None:
        """The link to a frontend is lost; its members stay for a while."""
        if self._adopting.pop(frontend, None) is not None:
            del self._incarnations[frontend]  # it has not offered all: it begins again
        self._miss(frontend)

    def stop(self) -> None:
        """Forget the timers."""
        self._lost.clear()
        self._forgotten.clear()

    def _miss(self, frontend: str) -> None:
        if frontend not in self._lost:
            self._lost.start(frontend)

    def _join_all(self, frontend: str) -> None:
        for channel in self._channels.values():
            uids = channel.by_frontend.get(frontend)
            if uids:
                self._frontends.join(frontend, channel.name, list(uids))

    def _renew(self, frontend: str) -> None:
        forgotten = list(self._forgotten.of(frontend))
        if forgotten:  # before the groups are: who they mean is known by those
            self._forget(frontend, forgotten)
        self._frontends.renew(frontend)
        self._join_all(frontend)

    def _forget(self, frontend: str, uids: list[str]) -> None:
        self._forgotten.asked(frontend, uids)
        self._frontends.forget(frontend, uids, partial(self._forgotten.done, frontend))

    def _give_up(self, frontend: str, reason: str = "frontend lost") -> None:
        self._forgotten.add(
            frontend,
            (uid for c in self._channels.values() for uid in c.by_frontend.get(frontend, ())),
        )
        self._strike(frontend, reason)

    def _strike(self, frontend: str, reason: str) -> None:
        for channel in list(self._channels.values()):
            for uid in list(channel.by_frontend.get(frontend, ())):
                self.gone(frontend, channel.name, uid, reason)

    def _drop_if_empty(self, channel: Channel) -> None:
        if not len(channel) and self._channels.get(channel.name) is channel:
            self._empty[channel.name] = self._channels.pop(channel.name)


def moved(name: str, to: str) -> ChannelMoved:
    """Why a channel can't be used here any more.

    Args:
        to: who owns it now; empty where that is not known.
    """
    where = f"{to} owns it now" if to else "others own it now"
    return ChannelMoved(f"the channel {name!r} has moved: {where}")


def _refuse_moved(channel: Channel) -> None:
    if channel.moved_to is not None:
        raise moved(channel.name, channel.moved_to)
