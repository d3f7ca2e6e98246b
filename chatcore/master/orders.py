"""What administrators have done with the single processes of a ``chatcore start``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from chatcore.admin.outcomes import FAILED, LATE, REFUSED, What
from chatcore.errors import AdminError
from chatcore.master.keeper import Keeper
from chatcore.master.supervisor import Supervisor

T = TypeVar("T")

GOES_ON = "'chatcore list' shows when that is over; 'chatcore kill' ends it at once"
"""What to say of what is not done in time."""


@dataclass(eq=False, slots=True)
class _Order:
    """Something that an administrator has asked for."""

    what: What
    under_way: bool = True


class Orders:
    """Acts on single processes, as administrators ask.

    What is stopped, drained or killed stays down until it is started again. Who has waited for a
    start that somebody else put an end to is told so.

    Args:
        supervisor: has the processes.
        clock: the reactor.
    """

    def __init__(self, supervisor: Supervisor, *, clock: Any) -> None:
        self._supervisor, self._clock = supervisor, clock
        self._last: dict[str, _Order] = {}

    async def act(self, what: What, keeper: Keeper, seconds: float) -> None:
        """Do something with a process; returns when it is done.

        Args:
            seconds: that it may take.

        Raises:
            AdminError: it was not done, or not yet.
        """
        if self._supervisor.stopping:
            raise AdminError("everything is being stopped", code=REFUSED)
        if what in ("start", "restart"):
            self._refuse_contradiction(keeper)
        self._supervisor.console.say(f"an administrator asks to {what} {keeper.name}")
        until = self._clock.seconds() + seconds
        order = self._last[keeper.name] = _Order(what)
        try:
            if what == "drain":
                await self._drain(keeper, until)
            elif what == "start" or what == "restart":
                await self._start(order, keeper, until)
            else:
                await self._end(what, keeper, until)
        finally:
            order.under_way = False

    async def _start(self, order: _Order, keeper: Keeper, until: float) -> None:
        if order.what == "restart":
            keeper.retire()
            keeper.drain()
            late = f"{keeper.name} has not ended yet, and stays down when it has"
            await self._within(keeper.gone(), until, late)
            self._verify_last(order, keeper)
        keeper.start()
        why = await self._within(
            keeper.started(), until, f"{keeper.name} is not ready yet; it goes on starting"
        )
        self._verify_last(order, keeper)
        if why:
            again = "; it is started again" if keeper.kept else ""
            raise AdminError(f"{keeper.name} {why}{again}", code=FAILED)

    async def _drain(self, keeper: Keeper, until: float) -> None:
        was_up = keeper.ready
        keeper.retire()
        keeper.drain()
        self._supervisor.note_if_all_ready()
        late = f"{keeper.name} is still {keeper.condition}"
        await self._within(keeper.gone(), until, late)
        if was_up and not keeper.drained:
            raise _not_drained(keeper)

    async def _end(self, what: What, keeper: Keeper, until: float) -> None:
        keeper.retire()
        if not keeper.running:
            return
        gone = keeper.gone()
        if what == "kill":
            keeper.kill()
        else:
            keeper.stop()
            self._kill_late(keeper, gone)
        self._supervisor.note_if_all_ready()
        await self._within(gone, until, f"{keeper.name} has not ended yet")
        if what == "stop" and keeper.was_killed:
            seconds = self._supervisor.stop_seconds
            raise AdminError(
                f"{keeper.name} did not stop within {seconds:g} s, and was killed", code=FAILED
            )

    def _kill_late(self, keeper: Keeper, gone: Deferred[None]) -> None:
        late = self._clock.callLater(self._supervisor.stop_seconds, keeper.kill)

        def ended(result: None) -> None:
            if late.active():
                late.cancel()

        gone.addCallback(ended)

    def forget(self, keeper: Keeper) -> None:
        """Forget what was asked for with a process that is none of ours any more."""
        self._last.pop(keeper.name, None)

    # Which order counts.

    def _verify_last(self, order: _Order, keeper: Keeper) -> None:
        last = self._last.get(keeper.name)
        if last is not order:
            doing = "forget" if last is None else last.what
            raise AdminError(f"{keeper.name}: somebody asked to {doing} it meanwhile", code=FAILED)

    def _refuse_contradiction(self, keeper: Keeper) -> None:
        last = self._last.get(keeper.name)
        doing: str | None = None
        if keeper.condition in ("draining", "stopping"):
            doing = keeper.condition
        elif last is not None and last.under_way:
            doing = f"asked to {last.what}"
        if doing is not None:
            raise AdminError(
                f"{keeper.name} is {doing} already",
                code=REFUSED,
                advice="Wait until 'chatcore list' shows that it is up or stopped",
            )

    def _within(self, waiting: Deferred[T], until: float, late: str) -> Deferred[T]:
        """What fires when ``waiting`` does, or fails when the time is up; that goes on then."""
        result: Deferred[T] = Deferred()
        seconds = max(until - self._clock.seconds(), 0)
        problem = AdminError(late, code=LATE, advice=GOES_ON)
        timer = self._clock.callLater(seconds, lambda: result.errback(problem))

        def came(value: T) -> None:
            if timer.active():
                timer.cancel()
                result.callback(value)

        waiting.addCallback(came)
        return result


def _not_drained(keeper: Keeper) -> AdminError:
    """It had something to hand over when it ended."""
    if not keeper.ended_well:
        return AdminError(
            f"{keeper.name} {keeper.last_ending} before it had handed over all it had", code=FAILED
        )
    return AdminError(
        f"{keeper.name} has stopped, and nobody took over all it had",
        code=FAILED,
        advice="That is so where no other server of its type is up, where it takes longer than"
        " drain.seconds, or where somebody has stopped it meanwhile",
    )
