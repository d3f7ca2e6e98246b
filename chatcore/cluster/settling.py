"""The new owner's side of a move: which keys it may answer for, and what has come of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.channels.moving import Arriving, Hand
from chatcore.cluster.moving import PATIENCE
from chatcore.cluster.ownership import Ownership
from chatcore.cluster.patient import Patient
from chatcore.cluster.portions import Portions, Steps
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import Member, View
from chatcore.deadlines import IClock

MOST_VIEWS = 16
"""Changes of owners since the last time that all was settled, of which it is remembered who owned
what; after more, no key counts as kept."""

_NOBODY = Ownership(View(0, ()), {})

MOST_REMEMBERED = 10_000
"""Keys of which it is remembered whether they may be answered for."""


class ITakingIn(Protocol):
    """Takes channels in."""

    def arrive(
        self, name: str, arriving: Arriving, told: Callable[[str], bool], *, late: bool
    ) -> Deferred[Any] | None:
        """Make a channel this node's; what fires when the application has taken note, if it waits.

        Args:
            told: whether a frontend has said of all its members that they are its.
            late: whether this node has answered for it already.
        """


class Settling:
    """Waits, after each change of owners, until all has come that belongs to this node now.

    Args:
        id: this node's.
        server_type: its type.
        servers: those of the view.
        member: this node as it announces itself.
        key_of: the key by which a channel of that name is placed.
        linked: whether a node can be reached now.
        has_room: whether more can be said now to the frontends of what comes in.
        take_in: takes the channels in that have come.
        settled: called each time it waits no more.
        clock: the reactor.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str,
        server_type: str,
        servers: ClusterServers,
        member: Callable[[], Member],
        key_of: Callable[[str], str],
        linked: Callable[[str], bool],
        has_room: Callable[[], bool],
        take_in: ITakingIn,
        settled: Callable[[], None],
        clock: IClock,
    ) -> None:
        self._id, self._type = id, server_type
        self._servers, self._member = servers, member
        self._key_of, self._linked, self._has_room = key_of, linked, has_room
        self._take_in, self._told, self._clock = take_in, settled, clock
        self._patient, self._portions = Patient(clock), Portions(clock)
        self._asked: list[Deferred[Any]] = []
        self._since: list[Ownership] = []
        self._epoch = 0
        self._late = self._suspended = False
        self._taking_in = self._more = False
        self._handed: dict[str, int] = {}
        self._offered: dict[str, int] = {}
        self._answers: dict[str, bool] = {}
        self._arriving: dict[str, Arriving] = {}
        self._given_up: dict[str, dict[str, None]] = {}
        self._timer: Any = None
        self.settled = False
        self.ready = False
        """Whether it has ever settled."""

    # What others ask.

    def may_answer(self, key: str) -> bool:
        """Whether this node, which owns a key by the view, may answer for it."""
        if self.settled:
            return True
        if self._suspended:
            return False
        known = self._answers.get(key)
        if known is None:
            if len(self._answers) >= MOST_REMEMBERED:
                self._answers.clear()
            known = self._answers[key] = self._kept(key)
        return known

    def _kept(self, key: str) -> bool:
        """Whether a key has been this node's ever since it settled last."""
        life = self._member().life
        owners = (each.owner(self._type, key) for each in self._since)
        return len(self._since) > 1 and all(_is(owner, life) for owner in owners)

    @property
    def epoch(self) -> int:
        """That of the view in which the owners changed last."""
        return self._epoch

    def awaits(self, channel: str) -> bool:
        """Whether something has come of a channel of this node's that it can't answer for yet."""
        return channel in self._arriving

    def foreign(self) -> Iterator[tuple[str, Sequence[Hand]]]:
        """Take out what has come and belongs to others by now.

        One at a time of all that has come; for what stays, nothing.
        """
        for name in list(self._arriving):
            foreign = name in self._arriving and self._is_foreign(name)
            yield name, self._arriving.pop(name).hands if foreign else ()

    def _is_foreign(self, name: str) -> bool:
        owner = self._servers.ownership.owner(self._type, self._key_of(name))
        return owner is not None and owner.id != self._id

    # What happens.

    def view_changed(self, old: View, new: View) -> None:
        """There is a newer view."""
        ownership = self._servers.ownership
        before = self._since[-1] if self._since else None
        if before is None or before.lives(self._type) != ownership.lives(self._type):
            self._begin(ownership)
        self.check()

    def suspend(self) -> None:
        """Answer for no key: whether another node owns them by now can't be known."""
        self._suspended, self.settled = True, False

    def resume(self) -> None:
        """The view holds after all."""
        self._suspended = False
        self.check()

    def begin_anew(self) -> None:
        """Forget everything: this node has been taken for dead."""
        self._take_no_more_in()
        self._since.clear()
        self._answers.clear()
        self._arriving.clear()
        self._given_up.clear()
        self._handed.clear()
        self._offered.clear()
        self.settled = False

    def link_changed(self, peer: str) -> None:
        """A link was lost or made: what its other side said before counts no more."""
        self._handed.pop(peer, None)
        self._offered.pop(peer, None)
        self.check()

    def handed(self, channel: str, hand: Hand) -> None:
        """A channel of this node's has come from its old owner."""
        late = not self.awaits(channel) and self.may_answer(self._key_of(channel))
        self._of(channel).hands.append(hand)
        if late:
            self._take(channel, late=True)

    def given_up(self, frontend: str, uids: Iterable[str]) -> None:
        """Who has been told as left, and may be offered by a frontend that has yet to hear it."""
        self._given_up.setdefault(frontend, {}).update(dict.fromkeys(uids))

    def handed_over(self, peer: str, epoch: int) -> None:
        """A node has handed over all that is not its own in that view."""
        self._handed[peer] = epoch
        self.check()

    def offered(self, frontend: str, channel: str, uids: list[str]) -> None:
        """Whom a frontend holds of a channel that has yet to come."""
        self._of(channel).offers.setdefault(frontend, {}).update(dict.fromkeys(uids))

    def offers_done(self, frontend: str, epoch: int) -> None:
        """A frontend has offered all that it holds by that view."""
        self._offered[frontend] = epoch
        self.check()

    def check(self) -> None:
        """Settle, if nothing is waited for any more."""
        if self.settled or self._suspended or self._taking_in or not self._since:
            return
        if not any(self._is_waited_for()):
            self._stop_timer()
            self._taking_in = True
            self._portions.do(self._take_all_in())

    def stop(self) -> None:
        """Forget the timers."""
        self._stop_timer()
        self._patient.stop()
        self._portions.stop()

    # Its own.

    def _of(self, channel: str) -> Arriving:
        """What comes of a channel, of which more is known now."""
        self._more = True
        return self._arriving.setdefault(channel, Arriving())

    def _begin(self, ownership: Ownership) -> None:
        if self.settled:
            self._since = self._since[-1:]
        elif not self._since or len(self._since) > MOST_VIEWS:
            self._since = [_NOBODY]  # who owned what before is not known
        self._since.append(ownership)
        self._epoch = ownership.view.epoch
        self._answers.clear()
        self._take_no_more_in()
        self.settled, self._late = False, False
        self._stop_timer()
        self._timer = self._clock.callLater(PATIENCE, self._give_up)

    def _give_up(self) -> None:
        """Wait no longer for those that can't be reached."""
        self._late = True
        waited_for = sorted(set(self._is_waited_for()))
        if waited_for:
            self.log.warn(
                "{id} still waits for {others} to tell what is its own in view {epoch}",
                id=self._id,
                others=", ".join(waited_for),
                epoch=self._epoch,
            )
        self.check()

    def _is_waited_for(self) -> Iterator[str]:
        """Who has yet to tell what it has of this node's."""
        view = self._servers.view
        for member in view.members:
            if member.id == self._id or (self._late and not self._linked(member.id)):
                continue
            offers = member.server.frontend and not self._has(self._offered, member)
            if offers or (self._may_hold(member) and not self._has(self._handed, member)):
                yield member.id

    def _has(self, said: dict[str, int], member: Member) -> bool:
        return said.get(member.id, -1) >= self._epoch

    def _may_hold(self, member: Member) -> bool:
        """Whether a node may have owned before what this one owns now."""
        return self._epoch > 0 and member.server.type == self._type

    def _take_all_in(self) -> Steps:
        """Take in all that has come; what changes meanwhile is waited for first."""
        self._more = True
        while self._more:
            self._more = False
            for name in list(self._arriving):
                if not self._is_foreign(name):
                    while not self._has_room():
                        yield False
                    self._take_early(name)
                yield True
        asked, self._asked = self._asked, []
        self._patient.wait_for(asked, partial(self._taken_in, self._epoch))

    def _taken_in(self, epoch: int) -> None:
        same = epoch == self._epoch and not self._suspended and bool(self._since)
        if same and self._more:
            self._portions.do(self._take_all_in())
            return
        self._taking_in = False
        if not same:
            self.check()
            return
        self.settled = self.ready = True
        self._since = self._since[-1:]
        self._answers.clear()
        self._given_up.clear()
        self._told()

    def _take_no_more_in(self) -> None:
        """Leave what has not been taken in yet: it has to be waited for again."""
        if self._portions.busy:
            self._portions.stop()
            self._taking_in = False

    def _take_early(self, name: str) -> None:
        """Take in what may have to be waited for before this node answers for it."""
        waiting = self._take(name) if name in self._arriving else None
        if waiting is not None:
            self._asked.append(waiting)

    def _take(self, name: str, *, late: bool = False) -> Deferred[Any] | None:
        arriving = self._arriving.pop(name)
        for frontend, uids in self._given_up.items():
            arriving.give_up(frontend, uids)
        try:
            return self._take_in.arrive(name, arriving, self._offered.__contains__, late=late)
        except Exception:  # whatever is wrong with it must keep no other out
            self.log.failure("What has come of channel {name!r:.100} can't be taken in", name=name)
            return None

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


def _is(owner: Member | None, life: tuple[str, str]) -> bool:
    """Whether an owner is that life; of a view for ever, any life of it."""
    return owner is not None and owner.id == life[0] and owner.incarnation in ("", life[1])
