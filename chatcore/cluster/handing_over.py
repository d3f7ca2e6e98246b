"""The old owner's side of a move: channels are given away when nothing more can come for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.channels.moving import Hand
from chatcore.cluster.delivering import Deliveries
from chatcore.cluster.moving import PATIENCE, Sends
from chatcore.cluster.patient import Patient
from chatcore.cluster.portions import Portions, Steps, several
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.deadlines import IClock

LONGEST_CHARACTER = 4
"""Bytes of a character in UTF-8."""


class IGiving(Protocol):
    """Has channels that may have to be given away."""

    def names(self) -> list[str]:
        """The names of all channels that have members."""

    def is_placed(self, name: str) -> bool:
        """Whether a channel is here because its name places it here."""

    def moving(self, name: str, to: str) -> Deferred[Any] | None:
        """Tell the application that a channel is about to go; what to wait for, if anything."""

    def give_away(self, name: str, to: str) -> Hand | None:
        """Forget a channel that is another node's now; None if there is none."""


class IArriving(Protocol):
    """Has what has come to this node and is not in use yet."""

    def foreign(self) -> Iterator[tuple[str, Sequence[Hand]]]:
        """Take out what belongs to others by now.

        One at a time of all that has come; for what stays, nothing.
        """


class IQuiet(Protocol):
    """Knows what is under way."""

    def when_ended(self, concerns: Callable[[str | None], bool], ended: Callable[[], None]) -> None:
        """Call ``ended`` when all that is under way now has ended, of the keys that concern.

        A newer call replaces an older one.
        """


class HandingOver:
    """Gives away what belongs to others, after each change of owners.

    Args:
        id: this node's.
        server_type: its type.
        servers: those of the view.
        key_of: the key by which a channel of that name is placed.
        channels: this node's.
        arriving: what has come for it.
        quiet: knows which requests are under way.
        sends: what is said to others.
        clock: the reactor.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str,
        server_type: str,
        servers: ClusterServers,
        key_of: Callable[[str], str],
        channels: IGiving,
        arriving: IArriving,
        quiet: IQuiet,
        sends: Sends,
        clock: IClock,
    ) -> None:
        self._id, self._type, self._servers = id, server_type, servers
        self._key_of, self._channels, self._arriving = key_of, channels, arriving
        self._quiet, self._sends, self._clock = quiet, sends, clock
        self._epoch = self._since = self._begun = self._done = 0
        self._owners: object = None
        self._ended = self._late = False
        self._seen: dict[str, int] = {}
        self._timer: Any = None
        self._patient = Patient(clock)
        self._portions = Portions(clock)
        self._deliveries = Deliveries(
            owner_of=self._new_owner, sends=sends, sent=self._sent, clock=clock
        )

    @property
    def waits(self) -> bool:
        """Whether what belongs to others is kept until requests that are under way have ended."""
        return self._since != self._begun

    @property
    def has_begun(self) -> bool:
        """Whether what belongs to others goes there, or has gone."""
        return self._epoch > 0 and not self.waits

    @property
    def done(self) -> bool:
        """Whether all that belongs to others has arrived there, if there are any."""
        return self._has_given and not self._deliveries.any_for_others(self._id)

    @property
    def _has_given(self) -> bool:
        return self._done == self._since

    # What happens.

    def view_changed(self, old: View, new: View) -> None:
        """There is a newer view."""
        self._epoch = new.epoch
        if not new.epoch:
            return
        for peer in self._others():
            self._sends.seen(peer, new.epoch)
        before, self._owners = self._owners, self._who_owns()
        if before == self._owners and new.epoch == old.epoch + 1:
            self._say_done()
        else:
            self._begin()
        self.check()

    def _who_owns(self) -> object:
        """From what it follows which of the channels here have to go."""
        member = self._servers.view.get(self._id)
        drains = member is not None and member.state == "draining"
        return self._servers.ownership.lives(self._type), drains

    def _begin(self) -> None:
        """Wait until all others know this view, too."""
        self._since = self._epoch
        self._portions.stop()
        self._deliveries.view_changed(self._epoch)
        self._ended = self._late = False
        self._stop_timer()
        self._timer = self._clock.callLater(PATIENCE, self._give_up)
        self._quiet.when_ended(self._concerns, partial(self._all_ended, self._since))

    def seen(self, peer: str, epoch: int) -> None:
        """A node sends nothing any more by an older view."""
        self._seen[peer] = epoch
        self.check()

    def link_up(self, peer: str) -> None:
        """A link is there: say how far this node is."""
        if not self._epoch:
            return
        self._sends.seen(peer, self._epoch)
        self.say_pushes_done(peer)
        if self._is_alike(peer):
            self._deliveries.link_up(peer)

    def link_down(self, peer: str) -> None:
        """A link was lost."""
        self._seen.pop(peer, None)
        self._deliveries.link_down(peer)
        self.check()

    def say_pushes_done(self, peer: str) -> None:
        """Tell a frontend that nothing is pushed any more for what is another's, once it is so."""
        member = self._servers.view.get(peer)
        if self._has_given and member is not None and member.server.frontend:
            self._sends.pushes_done(peer, self._epoch)

    def pass_on(self, name: str, hand: Hand) -> None:
        """Give away what has come here and belongs to another node."""
        self._deliveries.keep(name, hand)
        to = self._deliveries.route(name)
        if to is not None:
            self._deliveries.send(to)

    def begin_anew(self) -> None:
        """Forget what others said: this node has been taken for dead."""
        self._seen.clear()
        self._owners = None
        self._deliveries.begin_anew()

    def stop(self) -> None:
        """Forget the timers."""
        self._stop_timer()
        self._patient.stop()
        self._portions.stop()
        self._deliveries.stop()

    def check(self) -> None:
        """Give away, if nothing more can come for what belongs to others."""
        if self.waits and (
            self._late or (self._ended and all(map(self._has_seen, self._others())))
        ):
            self._begun = self._since
            self._stop_timer()
            self._portions.do(self._give_away())

    # Its own.

    def _others(self) -> list[str]:
        return [each.id for each in self._servers.view.members if each.id != self._id]

    def _has_seen(self, peer: str) -> bool:
        return self._seen.get(peer, -1) >= self._since or not self._sends.linked(peer)

    def _concerns(self, key: str | None) -> bool:
        """Whether what is under way by a key may touch what belongs to others."""
        return key is None or self._owner_of(key) is not None

    def _owner_of(self, key: str) -> str | None:
        """Another node that owns a key."""
        owner = self._servers.ownership.owner(self._type, key)
        return None if owner is None or owner.id == self._id else owner.id

    def _all_ended(self, epoch: int) -> None:
        if epoch == self._since:
            self._ended = True
            self.check()

    def _give_up(self) -> None:
        self._late = True
        self.log.warn(
            "{id} hands over for view {epoch}, though {why}",
            id=self._id,
            epoch=self._since,
            why=f"{[each for each in self._others() if not self._has_seen(each)]} lag behind"
            if self._ended
            else "requests that were under way go on",
        )
        self.check()

    def _give_away(self) -> Steps:
        """Tell the application what is about to go, and then have it go."""
        owners: dict[str, str | None] = {}
        asked = []
        for name in self._channels.names():
            to = owners[name] = self._goes_to(name)
            waiting = None if to is None else self._channels.moving(name, to)
            if waiting is not None:
                asked.append(waiting)
            yield True
        if asked:
            self._patient.wait_for(asked, partial(self._asked, self._since, owners))
        else:
            yield from self._give(owners)

    def _asked(self, epoch: int, owners: dict[str, str | None]) -> None:
        """The application has taken note of what moves by that view."""
        if epoch == self._since:
            self._portions.do(self._give(owners))

    def _goes_to(self, name: str) -> str | None:
        """To whom one of the channels here has to go; None if it stays."""
        to = self._owner_of(self._key_of(name))
        if to is None or self._channels.is_placed(name):
            return to
        member = self._servers.view.get(self._id)
        return to if member is None or member.state == "draining" else None

    def _give(self, owners: dict[str, str | None]) -> Steps:
        for name, hands in self._arriving.foreign():
            for hand in hands:
                self._deliveries.keep(name, hand)
            yield True
        earlier = self._deliveries.names()
        leaving: dict[str, list[str]] = {}
        for name in self._channels.names():
            to = owners[name] if name in owners else self._goes_to(name)
            if to is not None:
                leaving.setdefault(to, []).append(name)
        for to, names in leaving.items():
            for some in several(names):
                size = LONGEST_CHARACTER * sum(map(len, some))
                while not all(self._sends.has_room(each, size) for each in self._frontends()):
                    yield False
                self._give_to(to, some)
                yield True
        for name in earlier:
            self._deliveries.route(name)
            yield True
        self._done = self._since
        self._say_done()

    def _say_done(self) -> None:
        """Tell all how far this node is, if all has been given that has to be by this view."""
        if not self._has_given:
            return
        for peer in [self._id, *self._others()]:
            self.say_pushes_done(peer)
            if self._is_alike(peer):
                self._deliveries.send(peer)

    def _give_to(self, to: str, names: Sequence[str]) -> None:
        """Give some channels to their owner, all at once: none is with both, or with nobody."""
        hands = {name: self._channels.give_away(name, to) for name in names}
        given = [name for name, hand in hands.items() if hand is not None]
        for frontend in self._frontends():
            self._sends.group_moved(frontend, to, given)
        for name, hand in hands.items():
            if hand is not None:
                self._deliveries.keep(name, hand, newest=True)
                self._deliveries.route_to(to, name)
        self._deliveries.send(to)

    def _sent(self, peer: str) -> None:
        """All that is for a node has been sent to it."""
        if peer != self._id and self._has_given:
            self._sends.handed_over(peer, self._epoch)

    def _is_alike(self, peer: str) -> bool:
        """Whether a node shares the keys of this node's type."""
        member = self._servers.view.get(peer)
        return member is not None and member.server.type == self._type

    def _frontends(self) -> list[str]:
        return [each.id for each in self._servers.frontends()]

    def _new_owner(self, name: str) -> str | None:
        """Who owns a channel, which may be this node."""
        owner = self._servers.ownership.owner(self._type, self._key_of(name))
        return None if owner is None else owner.id

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
