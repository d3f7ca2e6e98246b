"""A frontend's half of the channels: who of their members is connected here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from twisted.logger import Logger

from chatcore.channels.scheduling import Push, Scheduler
from chatcore.errors import WireError
from chatcore.interfaces import PushScheduler
from chatcore.sessions.service import SessionService
from chatcore.sessions.session import IConnection, Session
from chatcore.telemetry import Counters, Seen
from chatcore.tracing import OFF, Fate, Span, Tracer

MOST_FAILURES = 100
"""How many different mistakes in pushes are logged."""

Encode = Callable[[Any], bytes]
"""Makes the bytes of a push for one encoding."""


class Group:
    """The members of one channel that are connected to this frontend."""

    __slots__ = ("confirmed", "moved", "offered", "targets", "uids")

    def __init__(self) -> None:
        # Whether the backend that it belongs to has said so; and until then by which move, of all
        # those on this frontend, it came to it, and whether that one has been offered it.
        self.confirmed = False
        self.moved = 0
        self.offered = False
        self.uids: dict[str, None] = {}
        # Outboxes by encoding, flat, so that a push is one loop; None when it has to be made anew.
        self.targets: dict[Any, list[Any]] | None = None


def _targets(connections: Iterable[IConnection]) -> dict[Any, list[Any]]:
    targets: dict[Any, list[Any]] = {}
    for connection in connections:
        targets.setdefault(connection.encoding, []).append(connection.outbox)
    return targets


class GroupTable:
    """The groups of all channels, by the backend that owns the channel.

    Args:
        sessions: who is connected here.
        gone: told ``(backend, channel, uid)`` when a member's last session here has ended.
        counters: where pushes are counted.
        schedule: decides when pushes are sent; at once, if not given.
        tracer: told what becomes of pushes that are followed.
    """

    log = Logger()

    def __init__(
        self,
        *,
        sessions: SessionService,
        gone: Callable[[str, str, str], None],
        counters: Counters,
        schedule: PushScheduler | None = None,
        tracer: Tracer = OFF,
    ) -> None:
        self._tracer = tracer
        self._sessions = sessions
        self._gone = gone
        self._counters = counters
        self._failures = Seen(MOST_FAILURES)
        self._backends: dict[str, dict[str, Group]] = {}
        self._of_uid: dict[str, set[tuple[str, str]]] = {}
        self.moves = 0
        """How often a group has come to belong to another backend."""
        # Who is gone, by backend and channel, until the backend says that it knows.
        self._leaving: dict[str, dict[tuple[str, str], None]] = {}
        self._scheduler = None if schedule is None else Scheduler(schedule)
        sessions.on_uid_changed(self._uid_changed)

    def join(self, backend: str, channel: str, uids: Iterable[str]) -> None:
        """These uids are members now; who isn't here any more is reported as gone."""
        for uid in uids:
            if (channel, uid) in self._leaving.get(backend, ()):
                continue  # it does not know yet; who has that uid now has not entered
            if not self._sessions.has_uid(uid):
                self._say_gone(backend, channel, uid)
                continue
            # Looked up each time: a backend that is this very node may have changed the groups.
            groups = self._backends.setdefault(backend, {})
            group = groups.get(channel)
            if group is None:
                group = groups[channel] = Group()
            if group.offered or not group.moved:  # else it does not know of the others yet
                group.confirmed, group.moved = True, 0
            group.uids[uid] = None
            group.targets = None
            self._of_uid.setdefault(uid, set()).add((backend, channel))

    def leave(self, backend: str, channel: str, uids: Iterable[str]) -> None:
        """These uids are members no more."""
        for uid in uids:
            self._remove(backend, channel, uid)

    def leaving(self, backend: str) -> list[tuple[str, str]]:
        """The channels and uids of those who are gone, of which a backend has to be told."""
        return list(self._leaving.get(backend, ()))

    def told(self, backend: str, channel: str, uid: str) -> None:
        """A backend knows that somebody is gone."""
        if (channel, uid) in self._leaving.get(backend, ()):
            self.move_leaving(backend, channel, uid, None)

    def move_leaving(self, backend: str, channel: str, uid: str, to: str | None) -> None:
        """Have another backend be told of somebody who is gone, or none."""
        leaving = self._leaving[backend]
        del leaving[channel, uid]
        if not leaving:
            del self._leaving[backend]
        if to is not None:
            self._leaving.setdefault(to, {})[channel, uid] = None

    def renew(self, backend: str) -> None:
        """Forget the groups of a backend, because it tells them anew.

        But not those that have moved to it and are offered to it: it says then who of them are its
        members. Forgotten meanwhile, they could leave, and nobody would notice.
        """
        for channel, group in list(self._backends.get(backend, {}).items()):
            if not group.moved:
                self.leave(backend, channel, list(group.uids))

    def offered(self, backend: str, channel: str) -> None:
        """A backend has been offered a group: from now on it knows who is in it."""
        group = self._backends.get(backend, {}).get(channel)
        if group is not None:
            group.offered = True

    def offer_again(self, backend: str) -> None:
        """What a backend has been offered may be lost."""
        for group in self._backends.get(backend, {}).values():
            group.offered = False

    def held(self, backend: str) -> dict[str, list[str]]:
        """The members here of each channel of a backend."""
        return {channel: self.members(backend, channel) for channel in self.channels(backend)}

    def channels(self, backend: str) -> list[str]:
        """The channels of a backend that have members here."""
        return list(self._backends.get(backend, ()))

    def members(self, backend: str, channel: str) -> list[str]:
        """The members here of a channel."""
        group = self._backends.get(backend, {}).get(channel)
        return [] if group is None else list(group.uids)

    def count(self) -> int:
        """How many groups there are."""
        return sum(len(groups) for groups in self._backends.values())

    def of_uid(self, uid: str) -> list[tuple[str, str]]:
        """The backends and channels that a uid is a member of here."""
        return sorted(self._of_uid.get(uid, ()))

    def named(self, channel: str) -> list[tuple[str, Group]]:
        """The groups of all backends' channels of that name, with whose they are."""
        found = [(backend, groups.get(channel)) for backend, groups in self._backends.items()]
        return [(backend, group) for backend, group in found if group is not None]

    def owners(self) -> Collection[str]:
        """Whose groups there are, or who has to be told of somebody who is gone."""
        return list(self._backends | self._leaving)

    def unconfirmed(self, backend: str) -> list[str]:
        """Its channels but for those of which it has said already that they are its."""
        groups = self._backends.get(backend, {})
        return [name for name, group in groups.items() if not group.confirmed]

    def moved(self, backend: str) -> dict[str, int]:
        """The channels that have moved to a backend, of which it has not said so yet.

        With the number of that move; later moves have higher ones.
        """
        groups = self._backends.get(backend, {})
        return {name: group.moved for name, group in groups.items() if group.moved}

    def confirm_nothing(self) -> None:
        """Take no group for one that its backend knows of."""
        for groups in self._backends.values():
            for group in groups.values():
                group.confirmed = False

    def move(self, channel: str, backend: str, to: str) -> None:
        """Have a group belong to another backend's channel of the same name."""
        group = self._backends.get(backend, {}).get(channel)
        if group is None:
            return
        if backend != to or not group.moved:
            self.moves += 1
            group.moved = self.moves
        group.confirmed = False
        if backend == to:
            return
        del self._backends[backend][channel]
        if not self._backends[backend]:
            del self._backends[backend]
        there = self._backends.setdefault(to, {}).setdefault(channel, Group())
        there.uids.update(group.uids)
        there.targets, there.confirmed, there.moved = None, False, group.moved
        there.offered = False
        for uid in group.uids:
            places = self._of_uid[uid]
            places.discard((backend, channel))
            places.add((to, channel))

    def push(
        self,
        backend: str,
        channel: str,
        route: str,
        encode: Encode,
        *,
        droppable: bool = False,
    ) -> None:
        """Send to all members of a channel that are here.

        Args:
            route: of the push; an outbox that keeps the newest of each route looks at it.
            encode: makes the bytes for one encoding; called once for each that is in use.
            droppable: whether who does not keep up is passed over, whatever the policy is.
        """
        group = self._backends.get(backend, {}).get(channel)
        if self._tracer.active and (span := self._tracer.current()) is not None:
            uids: Iterable[str] = () if group is None else group.uids
            self._follow(span, self._of(uids), route, encode, droppable, channel=channel)
            return
        if group is None:
            return
        if self._scheduler is not None:
            self._put_off(self._scheduler, self._connections(group.uids), route, encode, droppable)
            return
        targets = group.targets
        if targets is None:
            targets = group.targets = _targets(self._connections(group.uids))
        self._write(targets, route, encode, droppable)

    def push_to_uids(
        self, uids: Iterable[str], route: str, encode: Encode, *, droppable: bool = False
    ) -> None:
        """Send to all sessions of these uids; who isn't here is passed over."""
        wanted = dict.fromkeys(uids)
        if self._tracer.active and (span := self._tracer.current()) is not None:
            self._note_missing(wanted, route)
            self._follow(span, self._of(wanted), route, encode, droppable)
            return
        connections = self._connections(wanted)
        if len(connections) < len(wanted):
            self._note_missing(wanted, route)
        self._send(connections, route, encode, droppable)

    def _note_missing(self, uids: Iterable[str], route: str) -> None:
        has = self._sessions.has_uid
        missing = (uid for uid in uids if not has(uid))
        self._counters.journal.missed(missing, "gone", route)

    def push_to_sessions(
        self, sessions: Iterable[Session], route: str, encode: Encode, *, droppable: bool = False
    ) -> None:
        """Send to each of these."""
        if self._tracer.active and (span := self._tracer.current()) is not None:
            self._follow(span, list(sessions), route, encode, droppable)
            return
        self._send([session.connection for session in sessions], route, encode, droppable)

    def _of(self, uids: Iterable[str]) -> list[Session]:
        return [session for uid in uids for session in self._sessions.by_uid(uid)]

    def _connections(self, uids: Iterable[str]) -> list[IConnection]:
        return [session.connection for uid in uids for session in self._sessions.by_uid(uid)]

    def _send(
        self, connections: list[IConnection], route: str, encode: Encode, droppable: bool
    ) -> None:
        if self._scheduler is None:
            self._write(_targets(connections), route, encode, droppable)
        else:
            self._put_off(self._scheduler, connections, route, encode, droppable)

    def _put_off(
        self,
        scheduler: Scheduler,
        connections: list[IConnection],
        route: str,
        encode: Encode,
        droppable: bool,
    ) -> None:
        def write() -> None:
            # Only now: a client may be written to in another way than before.
            self._write(_targets(connections), route, encode, droppable)

        if connections:
            scheduler.take(Push(route, len(connections), droppable, write))

    def _write(
        self, targets: dict[Any, list[Any]], route: str, encode: Encode, droppable: bool
    ) -> None:
        for encoding, outboxes in targets.items():
            try:
                data = encode(encoding)
            except WireError as problem:  # what one encoding can't say, another may
                self._failed(route, encoding, outboxes, problem)
                continue
            self._counters.pushes += len(outboxes)
            if droppable:
                for outbox in outboxes:
                    outbox.push_droppable(data, route)
            else:
                for outbox in outboxes:
                    outbox.push(data, route)

    def _follow(
        self,
        span: Span,
        sessions: list[Session],
        route: str,
        encode: Encode,
        droppable: bool,
        **about: Any,
    ) -> None:
        """Send to these as ever, and have it noted what becomes of it for each."""
        delivery = span.delivery(route, **about)
        noted = [(session, delivery.fate(session.uid, session.id)) for session in sessions]

        def write() -> None:
            self._write_noted(noted, route, encode, droppable)

        if self._scheduler is None or not noted:
            write()
        else:
            self._scheduler.take(Push(route, len(noted), droppable, write))
        delivery.sent()

    def _write_noted(
        self,
        noted: Iterable[tuple[Session, Fate | None]],
        route: str,
        encode: Encode,
        droppable: bool,
    ) -> None:
        targets: dict[Any, list[tuple[Any, Fate | None]]] = {}
        for session, fate in noted:
            connection = session.connection
            targets.setdefault(connection.encoding, []).append((connection.outbox, fate))
        for encoding, outboxes in targets.items():
            try:
                data = encode(encoding)
            except WireError as problem:
                self._failed(route, encoding, [outbox for outbox, _ in outboxes], problem)
                for _, fate in outboxes:
                    if fate is not None:
                        fate.lost("unencodable", str(problem))
                continue
            self._counters.pushes += len(outboxes)
            for outbox, fate in outboxes:
                push = outbox.push_droppable if droppable else outbox.push
                push(data, route, fate)

    def _failed(
        self, route: str, encoding: Any, outboxes: Iterable[Any], problem: WireError
    ) -> None:
        name = getattr(encoding, "name", encoding)
        for outbox in outboxes:
            self._counters.pushes_failed += 1
            outbox.missed("unencodable", route)
        if self._failures.first((route, name, str(problem))):
            self.log.error(
                "A push of {route} can't be sent as {encoding}: {problem}",
                route=route,
                encoding=name,
                problem=problem,
            )

    def _uid_changed(self, uid: str) -> None:
        places = self._of_uid.get(uid)
        if places is None:
            return
        if self._sessions.has_uid(uid):
            for backend, channel in places:
                self._backends[backend][channel].targets = None
            return
        for backend, channel in list(places):
            self._remove(backend, channel, uid)
            self._say_gone(backend, channel, uid)

    def _say_gone(self, backend: str, channel: str, uid: str) -> None:
        self._leaving.setdefault(backend, {})[channel, uid] = None
        self._gone(backend, channel, uid)

    def _remove(self, backend: str, channel: str, uid: str) -> None:
        groups = self._backends.get(backend, {})
        group = groups.get(channel)
        if group is None or uid not in group.uids:
            return
        del group.uids[uid]
        group.targets = None
        if not group.uids:
            del groups[channel]
            if not groups:
                del self._backends[backend]
        places = self._of_uid[uid]
        places.discard((backend, channel))
        if not places:
            del self._of_uid[uid]
