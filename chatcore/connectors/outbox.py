"""What is waiting to be written to one client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from chatcore.connectors.settings import OutboxSettings
from chatcore.deadlines import Deadlines
from chatcore.turn import Turn, is_plain, write_now


@implementer(IPullProducer, IPushProducer)
class Outbox:
    """Collects what is sent within a turn, and writes it at its end in one go.

    While the client does not read, everything waits here, bounded in bytes and in age; beyond
    that, ``full`` is called.

    Args:
        turn: when to write.
        settings: how much may wait.
        stuck: starts and stops the time that a blocked outbox may take.
        full: told why the client has to go.
    """

    __slots__ = ("_blocked", "_full", "_most", "_queue", "_stuck", "_transport", "_turn", "waiting")

    def __init__(
        self,
        *,
        turn: Turn,
        settings: OutboxSettings,
        stuck: Deadlines,
        full: Callable[[str], None],
    ) -> None:
        self._turn = turn
        self._most = settings.bytes
        self._stuck = stuck
        self._full = full
        self._transport: Any = None
        self._queue: list[bytes] = []
        self._blocked = False
        self.waiting = 0
        """Bytes that have not left yet, those that the transport holds included."""

    def open(self, transport: Any) -> None:
        """Begin to write to a transport.

        A plain connection is given nothing while it holds what its socket did not take: the rest
        waits here. As a pull producer, this is told each time that the transport has none left.
        """
        self._transport = transport
        transport.registerProducer(self, not is_plain(transport))

    def send(self, data: bytes) -> None:
        """Send whole frames or packages."""
        queue = self._queue
        if not queue and not self._blocked:
            self._turn.at_end(self.flush)
        queue.append(data)
        self.waiting += len(data)
        if self.waiting > self._most:
            self.flush()  # much in one turn is no crime where the client reads it
            if self.waiting > self._most:
                self._full(f"{self.waiting} bytes wait for it")

    def flush(self) -> None:
        """Write what was collected, unless the client does not read."""
        queue, transport = self._queue, self._transport
        if self._blocked or not queue or transport is None:
            return
        data = b"".join(queue) if len(queue) > 1 else queue[0]
        queue.clear()
        if write_now(transport, data):
            self.waiting = 0
        else:
            self.waiting = len(transport.dataBuffer) + transport._tempDataLen
            self.pauseProducing()

    def close(self) -> None:
        """Write what can be written, and stop: the transport may close now."""
        self.flush()
        transport, self._transport = self._transport, None
        self._stuck.stop(self)
        self._queue.clear()
        self.waiting = 0
        if transport is not None:
            transport.unregisterProducer()

    def expired(self) -> None:
        """Nothing could be written for too long."""
        self._full("it has not read for too long")

    def pauseProducing(self) -> None:
        if not self._blocked:
            self._blocked = True
            self._stuck.start(self)

    def resumeProducing(self) -> None:
        if self._blocked:
            self._blocked = False
            self._stuck.stop(self)
            self.waiting = 0
            self.flush()

    def stopProducing(self) -> None:
        pass
