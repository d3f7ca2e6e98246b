"""Filters around calls between nodes, on the side that calls and on the side that is called.

A filter is an object with ``before(call)``, with ``after(call, result, problem)``, or with both,
which may be async. `RpcFilters` calls ``before`` in the order of registration and ``after`` in
reverse, for every filter whose ``before`` was called, however the call ended.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from twisted.logger import Logger, LogLevel
from zope.interface import implementer

from chatcore.deadlines import IClock
from chatcore.dispatch.calling import Caller
from chatcore.dispatch.chain import every, in_turn
from chatcore.errors import CallRefused
from chatcore.interfaces import IRpcCall


@implementer(IRpcCall)
@dataclass(slots=True, kw_only=True)
class RpcCall:
    """A call, as filters and the error handler see it."""

    server_id: str
    server_type: str
    service: str
    method: str
    args: list[Any]
    notify: bool
    peer: str | None
    size: int
    seconds: float = 0.0
    context: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0
    entered: int = 0

    @property
    def what(self) -> str:
        """What is called, as errors say it."""
        return f"{self.service}.{self.method}"

    @property
    def route(self) -> str:
        return f"{self.server_type}.{self.service}.{self.method}"

    def refuse(self, why: str) -> NoReturn:
        raise CallRefused(self.server_id, self.what, why)


class RpcFilters:
    """The filters of one direction.

    Args:
        filters: in the order of registration.
        caller: calls what comes after a call, with a deadline for each.
        clock: the reactor, or a test's clock.
    """

    log = Logger()

    def __init__(self, filters: Sequence[Any], *, caller: Caller, clock: IClock) -> None:
        self._caller, self._clock = caller, clock
        self._before = [
            _entering(number, each.before)
            for number, each in enumerate(filters, 1)
            if hasattr(each, "before")
        ]
        self._after = [_after(filters, entered) for entered in range(len(filters) + 1)]

    def before(self, call: RpcCall) -> Deferred[None] | None:
        """Let the filters see a call that is to be made.

        Returns:
            None; a Deferred of it where a filter waits.

        Raises:
            Exception: what a filter raised to stop the call.
        """
        call.began = self._clock.seconds()
        return in_turn(self._before, call)

    def after(self, call: RpcCall, result: Any, problem: BaseException | None) -> None:
        """Let those filters that saw a call see how it ended; nobody waits for those that wait."""
        call.seconds = self._clock.seconds() - call.began
        hooks = self._after[call.entered]
        every(hooks, call, result, problem, caller=self._caller, failed=self._failed)

    def _failed(self, hook: Callable[..., Any], problem: BaseException) -> None:
        self.log.error(
            "A filter failed after a call: {hook}: {problem!r}", hook=hook, problem=problem
        )


def _entering(number: int, before: Callable[[Any], Any]) -> Callable[[RpcCall], Any]:
    def enter(call: RpcCall) -> Any:
        call.entered = number
        return before(call)

    return enter


def _after(filters: Sequence[Any], entered: int) -> list[Callable[..., Any]]:
    """What is called after a call that so many filters have seen, or that none had to see."""
    return [
        each.after
        for number, each in reversed(list(enumerate(filters, 1)))
        if hasattr(each, "after") and (number <= entered or not hasattr(each, "before"))
    ]


_calls_log = Logger(namespace="chatcore.rpc")


class _Log:
    def __init__(self, level: LogLevel) -> None:
        self._level = level

    def after(self, call: RpcCall, result: Any, problem: BaseException | None) -> None:
        _calls_log.emit(
            self._level,
            "{route} {way} {server}: {size} bytes, {ms:.1f} ms, {outcome}",
            route=call.route,
            way="on" if call.peer is None else "from",
            server=call.server_id if call.peer is None else call.peer,
            size=call.size,
            ms=call.seconds * 1000,
            outcome="ok" if problem is None else type(problem).__name__,
        )


def rpc_log(level: str = "info") -> object:
    """A filter that logs each call: what, where, bytes of arguments, milliseconds, how it ended.

    Args:
        level: ``"info"`` or ``"debug"``.
    """
    levels = {"info": LogLevel.info, "debug": LogLevel.debug}
    if level not in levels:
        raise ValueError(f"rpc_log got {level!r}, which is neither 'info' nor 'debug'")
    return _Log(levels[level])
