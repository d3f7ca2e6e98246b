"""Having something done with several servers, and telling what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import DeferredSemaphore, ensureDeferred, gatherResults
from twisted.internet.task import LoopingCall

from chatcore.admin.outcomes import What
from chatcore.cli.cluster import Cluster, exit_of
from chatcore.cli.exits import DONE, FAILED
from chatcore.cli.output import Output
from chatcore.errors import AdminError

DONE_WORDS: Final[dict[What, str]] = {
    "stop": "stopped",
    "drain": "drained",
    "kill": "killed",
    "start": "started",
    "restart": "restarted",
}

DOING_WORDS: Final[dict[What, str]] = {
    "stop": "stopping",
    "drain": "draining",
    "kill": "killing",
    "start": "starting",
    "restart": "restarting",
}

FIELDS: Final = ("id", "outcome", "seconds", "problem", "advice")
"""The fields of what came of it, in the order of its record."""

NOT_THERE: Final = "down"
"""What came of it where there was no process."""

LEFT: Final = "left"
"""What came of it where it failed with another one before."""

AT_ONCE = 32
"""Servers with which it is done at the same time; half of what a process lets be under way."""

LOOK = 0.5
"""Seconds between two looks how far it is."""

MOST_SHOWN = 8
"""Servers of which it is shown how far they are."""

UNFINISHED: Final = "What was begun goes on; 'chatcore list' shows how far it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of something that was to be done with a server.

    Args:
        id: the server.
        outcome: ``stopped`` and the like, `NOT_THERE`, `LEFT`, or ``failed``.
        seconds: how long it took.
        problem: why it failed.
        code: the kind of that problem.
        advice: what to do then.
    """

    id: str
    outcome: str
    seconds: float
    problem: str | None = None
    code: str | None = None
    advice: str | None = None

    def to_value(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            "id": self.id,
            "outcome": self.outcome,
            "seconds": round(self.seconds, 1),
            "problem": self.problem,
            "code": self.code,
            "advice": self.advice,
        }


class Ordering:
    """Has things done, prints a record for each, and knows the exit code.

    Args:
        cluster: what is asked.
        output: where it is told.
        reactor: the reactor.
    """

    def __init__(self, cluster: Cluster, output: Output, *, reactor: Any) -> None:
        self._cluster, self._output, self._clock = cluster, output, reactor
        self._under_way: dict[str, What] = {}
        self.outcomes: list[Outcome] = []

    async def together(self, what: What, ids: Sequence[str]) -> bool:
        """Do it with all of these at once; whether all of it was done."""
        self._output.unfinished = UNFINISHED
        looking = LoopingCall(self._look)
        looking.clock = self._clock
        if self._output.shows_progress:
            looking.start(LOOK, now=False)
        try:
            room = DeferredSemaphore(AT_ONCE)
            orders = [room.run(self._one, what, id) for id in ids]
            done = await gatherResults(orders, consumeErrors=True)
            return all(done)
        finally:
            if looking.running:
                looking.stop()

    async def one_by_one(self, what: What, ids: Sequence[str]) -> bool:
        """Do it with one after the other, up to the first with which it fails."""
        for place, id in enumerate(ids):
            if not await self.together(what, [id]):
                self.leave_out(ids[place + 1 :])
                return False
        return True

    def leave_out(self, ids: Sequence[str]) -> None:
        """Do nothing with these, because it failed with others."""
        for id in ids:
            self._tell(Outcome(id=id, outcome=LEFT, seconds=0.0))

    @property
    def told(self) -> set[str]:
        """The servers of which something has been told."""
        return {outcome.id for outcome in self.outcomes}

    def finish(self, more: Mapping[str, Any] = {}) -> int:
        """Print the JSON document; the exit code comes back.

        Args:
            more: what else stands in the document.
        """
        code = self._exit()
        servers = [outcome.to_value() for outcome in self.outcomes]
        failed = [each for each in self.outcomes if each.problem is not None]
        document: dict[str, Any] = {**more, "servers": servers, "exit": code}
        if failed:
            document["error"] = "; ".join(f"{each.id}: {each.problem}" for each in failed)
        self._output.document(document)
        return code

    async def _one(self, what: What, id: str) -> bool:
        begun = self._clock.seconds()
        self._under_way[id] = what
        problem: AdminError | None = None
        outcome = "failed"
        try:
            outcome = DONE_WORDS[what] if await self._cluster.order(what, id) else NOT_THERE
        except AdminError as refused:
            problem = refused
        finally:
            del self._under_way[id]
        self._tell(
            Outcome(
                id=id,
                outcome=outcome,
                seconds=self._clock.seconds() - begun,
                problem=None if problem is None else problem.problem,
                code=None if problem is None else problem.code,
                advice=None if problem is None else problem.advice,
            )
        )
        return problem is None

    def _tell(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        text = f"{outcome.id}  {outcome.outcome}"
        if outcome.problem is not None:
            text += f": {outcome.problem}"
            text += f". {outcome.advice}" if outcome.advice else ""
        elif outcome.outcome == LEFT:
            text = f"{outcome.id}  left as it is"
        elif outcome.outcome == NOT_THERE:
            text = f"{outcome.id}  was not running"
        else:
            text += f" ({outcome.seconds:.1f} s)"
        value = outcome.to_value()
        self._output.record([value[field] for field in FIELDS], text)

    def _exit(self) -> int:
        codes = {outcome.code for outcome in self.outcomes if outcome.code is not None}
        if not codes and all(outcome.outcome != LEFT for outcome in self.outcomes):
            return DONE
        if all(outcome.code is not None for outcome in self.outcomes) and len(codes) == 1:
            return exit_of(codes.pop())
        return FAILED

    async def _look(self) -> None:
        """Show how far it is."""
        asked = list(self._under_way.items())[:MOST_SHOWN]
        told = await gatherResults([ensureDeferred(self._told(id, what)) for id, what in asked])
        left = [text for (id, _), text in zip(asked, told, strict=True) if id in self._under_way]
        if left:
            self._output.progress("; ".join(left))

    async def _told(self, id: str, what: What) -> str:
        try:
            status = await self._cluster.status(id, 1.0)
        except Exception:
            return f"{DOING_WORDS[what]} {id}"
        left = [
            f"{status.get(key)} {key}"
            for key in ("clients", "channels", "requests")
            if status.get(key)
        ]
        doing = "draining" if status.get("state") == "draining" else DOING_WORDS[what]
        return f"{doing} {id}" + (f": {', '.join(left)}" if left else "")
