"""Channels and their groups together: whatever happens, in the end both sides agree."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

import pytest
from twisted.internet.task import Clock

from chatcore.channels.groups import GroupTable
from chatcore.channels.service import ChannelService
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters

from .fakes import FakeConnection

FRONTENDS = ("connector-1", "connector-2", "connector-3")
UIDS = ("alice", "bob", "carol")
CHANNELS = ("room", "hall")
BACKEND = "chat-1"


class Link:
    """Two queues, in order. What is on its way when the link is lost is lost."""

    def __init__(self) -> None:
        self.up = False
        self.to_backend: deque[Callable[[], None]] = deque()
        self.to_frontend: deque[Callable[[], None]] = deque()

    def lose(self) -> None:
        self.up = False
        self.to_backend.clear()
        self.to_frontend.clear()


class Client(FakeConnection):
    """A client that is kicked is gone."""

    def __init__(self, frontend: Frontend) -> None:
        super().__init__()
        self.session = frontend.sessions.open(self)
        self._frontend = frontend

    def kick(self, reason: str) -> None:
        self._frontend.sessions.close(self.session, reason)


class Frontend:
    def __init__(self, id: str, incarnation: int, link: Link) -> None:
        self.id, self.incarnation, self.link = id, str(incarnation), link
        counters = Counters()
        self.sessions = SessionService(frontend_id=id, counters=counters)
        self.groups = GroupTable(sessions=self.sessions, gone=self.gone, counters=counters)
        self.backend: ChannelService | None = None

    def gone(self, backend: str, channel: str, uid: str) -> None:
        def act(service: ChannelService) -> None:
            service.gone(self.id, channel, uid)
            self.link.to_frontend.append(lambda: self.groups.told(backend, channel, uid))

        self.tell(act)

    def tell(self, what: Callable[[ChannelService], None]) -> None:
        if self.link.up:
            service = self.backend
            assert service is not None
            self.link.to_backend.append(lambda: what(service))

    def connected(self, service: ChannelService) -> None:
        """As a frontend does it: it offers all that it holds."""
        self.backend = service
        for channel, uids in self.groups.held(BACKEND).items():
            self.tell(lambda s, channel=channel, uids=uids: s.offered(self.id, channel, uids))
        leaving = self.groups.leaving(BACKEND)
        for channel, uid in leaving:
            self.tell(lambda s, channel=channel, uid=uid: s.offered(self.id, channel, [uid]))
        self.tell(lambda s: s.offers_done(self.id))
        for channel, uid in leaving:
            self.gone(BACKEND, channel, uid)


class Frontends:
    """The links of the backend."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _tell(self, frontend: str, what: Callable[[Frontend], None]) -> bool:
        there = self._world.frontends[frontend]
        if there.link.up:
            there.link.to_frontend.append(lambda: what(there))
        return there.link.up

    def all(self) -> Sequence[str]:
        return FRONTENDS

    def exists(self, frontend: str) -> bool:
        return frontend in FRONTENDS

    def of_type(self, server_type: str) -> Sequence[str]:
        return FRONTENDS

    def join(self, frontend: str, channel: str, uids: Sequence[str]) -> bool:
        return self._tell(frontend, lambda f: f.groups.join(BACKEND, channel, uids))

    def leave(self, frontend: str, channel: str, uids: Sequence[str]) -> bool:
        return self._tell(frontend, lambda f: f.groups.leave(BACKEND, channel, uids))

    def renew(self, frontend: str) -> bool:
        return self._tell(frontend, lambda f: f.groups.renew(BACKEND))

    def forget(
        self, frontend: str, uids: Sequence[str], done: Callable[[Sequence[str]], None]
    ) -> None:
        def kick(there: Frontend) -> None:
            for uid in uids:
                for session in list(there.sessions.by_uid(uid)):
                    session.connection.kick("membership lost")
            there.tell(lambda service: done(uids))

        self._tell(frontend, kick)

    def push(
        self,
        frontends: Iterable[str],
        channel: str,
        route: str,
        body: bytes,
        droppable: bool = False,
    ) -> list[str]:
        return [
            id
            for id in frontends
            if not self._tell(id, lambda f: f.groups.push(BACKEND, channel, route, lambda _: body))
        ]

    def push_to_uids(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> bool:
        raise NotImplementedError

    async def push_to_found(
        self, frontend: str, uids: Sequence[str], route: str, body: bytes, droppable: bool = False
    ) -> list[str]:
        raise NotImplementedError

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
        raise NotImplementedError


class World:
    """One backend and three frontends; anything may happen to them, at any time."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.clock = Clock()
        self.incarnations = 0
        self.frontends: dict[str, Frontend] = {}
        for id in FRONTENDS:
            self._start_frontend(id)
        self.service = self._new_service()
        if self.dice.random() < 0.8:
            self._quiesce()

    def _new_service(self) -> ChannelService:
        service = ChannelService(frontends=Frontends(self), clock=self.clock)
        self.members: set[tuple[str, str, str]] = set()
        service.on_left(lambda channel, uid, sid, reason: self._left(channel.name, uid, sid))
        return service

    def _left(self, channel: str, uid: str, sid: str) -> None:
        self.members.discard((channel, uid, sid))

    def _start_frontend(self, id: str) -> None:
        self.incarnations += 1
        self.frontends[id] = Frontend(id, self.incarnations, Link())

    def _connect(self, frontend: Frontend) -> None:
        if not frontend.link.up:
            frontend.link.up = True
            self.service.frontend_up(frontend.id, frontend.incarnation)
            frontend.connected(self.service)

    def _disconnect(self, frontend: Frontend) -> None:
        if frontend.link.up:
            frontend.link.lose()
            self.service.frontend_down(frontend.id)

    def _deliver_all(self) -> None:
        moved = True
        while moved:
            moved = False
            for frontend in self.frontends.values():
                for queue in (frontend.link.to_backend, frontend.link.to_frontend):
                    while queue:
                        queue.popleft()()
                        moved = True

    def _quiesce(self) -> None:
        for frontend in self.frontends.values():
            self._connect(frontend)
        self._deliver_all()

    # What may happen. Each draws from the world's dice.

    def _frontend(self) -> Frontend:
        return self.frontends[self.dice.choice(FRONTENDS)]

    def a_client_comes(self) -> None:
        there, uid = self._frontend(), self.dice.choice(UIDS)
        if len(there.sessions.by_uid(uid)) < 2:
            there.sessions.bind(Client(there).session.id, uid)

    def a_client_goes(self) -> None:
        there = self._frontend()
        for session in there.sessions.by_uid(self.dice.choice(UIDS))[:1]:
            there.sessions.close(session, "gone")

    def a_member_is_added(self) -> None:
        name, uid, id = self.dice.choice(CHANNELS), self.dice.choice(UIDS), self._frontend().id
        channel = self.service.get(name, create=True)
        assert channel is not None
        if channel.add(uid, id):
            self.members.add((name, uid, id))

    def a_member_is_removed(self) -> None:
        name, uid, id = self.dice.choice(CHANNELS), self.dice.choice(UIDS), self._frontend().id
        channel = self.service.get(name)
        if channel is not None:
            channel.leave(uid, id)
        self.members.discard((name, uid, id))

    def a_channel_is_destroyed(self) -> None:
        name = self.dice.choice(CHANNELS)
        channel = self.service.get(name)
        if channel is not None:
            channel.destroy()
        self.members = {place for place in self.members if place[0] != name}

    def some_boxes_arrive(self) -> None:
        link = self._frontend().link
        queue = self.dice.choice((link.to_backend, link.to_frontend))
        for _ in range(min(self.dice.randrange(1, 5), len(queue))):
            queue.popleft()()

    def a_link_is_lost(self) -> None:
        self._disconnect(self._frontend())

    def a_link_is_restored(self) -> None:
        self._connect(self._frontend())

    def a_frontend_crashes(self) -> None:
        id = self._frontend().id
        self._disconnect(self.frontends[id])
        self._start_frontend(id)

    def the_backend_crashes(self) -> None:
        for frontend in self.frontends.values():
            frontend.link.lose()
        self.service.stop()
        self.service = self._new_service()

    def time_goes_by(self) -> None:
        self.clock.advance(self.dice.choice((1, 6, 11)))

    def quiet_comes(self) -> None:
        self._quiesce()
        self._check()

    def step(self) -> str:
        """Let something happen; what it was."""
        (happening,) = self.dice.choices(HAPPENINGS, WEIGHTS)
        happening(self)
        return happening.__name__

    def _check(self) -> None:
        for frontend in self.frontends.values():
            members = {}
            for name in self.service.names():
                channel = self.service.get(name)
                assert channel is not None
                uids = set(channel.by_frontend.get(frontend.id, ()))
                if uids:
                    members[name] = uids
            held = {name: set(uids) for name, uids in frontend.groups.held(BACKEND).items()}
            assert held == members, frontend.id
            for name, uids in members.items():
                for uid in uids:
                    assert frontend.sessions.by_uid(uid), f"{uid} is gone, and in {name}"
        self._check_hooks()
        for name in CHANNELS:
            self._check_push(name)

    def _check_hooks(self) -> None:
        """Whoever came in and did not leave is in, or its going was told to the hooks."""
        for name, uid, sid in self.members:
            channel = self.service.get(name)
            assert channel is not None
            assert sid in channel.sids(uid)

    def _check_push(self, name: str) -> None:
        channel = self.service.get(name)
        clients = [
            (session.uid in channel.by_frontend.get(frontend.id, ()) if channel else False, session)
            for frontend in self.frontends.values()
            for session in frontend.sessions
        ]
        for _, session in clients:
            session.connection.outbox.sent.clear()
        if channel is not None:
            missed: list[Any] = []
            channel.push("onChat", name).addCallback(missed.extend)
            assert missed == []
            self._deliver_all()
        for is_member, session in clients:
            assert len(session.connection.outbox.sent) == is_member, session.uid

    def all_go(self) -> None:
        self._quiesce()
        self._check()
        for frontend in self.frontends.values():
            for session in frontend.sessions:
                frontend.sessions.close(session, "gone")
        self._quiesce()
        assert self.service.names() == []
        assert self.members == set()
        for frontend in self.frontends.values():
            assert frontend.groups._backends == {}
            assert frontend.groups._of_uid == {}
        self.service.stop()
        assert self.clock.getDelayedCalls() == []


OFTEN = (
    World.a_client_comes,
    World.a_member_is_added,
    World.a_member_is_added,
    World.some_boxes_arrive,
    World.some_boxes_arrive,
    World.quiet_comes,
)
SELDOM = (
    World.a_client_goes,
    World.a_member_is_removed,
    World.a_link_is_lost,
    World.a_link_is_restored,
    World.time_goes_by,
)
RARELY = (World.a_channel_is_destroyed, World.a_frontend_crashes, World.the_backend_crashes)
HAPPENINGS = OFTEN + SELDOM + RARELY
WEIGHTS = [6] * len(OFTEN) + [4] * len(SELDOM) + [1] * len(RARELY)

WORLDS = 60
STEPS = 150


@pytest.mark.parametrize("first", range(0, 10 * WORLDS, WORLDS))
def test_both_sides_agree_in_the_end(first: int) -> None:
    for seed in range(first, first + WORLDS):
        world = World(seed)
        happened: list[str] = []
        try:
            for _ in range(STEPS):
                happened.append(world.step())
            happened.append("all go")
            world.all_go()
        except AssertionError as problem:
            problem.add_note(f"in world {seed}, after {happened}")
            raise
