"""The registry in Redis: nodes write the view themselves, and watch each other's heartbeats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.python.failure import Failure

from chatcore.cluster.leases import Leases
from chatcore.cluster.redis_keys import (
    BEAT,
    MOST_STRANGERS,
    WRITE,
    IStore,
    Reading,
    as_kept,
    as_sent,
    beat,
    epoch_of,
    keys_of,
    life_key,
    life_keys,
    new_stamp,
    written,
)
from chatcore.cluster.redis_notices import Notices
from chatcore.cluster.registry import IHearer
from chatcore.cluster.seals import Seal
from chatcore.cluster.view import MOST_BYTES, Member, View
from chatcore.deadlines import IClock
from chatcore.telemetry import Counters

SWEEPS: Final = 5
"""How often, within a lease, a node beats and looks at the beats of the others."""

LEAVING_SECONDS: Final = 2.0
"""How long a node may take to have itself taken out of the view."""

LEAP: Final = 1000
"""How many epochs are left out where Redis may have lost the newest view, and not everybody has
told which one they know."""


class RedisRegistry:
    """The registry of a cluster that meets in Redis.

    Once a sweep, each node beats and reads all beats. Whoever finds that the view should be
    another one writes it, unless somebody else was quicker. Nodes that don't beat are taken out
    of it, `Leases` says when.

    Redis may lose what it knew: all of it, or the latest of it. So a node that has just connected
    writes nothing until it is sure that nobody knows a later view than the one it goes by; nodes
    tell with their beats how far they know. Whoever knows a later one than Redis puts it back.

    Args:
        store: Redis.
        cluster: the cluster's name.
        seal: tells what it wrote from what others did, and it from others of that name.
        where: which Redis this is, for people.
        secret_file: where the secret was read, for people.
        lease: seconds of silence after which a node is missed; a fifth of that later, at the
            latest, it is out of the view.
        counters: what counts.
        clock: the reactor, or a test's clock.

    Attributes:
        keys: those that are the cluster's in Redis; see `chatcore.cluster.redis_keys`.
    """

    _me: Member
    _hearer: IHearer

    def __init__(
        self,
        *,
        store: IStore,
        cluster: str,
        seal: Seal,
        where: str,
        secret_file: str,
        lease: float,
        counters: Counters,
        clock: IClock,
    ) -> None:
        self._store, self.keys = store, keys_of(cluster, seal.mark)
        self._cluster, self._seal = cluster, seal
        self._where, self._secret_file = where, secret_file
        self._clock, self._counters = clock, counters
        self._lease, self._sweep, self._patience = lease, lease / SWEEPS, patience(lease)
        # Not a whole lease: a beat may be a sweep old when it is read for the first time.
        self._leases = Leases(seconds=lease - self._sweep, gap=2 * self._sweep)
        self._known: View | None = None
        self._stamp = ""
        self._beats = 0
        self._in = self._out = self._before = ""
        self._strangers: list[str] = []
        self._connections = self._highest = self._floor = 0
        self._sure = self._behind = False
        self._read_last = 0.0
        self._lost = self._started = self._leaves = self._again = False
        self._timer: Any = None
        self._looking = False
        self._left: Deferred[None] = succeed(None)
        self._notices = Notices(cluster=cluster, where=where, lease=lease)

    def start(self, member: Member, hearer: IHearer) -> None:
        self._started, self._me, self._hearer = True, as_kept(member), hearer
        self._read_last = self._clock.seconds()
        self._store.subscribe(self.keys[3], heard=self._published, begun=self._soon)
        self._store.start()
        self._timer = self._clock.callLater(0, self._begin)

    def announce(self, member: Member) -> None:
        if not self._started or self._leaves:
            return
        if member.life != self._me.life:
            self._before = life_key(self._me)
        self._me = as_kept(member)
        self._soon()

    def leave(self) -> Deferred[None]:
        if not self._started or self._leaves:
            return self._left
        self._leaves = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        going: Deferred[None] = succeed(None)
        if not self._lost:
            going = Deferred.fromCoroutine(self._go())
            going.addTimeout(LEAVING_SECONDS, self._clock)  # type: ignore[arg-type]
        going.addErrback(self._not_gone)
        self._left = going.addCallback(lambda _: self._store.close())
        return self._left

    # Looking at Redis, once a sweep and whenever there is news.

    def _published(self, stamp: bytes) -> None:
        if stamp.startswith(f"{self._seal.mark}-".encode()):
            if stamp != self._stamp.encode():
                self._soon()
        elif stamp.count(b"-") == 2:
            self._notices.another_cluster()

    def _soon(self) -> None:
        if self._looking:
            self._again = True
        elif self._timer is not None:
            self._timer.reset(0)

    def _begin(self) -> None:
        self._timer, self._looking, self._again = None, True, False
        began = self._clock.seconds()
        looking = Deferred.fromCoroutine(self._look())
        looking.addErrback(self._failed).addErrback(self._notices.failed)
        looking.addCallback(lambda _: self._ended(began))

    def _ended(self, began: float) -> None:
        self._looking = False
        if not self._leaves:
            pause = self._sweep if self._sure else self._sweep / 4
            rest = 0.0 if self._again else began + pause - self._clock.seconds()
            self._timer = self._clock.callLater(max(rest, 0.0), self._begin)

    def _failed(self, failure: Failure) -> None:
        if self._leaves:
            return
        self._notices.failed(failure)
        self._leases.miss()
        silent = self._clock.seconds() - self._read_last
        if not self._lost and silent >= self._patience:
            self._lost = True
            self._counters.registry_lost += 1
            why = str(failure.value) or repr(failure.value)
            self._hearer.lost(f"{self._where}: {why}", silent)

    async def _look(self) -> None:
        reading = await self._read()
        if self._leaves:
            return
        if reading.view is not None and reading.view.epoch > self._epoch:
            self._hear(reading.view, reading.stamp)
        if self._lost:  # only now: who was taken out has to know that first
            self._lost = False
            self._hearer.found()
        if self._leaves:  # who has heard all that may have had enough
            return
        known, was_behind = self._known or View(0, ()), self._behind
        behind = self._behind = reading.stamp != self._stamp
        if behind and not was_behind:
            self._doubt()
        elif self._is_sure(known, reading) and self._may_begin(known, reading):
            await (self._put_back if behind else self._change)(known, reading)
        self._notices.fine()

    async def _read(self) -> Reading:
        """Beat, and read what there is."""
        self._beats += 1
        asked = self._clock.seconds()
        life = life_key(self._me)
        said = self._seal.put(life.encode(), beat(self._beats, self._lease, self._epoch).encode())
        last = f"{self._seal.mark} {life} {self._beats}" if self._in else ""
        arguments = [life.encode(), said, as_sent(self._stamp), last.encode()]
        arguments += [as_sent(each) for each in self._strangers]
        answer = await self._store.run(BEAT, self.keys[:3], arguments)
        reading = Reading.parse(answer, self._seal)
        self._read_last = self._clock.seconds()
        if self._connections != self._store.connections:
            self._connections = self._store.connections
            self._doubt()
        expected = [*life_keys(self._known), *life_keys(reading.view)]
        beats = {**reading.beats, **reading.another}
        if self._leases.read(beats, expected, asked, self._read_last):
            self._sure, self._highest = False, 0
        kept = {life, *expected}
        useless = [*reading.unsealed, *(each for each in reading.beats if self._leases.over(each))]
        self._strangers = [each for each in useless if each not in kept][:MOST_STRANGERS]
        self._notices.leases(reading.beats, self._leases.alive)
        if forged := len(reading.unsealed) + reading.is_forged:
            self._counters.registry_forged += forged
            self._notices.forged(reading)
        return reading

    def _doubt(self) -> None:
        """It is not certain any more that there is no later view."""
        self._leases.miss()
        self._sure = False

    def _is_sure(self, view: View, reading: Reading) -> bool:
        """Whether the next view may be made out of this one.

        Those who know a later one put it back. All others that live have connected again by now,
        and told how far they know; or else it is left to a leap that theirs and ours differ.
        """
        stored = 0 if reading.view is None else reading.view.epoch
        epochs = {life: epoch_of(each) for life, each in reading.beats.items()}
        self._highest = max(self._highest, view.epoch, stored, *epochs.values())
        later = [life for life, epoch in epochs.items() if epoch > view.epoch]
        if not all(self._leases.over(life) for life in later):
            self._sure = False  # though nothing was seen to end, as behind a proxy
            return False
        if self._sure:
            return True
        others = [life_key(member) for member in view.members if member.id != self._me.id]
        certain = bool(others) and all(self._leases.alive(each) for each in others)
        if not certain and self._read_last - self._leases.began < self._patience:
            return False
        self._floor = self._highest + (1 if certain or not self._highest else LEAP)
        self._sure = True
        return True

    def _may_begin(self, view: View, reading: Reading) -> bool:
        """Whether this is no beginning beside a cluster of the same name and another secret."""
        alive = self._leases.alive
        if self._in or not any(alive(each) for each in reading.another):
            return True
        if any(alive(each) for each in life_keys(view)):
            return True
        self._notices.refused(
            self._me.id,
            f"the cluster {self._cluster} in {self._where} has another secret than the one in"
            f" {self._secret_file}. Give all its servers the same, with --secret-file; or, if these"
            " are two clusters, set registry.cluster for one of them",
        )
        return False

    @property
    def _epoch(self) -> int:
        return 0 if self._known is None else self._known.epoch

    def _hear(self, view: View, stamp: str) -> None:
        self._known, self._stamp = view, stamp
        me, was_in = self._me, self._in
        self._in = life_key(me) if view.has(me) else ""
        self._hearer.heard(view)
        if was_in == life_key(me) and not self._in and me.life == self._me.life:
            self._out = was_in  # a life that was taken out does not come back
            self._hearer.removed()

    # Changing the view.

    async def _change(self, view: View, reading: Reading) -> None:
        """Write the view that there should be, if it is another one."""
        before = {member.id: member for member in view.members}
        members = {
            member.id: member
            for member in before.values()
            if member.id == self._me.id or not self._leases.over(life_key(member))
        }
        silent = before.keys() - members.keys()
        self._put_me(members)
        if members == before:
            return
        if await self._write(tuple(members.values()), reading):
            for id in sorted(silent):
                self._notices.silent(id, self._lease - self._sweep)

    def _put_me(self, members: dict[str, Member]) -> None:
        """Put this node among the members, if it may be there."""
        me, there = self._me, members.get(self._me.id)
        if life_key(me) == self._out:
            return
        if there is None and self._is_too_much(members):
            return
        if there is None or there.life == me.life:
            members[me.id] = me
            return
        key = life_key(there)
        if key == self._before or self._leases.over(key):
            members[me.id] = me
        elif self._leases.alive(key):
            where = f"{there.server.host}:{there.server.port}"
            self._notices.refused(me.id, f"another {me.id}, at {where}, is in it and alive")

    def _is_too_much(self, members: dict[str, Member]) -> bool:
        """Whether with this node the view would have too many bytes."""
        too_much = len(written(View(0, (*members.values(), self._me)))) > MOST_BYTES
        if too_much:
            why = f"with it the view would have more than {MOST_BYTES} bytes"
            self._notices.refused(self._me.id, why)
        return too_much

    async def _put_back(self, known: View, reading: Reading) -> None:
        """Write the view that is known, where Redis knows an older one, or none."""
        alive = {life for life in reading.beats if self._leases.alive(life)}
        members = _joined(known, reading.view or View(0, ()), alive)
        self._put_me(members)
        if await self._write(tuple(members.values()), reading) and known.epoch:
            self._notices.put_back(self._epoch)

    async def _write(self, members: tuple[Member, ...], reading: Reading, left: str = "") -> bool:
        """Write a view, unless there is another one since that reading; whether it was written.

        Args:
            left: a life that is not in it any more, and needs no heartbeat.
        """
        view = View(max(self._epoch + 1, self._floor), members)
        stamp = new_stamp(self._seal.mark, view)
        arguments = [as_sent(reading.stamp), stamp.encode()]
        arguments.append(self._seal.put(stamp.encode(), written(view)))
        arguments += [each.encode() for each in (self._before, left) if each]
        answer = await self._store.run(WRITE, self.keys, arguments)
        if answer == 0:
            self._again = True
            return False
        if not self._leaves:
            self._hear(view, stamp)
        if isinstance(answer, bytes):
            self._notices.unpublished(answer)
        return True

    # Leaving.

    async def _go(self) -> None:
        """Have this node taken out of the view."""
        left = False
        while not left:
            reading = await self._read()
            view = self._known if reading.stamp == self._stamp else reading.view
            if view is None or view.epoch < self._epoch or not view.has(self._me):
                return
            self._known = view
            if not self._sure:
                self._floor = max(self._highest, view.epoch) + LEAP
            rest = tuple(member for member in view.members if member.id != self._me.id)
            left = await self._write(rest, reading, life_key(self._me))

    def _not_gone(self, failure: Failure) -> None:
        """It can't be done now; the lease runs out by itself."""
        if not failure.check(TimeoutError):
            self._notices.failed(failure)


def patience(lease: float) -> float:
    """Seconds that Redis may take to answer before it counts as away."""
    return lease / 2


def _joined(known: View, stored: View, alive: Iterable[str]) -> dict[str, Member]:
    """The members of a view that is known, and those of the stored one that are alive, too."""
    members = {member.id: member for member in known.members}
    for member in stored.members:
        there = members.get(member.id)
        if life_key(member) in alive and (there is None or life_key(there) not in alive):
            members[member.id] = member
    return members
