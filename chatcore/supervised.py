"""What a process owes to the ``chatcore start`` that started it.

``chatcore start`` gives each process that it starts three things: a pipe on descriptor 0 that ends
when ``chatcore start`` ends, however that happens; a pipe on descriptor 3 that takes one word; and
the promise to stop it in its turn when a person presses Ctrl-C. A process started with
``--supervised`` keeps its side with the three functions here, in this order::

    supervised.ignore_interrupt()       # while the options are read
    supervised.watch(reactor)           # before anything that may take long
    supervised.tell_ready()             # once, when it serves
"""

from __future__ import annotations

import os
import select
import signal
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from twisted.internet.error import ReactorNotRunning

LIFELINE_FD: Final = 0
READY_FD: Final = 3
READY_LINE: Final = b"ready\n"
GRACE: Final = 4.0
"""Seconds that a process has for an orderly end after its lifeline ended."""


def ignore_interrupt() -> None:
    """Ignore SIGINT and SIGHUP, which a terminal sends to every process that it holds.

    Call it before the reactor runs: a reactor leaves a SIGINT alone that somebody has set.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def watch(
    reactor: Any,
    on_end: Callable[[], object] | None = None,
    *,
    fd: int = LIFELINE_FD,
    grace: float = GRACE,
    give_up: Callable[[], object] | None = None,
) -> threading.Thread:
    """Leave when the lifeline ends.

    A thread of its own waits for the end, so that it is noticed even while the reactor is kept
    busy, and even before it runs. A fork loses the thread: call this in the process that serves.

    Call it before anything is claimed: where the lifeline has ended already, the process ends here.

    Args:
        reactor: what runs ``on_end``, in its own thread.
        on_end: begins an orderly end; stops the reactor unless given.
        fd: the descriptor of the lifeline.
        grace: seconds after which the process ends at once, however far it came.
        give_up: what ends it then; ``os._exit`` with code 1 unless given.

    Returns:
        The thread. It ends with the process.

    Raises:
        SystemExit: the lifeline has ended already.
    """
    if _has_ended(fd):
        raise SystemExit(1)
    thread = threading.Thread(
        target=_wait_for_end,
        args=(reactor, on_end or partial(_stop, reactor), fd, grace, give_up or _exit_at_once),
        name="lifeline",
        daemon=True,
    )
    thread.start()
    return thread


def tell_ready(fd: int = READY_FD) -> None:
    """Tell ``chatcore start`` that this process serves.

    Nothing happens where nobody listens: ``fd`` is closed, or is not a pipe.

    Args:
        fd: where to say so.
    """
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.write(fd, READY_LINE)


def _has_ended(fd: int) -> bool:
    try:
        readable, _, _ = select.select([fd], [], [], 0)
        return bool(readable) and not os.read(fd, 4096)
    except OSError:
        return True  # nobody holds a lifeline that can't be read


def _wait_for_end(
    reactor: Any,
    on_end: Callable[[], object],
    fd: int,
    grace: float,
    give_up: Callable[[], object],
) -> None:
    with suppress(OSError):
        while os.read(fd, 4096):
            pass
    reactor.callFromThread(on_end)
    threading.Event().wait(grace)
    give_up()


def _stop(reactor: Any) -> None:
    with suppress(ReactorNotRunning):  # it is being stopped already
        reactor.stop()


def _exit_at_once() -> None:
    os._exit(1)
