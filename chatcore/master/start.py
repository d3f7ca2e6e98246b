"""``chatcore start``: everything of one application, in the foreground, until it is stopped."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    formatTime,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from chatcore.admin.desk import Desk
from chatcore.config.addresses import is_loopback
from chatcore.config.applied import write_applied
from chatcore.config.claims import Claim
from chatcore.config.names import MASTER, START
from chatcore.config.run_folder import RunFolder
from chatcore.deadlines import keep_steady
from chatcore.errors import ConfigError
from chatcore.links.tls import link_tls
from chatcore.master.administered import Administered
from chatcore.master.console import STDERR, Console, Writer
from chatcore.master.plan import Plan, count_of
from chatcore.master.ports import check_free
from chatcore.master.service import Master, Reception, make_master
from chatcore.master.supervisor import Supervisor
from chatcore.node.ports import admin_place
from chatcore.telemetry import Counters

PATIENCE: Final = 12.0
"""Seconds in which the processes of a ``chatcore start`` that was killed have left, also where the
machine has much else to do: they need no more than `chatcore.supervised.GRACE`."""

LOOK: Final = 0.1
"""Seconds between two looks whether they have."""


def start(plan: Plan, *, reactor: Any, aside: bool = False) -> int:
    """Run a plan until it is stopped.

    Args:
        plan: what to run.
        reactor: what runs it; it must not be running yet.
        aside: whether everything is written to the standard error.

    Returns:
        The exit code: 0 after an orderly stop, 1 when something had to be killed, 2 when a process
        can't run as it is configured.

    Raises:
        ConfigError: another ``chatcore start`` runs the application, servers of it are still
            running, or an address is not free. Nothing has been started then.
    """
    claim = claim_start(plan)
    keep_steady(reactor)
    writer = Writer()
    names = [program.name for program in plan.programs]
    write = partial(_write_aside, writer) if aside else writer.write
    console = Console(names, write, colour=_wants_colour(), stamp=_time)
    session = Session(plan, reactor=reactor, console=console, note=claim.note)
    outcome: list[int | Failure] = []

    def run() -> None:
        _on_signals(reactor, session)
        running = Deferred.fromCoroutine(session.run())
        running.addBoth(outcome.append)
        running.addBoth(lambda _: reactor.stop())

    try:
        _on_signals(reactor, session)
        reactor.callWhenRunning(run)
        reactor.run()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Who is told once more while Python takes itself apart has still ended in order.
            signal.signal(number, signal.SIG_IGN)
    finally:
        writer.close()
        claim.release()
    result = outcome[0] if outcome else 1
    if isinstance(result, Failure):
        result.raiseException()
    return result


def claim_start(plan: Plan) -> Claim:
    """Claim the run folder for this ``chatcore start``.

    Raises:
        ConfigError: another one has it.
    """
    claim = plan.run.claim(START)
    if claim is None:
        pid = plan.run.holder(START)
        raise ConfigError(
            f"chatcore start already runs {plan.app}" + (f" as process {pid}" if pid else ""),
            advice=f"Stop it first: kill {pid}" if pid else "Stop it first",
        )
    return claim


class Session:
    """One run of a plan: from looking whether it can be started to its end.

    Args:
        plan: what to run.
        reactor: what spawns processes and knows the time.
        console: where everything is told.
        note: notes in the run folder what others have to know to reach this process.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        reactor: Any,
        console: Console,
        note: Callable[[Mapping[str, str]], object] = lambda facts: None,
    ) -> None:
        self._plan, self._reactor, self._console = plan, reactor, console
        self._note = note
        self._warnings = Warnings(console)
        self._interrupted = self._started = False
        self.supervisor = Supervisor(
            plan.programs,
            reactor=reactor,
            console=console,
            ready=plan.ready,
            stop_seconds=plan.stop_seconds,
            tidy=tidier(plan.run, console),
        )
        self._master: Master | None = None

    async def run(self) -> int:
        """Start everything; the exit code comes back when everything has stopped.

        Raises:
            ConfigError: something is in the way; nothing has been started.
        """
        await self._let_others_leave()
        if self._interrupted:
            return 0
        self._refuse_another_master()
        check_free(self._plan.needs)
        for program in self._plan.programs:
            self._plan.run.tidy(program.name)
        if self._plan.recipe is not None:
            write_applied(self._plan.recipe.applied, self._plan.recipe.servers)
        self._console.say(f"starting {count_of(self._plan)} of {self._plan.app} ({self._plan.env})")
        globalLogPublisher.addObserver(self._warnings)
        try:
            return await self._serve()
        finally:
            globalLogPublisher.removeObserver(self._warnings)

    def _refuse_another_master(self) -> None:
        """See that nobody keeps the views of this application already.

        Raises:
            ConfigError: somebody does.
        """
        pid = self._plan.run.holder(MASTER)
        if self._plan.master is not None and pid is not None:
            url = self._plan.run.noted(MASTER).get("registry", "")
            raise ConfigError(
                f"a master of {self._plan.app} runs already, as process {pid}",
                advice=f"Use it with --registry {url or 'URL'}, or stop it first: kill {pid}",
            )

    async def _serve(self) -> int:
        reception = self._make_reception()
        try:
            reception.startService()
            self._started = True
            self.supervisor.startService()
            return await self.supervisor.finished
        finally:
            await reception.stopService()

    def _make_reception(self) -> Reception:
        """Make what takes in administrators, and nodes where these announce themselves here."""
        plan, reactor = self._plan, self._reactor
        tls = link_tls(plan.links, plan.app, plan.identity, reactor)
        host = Administered(
            supervisor=self.supervisor,
            plan=plan,
            view=lambda: None if self._master is None else self._master.nodes.view,
            link=lambda id: None if self._master is None else self._master.nodes.linked(id),
            tls=tls,
            reactor=reactor,
        )
        desk = Desk(host=host, counters=Counters(), clock=reactor)
        facts = {"app": str(plan.app), "env": plan.env, "registry": plan.registry}
        facts["id"] = plan.identity
        if plan.master is not None:
            facts["keeps"] = "master"
        self._note(facts if tls is None else facts | {"tls": str(tls.folder)})
        if plan.master is None:
            return Reception(
                id=plan.identity,
                places=[admin_place(plan.run, START)],
                secret=plan.run.secret(),
                links=plan.links,
                guests=[desk],
                counters=Counters(),
                reactor=reactor,
                tls=tls,
            )
        self._master = make_master(
            plan.master.address,
            registry=plan.master.registry,
            links=plan.links,
            learning=self._others_may_run,
            guests=[desk],
            tls=tls,
            name=START,
            run_folder=plan.run,
            reactor=reactor,
        )
        return self._master

    @property
    def _others_may_run(self) -> bool:
        """Whether there may be servers that another master had: elsewhere, or started by hand."""
        planned, holders = self._plan.master, self._plan.run.holders()
        return planned is not None and (
            not is_loopback(planned.address.host) or not holders.keys() <= {START}
        )

    def stop(self) -> None:
        """Stop in order; asking again changes nothing."""
        self._interrupted = True
        if self.supervisor.running:
            self.supervisor.interrupt()

    def interrupt(self) -> None:
        """Do what Ctrl-C asks for: stop, and the second time kill what is left."""
        self._interrupted = True
        if self._started:
            self.supervisor.interrupt()

    async def _let_others_leave(self) -> None:
        """Wait for the processes of an earlier ``chatcore start`` that was killed."""
        until = self._reactor.seconds() + PATIENCE
        holders = self._holders()
        if holders:
            names = ", ".join(holders)
            self._console.say(f"waiting for {names} of an earlier start to leave")
        while holders and not self._interrupted:
            if self._reactor.seconds() >= until:
                raise _still_running(holders)
            await deferLater(self._reactor, LOOK)
            holders = self._holders()

    def _holders(self) -> dict[str, int]:
        found = {
            program.name: self._plan.run.holder(program.name) for program in self._plan.programs
        }
        return {name: pid for name, pid in found.items() if pid is not None}


@implementer(ILogObserver)
class Warnings:
    """Shows what is logged in this process, where it is more than what happens every day.

    Args:
        console: where.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.warn and event["log_namespace"].startswith("chatcore."):
            self._console.warn(formatEvent(event))


def tidier(run: RunFolder, console: Console) -> Callable[[str], None]:
    """Return what removes the leftovers of a process, and only tells when that can't be done."""

    def tidy(name: str) -> None:
        try:
            run.tidy(name)
        except ConfigError as error:
            console.warn(str(error))

    return tidy


def _still_running(holders: dict[str, int]) -> ConfigError:
    running = ", ".join(f"{name} (process {pid})" for name, pid in holders.items())
    pids = " ".join(str(pid) for pid in holders.values())
    return ConfigError(f"already running: {running}", advice=f"Stop them first: kill {pids}")


def _on_signals(reactor: Any, session: Session) -> None:
    """Let signals reach the session; again once the reactor runs, which sets some itself."""

    def handle(number: int, frame: FrameType | None) -> None:
        ask = session.interrupt if number == signal.SIGINT else session.stop
        reactor.callFromThread(ask)

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup leaves it
        signal.signal(signal.SIGHUP, handle)


def _write_aside(writer: Writer, fd: int, data: bytes) -> None:
    writer.write(STDERR, data)


def _time() -> str:
    """The time as the servers' lines have it."""
    return f"{formatTime(time.time())} "


def _wants_colour() -> bool:
    return sys.stdout.isatty() and sys.stderr.isatty() and not os.environ.get("NO_COLOR")
