"""What a process owes to the ``chatcore start`` that started it.

``chatcore start`` gives each process that it starts three things: a pipe on descriptor 0 that ends
when ``chatcore start`` ends, however that happens, and brings words until then; a pipe on
descriptor 3 that takes words; and the promise to stop it in its turn when a person presses Ctrl-C.
A process started with ``--supervised`` keeps its side with what is here, in this order::

    supervised.ignore_interrupt()               # while the options are read
    words = supervised.Words(reactor)
    supervised.watch(reactor, words=words)      # before anything that may take long
    words.heed(supervised.DRAIN, …)             # what to do when asked to drain
    supervised.tell_ready()                     # once, when it serves
    supervised.tell(supervised.DRAINED)         # when nothing is left; the process ends then

A word is a line.
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
WORDS_FD: Final = 3

DRAIN: Final = b"drain"
"""What the one who started a process says: hand over what you have, and end."""

READY: Final = b"ready"
"""What a process says that serves."""

DRAINED: Final = b"drained"
"""What a process says that has handed over all it had."""

LONGEST_WORD: Final = 64
"""Bytes of a word; what is longer is none."""

GRACE: Final = 4.0
"""Seconds that a process has for an orderly end after its lifeline ended."""


def ignore_interrupt() -> None:
    """Ignore SIGINT and SIGHUP, which a terminal sends to every process that it holds.

    Call it before the reactor runs: a reactor leaves a SIGINT alone that somebody has set.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


class Words:
    """What is said on the lifeline, and what is done about it.

    A word that comes before anybody heeds it is kept until then.

    Args:
        reactor: what acts, in its own thread.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._acts: dict[bytes, Callable[[], object]] = {}
        self._said: set[bytes] = set()
        self._rest = b""

    def heed(self, word: bytes, act: Callable[[], object]) -> None:
        """Have ``act()`` called when a word is said. Call it in the reactor's thread."""
        self._acts[word] = act
        if word in self._said:
            self._reactor.callWhenRunning(act)

    def feed(self, data: bytes) -> None:
        """Take what came over the lifeline; called in the thread that reads it."""
        *words, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-LONGEST_WORD:]
        for word in words:
            self._reactor.callFromThread(self._hear, word)

    def _hear(self, word: bytes) -> None:
        act = self._acts.get(word)
        if act is not None:
            act()
        elif word == DRAIN:
            self._said.add(word)


def watch(
    reactor: Any,
    on_end: Callable[[], object] | None = None,
    *,
    words: Words | None = None,
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
        words: given what comes over the lifeline until it ends.
        fd: the descriptor of the lifeline.
        grace: seconds after which the process ends at once, however far it came.
        give_up: what ends it then; ``os._exit`` with code 1 unless given.

    Returns:
        The thread. It ends with the process.

    Raises:
        SystemExit: the lifeline has ended already.
    """
    take = words.feed if words is not None else lambda data: None
    if _has_ended(fd, take):
        raise SystemExit(1)
    thread = threading.Thread(
        target=_wait_for_end,
        args=(
            reactor,
            on_end or partial(_stop, reactor),
            take,
            fd,
            grace,
            give_up or _exit_at_once,
        ),
        name="lifeline",
        daemon=True,
    )
    thread.start()
    return thread


def tell_ready(fd: int = WORDS_FD) -> None:
    """Tell ``chatcore start`` that this process serves."""
    tell(READY, fd)


def tell(word: bytes, fd: int = WORDS_FD) -> None:
    """Say a word to ``chatcore start``.

    Nothing happens where nobody listens: ``fd`` is closed, or is not a pipe.

    Args:
        word: one of `READY` and `DRAINED`.
        fd: where to say so.
    """
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.write(fd, word + b"\n")


def _has_ended(fd: int, take: Callable[[bytes], object]) -> bool:
    try:
        readable, _, _ = select.select([fd], [], [], 0)
        data = os.read(fd, 4096) if readable else b""
    except OSError:
        return True  # nobody holds a lifeline that can't be read
    take(data)
    return bool(readable) and not data


def _wait_for_end(
    reactor: Any,
    on_end: Callable[[], object],
    take: Callable[[bytes], object],
    fd: int,
    grace: float,
    give_up: Callable[[], object],
) -> None:
    with suppress(OSError):
        while data := os.read(fd, 4096):
            take(data)
    reactor.callFromThread(on_end)
    threading.Event().wait(grace)
    give_up()


def _stop(reactor: Any) -> None:
    with suppress(ReactorNotRunning):  # it is being stopped already
        reactor.stop()


def _exit_at_once() -> None:
    os._exit(1)
