"""Writing once per turn of the reactor.

What is written to one peer within a turn leaves in one system call at its end: several pushes to
one client, several boxes on one link.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Turn:
    """Runs what was put off until the end of the reactor's turn, in the order it was put off.

    Args:
        call_later: the reactor's ``callLater``, or a clock's.
    """

    def __init__(self, call_later: Callable[..., Any]) -> None:
        self._call_later = call_later
        self._waiting: list[Callable[[], None]] = []

    def at_end(self, action: Callable[[], None]) -> None:
        """Call ``action`` once when this turn ends."""
        if not self._waiting:
            self._call_later(0, self._run)
        self._waiting.append(action)

    def _run(self) -> None:
        waiting, self._waiting = self._waiting, []
        done = 0
        try:
            for action in waiting:
                done += 1
                action()
        finally:
            for action in waiting[done:]:  # one that raised must not cost the others theirs
                self.at_end(action)


def send_at_once(transport: Any) -> None:
    """Have TCP not wait for more to send, where it is TCP that carries the bytes."""
    if hasattr(transport, "setTcpNoDelay"):
        transport.setTcpNoDelay(True)


def is_plain(transport: Any) -> bool:
    """Whether a transport is a plain TCP or Unix connection of Twisted's, without TLS."""
    # Its own socket: a TLS transport passes every name on to the connection under it.
    return (
        "socket" in getattr(transport, "__dict__", ())
        and hasattr(transport, "dataBuffer")
        and not getattr(transport, "TLS", False)
    )


def write_now(transport: Any, data: bytes) -> bool:
    """Write to a transport, straight to its socket where nothing is queued in front.

    A transport's own ``write`` costs two changes of the epoll set and another turn before the
    data leaves. This skips them for a plain connection with an empty buffer, and falls back to
    ``write`` for every other transport and for what the socket did not take.

    Returns:
        False if the transport is known to hold some of it back.
    """
    if not is_plain(transport):
        transport.write(data)
        return True
    if (
        not transport.dataBuffer
        and not transport._tempDataBuffer
        and transport.connected
        and not transport.disconnecting
    ):
        try:
            sent = transport.socket.send(data)
        except OSError:  # full, or gone: the transport's own write finds out which
            sent = 0
        if sent == len(data):
            return True
        data = data[sent:]
    transport.write(data)
    return False
