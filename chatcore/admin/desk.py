"""Where a process takes in those who administer it, and acts on what they ask."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.admin.asked import USUAL_SECONDS, Asking
from chatcore.admin.asker import Asker, Right
from chatcore.admin.hosts import IAdministered, IReplays, ITaps
from chatcore.admin.invocation import Invocation
from chatcore.admin.outcomes import BUSY, FAILED, FORBIDDEN, REFUSED, done, not_done
from chatcore.config.names import ADMIN
from chatcore.config.tokens import TokenId, is_like_id
from chatcore.deadlines import Deadlines, IClock
from chatcore.errors import AdminError, TokenError
from chatcore.links.link import Link, Responder
from chatcore.telemetry import Counters, Rationed
from chatcore.wire.box import Box, item
from chatcore.wire.values import UNPACKABLE, pack

MOST_LINKS = 16
"""Administrators who may be linked to one process at once."""

MOST_UNDER_WAY = 64
"""What administrators and other nodes may have asked of one process and not been answered yet."""

KEPT_LINKS, KEPT_UNDER_WAY = 4, 16
"""What of both is left to those who may do more than look."""

MOST_LINES = 5
"""Lines a second that are logged of what somebody may not do."""

LAST_SECONDS = 1.0
"""Seconds that somebody whose token has expired has to read what was written before."""

LOOK_SECONDS = 3600.0
"""Seconds after which, at the latest, it is looked whether a token has expired."""

IDLE_SECONDS = 120.0
"""Seconds after which the link to an administrator is closed who has asked nothing."""


Act = Callable[[Asking], Awaitable[Any]]
"""Does what is asked. Every problem is an `AdminError`."""

RIGHTS: Final[Mapping[bytes, Right]] = {
    b"Survey": "see",
    b"Inspect": "see",
    b"Invoke": "act",
    b"Order": "act",
    b"Add": "act",
    b"Reload": "act",
    b"Tap": "see",
    b"Replay": "act",
}
"""What it takes to ask each command of administrators."""


class Desk:
    """Takes in administrators, and acts on what they and other nodes ask.

    A link to an administrator is no link to a node: nothing else can be asked there, and there are
    few of them. Who has a viewer's token may ask for what changes nothing. That is seen to here, in
    the first process that is asked; the others, whom it asks as itself, are told for whom.

    Args:
        host: what is administered.
        counters: what counts.
        clock: what knows the time.
        today: the time of day, in seconds since 1970, for the ends of tokens.
        taps: shows what passes, where this is a node.
        replays: acts on what was recorded, where this is a node.
    """

    log = Logger()

    def __init__(
        self,
        *,
        host: IAdministered,
        counters: Counters,
        clock: IClock,
        today: Callable[[], float] = time.time,
        taps: ITaps | None = None,
        replays: IReplays | None = None,
    ) -> None:
        self._host, self._counters = host, counters
        self._taps, self._replays = taps, replays
        self._replaying: set[Link] = set()
        self._clock, self._today = clock, today
        self._looking: set[Link] = set()
        self._links: dict[Link, int] = {}
        self._ends: dict[Link, Any] = {}
        self._under_way = 0
        self._idle = Deadlines(IDLE_SECONDS, clock, Link.close)
        self._lines = Rationed(MOST_LINES, later=clock.callLater, left_out=self._left_out)
        self._acts: dict[bytes, Act] = {
            b"Survey": self._survey,
            b"Inspect": self._inspect,
            b"Invoke": self._invoke,
            b"Order": self._order,
            b"Add": self._add,
            b"Reload": self._reload,
            b"Tap": self._tap,
            b"Replay": self._replay,
        }
        self._served = self._all_responders(passes_on=True)
        self._too_many = dict.fromkeys(self._served, _send_away)

    # IGuests

    def expects(self, id: str) -> bool:
        if not is_like_id(id):
            return id.startswith(ADMIN)
        try:
            TokenId.read(id)
        except TokenError:
            return False
        return True

    def arrived(self, link: Link) -> None:
        if len(self._links) >= MOST_LINKS - self._kept(Asker.of(link.peer), KEPT_LINKS):
            self._counters.administrators_refused += 1
            self.log.warn("{n} administrators are linked; one more was refused", n=len(self._links))
            link.serve(self._too_many)
        else:
            self._links[link] = 0
            link.serve(self._served)
            if is_like_id(link.peer):
                self._watch(link, TokenId.read(link.peer))
        self._idle.start(link)

    def left(self, link: Link, silent: bool = False) -> None:
        self._links.pop(link, None)
        self._idle.stop(link)
        self._forget_end(link)
        if link in self._looking and self._taps is not None:
            self._looking.discard(link)
            self._taps.end(link)
        if link in self._replaying and self._replays is not None:
            self._replaying.discard(link)
            self._replays.end(link)

    def held_up(self) -> None:
        """Nothing that they said is judged by its time."""

    def responders(self) -> Mapping[bytes, Responder]:
        """What acts on the commands of administrators."""
        return self._served

    # Its own.

    def responders_for_nodes(self) -> Mapping[bytes, Responder]:
        """What acts on the same commands of other nodes, which pass on what they were asked."""
        return self._all_responders(passes_on=False)

    def stop(self) -> None:
        """Forget the timers."""
        self._idle.clear()
        if self._taps is not None:
            self._taps.stop()
        if self._replays is not None:
            self._replays.stop()
        self._lines.stop()
        for link in list(self._ends):
            self._forget_end(link)

    def _watch(self, link: Link, token: TokenId) -> None:
        """Close a link when the token of who came over it expires."""
        left = token.end - self._today()
        if left <= 0:
            self.log.info("{who} has expired, and its link is closed", who=token.who)
            self._ends[link] = self._clock.callLater(LAST_SECONDS, link.abort)
            link.close()
            return
        seconds = min(left, LOOK_SECONDS)  # the day may be set anew meanwhile
        self._ends[link] = self._clock.callLater(seconds, self._watch, link, token)

    def _forget_end(self, link: Link) -> None:
        timer = self._ends.pop(link, None)
        if timer is not None and timer.active():
            timer.cancel()

    def _kept(self, asker: Asker, number: int) -> int:
        return 0 if asker.may("act") else number

    def _all_responders(self, *, passes_on: bool) -> dict[bytes, Responder]:
        def responder(command: bytes, act: Act) -> Responder:
            return lambda link, box, ask: self._respond(command, act, link, box, ask, passes_on)

        return {name: responder(name, act) for name, act in self._acts.items()}

    def _respond(
        self, command: bytes, act: Act, link: Link, box: Box, ask: bytes | None, passes_on: bool
    ) -> None:
        if ask is None:
            return
        asker = Asker.of(link.peer, box.get(b"asker", b"").decode("utf-8", "replace"))
        most = MOST_UNDER_WAY - self._kept(asker, KEPT_UNDER_WAY)
        if self._under_way >= most:
            self._counters.administrators_refused += 1
            problem = f"{most} things are under way here already"
            _answer(link, ask, not_done(AdminError(problem, code=BUSY, advice="Ask again")))
            return
        self._begin(link)
        asking = Asking(link, box, asker, passes_on)
        acting = Deferred.fromCoroutine(self._outcome(command, act, asking))

        def over(outcome: Any) -> None:
            self._end(link)
            _answer(link, ask, outcome)

        acting.addCallback(over)

    def _begin(self, link: Link) -> None:
        self._under_way += 1
        if link in self._links:
            self._links[link] += 1
            self._idle.stop(link)

    def _end(self, link: Link) -> None:
        self._under_way -= 1
        if link in self._links:
            self._links[link] -= 1
            if not self._links[link]:
                self._idle.start(link)

    async def _outcome(self, command: bytes, act: Act, asking: Asking) -> dict[str, Any]:
        try:
            asking.asker.need(RIGHTS[command], asking.in_words(command))
            return done(await act(asking))
        except AdminError as problem:
            if problem.code == FORBIDDEN:
                self._tell_forbidden(problem)
            return not_done(problem)
        except Exception as problem:
            self.log.failure("What an administrator asked")
            return not_done(AdminError(f"it failed: {problem!r:.200}", code=FAILED))

    def _tell_forbidden(self, problem: AdminError) -> None:
        self._counters.administrators_forbidden += 1
        if self._lines.admit():
            self.log.warn("Refused: {problem}", problem=problem.problem)

    def _left_out(self, number: int) -> None:
        self.log.warn("{n} more things were refused to those who may look only", n=number)

    async def _survey(self, asking: Asking) -> Any:
        box = asking.box
        alone = box.get(b"alone") == b"True" or not asking.passes_on
        return await self._host.survey(asking.seconds(USUAL_SECONDS), alone=alone)

    async def _inspect(self, asking: Asking) -> Any:
        question, id, given = asking.question(), asking.text(b"id"), asking.values(b"given")
        seconds = asking.seconds()
        return await self._host.inspect(
            question, id, given, seconds, passes_on=asking.passes_on, asker=asking.asker
        )

    async def _invoke(self, asking: Asking) -> Any:
        box = asking.box
        invocation = Invocation(
            asking.text(b"route"), asking.value(b"args"), box.get(b"whole") == b"True"
        )
        id, seconds = asking.text(b"id"), asking.seconds()
        return await self._host.invoke(
            invocation, id, seconds, passes_on=asking.passes_on, asker=asking.asker
        )

    async def _order(self, asking: Asking) -> Any:
        what, id = asking.what(), asking.text(b"id")
        seconds, asker = asking.seconds(), asking.asker
        self.log.info("{name} asks to {what} {id}", name=asker.name, what=what, id=id)
        return await self._host.order(what, id, seconds, passes_on=asking.passes_on, asker=asker)

    async def _add(self, asking: Asking) -> Any:
        asker = asking.asker
        server_type, given = asking.text(b"type"), asking.texts(b"given")
        count = asking.whole(b"count")
        self.log.info("{name} adds servers of the type {type}", name=asker.name, type=server_type)
        seconds = asking.seconds(USUAL_SECONDS)
        return await self._host.add(
            server_type, given, count, seconds, passes_on=asking.passes_on, asker=asker
        )

    async def _reload(self, asking: Asking) -> Any:
        apply = asking.box.get(b"apply") == b"True"
        seconds = asking.seconds(USUAL_SECONDS)
        return await self._host.reload(
            seconds, apply=apply, passes_on=asking.passes_on, asker=asking.asker
        )

    async def _tap(self, asking: Asking) -> Any:
        """Only who is linked to a node itself is shown what passes there."""
        link = asking.link
        if self._taps is None or link not in self._links:
            raise AdminError("no links between nodes are to be seen here", code=REFUSED)
        given = asking.values(b"given")
        if given.get("raw") is True:
            asking.asker.need("act", "record what passes")
        begun = self._taps.begin(link, given, raw=asking.asker.may("act"))
        if link not in self._looking:
            self._looking.add(link)
            self._links[link] += 1  # it is not idle
        return begun

    async def _replay(self, asking: Asking) -> Any:
        """Only who is linked to a node itself replays something there."""
        link = asking.link
        if self._replays is None or link not in self._links:
            raise AdminError("nothing can be replayed here", code=REFUSED)
        if link not in self._replaying:
            self._replaying.add(link)
            self.log.info("{name} replays a recording", name=asking.asker.name)
        given = asking.values(b"given")
        return await self._replays.act(link, asking.text(b"what"), given, asking.seconds())


def _send_away(link: Link, box: Box, ask: bytes | None) -> None:
    problem = f"{MOST_LINKS} administrators are linked to this process already"
    if ask is not None:
        _answer(link, ask, not_done(AdminError(problem, code=BUSY, advice="Try again later")))
    link.close()


def _answer(link: Link, ask: bytes, outcome: Any) -> None:
    try:
        packed = pack(outcome)
    except UNPACKABLE as problem:
        packed = pack(not_done(AdminError(f"no answer that can be sent: {problem}", code=FAILED)))
    link.answer(ask, item(b"outcome", packed))
