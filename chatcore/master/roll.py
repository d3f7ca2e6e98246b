"""Who is in the cluster, as a master knows it. It numbers the views."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from twisted.logger import Logger

from chatcore.cluster.view import MOST_BYTES, Member, View
from chatcore.deadlines import OVERSLEPT, IClock
from chatcore.turn import Turn
from chatcore.wire.values import pack

Outcome = Literal["welcome", "taken", "removed", "refused"]

LEARNING_SECONDS: Final = 2.0
"""How long a master that has started anew waits for somebody who knows a view before it makes one
of its own: longer than nodes wait between attempts to reach it."""

LEAP: Final = 1000
"""How many epochs a master leaves out behind a view that it learns of and that is ahead of its own,
because a clock was set back: there may be later ones, which it has not heard of yet."""

MOST_REMOVED: Final = 4096
"""Lives that were taken out and are still known not to come back."""


@dataclass(slots=True, eq=False)
class _Place:
    """A member's place in the view.

    Args:
        member: the member.
        size: its bytes.
        at: what it is connected by; None while it is away.
        own: whether this master has let it in; otherwise its nodes told that it was in.
        ended: whether it is away because its connection has ended.
    """

    member: Member
    size: int
    at: Hashable | None
    own: bool
    ended: bool = False
    due: float = 0.0
    timer: Any = field(default=None, repr=False)


class Roll:
    """Says who is in the view.

    Members that are away stay in it for a while. Several changes in a turn make one view.

    What nodes tell of views of an earlier master is taken over: the highest of those views counts,
    and who is in it has `restart_seconds` to come back.

    Args:
        away_seconds: how long a member may take to come back whose connection ended.
        restart_seconds: how long it may take after this process has started, or was held up.
        learning: whether nodes may know of a cluster already when this master starts.
        epoch: where its views begin to count: behind all that an earlier master may have made.
        clock: what knows the time.
        settled: told the newest view at the end of each turn in which somebody came, changed or
            left.
        displaced: told by what a node is connected that was welcome, and is to ask again.
    """

    log = Logger()

    def __init__(
        self,
        *,
        away_seconds: float,
        restart_seconds: float,
        learning: bool,
        epoch: int,
        clock: IClock,
        settled: Callable[[View], None],
        displaced: Callable[[Any], None],
    ) -> None:
        self._away_seconds, self._restart_seconds = away_seconds, restart_seconds
        self._clock, self._settled, self._displaced = clock, settled, displaced
        self._turn = Turn(clock.callLater)
        self._places: dict[str, _Place] = {}
        self._removed: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._bytes = 0
        self._epoch, self._first = epoch, epoch + 1
        self._learnt_of = 0
        self._due = self._anyway = False
        self._lenient_until = clock.seconds()
        self._learning = clock.callLater(LEARNING_SECONDS, self._begin) if learning else None
        self.view = View(0, ())

    def announce(self, at: Hashable, member: Member, told: View | None) -> tuple[Outcome, str]:
        """A node says how it is.

        Args:
            at: what it is connected by.
            member: how it is.
            told: the last view that it has heard of, if it says so.

        Returns:
            What comes of it, and why where it is not in the view now.
        """
        if told is not None and self._is_news(told):
            self._learn(told)
        place = self._places.get(member.id)
        if place is None or place.member.life != member.life:
            was_in = told is not None and told.has(member)
            if was_in or member.life in self._removed:
                return "removed", "it was taken out of the view"
        if place is not None and place.member.life != member.life and not self._yields(place, at):
            return "taken", f"another {member.id} is in the view, and may be alive"
        size = _size(member)
        if self._bytes - (place.size if place else 0) + size > MOST_BYTES:
            return "refused", f"with it the view would have more than {MOST_BYTES} bytes"
        if place is None or place.member.life != member.life:
            self._take_out(member.id, "another life of it has come", expected=True)
            self._put(_Place(member, size, at, own=True))
            self.log.info("{id} has come", id=member.id)
        else:
            self._is_here(place, at, member, size)
        return "welcome", ""

    def leave(self, at: Hashable) -> None:
        """The node that is connected by that leaves for good."""
        place = self._by(at)
        if place is not None:
            self._take_out(place.member.id, "it has left", expected=True)

    def lost(self, at: Hashable, *, silent: bool) -> None:
        """A connection has ended.

        Args:
            silent: whether that was because nothing came by it for too long.
        """
        place = self._by(at)
        if place is None:
            return
        place.at = None
        if silent:
            self._take_out(place.member.id, "it does not answer any more")
            return
        place.ended = True
        lenient = self._lenient_until - self._clock.seconds()
        self._await(place, max(self._away_seconds, lenient))

    def be_lenient(self) -> None:
        """This process was held up: the nodes may have given it up, and are to be waited for."""
        self._lenient_until = self._clock.seconds() + self._restart_seconds
        for place in self._places.values():
            if place.at is None:
                self._await(place, self._restart_seconds)

    def stop(self) -> None:
        """Forget all timers."""
        for timer in (self._learning, *(place.timer for place in self._places.values())):
            _cancel(timer)

    # What nodes know of a cluster that this master does not.

    def _is_news(self, told: View) -> bool:
        """Whether that is a later view than any known here, but for this master's own."""
        return told.epoch > self._epoch or self._learnt_of < told.epoch < self._first

    def _learn(self, told: View) -> None:
        self.log.info(
            "Learnt of view {epoch} with {n} members", epoch=told.epoch, n=len(told.members)
        )
        for place in list(self._places.values()):
            if not place.own and not told.has(place.member):
                self._take_out(place.member.id, "a later view is without it")
        if self._learning is not None:
            self._displace_rivals(told)
        for member in told.members:
            size = _size(member)
            if member.id not in self._places and self._bytes + size <= MOST_BYTES:
                place = _Place(member, size, None, own=False)
                self._put(place)
                self._await(place, self._restart_seconds)
        self._learnt_of = told.epoch
        if told.epoch > self._epoch:
            self._epoch = told.epoch + LEAP
            self._first = self._epoch + 1
        self._anyway = True
        self._touch()
        self._begin()

    def _displace_rivals(self, told: View) -> None:
        """Make room for those who may come back: no view has named yet who came in their place."""
        for place in list(self._places.values()):
            if told.get(place.member.id) is not None and not told.has(place.member):
                _cancel(place.timer)
                del self._places[place.member.id]
                self._bytes -= place.size
                if place.at is not None:
                    self._displaced(place.at)

    def _begin(self) -> None:
        """Make views from now on."""
        if self._learning is not None:
            _cancel(self._learning)
            self._learning = None
        if self._due:
            self._turn.at_end(self._publish)

    # The members.

    def _by(self, at: Hashable) -> _Place | None:
        return next((each for each in self._places.values() if each.at == at), None)

    def _yields(self, place: _Place, at: Hashable) -> bool:
        """Whether another life may take a place: the one that has it is certainly gone."""
        return place.at == at or place.ended

    def _put(self, place: _Place) -> None:
        self._places[place.member.id] = place
        self._bytes += place.size
        self._touch()

    def _is_here(self, place: _Place, at: Hashable, member: Member, size: int) -> None:
        _cancel(place.timer)
        place.at, place.ended = at, False
        self._bytes += size - place.size
        place.member, place.size = member, size
        self._touch()

    def _take_out(self, id: str, why: str, *, expected: bool = False) -> None:
        place = self._places.pop(id, None)
        if place is None:
            return
        _cancel(place.timer)
        self._bytes -= place.size
        self._removed[place.member.life] = None
        if len(self._removed) > MOST_REMOVED:
            self._removed.popitem(last=False)
        log = self.log.info if expected else self.log.warn
        log("{id} is taken out of the view: {why}", id=id, why=why)
        self._touch()

    def _await(self, place: _Place, seconds: float) -> None:
        _cancel(place.timer)
        place.due = self._clock.seconds() + seconds
        place.timer = self._clock.callLater(seconds, self._too_long, place, seconds)

    def _too_long(self, place: _Place, seconds: float) -> None:
        place.timer = None
        if self._clock.seconds() - place.due > OVERSLEPT:
            # This process was held up, and it may be knocking already.
            self._await(place, max(seconds, self._restart_seconds))
            return
        self._take_out(place.member.id, f"it has been away for {seconds:g} s")

    # The views.

    def _touch(self) -> None:
        if not self._due:
            self._due = True
            self._turn.at_end(self._publish)

    def _publish(self) -> None:
        if self._learning is not None or not self._due:
            return
        members = View(0, tuple(place.member for place in self._places.values())).members
        if self._anyway or members != self.view.members:
            self._epoch += 1
            self.view = View(self._epoch, members)
        self._due = self._anyway = False
        self._settled(self.view)


def _size(member: Member) -> int:
    return len(pack(member.to_value()))


def _cancel(timer: Any) -> None:
    if timer is not None and timer.active():
        timer.cancel()
