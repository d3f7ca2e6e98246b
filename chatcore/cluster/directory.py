"""The claims to uids, as the home of the uids keeps them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.cluster.asking import SWEEP_SECONDS, IPeers
from chatcore.cluster.homes import Homes
from chatcore.deadlines import Deadlines, IClock, Timeouts
from chatcore.errors import RpcError
from chatcore.telemetry import Counters

MOST_WAITING = 20_000
"""Requests that may wait until all frontends have told their claims."""

OFFER_SECONDS = 5.0
"""How long a frontend may take to tell a portion of them."""

Token = tuple[int, int]
"""The epoch in which a claim was given, and a number that grows: the higher one is the newer."""


_Key = tuple[str, str, int]
"""The frontend that asks, which life of it, and a number; nobody where it is no claim."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A uid, and who has it.

    Args:
        frontend: the id of the frontend.
        incarnation: which life of it.
        session: the number of the session there.
        number: the claim's own there.
        token: its place among all claims to that uid that there ever were.
    """

    uid: str
    frontend: str
    incarnation: str
    session: int
    number: int
    token: Token


@dataclass(slots=True)
class _Table:
    """What one life of a frontend has claimed.

    Attributes:
        epoch: the view in which it told so.
        stale: whether it may have changed without having been told.
    """

    incarnation: str
    epoch: int
    claims: dict[int, Claim]
    stale: bool = False


@dataclass(slots=True, eq=False)
class _Pull:
    """A frontend that is being asked for its claims."""

    frontend: str
    last: int = 0
    incarnation: str = ""
    claims: dict[int, Claim] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Request:
    """What is asked of this home, and can't be answered yet, perhaps."""

    epoch: int
    key: _Key
    decide: Callable[[], Sequence[Any]]
    told: Deferred[Sequence[Any]] = field(default_factory=Deferred)
    deadlines: Deadlines | None = None


class Directory:
    """Knows who has the uids whose home this frontend is; gives claims to them, one for each.

    It answers in a view only when all frontends of that view have told their claims; until then
    requests wait in order. In a view that never changes, a frontend that has not been linked to
    for ``patience`` counts as one that is gone. When a frontend is gone, so are its claims.

    Of two claims to one uid, as there are after a cut, the one with the higher token stays; who has
    the other is told that it is lost.

    Args:
        id: of this frontend.
        incarnation: which life of it this is, as of now.
        suspended: whether it can't know now that it is in the view.
        homes: those of the view.
        peers: reaches frontends.
        later: calls something when this turn is over.
        patience: seconds that a frontend may be away in a view that never changes.
        clock: the reactor, or a test's clock.
        counters: where refusals are counted.
        now: the time, in seconds since the epoch.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str,
        incarnation: Callable[[], str],
        suspended: Callable[[], bool],
        homes: Homes,
        peers: IPeers,
        later: Callable[[Callable[[], None]], None],
        patience: float,
        clock: IClock,
        counters: Counters,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._id, self._incarnation, self._suspended = id, incarnation, suspended
        self._homes, self._peers, self._later = homes, peers, later
        self._patience, self._clock, self._counters = patience, clock, counters
        # Where the epoch stays the same, a home that starts again goes on above where it was.
        self._last = int(now() * 1_000_000)
        self._by_uid: dict[str, Claim] = {}
        self._tables: dict[str, _Table] = {}
        self._pulls: dict[str, _Pull] = {}
        self._missing: set[str] = set()
        self._absent: set[str] = set()
        self._awaited: dict[str, Any] = {}
        self._waiting: dict[_Key, _Request] = {}
        self._questions = 0
        self._timeouts = Timeouts(clock, self._waited)
        self._sweep: Any = None

    def __len__(self) -> int:
        return len(self._by_uid)

    def start(self) -> None:
        """Begin to ask frontends for their claims."""
        self._await_frontends()
        self.check()

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._waiting)

    # What frontends ask.

    def claim(
        self,
        epoch: int,
        frontend: str,
        incarnation: str,
        uid: str,
        session: int,
        number: int,
        per_uid: str,
        seconds: float,
    ) -> Sequence[Any] | Deferred[Sequence[Any]]:
        """Claim a uid for a session.

        Args:
            epoch: the view in which this is its home.
            number: what the claim will be known by to that life of the frontend.
            per_uid: ``refuse`` or ``takeover``, where another session has it.
            seconds: how long to wait until it is known who has it.

        Returns:
            ``["granted", token]``, ``["refused", frontend]``, ``["behind", epoch]`` where the one
            who asks is, or ``["again", why]``.
        """

        def decide() -> Sequence[Any]:
            table = self._tables.get(frontend)
            if table is None or table.incarnation != incarnation:
                return ["again", f"{frontend} is not in view {self._homes.epoch}"]
            return self._give(uid, frontend, incarnation, session, number, per_uid)

        return self._take(_Request(epoch, (frontend, incarnation, number), decide), seconds)

    def where(
        self, epoch: int, uid: str, seconds: float
    ) -> Sequence[Any] | Deferred[Sequence[Any]]:
        """Who has a uid: ``["at", frontend, session]``, ``["nowhere"]``, or as `claim` answers."""

        def decide() -> Sequence[Any]:
            claim = self._by_uid.get(uid)
            return ["nowhere"] if claim is None else ["at", claim.frontend, claim.session]

        self._questions += 1
        return self._take(_Request(epoch, ("", "", self._questions), decide), seconds)

    def release(self, frontend: str, incarnation: str, uid: str, number: int) -> None:
        """A frontend gives a claim up, or wants it no more that it has asked for."""
        request = self._waiting.get((frontend, incarnation, number))
        if request is not None:
            self._answer(request, ["again", "it was given up"])
        table = self._tables.get(frontend)
        if table is not None and table.incarnation == incarnation:
            claim = table.claims.pop(number, None)
            if claim is not None and self._by_uid.get(claim.uid) is claim:
                del self._by_uid[claim.uid]
        pull = self._pulls.get(frontend)
        if pull is not None and pull.incarnation == incarnation:
            pull.claims.pop(number, None)

    def attend(self, frontend: str, incarnation: str, since: int) -> None:
        """A frontend has something to offer.

        Args:
            since: the view from which on what it told before may be wrong.
        """
        table = self._tables.get(frontend)
        if table is not None and table.incarnation == incarnation and table.epoch < since:
            table.stale = True
        self.check()

    # What happens to the cluster.

    def follow(self, homes: Homes) -> None:
        """There is a newer view."""
        old, self._homes = self._homes, homes
        self._pulls.clear()
        if homes.lives != old.lives:
            self._tables.clear()
            self._by_uid.clear()
        for id, table in list(self._tables.items()):
            if not homes.has(id, table.incarnation):
                self._drop(id)
        self._await_frontends()
        self.check()
        self._serve()

    def linked(self, peer: str, incarnation: str) -> None:
        """There is a link to another node."""
        self._absent.discard(peer)
        self._await_no_more(peer)
        table = self._tables.get(peer)
        if table is not None and table.incarnation != incarnation:
            self._drop(peer)
        self.check()

    def unlinked(self, peer: str) -> None:
        """A link is lost."""
        self._pulls.pop(peer, None)
        table = self._tables.get(peer)
        if table is not None:
            table.stale = True
        for request in list(self._waiting.values()):
            if request.key[0] == peer:  # which knows that, and will ask anew
                self._answer(request, ["again", "the link was lost"])
        self._await_frontends()
        self.check()

    def stop(self) -> None:
        """Forget the timers."""
        for request in self._waiting.values():
            if request.deadlines is not None:
                request.deadlines.stop(request)
        self._timeouts.clear()
        for peer in list(self._awaited):
            self._await_no_more(peer)
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    # Requests wait.

    @property
    def _is_home(self) -> bool:
        is_in = self._id in self._homes.ids and self._homes.has(self._id, self._incarnation())
        return is_in and not self._suspended()

    def _take(self, request: _Request, seconds: float) -> Sequence[Any] | Deferred[Sequence[Any]]:
        answer = self._decide(request)
        if answer is not None:
            return answer
        if len(self._waiting) >= MOST_WAITING:
            self._counters.calls_refused += 1
            return ["again", f"too many wait for {self._id}"]
        self._waiting[request.key] = request
        request.deadlines = self._timeouts.start(request, max(round(seconds, 1), 0.1))
        return request.told

    def _decide(self, request: _Request) -> Sequence[Any] | None:
        """The answer to a request; None if it has to wait."""
        if request.epoch > self._homes.epoch:
            return None
        if request.epoch < self._homes.epoch:
            return ["behind", self._homes.epoch]
        if not self._is_home:
            return ["again", f"{self._id} can't know whether it is in view {request.epoch}"]
        return None if self._missing else request.decide()

    def _serve(self) -> None:
        for request in list(self._waiting.values()):
            if request.key in self._waiting:
                answer = self._decide(request)
                if answer is not None:
                    self._answer(request, answer)

    def _answer(self, request: _Request, answer: Sequence[Any]) -> None:
        del self._waiting[request.key]
        if request.deadlines is not None:
            request.deadlines.stop(request)
        request.told.callback(answer)

    def _waited(self, request: _Request) -> None:
        if request.epoch > self._homes.epoch:
            why = f"{self._id} has not heard of view {request.epoch} yet"
        else:
            silent = ", ".join(sorted(self._missing)[:3])
            why = f"{silent} has not told {self._id} yet who is logged in there"
        request.deadlines = None
        self._answer(request, ["again", why])

    # Claims come and go.

    def _give(
        self, uid: str, frontend: str, incarnation: str, session: int, number: int, per_uid: str
    ) -> Sequence[Any]:
        old = self._by_uid.get(uid)
        if old is not None:
            own = (old.frontend, old.incarnation, old.session) == (frontend, incarnation, session)
            if not own and per_uid == "refuse":
                return ["refused", old.frontend]
            self._tables[old.frontend].claims.pop(old.number, None)
            if not own:
                self._tell_lost(old)
        self._last += 1
        token = (self._homes.epoch, self._last)
        claim = Claim(uid, frontend, incarnation, session, number, token)
        self._by_uid[uid] = claim
        self._tables[frontend].claims[number] = claim
        return ["granted", token]

    def _add(self, table: _Table, claim: Claim) -> None:
        """Take a claim that another home has given; the newer of two stays."""
        if claim.token[0] == self._homes.epoch:
            self._last = max(self._last, claim.token[1])
        known = self._by_uid.get(claim.uid)
        if known is not None and known.token >= claim.token:
            self._tell_lost(claim)
            return
        if known is not None:
            self._tables[known.frontend].claims.pop(known.number, None)
            self._tell_lost(known)
        self._by_uid[claim.uid] = claim
        table.claims[claim.number] = claim

    def _tell_lost(self, claim: Claim) -> None:
        # Not before who has it now knows that: so a uid is never without a session on a frontend.
        about = [claim.incarnation, claim.number]
        self._later(partial(self._peers.tell, claim.frontend, "lost", about))

    def _drop(self, frontend: str) -> None:
        table = self._tables.pop(frontend, None)
        for claim in () if table is None else table.claims.values():
            if self._by_uid.get(claim.uid) is claim:
                del self._by_uid[claim.uid]

    # Frontends tell their claims.

    def check(self) -> None:
        """Find out who has not told them yet; ask those, or go on where all have."""
        self._missing = {id for id in self._homes.frontends if self._is_missing(id)}
        if not self._is_home:
            self._pulls.clear()
        else:
            for id in sorted(self._missing):
                if id in self._missing - self._pulls.keys() and self._peers.reachable(id):
                    pull = self._pulls[id] = _Pull(id)
                    self._ask(pull)  # which may be answered at once
        if not (self._missing and self._is_home):  # else all who wait go on waiting
            self._serve()
        if self._sweep is None and self._is_home and self._missing:
            self._sweep = self._clock.callLater(SWEEP_SECONDS, self._swept)

    def _swept(self) -> None:
        self._sweep = None
        self.check()

    def _is_missing(self, id: str) -> bool:
        table = self._tables.get(id)
        if table is None or not self._homes.has(id, table.incarnation):
            return id not in self._absent
        return table.stale and self._peers.reachable(id)

    def _ask(self, pull: _Pull) -> None:
        args = [self._homes.epoch, self._id, pull.last]
        asked = self._peers.ask(pull.frontend, "offer", args, OFFER_SECONDS)
        asked.addCallback(self._offered, pull)
        asked.addErrback(self._unoffered, pull)

    def _offered(self, answer: Any, pull: _Pull) -> None:
        if self._pulls.get(pull.frontend) is not pull:
            return
        if answer[0] != "claims" or not self._homes.has(pull.frontend, answer[1]):
            del self._pulls[pull.frontend]  # asked anew when it says so, or with the next sweep
            return
        pull.incarnation = answer[1]
        for uid, session, number, (epoch, count) in answer[2]:
            token = (epoch, count)
            claim = Claim(uid, pull.frontend, pull.incarnation, session, number, token)
            pull.claims[number] = claim
            pull.last = number
        if answer[3]:
            self._ask(pull)
            return
        del self._pulls[pull.frontend]
        self._drop(pull.frontend)
        table = self._tables[pull.frontend] = _Table(pull.incarnation, self._homes.epoch, {})
        for claim in pull.claims.values():
            self._add(table, claim)
        self.check()

    def _unoffered(self, failure: Failure, pull: _Pull) -> None:
        if self._pulls.get(pull.frontend) is pull:
            del self._pulls[pull.frontend]
        if not failure.check(RpcError):
            who = pull.frontend
            self.log.failure("What {who} tells of its claims can't be taken", failure, who=who)

    # Frontends that are away for ever, where no view says so.

    def _await_frontends(self) -> None:
        for id in list(self._awaited):
            if id not in self._homes.frontends:
                self._await_no_more(id)
        self._absent &= self._homes.frontends.keys()
        for id, incarnation in self._homes.frontends.items():
            if incarnation or id in self._absent or id in self._awaited:
                continue
            if not self._peers.reachable(id):
                self._awaited[id] = self._clock.callLater(self._patience, self._gone, id)

    def _await_no_more(self, id: str) -> None:
        timer = self._awaited.pop(id, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _gone(self, id: str) -> None:
        del self._awaited[id]
        self._absent.add(id)
        self._drop(id)
        self.check()
