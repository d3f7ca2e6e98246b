"""The old owner's side of a move: channels are given away when nothing more can come for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.channels.moving import Hand
from chatcore.cluster.moving import PATIENCE, Sends
from chatcore.cluster.patient import Patient
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import View
from chatcore.deadlines import IClock


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
        quiet: IQuiet,
        sends: Sends,
        clock: IClock,
    ) -> None:
        self._id, self._type, self._servers = id, server_type, servers
        self._key_of, self._channels, self._quiet = key_of, channels, quiet
        self._sends, self._clock = sends, clock
        self._epoch = self._done = 0
        self._ended = self._late = False
        self._giving: int | None = None
        self._seen: dict[str, int] = {}
        self._outgoing: dict[str, Hand] = {}
        self._timer: Any = None
        self._patient = Patient(clock)

    @property
    def has_given(self) -> bool:
        """Whether all has been sent to others that belongs to them."""
        return self._done == self._epoch

    @property
    def done(self) -> bool:
        """Whether all that belongs to others has arrived there, if there are any."""
        return self._done == self._epoch and not any(
            self._owner_of(self._key_of(name)) for name in self._outgoing
        )

    # What happens.

    def view_changed(self, old: View, new: View) -> None:
        """There is a newer view."""
        self._epoch = new.epoch
        if not new.epoch:
            return
        for peer in self._others():
            self._sends.seen(peer, new.epoch)
        self._ended = self._late = False
        self._stop_timer()
        self._timer = self._clock.callLater(PATIENCE, self._give_up)
        self._quiet.when_ended(self._concerns, partial(self._all_ended, new.epoch))
        self.check()

    def seen(self, peer: str, epoch: int) -> None:
        """A node sends nothing any more by an older view."""
        self._seen[peer] = epoch
        self.check()

    def link_up(self, peer: str) -> None:
        """A link is there: say how far this node is."""
        if not self._epoch:
            return
        self._sends.seen(peer, self._epoch)
        if self._done == self._epoch:
            self._say_done([peer])
        self._send_outgoing(peer)

    def link_down(self, peer: str) -> None:
        """A link was lost."""
        self._seen.pop(peer, None)
        self.check()

    def pass_on(self, name: str, hand: Hand) -> None:
        """Give away what has come here and belongs to another node."""
        self._keep(name, self._outgoing.get(name, Hand()), hand)
        self._send(name)

    def begin_anew(self) -> None:
        """Forget what others said: this node has been taken for dead.

        Of what is on its way, others know better by now who is in it.
        """
        self._seen.clear()
        states = {name: hand.state for name, hand in self._outgoing.items() if hand.state}
        self._outgoing = {name: Hand(state=state) for name, state in states.items()}

    def stop(self) -> None:
        """Forget the timers."""
        self._stop_timer()
        self._patient.stop()

    def check(self) -> None:
        """Give away, if nothing more can come for what belongs to others."""
        if self._done == self._epoch or self._giving == self._epoch:
            return
        if self._late or (self._ended and all(map(self._has_seen, self._others()))):
            self._give_away()

    # Its own.

    def _others(self) -> list[str]:
        return [each.id for each in self._servers.view.members if each.id != self._id]

    def _has_seen(self, peer: str) -> bool:
        return self._seen.get(peer, -1) >= self._epoch or not self._sends.linked(peer)

    def _concerns(self, key: str | None) -> bool:
        """Whether what is under way by a key may touch what belongs to others."""
        return key is None or self._owner_of(key) is not None

    def _owner_of(self, key: str) -> str | None:
        """Another node that owns a key."""
        owner = self._servers.ownership.owner(self._type, key)
        return None if owner is None or owner.id == self._id else owner.id

    def _all_ended(self, epoch: int) -> None:
        if epoch == self._epoch:
            self._ended = True
            self.check()

    def _give_up(self) -> None:
        self._late = True
        if self._done != self._epoch:
            self.log.warn(
                "{id} hands over for view {epoch}, though {why}",
                id=self._id,
                epoch=self._epoch,
                why=f"{[each for each in self._others() if not self._has_seen(each)]} lag behind"
                if self._ended
                else "requests that were under way go on",
            )
        self.check()

    def _leaving(self) -> dict[str, list[str]]:
        """The channels that belong to others, by whom."""
        member = self._servers.view.get(self._id)
        stays = member is not None and member.state != "draining"
        leaving: dict[str, list[str]] = {}
        for name in self._channels.names():
            owner = self._owner_of(self._key_of(name))
            if owner is not None and (self._channels.is_placed(name) or not stays):
                leaving.setdefault(owner, []).append(name)
        return leaving

    def _give_away(self) -> None:
        epoch = self._giving = self._epoch
        leaving = self._leaving()
        asked = [
            waiting
            for to, names in leaving.items()
            for name in names
            if (waiting := self._channels.moving(name, to)) is not None
        ]
        if asked:
            self._patient.wait_for(asked, partial(self._asked, epoch))
        else:
            self._give(leaving)

    def _asked(self, epoch: int) -> None:
        """The application has taken note of what moves by that view."""
        if self._giving == epoch == self._epoch:
            self._give(self._leaving())

    def _give(self, leaving: dict[str, list[str]]) -> None:
        self._giving = None
        frontends = [each.id for each in self._servers.frontends()]
        earlier = self._outgoing.keys() - {name for names in leaving.values() for name in names}
        for to, names in leaving.items():
            for frontend in frontends:
                self._sends.group_moved(frontend, to, names)
            for name in names:
                hand = self._channels.give_away(name, to)
                if hand is not None:
                    self._keep(name, hand, self._outgoing.get(name, Hand()))
        self._stop_timer()
        self._done = self._epoch
        for name in sorted(earlier):
            self._send(name)
        for to, names in leaving.items():
            for name in names:
                if name in self._outgoing:
                    self._send_to(to, name)
        self._say_done([self._id, *self._others()])

    def _keep(self, name: str, first: Hand, second: Hand) -> None:
        """Have a channel go as two say that it is; of the states, the first's values win."""
        # Made anew, because what has been sent of it is not all of it any more.
        self._outgoing[name] = Hand(
            [*first.members, *second.members], {**second.state, **first.state}
        )

    def _say_done(self, peers: Iterable[str]) -> None:
        for peer in peers:
            member = self._servers.view.get(peer)
            if member is None:
                continue
            if member.server.frontend:
                self._sends.pushes_done(peer, self._done)
            if member.server.type == self._type and peer != self._id:
                self._sends.handed_over(peer, self._done)

    def _send_outgoing(self, peer: str) -> None:
        for name in list(self._outgoing):
            if self._owner_of(self._key_of(name)) == peer:
                self._send(name)

    def _send(self, name: str) -> None:
        to = self._servers.ownership.owner(self._type, self._key_of(name))
        if to is not None:
            self._send_to(to.id, name)

    def _send_to(self, to: str, name: str) -> None:
        hand = self._outgoing[name]

        def done(arrived: bool) -> None:
            if arrived and self._outgoing.get(name) is hand:
                del self._outgoing[name]

        self._sends.hand_over(to, self._epoch, name, hand, done)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
