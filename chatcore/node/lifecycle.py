"""What an application does when its server starts and stops, in its order.

1. ``before_startup`` of every ``lifecycle.py``: a plugin's first, then those for every server type
2. the components' ``start``, in the order in which they were loaded
3. the server takes links, and dials
4. the components' ``after_start``, once the links are up or have been waited for
5. a frontend takes clients; crons begin
6. ``after_startup``
7. ``after_start_all``, once all links have been up

and at its end, backwards:

1. crons end; ``before_shutdown`` of each whose ``before_startup`` had been run
2. clients are disconnected
3. the ``stop`` of the components that have started
4. links end
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatcore.application.given import SERVING, STARTING, STOPPING, Application
from chatcore.config.settings import setting
from chatcore.deadlines import IClock
from chatcore.dispatch.blame import Place, blamed, source_of
from chatcore.dispatch.calling import outcome
from chatcore.dispatch.hooks import Hooks
from chatcore.errors import ConfigError

SHORTEST = 0.01
"""Seconds that each of those at the end is given, though the time is up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """The section ``node``."""

    start_seconds: Annotated[float, Meta(gt=0)] = setting(
        30.0, "seconds that each hook and each component may take when the server starts"
    )
    stop_seconds: Annotated[float, Meta(gt=0)] = setting(
        3.0, "seconds that all hooks and components together may take when it stops"
    )
    blocked_seconds: Annotated[float, Meta(ge=0)] = setting(
        0.5,
        "seconds that one piece of code may keep everything else waiting before a warning is"
        " logged; 0 for no warning",
    )
    reload_seconds: Annotated[float, Meta(ge=0)] = setting(
        30.0,
        "seconds between looks whether the application's own files have changed that it wants to"
        " be told of; 0 for never",
    )
    reload_handlers: bool = setting(
        False,
        "whether handlers and remotes are loaded anew when their files change; for development",
    )


class _Failed(Exception):
    """What the application waited for failed."""

    def __init__(self, problem: BaseException) -> None:
        self.problem = problem


class _TooLong(Exception):
    """The time is up."""


class Life:
    """Runs an application's hooks, components and crons.

    Args:
        app: the application, its components made.
        hooks: its hooks, in the order in which they are called at start.
        folders: where its code is.
        settings: how long all of that may take.
        clock: the reactor.
    """

    log = Logger()

    def __init__(
        self,
        *,
        app: Application,
        hooks: Sequence[Hooks],
        folders: Sequence[Path],
        settings: NodeSettings,
        clock: IClock,
    ) -> None:
        self._app, self._hooks, self._folders = app, hooks, folders
        self._settings, self._clock = settings, clock
        self._begun: list[Hooks] = []
        self._started: list[str] = []
        self._stopping_until: float | None = None

    async def prepare(self) -> None:
        """Run what comes before anybody can reach this server.

        Raises:
            ConfigError: a hook or a component failed, or took too long.
        """
        self._app.enter(STARTING)
        self._app.files.start()
        for hooks in self._hooks:
            await self._run_hook(hooks, "before_startup")
            self._begun.append(hooks)
        for name in self._app.components:
            await self._run_stage(name, "start")
            self._started.append(name)

    async def linked(self) -> None:
        """Run what comes when the links are up, before clients come in.

        Raises:
            ConfigError: a component failed, or took too long.
        """
        for name in self._app.components:
            await self._run_stage(name, "after_start")

    async def serve(self) -> None:
        """Run what comes when this server serves. What fails is logged: others rely on it now."""
        self._app.enter(SERVING)
        self._app.crons.start()
        self._app.events.emit("start_server", self._app.server_id)
        for hooks in self._hooks:
            await self._tolerate(self._run_hook(hooks, "after_startup"))

    async def all_started(self) -> None:
        """Run what comes when all servers have been seen."""
        if self._app.state != SERVING:
            return
        self._app.events.emit("start_all")
        for hooks in self._hooks:
            await self._tolerate(self._run_hook(hooks, "after_start_all"))

    async def leave(self) -> None:
        """Run what comes before clients are disconnected."""
        self._app.enter(STOPPING)
        self._stopping_until = self._clock.seconds() + self._settings.stop_seconds
        self._app.crons.stop()
        self._app.files.stop()
        for hooks in reversed(self._begun):
            await self._tolerate(self._run_hook(hooks, "before_shutdown"))

    async def stop(self) -> None:
        """Stop the components that have started, the last one first."""
        for name in reversed(self._started):
            await self._tolerate(self._run_stage(name, "stop"))
        self._started.clear()

    async def _run_hook(self, hooks: Hooks, name: str) -> None:
        function = hooks.functions.get(name)
        if function is not None:
            doing = f"{name} of servers/{hooks.server_type}/lifecycle.py"
            file, line = source_of(function)
            await self._run(doing, (file or self._folders[0], line), function, self._app)

    async def _run_stage(self, name: str, stage: str) -> None:
        method = getattr(self._app.components[name], stage, None)
        if method is not None:
            doing = f"{stage} of the component '{name}'"
            file, line = source_of(method)
            place = self._app.components.place(name) if file is None else (file, line)
            await self._run(doing, place, method)

    async def _run(
        self, doing: str, place: Place, function: Callable[..., Any], *args: Any
    ) -> None:
        seconds = self._settings.start_seconds
        if self._stopping_until is not None:
            seconds = max(self._stopping_until - self._clock.seconds(), SHORTEST)
        problem: BaseException
        try:
            result = outcome(function, *args)
        except (Exception, SystemExit) as raised:
            problem = raised
        else:
            if not isinstance(result, Deferred):
                return
            try:
                await self._within(seconds, result)
                return
            except _Failed as failed:
                problem = failed.problem
            except _TooLong:
                raise ConfigError(
                    f"{doing} has taken longer than {seconds:g} s",
                    file=place[0],
                    line=place[1],
                    advice="It was given up",
                ) from None
        self.log.failure("{doing} failed", Failure(problem), doing=doing)
        raise blamed(problem, self._folders, doing, place) from problem

    def _within(self, seconds: float, result: Deferred[Any]) -> Deferred[None]:
        """What fires when ``result`` does, or is late, or waited for no more.

        Also if what it stands for goes on though it is cancelled.
        """
        over = False

        def give_up(problem: Exception) -> None:
            nonlocal over
            over = True
            if timer.active():
                timer.cancel()
            result.cancel()
            ended.errback(problem)

        def done(outcome: Any) -> None:
            if over:
                return
            timer.cancel()
            if isinstance(outcome, Failure):
                ended.errback(_Failed(outcome.value or Exception(outcome.type)))
            else:
                ended.callback(None)

        ended: Deferred[None] = Deferred(lambda _: give_up(CancelledError()))
        timer = self._clock.callLater(seconds, lambda: give_up(_TooLong()))
        result.addBoth(done)
        return ended

    async def _tolerate(self, waiting: Any) -> None:
        try:
            await waiting
        except ConfigError as problem:
            self.log.error("{problem}", problem=problem)
