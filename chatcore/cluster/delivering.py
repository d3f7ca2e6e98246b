"""What a node has given away, until it has arrived where it belongs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from chatcore.channels.moving import Hand
from chatcore.channels.pieces import of_hand
from chatcore.cluster.moving import Sends
from chatcore.cluster.portions import Portions, Steps
from chatcore.deadlines import IClock


class Deliveries:
    """Sends channels to their owners, as fast as their links take them.

    Args:
        owner_of: who owns a channel of that name now; None if nobody does.
        sends: what is said to others.
        sent: told of a node each time that all which is for it has been sent.
        clock: the reactor.
    """

    def __init__(
        self,
        *,
        owner_of: Callable[[str], str | None],
        sends: Sends,
        sent: Callable[[str], None],
        clock: IClock,
    ) -> None:
        self._owner_of, self._sends, self._told, self._clock = owner_of, sends, sent, clock
        self._epoch = 0
        self._hands: dict[str, Hand] = {}
        # To whom each was sent who has yet to say that it has arrived.
        self._sent_to: dict[str, str] = {}
        self._due: dict[str, OrderedDict[str, None]] = {}
        self._sending: dict[str, Portions] = {}

    def names(self) -> list[str]:
        """The channels that have yet to arrive."""
        return list(self._hands)

    def any_for_others(self, id: str) -> bool:
        """Whether any of them belongs to another than this node."""
        return any(self._owner_of(name) not in (None, id) for name in self._hands)

    def keep(self, name: str, hand: Hand, *, newest: bool = False) -> None:
        """Have something go to a channel's owner, with what there is for it already.

        Args:
            newest: whether it is the newest that is known: its values win, then.
        """
        other = self._hands.get(name)
        if other is not None:
            first, second = (hand, other) if newest else (other, hand)
            hand = Hand([*first.members, *second.members], {**second.state, **first.state})
        # It is another than what may have been sent already, which is not all of it any more.
        self._hands[name] = hand
        self._sent_to.pop(name, None)

    def route(self, name: str) -> str | None:
        """Have it sent to its owner, unless it has been; who that is comes back."""
        to = self._owner_of(name)
        if to is not None and self._sent_to.get(name) != to:
            self.route_to(to, name)
        return to

    def route_to(self, to: str, name: str) -> None:
        """Have it sent to a node that is known to own it."""
        if self._sends.linked(to):
            self._due.setdefault(to, OrderedDict())[name] = None

    def send(self, to: str) -> None:
        """Go on with what is to be sent to a node."""
        portions = self._portions(to)
        if not portions.busy:
            portions.do(self._send_all(to))

    def view_changed(self, epoch: int) -> None:
        """Send nothing any more until it is said again what goes where."""
        self._epoch = epoch
        self.stop()
        self._due.clear()

    def link_up(self, peer: str) -> None:
        """A link is there: send all that belongs to its other side."""
        self._portions(peer).do(self._send_again(peer))

    def link_down(self, peer: str) -> None:
        """A link was lost, and maybe what was on its way on it."""
        if peer in self._sending:
            self._sending.pop(peer).stop()
        self._due.pop(peer, None)
        self._sent_to = {name: to for name, to in self._sent_to.items() if to != peer}

    def begin_anew(self) -> None:
        """Have others believe no more who is in what is on its way: they know better by now."""
        states = {name: hand.state for name, hand in self._hands.items() if hand.state}
        self._hands = {name: Hand(state=state) for name, state in states.items()}
        self._sent_to.clear()

    def stop(self) -> None:
        """Send nothing any more."""
        for portions in self._sending.values():
            portions.stop()
        self._sending.clear()

    def _portions(self, to: str) -> Portions:
        portions = self._sending.get(to)
        if portions is None:
            portions = self._sending[to] = Portions(self._clock)
        return portions

    def _send_again(self, to: str) -> Steps:
        for name in self.names():
            if name not in self._sent_to and self._owner_of(name) == to:
                self.route_to(to, name)
            yield True
        yield from self._send_all(to)

    def _send_all(self, to: str) -> Steps:
        due = self._due.get(to, OrderedDict[str, None]())
        while due:
            name = next(iter(due))
            hand = self._hands.get(name)
            if hand is not None:
                yield from self._send(to, name, hand)
            if self._hands.get(name) is hand:  # else there is more of it since
                due.pop(name, None)
        self._due.pop(to, None)
        self._told(to)

    def _send(self, to: str, name: str, hand: Hand) -> Steps:
        pieces = of_hand(hand)
        arrived = _all(len(pieces), partial(self._arrived, name, hand))
        for piece in pieces:
            while not self._sends.hand_over(to, self._epoch, name, piece, arrived):
                yield False
            if piece is pieces[-1] and self._hands.get(name) is hand:
                self._sent_to[name] = to
            yield True

    def _arrived(self, name: str, hand: Hand, good: bool) -> None:
        if self._hands.get(name) is hand:
            self._sent_to.pop(name, None)
            if good:
                del self._hands[name]


def _all(count: int, done: Callable[[bool], None]) -> Callable[[bool], None]:
    """What is told of each of so many, and tells once whether all are good."""
    ended: list[bool] = []

    def told(good: bool) -> None:
        ended.append(good)
        if len(ended) == count:
            done(all(ended))

    return told
