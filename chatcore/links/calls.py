"""Making calls: once, on other servers, or again; through filters."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.deadlines import IClock
from chatcore.dispatch.calling import Caller, DeadlinePassed
from chatcore.errors import CallRefused, CallTimedOut, LinkLost, NoSuchServer, RpcError
from chatcore.links.filters import RpcCall, RpcFilters
from chatcore.links.settings import LinkSettings
from chatcore.telemetry import Counters

Failing = Literal["fast", "over", "retry"]

ErrorHandler = Callable[[RpcError, RpcCall], Any]
"""Told an error and its call: what it returns replaces the error, None leaves it as it is."""


class Sender(Protocol):
    """What brings a call to a server."""

    def pack(self, what: str, args: Sequence[Any]) -> bytes:
        """Arguments as they cross a link; TypeError if they can't."""

    def send_packed(
        self,
        server_id: str,
        service: str,
        method: str,
        packed: bytes,
        *,
        notify: bool = False,
        timeout: float | None = None,
        key: str | None = None,
    ) -> Deferred[Any]:
        """Call a remote; the Deferred fails with an `RpcError` or gives its result."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a call is made.

    Args:
        notify: whether nobody waits for an answer.
        timeout: seconds; None for ``links.call_timeout``.
        failure: what follows when a call gives no result.
    """

    notify: bool = False
    timeout: float | None = None
    failure: Failing = "fast"


PLAIN = Options()


def options(notify: bool, timeout: float | None, failure: str) -> Options:
    """Verify how somebody wants calls to be made.

    Raises:
        ValueError: something is none of what there is, or contradicts something else.
    """
    if not notify and timeout is None and failure == "fast":
        return PLAIN
    if failure not in ("fast", "over", "retry"):
        raise ValueError(f"failure={failure!r} is not one of 'fast', 'over', 'retry'")
    if notify and failure == "retry":
        raise ValueError("failure='retry' needs an answer to wait for, and notify=True has none")
    if timeout is not None:
        if notify:
            raise ValueError("timeout needs an answer to wait for, and notify=True has none")
        if not isinstance(timeout, int | float) or not 0 < timeout < math.inf:
            raise ValueError(f"timeout={timeout!r} is not a number of seconds over 0")
    return Options(bool(notify), timeout, cast(Failing, failure))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which servers a call goes to.

    Args:
        choose: the server of a type, given those that were tried; raises `NoSuchServer` if there
            is no other.
        keeps: whether a call that is made again goes to the same server.
    """

    choose: Callable[[str, Collection[str]], str]
    keeps: bool = True


@dataclass(slots=True)
class Task:
    """A call that is to be made, and what became of it so far."""

    choice: Choice
    options: Options
    server_type: str
    service: str
    method: str
    args: Sequence[Any]
    packed: bytes
    key: str | None = None
    call: RpcCall | None = None

    @property
    def what(self) -> str:
        return f"{self.service}.{self.method}"

    def new_call(self, server_id: str) -> RpcCall:
        """What filters are to see of the next try."""
        self.call = RpcCall(
            server_id=server_id,
            server_type=self.server_type,
            service=self.service,
            method=self.method,
            args=list(self.args),
            notify=self.options.notify,
            peer=None,
            size=len(self.packed),
        )
        return self.call


class Calls:
    """Makes an application's calls.

    Args:
        sender: brings them to servers.
        take_key: by which key a server was chosen just now, if by one.
        filters: what sees every try, if anything does.
        on_error: what sees every error before the application does, if anything.
        caller: calls ``on_error``, with a deadline.
        settings: how long, how often.
        clock: the reactor, or a test's clock.
        counters: where failures are counted.
    """

    log = Logger()

    def __init__(
        self,
        *,
        sender: Sender,
        take_key: Callable[[str], str | None] = lambda server_id: None,
        filters: RpcFilters | None,
        on_error: ErrorHandler | None,
        caller: Caller,
        settings: LinkSettings,
        clock: IClock,
        counters: Counters,
    ) -> None:
        self._sender, self._filters, self._on_error = sender, filters, on_error
        self._take_key = take_key
        self._caller, self._settings, self._clock = caller, settings, clock
        self._counters = counters
        self._pauses: set[Deferred[None]] = set()
        self._stopped = False

    def make(
        self,
        choice: Choice,
        options: Options,
        server_type: str,
        service: str,
        method: str,
        args: Sequence[Any],
    ) -> Deferred[Any]:
        """Make a call.

        Returns:
            A Deferred of its result, or of an `RpcError`. For a notify it has its None already.

        Raises:
            TypeError: an argument can't cross a link; nothing was sent.
        """
        packed = self._sender.pack(f"{service}.{method}", args)
        task = Task(choice, options, server_type, service, method, args, packed)
        made = self._begin(task)
        if self._on_error is not None:
            made.addErrback(self._replace, self._on_error, task)
        if options.notify:
            made.addErrback(self._unsent, task)
            return succeed(None)
        return made

    def stop(self) -> None:
        """Try nothing again any more; what waits to be tried again fails."""
        self._stopped = True
        for pause in list(self._pauses):
            pause.cancel()

    def _begin(self, task: Task) -> Deferred[Any]:
        options = task.options
        try:
            server_id = self._choose(task, ())
        except RpcError as problem:
            self._counters.calls_failed += 1
            return fail(problem)
        except LookupError as problem:  # a route that finds nothing to go by
            self._counters.calls_failed += 1
            return fail(NoSuchServer(task.server_type, task.what, str(problem)))
        if options.failure == "fast" and self._filters is None:
            return self._send(task, server_id, task.packed, options.timeout)
        return Deferred.fromCoroutine(self._try(task, server_id))

    def _choose(self, task: Task, tried: Collection[str]) -> str:
        self._take_key("")  # of this choice, and of none before
        server_id = task.choice.choose(task.server_type, tried)
        task.key = self._take_key(server_id)
        return server_id

    def _unsent(self, failure: Failure, task: Task) -> None:
        if failure.check(RpcError):
            self.log.debug("A notify was not sent: {why}", why=failure.value)
        else:
            self.log.failure("A notify of {what} was not sent", failure, what=task.what)

    def _replace(self, failure: Failure, on_error: ErrorHandler, task: Task) -> Deferred[Any]:
        """Let the application's handler of errors see one."""
        failure.trap(RpcError)
        problem: Any = failure.value
        replaced: Deferred[Any] = Deferred()

        def ended(result: Any, raised: BaseException | None) -> None:
            if isinstance(raised, DeadlinePassed):
                self.log.error(
                    "The handler of calls' errors took too long with {problem}", problem=problem
                )
            elif raised is not None:
                replaced.errback(raised)
                return
            if result is None:
                replaced.errback(failure)
            else:
                replaced.callback(result)

        self._caller.call(ended, on_error, problem, task.call or task.new_call(problem.server))
        return replaced

    async def _try(self, task: Task, server_id: str) -> Any:
        timeout = task.options.timeout or self._settings.call_timeout
        end = self._clock.seconds() + timeout
        retries = self._settings.retries if task.options.failure == "retry" else 0
        tried: list[str] = []
        while True:
            # Each try has its share of what is left, or a lost answer would take all of it.
            share = (end - self._clock.seconds()) / max(retries - len(tried) + 1, 1)
            try:
                return await self._once(task, server_id, share)
            except RpcError as problem:
                tried.append(server_id)
                problem.tried = len(tried)
                following = await self._next(task, tried, problem, retries, end)
                if following is None:
                    raise
            server_id = following
            self._counters.calls_retried += 1

    async def _next(
        self, task: Task, tried: Sequence[str], problem: RpcError, retries: int, end: float
    ) -> str | None:
        """The server that is tried after a failure; None if that was the last."""
        failure = task.options.failure
        if failure == "over":
            if not problem.nothing_ran or self._clock.seconds() >= end:
                return None
            return self._other(task, tried)
        if failure == "fast" or len(tried) > retries:
            return None
        if not problem.nothing_ran and not isinstance(problem, LinkLost | CallTimedOut):
            return None
        if self._clock.seconds() + self._settings.retry_seconds >= end:
            return None
        if not await self._pause():
            return None
        return self._again(task, tried)

    def _other(self, task: Task, tried: Sequence[str]) -> str | None:
        try:
            other = self._choose(task, tried)
        except (LookupError, RpcError):
            return None
        return None if other in tried else other

    def _again(self, task: Task, tried: Sequence[str]) -> str | None:
        other = None if task.choice.keeps else self._other(task, tried)
        return other or self._other(task, ())

    async def _pause(self) -> bool:
        if self._stopped:
            return False
        # A clock of ours has all that it uses.
        clock: Any = self._clock
        pause: Deferred[None] = deferLater(clock, self._settings.retry_seconds)
        self._pauses.add(pause)
        try:
            await pause
        except CancelledError:
            return False
        finally:
            self._pauses.discard(pause)
        return True

    async def _once(self, task: Task, server_id: str, seconds: float) -> Any:
        if self._filters is None:
            return await self._send(task, server_id, task.packed, seconds)
        call = task.new_call(server_id)
        result: Any = None
        problem: BaseException | None = None
        try:
            end = self._clock.seconds() + seconds
            await self._pass(self._filters, call, seconds)
            packed = self._sender.pack(task.what, call.args)
            result = await self._send(task, server_id, packed, end - self._clock.seconds())
        except Exception as raised:
            problem = raised
            raise
        finally:
            self._filters.after(call, result, problem)
        return result

    async def _pass(self, filters: RpcFilters, call: RpcCall, seconds: float) -> None:
        """Let the filters see a call before it is made; what they raise becomes an `RpcError`."""
        try:
            waited = filters.before(call)
            if waited is not None:
                clock: Any = self._clock  # of ours: it has all that is used
                await waited.addTimeout(seconds, clock)
        except RpcError:
            self._counters.calls_failed += 1
            raise
        except TimeoutError:
            self._counters.calls_failed += 1
            why = "a filter did not let it pass within the deadline"
            raise CallTimedOut(call.server_id, call.what, why) from None
        except Exception as problem:
            self._counters.calls_failed += 1
            why = f"a filter raised {problem!r}"
            raise CallRefused(call.server_id, call.what, why) from problem

    def _send(
        self, task: Task, server_id: str, packed: bytes, seconds: float | None
    ) -> Deferred[Any]:
        if seconds is not None:  # as few different lengths as can be: equal ones share a timer
            seconds = max(round(seconds, 3), 0.001)
        return self._sender.send_packed(
            server_id,
            task.service,
            task.method,
            packed,
            notify=task.options.notify,
            timeout=seconds,
            key=task.key,
        )
