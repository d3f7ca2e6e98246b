"""Filters and error handlers: what an application puts around its handlers."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from chatcore.deadlines import IClock
from chatcore.dispatch.calling import run
from chatcore.dispatch.lag import Lag
from chatcore.dispatch.stages import Patience, Stages
from chatcore.errors import BodyError, ClientError
from chatcore.interfaces import After, Before, ErrorHandler, IApplication, IRequest
from chatcore.telemetry import Counters

FAILED: dict[str, int] = {"code": 500}
"""The answer to a request that the framework refuses or fails at."""

Act = Callable[["Request"], Any]
"""What the filters are around. Its result is the reply, or `Failed`, or a Deferred of one."""


@dataclass(slots=True)
class FilterHooks:
    """What an application has registered.

    Attributes:
        before: in the order in which they are called.
        after: likewise: the last to be registered comes first.
    """

    before: list[Before] = field(default_factory=list)
    after: list[After] = field(default_factory=list)
    error_handler: ErrorHandler | None = None

    def __bool__(self) -> bool:
        return bool(self.before or self.after or self.error_handler)


class ReadyMade:
    """A filter that needs something of its node, which it is given before the node starts.

    Attributes:
        for_calls: whether it is for calls between servers, too.
    """

    for_calls = False

    def attach(self, *, clock: IClock, lag: Lag, counters: Counters) -> None:
        """Take what it needs."""

    def stop(self) -> None:
        """Forget the timers."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What `Act` failed of, where that was counted and logged already."""

    problem: BaseException


@implementer(IRequest)
class Request:
    """A client's request or notify.

    Args:
        decode: gives the client's message when it is asked for.
    """

    __slots__ = (
        "_context",
        "_decode",
        "_msg",
        "app",
        "error_id",
        "notify",
        "route",
        "session",
        "stages",
        "unreadable",
    )

    def __init__(
        self,
        *,
        route: str,
        session: Any,
        notify: bool,
        msg: Any = None,
        decode: Callable[[], Any] | None = None,
    ) -> None:
        self.route, self.session, self.notify = route, session, notify
        self.app: Any = None
        self.error_id: str | None = None
        self.stages: Stages | None = None
        self.unreadable = False
        self._context: dict[Any, Any] | None = None
        self._msg, self._decode = msg, decode

    def __repr__(self) -> str:
        return f"<{'notify' if self.notify else 'request'} {self.route} of {self.session!r}>"

    @property
    def msg(self) -> Any:
        if self._decode is not None:
            try:
                self._msg = self._decode()
            except BodyError:
                self.unreadable = True
                raise
            self._decode = None
        return self._msg

    @msg.setter
    def msg(self, value: Any) -> None:
        self._decode = None
        self._msg = value

    @property
    def as_received(self) -> bool:
        """Whether nobody has asked for the message, who could have changed it."""
        return self._decode is not None

    @property
    def context(self) -> dict[Any, Any]:
        if self._context is None:
            self._context = {}
        return self._context

    @property
    def server_type(self) -> str:
        return self.route.split(".")[0]

    @property
    def service(self) -> str:
        return self.route.split(".")[1]

    @property
    def method(self) -> str:
        return self.route.split(".")[2]

    def call_off(self, problem: Exception) -> None:
        if self.stages is not None:
            self.stages.call_off(problem)


class Filters:
    """Takes requests through the filters, to what these are around, and back.

    Args:
        hooks: what is registered.
        patience: how long a request may take.
        app: what filters are given as ``request.app``.
        note: told what a request failed of, unless that is a `ClientError`; counts and logs it,
            and gives the id under which it is logged.
        report: logs what a filter or an error handler raised where it changes nothing.
        outer: whether they are around everything, on the frontend: then the client is answered
            before the after filters are called, and what the filters are around has its own time.
        refused: told when a filter does not let a request pass, and says so to the client.
    """

    log = Logger()

    def __init__(
        self,
        hooks: FilterHooks,
        *,
        patience: Patience,
        app: IApplication,
        note: Callable[[BaseException, Request], str | None],
        report: Callable[[str, BaseException], object],
        outer: bool = False,
        refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._refused = refused
        self._before, self._after = tuple(hooks.before), tuple(hooks.after)
        self._error_handler = hooks.error_handler
        self._patience, self._app, self._outer = patience, app, outer
        self._note, self._report = note, report

    def serve(self, request: Request, act: Act, answer: Callable[[Any], None]) -> None:
        """Take a request through; ``answer`` is told the reply exactly once."""
        request.app = self._app
        request.stages = Stages(self._patience)
        ended = run(self._serve(request, request.stages, act, answer), copy_context())
        if isinstance(ended, Deferred):
            ended.addErrback(lambda failure: self.log.failure("Filters failed", failure))

    async def _serve(
        self, request: Request, stages: Stages, act: Act, answer: Callable[[Any], None]
    ) -> None:
        reply: Any = None
        problem: BaseException | None = None
        passed = False
        try:
            for before in self._before:
                await stages.run(before, request)
            passed = True
            if self._outer:
                stages.renew()
            reply = await stages.run(act, request, timed=not self._outer)
            if isinstance(reply, Failed):
                problem = reply.problem
        except GeneratorExit:  # this itself is being closed
            raise
        except BaseException as raised:
            problem = raised
            if isinstance(raised, ClientError):
                if not passed:
                    self._refused()
            else:
                request.error_id = self._note(raised, request)
        stages.may_not_be_called_off()
        if problem is not None:
            reply = await self._reply_to(problem, request, stages)
        elif reply is None:
            reply = {}
        if self._outer:
            answer(reply)
        for after in self._after:
            try:
                await stages.run(after, request, reply, problem)
            except GeneratorExit:
                raise
            except BaseException as raised:
                self._report(f"a filter after {request.route}", raised)
        stages.renew()
        if not self._outer:
            answer(reply)

    async def _reply_to(self, problem: BaseException, request: Request, stages: Stages) -> Any:
        if isinstance(problem, ClientError):
            return dict(problem.reply)
        reply = None
        if self._error_handler is not None:
            try:
                reply = await stages.run(self._error_handler, problem, request)
            except GeneratorExit:
                raise
            except BaseException as raised:
                self._report(f"the error handler for {request.route}", raised)
        return dict(FAILED) if reply is None else reply
