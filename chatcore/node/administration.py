"""Where a node takes in those who administer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort

from chatcore.admin.desk import Desk
from chatcore.links.link import Responder
from chatcore.links.tls import LinkTls
from chatcore.node.administered import Administered, Process
from chatcore.node.backend import Backend
from chatcore.node.invoking import Invoking
from chatcore.node.looking.answers import answers
from chatcore.node.looking.failures import Failures
from chatcore.node.looking.looked_at import ILookedAt
from chatcore.node.network import IPlace
from chatcore.node.replaying import Replays
from chatcore.node.tapping import taps_of
from chatcore.sessions.service import SessionService


class INode(ILookedAt, Protocol):
    """A node, as its administration needs it."""

    stop_process: Callable[[], object]
    backend: Backend
    sessions: SessionService

    @property
    def is_empty(self) -> bool: ...

    def drain(self) -> Deferred[None]: ...


class Administration:
    """Takes in administrators as links are taken in: at the port for those, and at a socket.

    Args:
        node: what is administered.
        about: what administrators are told of it besides.
        secret: the cluster's.
        process: the process that the node runs in.
        acting: what acts on the boxes of other nodes.
        tls: the certificates of links, where those are encrypted.
        reactor: the reactor.

    Attributes:
        responders: what acts on the same commands of other nodes.
        ports: those that are open now.
    """

    def __init__(
        self,
        *,
        node: INode,
        about: Mapping[str, Any],
        secret: bytes,
        process: Process,
        acting: Mapping[bytes, Responder],
        tls: LinkTls | None,
        reactor: Any,
    ) -> None:
        self._process, self._reactor = process, reactor
        self._tls, self._links = tls, node.links
        self._place: IPlace | None = None
        self.ports: list[IListeningPort] = []
        self._failures = Failures(node.counters)
        host = Administered(
            id=node.server.id,
            about=about,
            secret=secret,
            view=lambda: node.servers.view,
            link=node.links.get,
            answers=answers(node, self._failures, reactor),
            invoke=Invoking(
                id=node.server.id,
                server_type=node.server.type,
                catalogue=node.catalogue,
                calls=node.backend,
                counters=node.counters,
                clock=reactor,
            ),
            drain=node.drain,
            is_empty=lambda: node.is_empty,
            stop=node.stop_process,
            process=process,
            clock=reactor,
            tls=tls,
        )
        taps = taps_of(node, reactor)
        replays = Replays(
            responders=acting,
            links=node.links,
            sessions=node.sessions,
            frontend=node.server.frontend,
            counters=node.counters,
            clock=reactor,
        )
        self._desk = Desk(
            host=host, counters=node.counters, clock=reactor, taps=taps, replays=replays
        )
        node.links.admit(self._desk)
        self.responders: Mapping[bytes, Responder] = self._desk.responders_for_nodes()

    def take_place(self) -> None:
        """Take the socket.

        Raises:
            ConfigError: it can't be had.
        """
        if self._process.place is not None:
            self._place = self._process.place()

    def start(self) -> None:
        """Listen at the socket, and note what goes wrong."""
        self._failures.start()
        if self._place is not None:
            self._process.note({} if self._tls is None else {"tls": str(self._tls.folder)})
            self.ports = [self._place.listen(self._reactor, self._links.factory)]

    def close(self) -> Deferred[Any]:
        """Take nobody in any more; who is in stays."""
        if self.ports:
            return maybeDeferred(self.ports.pop().stopListening)
        if self._place is not None:
            self._place.release()
        return succeed(None)

    def stop(self) -> None:
        """Forget all timers."""
        self._desk.stop()
        self._failures.stop()
