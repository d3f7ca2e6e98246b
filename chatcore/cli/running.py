"""Running a command that talks to the cluster.

Such a command has a default ``main``, which is called with the options, the output and the reactor,
and gives the exit code.
"""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from types import FrameType
from typing import Any

from chatcore.cli.output import Output


def run_main(options: argparse.Namespace, output: Output) -> int:
    """Run the ``main`` of a command."""
    return run_until_done(lambda reactor: options.main(options, output, reactor=reactor))


def run_until_done(main: Callable[[Any], Coroutine[Any, Any, int]]) -> int:
    """Run the reactor until something is done.

    Nothing is waited for then: a thread of the reactor's that looks up a name may take long.

    Args:
        main: begins it, given the reactor; its result is the exit code.

    Raises:
        KeyboardInterrupt: somebody has pressed Ctrl-C, or sent SIGTERM.
        BaseException: whatever it raised.
    """
    # Late, so that help and version come at once.
    from twisted.internet import reactor
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from chatcore.deadlines import keep_steady

    given: Any = reactor
    keep_steady(given)
    given.getThreadPool().threadFactory = partial(threading.Thread, daemon=True)
    outcomes: list[Any] = []
    interrupted = False
    running: Deferred[Any] = Deferred()

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        given.callFromThread(running.cancel)

    def begin() -> None:
        nonlocal running
        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, interrupt)
        running = Deferred.fromCoroutine(main(given))
        running.addBoth(outcomes.append)
        running.addBoth(lambda _: given.crash())

    given.callWhenRunning(begin)
    given.run()
    if interrupted:
        raise KeyboardInterrupt
    outcome = outcomes[0]
    if isinstance(outcome, Failure):
        outcome.raiseException()
    code: int = outcome
    return code
