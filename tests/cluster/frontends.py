"""Frontends that claim uids, in one process, on one clock and a network that fails on purpose."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from chatcore.cluster.logins import Logins
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.view import Member, State, View
from chatcore.config.servers import Server
from chatcore.errors import CallTimedOut, LinkLost, NotConnected, RemoteRaised
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import Session
from chatcore.sessions.settings import SessionSettings
from chatcore.telemetry import Counters
from chatcore.turn import Turn
from chatcore.wire.values import pack, unpack

PATIENCE = 10.0

LAST_WORDS = 0.2
"""How long the link to a node that left the view stays."""


class Client:
    """A client's connection; kicked, it closes at once, as real ones do."""

    address: ClassVar[tuple[str, int]] = ("192.0.2.7", 5555)
    encoding: Any = None
    outbox: Any = None

    def __init__(self, sessions: SessionService) -> None:
        self.session = sessions.open(self)
        self._sessions = sessions
        self.kicked: str | None = None

    def kick(self, reason: str) -> None:
        self.kicked = reason
        self._sessions.close(self.session, reason)


class Wire:
    """A connection between two processes; what is sent on it arrives in order, or not at all."""

    def __init__(self, world: World, ends: tuple[Frontend, Frontend], slow: float) -> None:
        self.world, self.ends, self.slow = world, ends, slow
        self.whole = True
        self._lives = [end.incarnation for end in ends]
        self._last = [0.0, 0.0]

    def other(self, end: Frontend) -> Frontend:
        return self.ends[1 - self.ends.index(end)]

    def life_of(self, end: Frontend) -> str:
        """The incarnation under which it said hello."""
        return self._lives[self.ends.index(end)]

    def send(self, sender: Frontend, act: Callable[[], None]) -> None:
        """Have something done at the other end."""
        side = self.ends.index(sender)
        clock = self.world.clock
        at = clock.seconds() + self.world.random.uniform(0.0, self.slow)
        self._last[side] = at = max(at, self._last[side])
        receiver = self.ends[1 - side]

        def arrive() -> None:
            if receiver.alive and receiver.links.get(sender.id) is self:
                act()

        if self.whole:
            clock.callLater(at - clock.seconds(), arrive)


class Frontend:
    """A process of a frontend. It implements `IPeers` for what is tested."""

    def __init__(self, world: World, id: str, view: View) -> None:
        self.world, self.id = world, id
        self.incarnation = world.new_incarnation()
        self.alive = True
        self.links: dict[str, Wire] = {}
        self.counters = Counters()
        self.servers = ClusterServers(view)
        settings = SessionSettings(per_uid=world.per_uid, scope=world.scope)
        self.sessions = SessionService(
            frontend_id=id, counters=self.counters, settings=settings, now=world.clock.seconds
        )
        self.clients: list[Client] = []
        self._under_way: dict[Deferred[Any], tuple[Wire, Any]] = {}
        self.logins = Logins(
            id=id,
            incarnation=lambda: self.incarnation,
            frontend=True,
            servers=self.servers,
            sessions=self.sessions,
            settings=settings,
            peers=self,
            later=Turn(world.clock.callLater).at_end,
            patience=PATIENCE,
            clock=world.clock,
            counters=self.counters,
        )
        self.remotes = {remote.__name__: remote for remote in self.logins.remotes()}
        self.logins.start()

    def __repr__(self) -> str:
        return f"<{self.id} {self.incarnation}>"

    # How it reaches the others.

    def reachable(self, peer: str) -> bool:
        return peer == self.id or peer in self.links

    def tell(self, peer: str, method: str, args: Sequence[Any]) -> None:
        told = unpack(pack(args))
        if peer == self.id:
            self._run(method, told)
        elif peer in self.links:
            wire = self.links[peer]
            wire.send(self, lambda: wire.other(self)._run(method, told))

    def ask(self, peer: str, method: str, args: Sequence[Any], seconds: float) -> Deferred[Any]:
        assert seconds > 0
        asked = unpack(pack(args))
        if peer == self.id:
            return self._run(method, asked)
        if peer not in self.links:
            return fail(NotConnected(peer, method))
        wire, answer = self.links[peer], Deferred[Any]()
        timer = self.world.clock.callLater(seconds, self._timed_out, answer, peer, method)
        self._under_way[answer] = (wire, timer)

        def answered(result: Any) -> None:
            packed = None if isinstance(result, Failure) else pack(result)
            wire.send(wire.other(self), lambda: self._answered(answer, packed))

        wire.send(self, lambda: wire.other(self)._run(method, asked).addBoth(answered))
        return answer

    def _run(self, method: str, args: Sequence[Any]) -> Deferred[Any]:
        def failed(failure: Failure) -> Failure:
            self.world.failures.append(failure)
            return failure

        return maybeDeferred(self.remotes[method], *args).addErrback(failed)

    def _answered(self, answer: Deferred[Any], packed: bytes | None) -> None:
        if answer in self._under_way:
            self._under_way.pop(answer)[1].cancel()
            if packed is None:
                answer.errback(RemoteRaised("?", "?", "it raised"))
            else:
                answer.callback(unpack(packed))

    def _timed_out(self, answer: Deferred[Any], peer: str, method: str) -> None:
        del self._under_way[answer]
        answer.errback(CallTimedOut(peer, method))

    # What happens to it.

    def up(self, wire: Wire) -> None:
        peer = wire.other(self)
        self.links[peer.id] = wire
        self.logins.linked(peer.id, wire.life_of(peer))

    def down(self, wire: Wire) -> None:
        peer = wire.other(self).id
        if self.links.get(peer) is not wire or not self.alive:
            return
        del self.links[peer]
        for answer, (over, timer) in list(self._under_way.items()):
            if over is wire:
                del self._under_way[answer]
                timer.cancel()
                answer.errback(LinkLost(peer, "?"))
        self.logins.unlinked(peer)

    def heard(self, view: View) -> None:
        if not self.alive or view.epoch <= self.servers.view.epoch:
            return
        for wire in list(self.links.values()):
            other = wire.other(self)
            known = view.get(other.id)
            if known is None or known.incarnation != wire.life_of(other):
                self.world.later(LAST_WORDS, partial(self.world.tear, wire))
        self.servers.follow(view)
        mine = view.get(self.id)
        is_in = mine is not None and mine.incarnation == self.incarnation
        if not is_in and self.world.let_in.get(self.incarnation, view.epoch) < view.epoch:
            self.begin_anew()
        self.world.link_all()

    def begin_anew(self) -> None:
        """It was taken out of the view, though it lives."""
        self.incarnation = self.world.new_incarnation()
        for wire in list(self.links.values()):
            self.world.tear(wire)
        self.world.announce(self, "up")

    def crash(self) -> None:
        self.alive = False
        self.logins.stop()
        for _, timer in self._under_way.values():
            timer.cancel()
        for wire in list(self.links.values()):
            self.world.tear(wire)

    # Its clients.

    def client(self) -> Client:
        client = Client(self.sessions)
        self.clients.append(client)
        return client

    def bound(self) -> list[Session]:
        return list(self.sessions.bound())


class World:
    """A cluster of frontends, and all that may befall it.

    Args:
        per_uid: what becomes of second sessions.
        fixed: the ids of all frontends, where the view never changes.
        seed: of everything that happens by chance.
    """

    def __init__(self, *, per_uid: Any, fixed: Sequence[str] = (), seed: int = 0) -> None:
        self.per_uid, self.fixed = per_uid, list(fixed)
        self.random = random.Random(seed)
        self.clock = Clock()
        self.frontends: dict[str, Frontend] = {}
        self.cuts: set[frozenset[str]] = set()
        self.deaf: set[str] = set()
        self.failures: list[Failure] = []
        self.let_in: dict[str, int] = {}
        self.latencies = [0.02, 0.02, 1.0]
        self.hearing = [0.1, 0.3, 2.0]
        self.scope: Any = "cluster"
        self._lives = itertools.count(1)
        members = tuple(Member(server=_server(id)) for id in self.fixed)
        self.view = View(0 if fixed else 1, members)

    def new_incarnation(self) -> str:
        return f"life-{next(self._lives)}"

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        self.clock.callLater(seconds, act)

    def some(self, most: float) -> float:
        return self.random.uniform(0.0, most)

    def pass_time(self, seconds: float, step: float = 0.05) -> None:
        end = self.clock.seconds() + seconds
        while self.clock.seconds() < end:
            calls = self.clock.getDelayedCalls()
            due = min((call.getTime() for call in calls), default=end)
            self.clock.advance(max(min(due, end) - self.clock.seconds(), 1e-6))

    # The frontends, and what the registry knows of them.

    def begin(self, id: str) -> Frontend:
        """Start a frontend."""
        view = self.view if self.fixed else View(0, ())
        frontend = self.frontends[id] = Frontend(self, id, view)
        if not self.fixed:
            self.announce(frontend, "starting")
        self.link_all()
        return frontend

    def announce(self, frontend: Frontend, state: State) -> None:
        """Have the registry know of a state of a frontend, once it hears that."""
        life = frontend.incarnation

        def known() -> None:
            if not frontend.alive or frontend.incarnation != life:
                return
            if frontend.id in self.deaf:
                self.later(0.5, known)
                return
            server = _server(frontend.id)
            self._publish(frontend.id, Member(server=server, incarnation=life, state=state))

        self.later(self.some(0.1), known)

    def forget(self, id: str, incarnation: str) -> None:
        """Have the registry take a life of a frontend out of the view."""
        known = self.view.get(id)
        if known is not None and known.incarnation == incarnation:
            self._publish(id, None)

    def set_state(self, id: str, state: State) -> None:
        known = self.view.get(id)
        if known is not None:
            self._publish(id, replace(known, state=state))

    def _publish(self, id: str, member: Member | None) -> None:
        members = [each for each in self.view.members if each.id != id]
        if member is not None:
            members.append(member)
            self.let_in.setdefault(member.incarnation, self.view.epoch + 1)
        self.view = View(self.view.epoch + 1, tuple(members))
        for frontend in self.frontends.values():
            self.hear(frontend, self.view)

    def hear(self, frontend: Frontend, view: View) -> None:
        def heard() -> None:
            if frontend.id not in self.deaf:
                frontend.heard(view)

        self.later(self.some(self.random.choice(self.hearing)), heard)

    # The links.

    def link_all(self) -> None:
        """Have all be linked that can be, after a while."""
        for one, other in itertools.combinations(sorted(self.frontends), 2):
            self.later(self.some(0.2), partial(self._link, one, other))

    def _link(self, *ids: str) -> None:
        one, other = (self.frontends[id] for id in ids)
        if not (one.alive and other.alive) or frozenset(ids) in self.cuts:
            return
        for here, there in ((one, other), (other, one)):
            known = here.servers.view.get(there.id)
            if known is None or known.incarnation not in ("", there.incarnation):
                return
            if there.id in here.links:
                return
        wire = Wire(self, (one, other), self.random.choice(self.latencies))
        for end in wire.ends:
            end.up(wire)

    def tear(self, wire: Wire) -> None:
        """Break a connection; its ends notice it at different times, and dial anew."""
        wire.whole = False
        for end in wire.ends:
            self.later(self.some(0.3), partial(end.down, wire))
        self.later(0.4, self.link_all)

    def cut(self, one: str, other: str) -> None:
        self.cuts.add(frozenset((one, other)))
        wire = self.frontends[one].links.get(other)
        if wire is not None:
            self.tear(wire)

    def heal(self) -> None:
        """End all cuts, and have everybody hear of the newest view."""
        self.cuts.clear()
        self.deaf.clear()
        self.link_all()
        for frontend in self.alive():
            self.hear(frontend, self.view)

    # What is looked at.

    def alive(self) -> list[Frontend]:
        return [each for each in self.frontends.values() if each.alive]

    def bound(self) -> Iterator[tuple[str, Frontend, Session]]:
        for frontend in self.alive():
            for session in frontend.bound():
                yield session.uid or "", frontend, session


def _server(id: str) -> Server:
    return Server(id=id, type="front", host="127.0.0.1", port=None, frontend=True)
