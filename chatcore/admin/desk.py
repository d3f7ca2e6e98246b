"""Where a process takes in those who administer it, and acts on what they ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatcore.admin.outcomes import BUSY, FAILED, REFUSED, WHATS, What, done, not_done
from chatcore.admin.questions import QUESTIONS, Question
from chatcore.config.names import ADMIN
from chatcore.deadlines import Deadlines, IClock
from chatcore.errors import AdminError
from chatcore.links.link import Link, Responder
from chatcore.telemetry import Counters
from chatcore.wire.box import Box, item, join
from chatcore.wire.values import UNPACKABLE, pack

MOST_LINKS = 16
"""Administrators who may be linked to one process at once."""

MOST_UNDER_WAY = 64
"""What administrators and other nodes may have asked of one process and not been answered yet."""

IDLE_SECONDS = 120.0
"""Seconds after which the link to an administrator is closed who has asked nothing."""

LONGEST_SECONDS = 24 * 3600.0
"""Seconds that something may be given to be done."""

USUAL_SECONDS = 5.0
"""Seconds within which an answer is wanted, where nobody says it."""

_LONGEST_NUMBER = 12
_decode_texts = msgspec.msgpack.Decoder(dict[str, str]).decode
_decode_values = msgspec.msgpack.Decoder(dict[str, Any]).decode

Act = Callable[[Box, bool], Awaitable[Any]]
"""Does what a box asks; whether it may be passed on to another node is told, too."""


class IAdministered(Protocol):
    """What a process does for those who administer it. Every problem is an `AdminError`."""

    async def survey(self, seconds: float, *, alone: bool) -> dict[str, Any]:
        """What there is.

        Args:
            seconds: within which the answer is wanted.
            alone: whether no other process is to be asked for it.
        """

    async def inspect(
        self,
        question: Question,
        id: str,
        given: Mapping[str, Any],
        seconds: float,
        *,
        passes_on: bool,
    ) -> dict[str, Any]:
        """What a node answers to a question.

        Args:
            given: what the question needs to be understood; nothing in it has been looked at.
            seconds: within which the answer is wanted.
            passes_on: whether another process may be asked for it.
        """

    async def order(
        self, what: What, id: str, seconds: float, *, passes_on: bool
    ) -> dict[str, Any]:
        """Do something with a node; returns when it is done."""

    async def add(
        self,
        server_type: str,
        given: Mapping[str, str],
        count: int,
        seconds: float,
        *,
        passes_on: bool,
    ) -> dict[str, Any]:
        """Take in new servers, which are still to be started."""

    async def reload(self, seconds: float, *, apply: bool, passes_on: bool) -> dict[str, Any]:
        """Read servers.json again, and say what has changed.

        Args:
            apply: whether it is followed from now on.
        """


class Desk:
    """Takes in administrators, and acts on what they and other nodes ask.

    A link to an administrator is no link to a node: nothing else can be asked there, and there are
    few of them.

    Args:
        host: what is administered.
        counters: what counts.
        clock: what knows the time.
    """

    log = Logger()

    def __init__(self, *, host: IAdministered, counters: Counters, clock: IClock) -> None:
        self._host, self._counters = host, counters
        self._links: dict[Link, int] = {}
        self._under_way = 0
        self._idle = Deadlines(IDLE_SECONDS, clock, Link.close)
        self._acts: dict[bytes, Act] = {
            b"Survey": self._survey,
            b"Inspect": self._inspect,
            b"Order": self._order,
            b"Add": self._add,
            b"Reload": self._reload,
        }
        self._served = self._all_responders(passes_on=True)
        self._too_many = dict.fromkeys(self._acts, _send_away)

    # IGuests

    def expects(self, id: str) -> bool:
        return id.startswith(ADMIN)

    def arrived(self, link: Link) -> None:
        if len(self._links) >= MOST_LINKS:
            self._counters.administrators_refused += 1
            self.log.warn("{n} administrators are linked; one more was refused", n=MOST_LINKS)
            link.serve(self._too_many)
        else:
            self._links[link] = 0
            link.serve(self._served)
        self._idle.start(link)

    def left(self, link: Link, silent: bool = False) -> None:
        self._links.pop(link, None)
        self._idle.stop(link)

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

    def _all_responders(self, *, passes_on: bool) -> dict[bytes, Responder]:
        def responder(act: Act) -> Responder:
            return lambda link, box, ask: self._respond(link, box, ask, act, passes_on)

        return {name: responder(act) for name, act in self._acts.items()}

    def _respond(self, link: Link, box: Box, ask: bytes | None, act: Act, passes_on: bool) -> None:
        if ask is None:
            return
        if self._under_way >= MOST_UNDER_WAY:
            self._counters.administrators_refused += 1
            problem = f"{MOST_UNDER_WAY} things are under way here already"
            _answer(link, ask, not_done(AdminError(problem, code=BUSY, advice="Ask again")))
            return
        self._begin(link)
        acting = Deferred.fromCoroutine(self._outcome(act, box, passes_on))

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

    async def _outcome(self, act: Act, box: Box, passes_on: bool) -> dict[str, Any]:
        try:
            return done(await act(box, passes_on))
        except AdminError as problem:
            return not_done(problem)
        except Exception as problem:
            self.log.failure("What an administrator asked")
            return not_done(AdminError(f"it failed: {problem!r:.200}", code=FAILED))

    async def _survey(self, box: Box, passes_on: bool) -> Any:
        alone = box.get(b"alone") == b"True" or not passes_on
        return await self._host.survey(_seconds(box, USUAL_SECONDS), alone=alone)

    async def _inspect(self, box: Box, passes_on: bool) -> Any:
        question, id, given = _question(box), _text(box, b"id"), _values(box, b"given")
        return await self._host.inspect(question, id, given, _seconds(box), passes_on=passes_on)

    async def _order(self, box: Box, passes_on: bool) -> Any:
        what, id = _what(box), _text(box, b"id")
        self.log.info("An administrator asks to {what} {id}", what=what, id=id)
        return await self._host.order(what, id, _seconds(box), passes_on=passes_on)

    async def _add(self, box: Box, passes_on: bool) -> Any:
        server_type, given = _text(box, b"type"), _texts(box, b"given")
        count = _whole(box, b"count")
        self.log.info("An administrator adds servers of the type {type}", type=server_type)
        seconds = _seconds(box, USUAL_SECONDS)
        return await self._host.add(server_type, given, count, seconds, passes_on=passes_on)

    async def _reload(self, box: Box, passes_on: bool) -> Any:
        apply = box.get(b"apply") == b"True"
        seconds = _seconds(box, USUAL_SECONDS)
        return await self._host.reload(seconds, apply=apply, passes_on=passes_on)


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


def _text(box: Box, key: bytes) -> str:
    try:
        return box[key].decode()
    except (KeyError, UnicodeDecodeError):
        raise _nonsense(key) from None


def _texts(box: Box, key: bytes) -> dict[str, str]:
    try:
        return _decode_texts(join(box, key))
    except (KeyError, ValueError, msgspec.MsgspecError):
        raise _nonsense(key) from None


def _values(box: Box, key: bytes) -> dict[str, Any]:
    try:
        return _decode_values(join(box, key)) if key in box else {}
    except (ValueError, msgspec.MsgspecError):
        raise _nonsense(key) from None


def _whole(box: Box, key: bytes) -> int:
    try:
        return int(box[key][:_LONGEST_NUMBER])
    except (KeyError, ValueError):
        raise _nonsense(key) from None


def _nonsense(key: bytes) -> AdminError:
    return AdminError(f"there is no usable {key.decode()} in what was asked", code=REFUSED)


def _seconds(box: Box, usual: float = 0.0) -> float:
    try:
        seconds = float(box.get(b"seconds", usual))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_SECONDS:
        raise AdminError(
            f"the time that it may take is no number of seconds up to {LONGEST_SECONDS:.0f}",
            code=REFUSED,
        )
    return seconds


def _question(box: Box) -> Question:
    text = box.get(b"what", b"").decode("utf-8", "replace")
    for question in QUESTIONS:
        if question == text:
            return question
    raise AdminError(f"nobody here can be asked for {text[:40]!r}", code=REFUSED)


def _what(box: Box) -> What:
    text = box.get(b"what", b"").decode("utf-8", "replace")
    for what in WHATS:
        if what == text:
            return what
    raise AdminError(f"nobody here knows how to {text[:40]!r} a server", code=REFUSED)
