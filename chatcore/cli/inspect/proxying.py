"""``chatcore inspect proxy``: standing between two AMP peers."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from chatcore import __version__
from chatcore.cli.exits import CommandError
from chatcore.cli.inspect.messages import Printer, choice_of, dictionary_of, exchange_of
from chatcore.cli.output import Output
from chatcore.inspector.aside import Aside
from chatcore.inspector.captured import CHATCORE
from chatcore.inspector.places import client_endpoint, name_of, server_endpoint
from chatcore.inspector.proxy import Proxy
from chatcore.inspector.recording import STDOUT, Recorder
from chatcore.inspector.seen import Seen
from chatcore.inspector.watching import Keeper, Messages

SWITCH_SECONDS = 0.0005
"""Seconds after which what is shown makes room for what is passed on."""

LAST_SECONDS = 2.0
"""Seconds in which, at the end, what was seen is still shown and written."""


async def proxy(options: argparse.Namespace, output: Output, *, reactor: Any) -> int:
    """Pass on and show what passes, until somebody ends it.

    Raises:
        CommandError: it can't listen there.
        ConfigError: a place, a module or a file can't be used.
    """
    target = client_endpoint(reactor, options.target)
    listen = server_endpoint(reactor, options.listen)
    dictionary = dictionary_of(options)
    aside = output.unbuffered()
    exchange = exchange_of(options, dictionary)
    printer = Printer(aside, choice_of(options))

    def tell(seen: Seen) -> None:
        printer.tell(seen)
        if seen.kind in ("failed", "note"):
            aside.note(f"chatcore: {seen.peer}: {seen.error}")

    def not_shown(problem: BaseException) -> None:
        aside.note(f"chatcore: nothing more is shown: {problem!r}")

    def not_recorded(problem: BaseException) -> None:
        reason = getattr(problem, "strerror", None) or repr(problem)
        aside.note(f"chatcore: {options.record}: nothing more is recorded: {reason}")

    watchers: list[Aside] = []
    if options.record != STDOUT:
        watchers.append(Aside(Messages(exchange, tell).take, failed=not_shown))
    if options.record is not None:
        dialect = {"dialect": CHATCORE} if dictionary.speaks_chatcore else {}
        recorder = Recorder.open(options.record, {"program": f"chatcore {__version__}", **dialect})
        watchers.append(Aside(Keeper(recorder).take, failed=not_recorded))
        if options.record == STDOUT:
            output.give_up()  # it is the capture's from here on
    factory = Proxy(target=target, name=options.target, watchers=watchers, time=_now)
    try:
        port = await listen.listen(factory)
    except (CannotListenError, OSError, OverflowError, ValueError) as problem:
        reason = getattr(problem, "socketError", problem)
        raise CommandError(
            f"{options.listen} can't be listened on: {reason}", advice="Give another place"
        ) from None
    where = name_of(port.getHost()) or options.listen
    aside.note(f"chatcore: listening on {where}, and connecting to {options.target}")
    sys.setswitchinterval(SWITCH_SECONDS)
    for watcher in watchers:
        watcher.start()
    try:
        await Deferred()
    finally:
        stopping = port.stopListening()
        if stopping is not None:
            await stopping
        factory.close()
        await factory.until_closed()
        stopped = [watcher.stop(LAST_SECONDS, _now()) for watcher in watchers]
        output.unfinished = _summary(factory, watchers, all(stopped))
        if not all(stopped):
            output.give_up()
            output.note(f"chatcore: {output.unfinished}")
    raise AssertionError("nothing ends it but who interrupts it")


def _now() -> int:
    return time.time_ns() // 1000


def _summary(factory: Proxy, watchers: list[Aside], whole: bool) -> str:
    text = f"connections: {factory.connections}, bytes passed: {factory.passed}"
    missed = max(watcher.missed for watcher in watchers)
    if missed:
        text += f", not shown or recorded: {missed}"
    return text if whole else f"{text}, and the last of what was seen"
