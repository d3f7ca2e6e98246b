"""The claims of a frontend's own sessions: made, held, offered to new homes, lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from chatcore.cluster.asking import Asking, IPeers, Question
from chatcore.cluster.homes import Homes, Place
from chatcore.errors import SessionError
from chatcore.telemetry import Counters

PORTION = 5_000
"""Claims that are offered at once."""

PORTION_LENGTH = 1024 * 1024
"""Their uids have so many characters together at most."""


@dataclass(slots=True)
class _Held:
    """A claim that a session here has."""

    uid: str
    session: int
    number: int
    token: Sequence[int]
    place: Place


@dataclass(slots=True, eq=False)
class _Bid:
    """A claim that is being made."""

    uid: str
    session: int
    number: int = 0
    question: Question | None = None
    waiting: list[Deferred[float | None]] = field(default_factory=list)


class Claims:
    """Sees to it that a uid has one session in the cluster, as far as this frontend goes.

    Before a session is bound, the home of the uid is asked for a claim. The home gives it a token,
    and tells this frontend should somebody else get the uid. What a session lets go of is told to
    the home by the number that the claim was asked for with, so that it can't be taken for another.

    When homes change, each new one asks all frontends for their claims (`offer`), and gives none
    before it has heard them all. A frontend that has made an offer in a view takes no claim any
    more that was given by a home of an older one: what is given is either offered or void.

    Args:
        id: of this frontend.
        incarnation: which life of it this is, as of now.
        suspended: whether it can't know now that it is in the view.
        per_uid: what becomes of a second session of a uid: it is refused, or takes over.
        asking: asks homes.
        peers: tells them.
        bind: binds a session that has got its claim; when it was bound comes back.
        kick: sends the client of a session away that has lost its uid.
        counters: where failures are counted.
    """

    def __init__(
        self,
        *,
        id: str,
        incarnation: Callable[[], str],
        suspended: Callable[[], bool],
        per_uid: str,
        asking: Asking,
        peers: IPeers,
        bind: Callable[[int, str], float | None],
        kick: Callable[[int], object],
        counters: Counters,
    ) -> None:
        self._id, self._incarnation, self._per_uid = id, incarnation, per_uid
        self._asking, self._peers = asking, peers
        self._bind, self._kick, self._counters = bind, kick, counters
        self._suspended = suspended
        self._last = 0
        self._bids: dict[int, _Bid] = {}
        self._held: dict[int, _Held] = {}
        self._of_session: dict[int, _Held] = {}
        self._by_home: dict[str, dict[int, _Held]] = {}
        self._early: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def under_way(self) -> int:
        """How many claims are being made."""
        return len(self._bids)

    # What the sessions of this frontend ask.

    def bind(self, id: int, uid: str) -> Deferred[float | None]:
        """Have a session bound once it has the claim to a uid.

        Raises:
            SessionError: it is being bound to another uid.
        """
        bid = self._bids.get(id)
        if bid is not None and bid.uid != uid:
            raise SessionError(f"session {id} is being bound to {bid.uid!r} already")
        outcome: Deferred[float | None] = Deferred()
        if bid is not None:
            bid.waiting.append(outcome)
            return outcome
        bid = self._bids[id] = _Bid(uid, id, waiting=[outcome])
        bid.question = Question(
            uid,
            "claim",
            args=lambda: self._numbered(bid),
            answered=lambda answer: self._answered(bid, answer),
            failed=lambda why: self._failed(bid, why),
            undone=lambda home: self._undone(bid, home),
            unfit=self._unfit,
        )
        self._asking.ask(bid.question)
        return outcome

    def ended(self, id: int) -> None:
        """A session is bound no more, and is not to be bound either."""
        bid = self._bids.pop(id, None)
        if bid is not None:
            if bid.question is not None:
                self._asking.withdraw(bid.question)
            self._tell(bid, SessionError(f"session {id} of {self._id} ended before it was bound"))
        held = self._of_session.get(id)
        if held is not None:
            self._let_go(held)

    # What homes ask.

    def offer(self, epoch: int, home: str, after: int) -> Sequence[Any]:
        """The claims of this frontend that a home has to know, in portions.

        Args:
            epoch: the view in which it is their home.
            after: the number of the last claim that it has been told.

        Returns:
            ``["claims", incarnation, claims, more]``, ``["behind", epoch]`` where the home is, or
            ``["early"]`` where this frontend is, which tells the home when it is not any more.
        """
        now = self._asking.homes.epoch
        if epoch < now:
            return ["behind", now]
        if epoch > now:
            self._early.add(home)
            return ["early"]
        claims = self._by_home.get(home, {})
        taken: list[Sequence[Any]] = []
        size = 0
        for number in sorted(number for number in claims if number > after):
            held = claims[number]
            size += len(held.uid)
            if len(taken) >= PORTION or (taken and size > PORTION_LENGTH):
                return ["claims", self._incarnation(), taken, True]
            taken.append([held.uid, held.session, number, held.token])
        return ["claims", self._incarnation(), taken, False]

    def lost(self, incarnation: str, number: int) -> None:
        """Somebody else has the uid of that claim now."""
        held = self._held.get(number)
        if held is not None and incarnation == self._incarnation():
            self._let_go(held)  # told to its home, too, which may be another than the one that says
            self._counters.sessions_taken_over += 1
            self._kick(held.session)

    # What happens to the cluster.

    def place_again(self, old: Homes) -> None:
        """The homes are others now.

        Args:
            old: those before.
        """
        homes = self._asking.homes
        others = homes.ids - old.ids
        self._by_home = {}
        if not homes.ids:
            return  # only while this node is in no view: they are placed anew in the next
        for number, held in self._held.items():
            held.place = homes.place_again(held.uid, held.place, others)
            self._by_home.setdefault(held.place[1], {})[number] = held

    def tell_homes(self, moved: bool) -> None:
        """There is a newer view; have those ask that have to, or could not be answered yet.

        Args:
            moved: whether the homes are others now.
        """
        ids = self._asking.homes.ids
        early, self._early = self._early, set()
        for home in sorted(ids if moved else early & ids):
            self.attend(home)

    def attend(self, home: str) -> None:
        """Have a home ask for what is offered."""
        about = [self._id, self._incarnation(), self._asking.since]
        self._peers.tell(home, "attend", about)

    def linked(self, peer: str) -> None:
        """There is a link to another node."""
        if self._by_home.get(peer):
            self.attend(peer)

    # Claims that are being made.

    def _unfit(self) -> str | None:
        if self._suspended():
            return f"{self._id} can't know whether it is still in the view"
        if self._asking.homes.has(self._id, self._incarnation()):
            return None
        return f"{self._id} is not in the view"

    def _numbered(self, bid: _Bid) -> Sequence[Any]:
        self._last += 1
        bid.number = self._last
        return [self._id, self._incarnation(), bid.uid, bid.session, bid.number, self._per_uid]

    def _undone(self, bid: _Bid, home: str) -> None:
        self._peers.tell(home, "release", [self._id, self._incarnation(), bid.uid, bid.number])

    def _answered(self, bid: _Bid, answer: Sequence[Any]) -> None:
        del self._bids[bid.session]
        if answer[0] != "granted":
            self._counters.binds_refused += 1
            why = f"it has a session on {answer[1]} already"
            self._counters.journal.note(bid.uid, "refused login", why, session=bid.session)
            problem = (
                f"{bid.uid!r} has a session on {answer[1]} already, and sessions.per_uid is refuse"
            )
            self._tell(bid, SessionError(problem))
            return
        place = self._asking.homes.place(bid.uid)
        held = _Held(bid.uid, bid.session, bid.number, answer[1], place)
        self._held[bid.number] = self._of_session[bid.session] = held
        self._by_home.setdefault(place[1], {})[bid.number] = held
        try:
            when = self._bind(bid.session, bid.uid)
        except Exception as problem:
            self.ended(bid.session)
            self._tell(bid, problem)
            return
        for outcome in bid.waiting:
            outcome.callback(when)

    def _failed(self, bid: _Bid, why: str) -> None:
        del self._bids[bid.session]
        self._counters.binds_failed += 1
        self._counters.journal.note(bid.uid, "refused login", why, session=bid.session)
        self._tell(bid, SessionError(f"{bid.uid!r} can't be bound now, try again: {why}"))

    def _tell(self, bid: _Bid, problem: Exception) -> None:
        for outcome in bid.waiting:
            outcome.errback(problem)

    def _let_go(self, held: _Held) -> None:
        del self._held[held.number], self._of_session[held.session]
        of_home = self._by_home.get(held.place[1], {})
        of_home.pop(held.number, None)
        about = [self._id, self._incarnation(), held.uid, held.number]
        self._peers.tell(held.place[1], "release", about)
