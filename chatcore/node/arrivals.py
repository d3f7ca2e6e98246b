"""What comes over links and concerns a key: served, put off, or passed on to who owns it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.logger import Logger

from chatcore.cluster.moving import PATIENCE
from chatcore.cluster.servers import ClusterServers
from chatcore.cluster.settling import Settling
from chatcore.deadlines import Deadlines, IClock
from chatcore.errors import RpcError
from chatcore.links.link import Link, Responder
from chatcore.links.table import LinkTable
from chatcore.telemetry import Counters
from chatcore.tracing import OFF, Tracer
from chatcore.wire.box import Box, item

MOST_WAITING = 20_000
"""Boxes that may wait."""

FOR_EVER = 0
"""No deadline: who asked first has one."""

_OWN_KEYS = frozenset((b"_ask", b"hops", b"epoch"))

MOST_HOPS = 4
"""How often one request is passed on: more often nobody owns its key."""


MARGIN = 0.5
"""Seconds that are left of a call's time when it has waited for as long as it may."""


def longest_wait(*timeouts: float) -> float:
    """How long a request may wait that has to be answered within these seconds; 0 is for ever."""
    return max(min((each for each in timeouts if each), default=PATIENCE) - MARGIN, PATIENCE)


Rank = tuple[int, int, int]
"""What is served first, of all that waits: what has the lowest."""

OLD: Rank = (0, 0, 0)
"""What is told again of earlier times. What was passed on has ranks that begin with 1."""

DIRECT: Rank = (2, 0, 0)
"""What came straight."""


class _Waiting:
    """Something that waits.

    Args:
        serve: looks at it again.
        refuse: says why it is not served.
        rank: when it is served.
        since: the clock's time when it came.
    """

    __slots__ = ("rank", "refuse", "serve", "since")

    def __init__(
        self,
        serve: Callable[[], None],
        refuse: Callable[[str], None],
        *,
        rank: Rank,
        since: float,
    ) -> None:
        self.serve, self.refuse = serve, refuse
        self.rank, self.since = rank, since


class Arrivals:
    """Decides what becomes of a box that carries a key or an epoch.

    It waits while its sender knows a newer view than this node, while this node is not settled for
    its key, and while the owner that it has to go on to can't be reached; in order, but for what
    has to come first, and for `PATIENCE` seconds at most. They begin anew when the owners change
    again meanwhile, up to ``longest``.

    Args:
        id: this node's.
        server_type: its type.
        servers: those of the view.
        settling: knows which keys may be answered for.
        links: to other nodes.
        counters: where refusals are counted.
        clock: the reactor.
        longest: seconds that anything waits at most, however often the owners change; less than
            those who asked wait for their answer.
        tracer: told what becomes here of what is followed.
    """

    log = Logger()

    def __init__(
        self,
        *,
        id: str,
        server_type: str,
        servers: ClusterServers,
        settling: Settling,
        links: LinkTable,
        counters: Counters,
        clock: IClock,
        longest: float,
        tracer: Tracer = OFF,
    ) -> None:
        self._tracer = tracer
        self._more = max(longest - PATIENCE, 0.0)
        self._changed = 0.0
        self._id, self._type, self._servers = id, server_type, servers
        self._settling, self._links, self._counters = settling, links, counters
        self._clock = clock
        self._waiting: dict[_Waiting, None] = {}
        self._deadlines = Deadlines(PATIENCE, clock, self._too_late)
        self._came: float | None = None
        self._passed = 0
        self.relaying = 0
        """How many of those that were passed on have no answer yet."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waited(self) -> float:
        """For how many seconds that has waited which is looked at now; 0 for what has just come."""
        return 0.0 if self._came is None else self._clock.seconds() - self._came

    def admit(self, link: Link, box: Box, ask: bytes | None, act: Responder) -> bool:
        """Whether to serve a box now. If not, it waits for ``act`` to look at it, or is passed on.

        Args:
            act: called with these three when something has changed.
        """
        epoch = box.get(b"epoch")
        if epoch is None:
            if self._settling.ready:
                return True
        elif int(epoch) <= self._servers.view.epoch:
            packed = box.get(b"key")
            if packed is None:
                if self._settling.ready:
                    return True
            else:
                key = packed.decode("utf-8", "surrogatepass")
                owner = self._servers.ownership.owner(self._type, key)
                if owner is not None and owner.id == self._id:
                    if self._settling.may_answer(key):
                        return True
                elif owner is not None and self.pass_on(owner.id, link, box, ask):
                    return False
        self.put_off(link, box, ask, act)
        return False

    def admit_own(self, key: str, serve: Callable[[], None], refuse: Callable[[str], None]) -> bool:
        """The same for what this node asks of itself, by a key that is its own."""
        owner = self._servers.ownership.owner(self._type, key)
        if owner is None or owner.id != self._id or self._settling.may_answer(key):
            return True
        self._wait(serve, refuse, rank=DIRECT)
        return False

    def put_off_own(self, serve: Callable[[], None]) -> None:
        """Have what happened on this node before all that waits be looked at first."""
        waiting = _Waiting(serve, _ignore, rank=OLD, since=self._clock.seconds())
        self._waiting[waiting] = None

    def hold(self, link: Link, box: Box, ask: bytes | None, act: Responder) -> bool:
        """Put a box off that was sent by a newer view than this node's; False if it was not."""
        if int(box.get(b"epoch", b"0")) <= self._servers.view.epoch:
            return False
        # What others have done stays done: it waits for as long as the view takes to come. Where
        # there is no room for it, a new link tells it again.
        refuse = partial(_give_up, link)
        self._wait(partial(act, link, box, ask), refuse, rank=_rank(box), for_ever=True)
        return True

    def put_off(
        self,
        link: Link,
        box: Box,
        ask: bytes | None,
        act: Responder,
        *,
        for_ever: bool = False,
    ) -> None:
        """Have a box wait until something changes."""

        def serve() -> None:
            if ask is None or link.up:  # else who asked was told that it failed
                act(link, box, ask)

        def refuse(why: str) -> None:
            if b"trace" in box:
                self._note_refused(box, why)
            if for_ever:
                link.abort()  # a new link tells it again
            elif ask is not None:
                link.refuse(ask, b"REFUSED", why)

        self._wait(serve, refuse, rank=_rank(box), for_ever=for_ever)

    def pass_on(self, owner: str, link: Link, box: Box, ask: bytes | None) -> bool:
        """Send a box on to who owns its key; False if that can't be reached now."""
        to = self._links.get(owner)
        if to is None:
            return False
        hops = int(box.get(b"hops", b"0")) + 1
        if hops > MOST_HOPS:
            raise ValueError(f"passed on {MOST_HOPS} times, and nobody owns its key")
        passed = {key: value for key, value in box.items() if key not in _OWN_KEYS}
        if hops == 1:
            self._passed += 1
            passed |= {
                b"origin": link.peer.encode(),
                b"since": box.get(b"epoch", b"0"),
                b"number": b"%d" % self._passed,
            }
        passed |= {b"hops": b"%d" % hops, b"epoch": b"%d" % self._servers.view.epoch}
        if b"trace" in box:
            passed[b"trace"] = self._note_passed_on(box, owner)
        payload = b"".join(item(key, value) for key, value in passed.items())
        self._counters.boxes_passed_on += 1
        if ask is None:
            to.tell(payload, "what was passed on")
        else:
            self.relaying += 1
            to.ask(payload, partial(self._relay, link, ask), "what was passed on", FOR_EVER)
        return True

    def owners_changed(self) -> None:
        """What waits has to wait for what has only begun now."""
        self._changed = self._clock.seconds()

    def again(self) -> None:
        """Something has changed: look at all that waits once more, in order."""
        waiting, self._waiting = self._waiting, {}
        for each in sorted(waiting, key=lambda each: each.rank):
            self._deadlines.stop(each)
            self._came = each.since
            try:
                each.serve()
            except Exception:
                self.log.failure("A request that waited was bad")
                each.refuse("it was bad")
            finally:
                self._came = None

    def stop(self) -> None:
        """Forget the timers."""
        self._deadlines.clear()

    def _note_passed_on(self, box: Box, owner: str) -> bytes:
        """Note that something that is followed is sent on; what it carries from here on."""
        start = self._tracer.now() - round(self.waited * 1_000_000)
        about = {"server": owner}
        span = self._tracer.came(box[b"trace"], _name(box), "passed on", start=start, **about)
        if span is None:
            return box[b"trace"]
        span.finish()
        return span.traceparent.encode()

    def _note_refused(self, box: Box, why: str) -> None:
        start = self._tracer.now() - round(self.waited * 1_000_000)
        span = self._tracer.came(box[b"trace"], _name(box), "waited", start=start)
        if span is not None:
            span.finish("late" if why == _LATE else "refused", why)

    def _relay(self, link: Link, ask: bytes, box: Box | None, problem: RpcError | None) -> None:
        """Answer what was passed on with the answer that came to it."""
        self.relaying -= 1
        if box is not None:
            link.answer(ask, b"".join(item(k, v) for k, v in box.items() if not k.startswith(b"_")))
        elif problem is not None:
            link.refuse(ask, b"REFUSED" if problem.nothing_ran else b"FAILED", str(problem))

    def _wait(
        self,
        serve: Callable[[], None],
        refuse: Callable[[str], None],
        *,
        rank: Rank,
        for_ever: bool = False,
    ) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._refuse(refuse, "too many wait for this node")
            return
        since = self._clock.seconds() if self._came is None else self._came
        waiting = _Waiting(serve, refuse, rank=rank, since=since)
        self._waiting[waiting] = None
        if not for_ever:
            self._deadlines.start(waiting, max(since, min(self._changed, since + self._more)))

    def _too_late(self, waiting: _Waiting) -> None:
        del self._waiting[waiting]
        self._came = waiting.since
        try:
            self._refuse(waiting.refuse, _LATE)
        finally:
            self._came = None

    def _refuse(self, refuse: Callable[[str], None], why: str) -> None:
        self._counters.calls_refused += 1
        refuse(why)


_LATE = "not settled in time"


def _name(box: Box) -> str:
    """What a box asks for."""
    if b"route" in box:
        return box[b"route"].decode("utf-8", "replace")
    service, method = box.get(b"service", b""), box.get(b"method", b"")
    return (service + b"." + method).decode("utf-8", "replace")


def _rank(box: Box) -> Rank:
    """When to serve a box.

    Who asks by a newer view has asked by the older one before, though another may have passed that
    on; and of one view there is one who was asked first, and counts.
    """
    if b"again" in box:
        return OLD
    if b"origin" in box:
        return 1, int(box.get(b"since", b"0")), int(box.get(b"number", b"0"))
    return DIRECT


def _ignore(why: str) -> None:
    """Nobody is told."""


def _give_up(link: Link, why: str) -> None:
    """Begin anew with a link that brought more than can be kept."""
    link.abort()
