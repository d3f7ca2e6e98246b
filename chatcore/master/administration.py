"""Where a ``chatcore start``, or a master on its own, takes in those who administer it."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort

from chatcore.admin.desk import Desk, IAdministered
from chatcore.admin.door import door_for
from chatcore.config.names import MASTER
from chatcore.config.run_folder import RunFolder
from chatcore.node.ports import unix_place
from chatcore.telemetry import Counters


class Administration(Service):
    """Takes in administrators at a socket in the run folder.

    Args:
        host: what is administered.
        name: under which the process is known in the run folder.
        run: the run folder.
        reactor: the reactor.

    Attributes:
        desk: acts on what they ask, wherever they come in.
    """

    def __init__(self, host: IAdministered, *, name: str, run: RunFolder, reactor: Any) -> None:
        self._own_name, self._run, self._reactor = name, run, reactor
        counters = Counters()
        self.desk = Desk(host=host, counters=counters, clock=reactor)
        self._door = door_for(
            self.desk, id=MASTER, secret=run.secret(), counters=counters, reactor=reactor
        )
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Listen.

        Raises:
            ConfigError: the socket can't be had.
        """
        super().startService()
        place = unix_place(self._run.admin_socket(self._own_name), "administrators")
        self._port = place.listen(self._reactor, self._door.factory)
        self._door.start()

    def stopService(self) -> Deferred[None]:
        """Take nobody in any more, and end all links."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        self.desk.stop()
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
            await self._door.stop()
