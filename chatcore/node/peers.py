"""How frontends ask each other who has logged in where: over links, or here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred

from chatcore.cluster.logins import CLAIM_SECONDS, Logins
from chatcore.dispatch.dispatcher import OWN_SERVICES
from chatcore.links.table import LinkTable
from chatcore.node.backend import CALL_NOTIFY, Backend
from chatcore.wire.box import END, item
from chatcore.wire.values import pack

LOGINS = f"{OWN_SERVICES}logins"


def claim_seconds(handler_seconds: float) -> float:
    """How long a bind may take: not as long as the handler that waits for it.

    Args:
        handler_seconds: how long a handler may take; 0 for ever.
    """
    return min(CLAIM_SECONDS, handler_seconds / 2) if handler_seconds else CLAIM_SECONDS


def follow_links(logins: Logins, links: LinkTable) -> None:
    """Have logins know which links there are."""
    links.on_up(lambda link: logins.linked(link.peer, link.peer_incarnation))
    links.on_down(lambda link: logins.unlinked(link.peer))


class LinkedPeers:
    """Implements `chatcore.cluster.asking.IPeers`.

    Args:
        id: of this node.
        own: what this node itself does.
        links: those to the others.
        backend: makes calls.
    """

    def __init__(
        self, *, id: str, own: Callable[[], Logins], links: LinkTable, backend: Backend
    ) -> None:
        self._id, self._own, self._links, self._backend = id, own, links, backend

    def ask(self, peer: str, method: str, args: Sequence[Any], seconds: float) -> Deferred[Any]:
        return self._backend.send_packed(peer, LOGINS, method, pack(args), timeout=seconds)

    def tell(self, peer: str, method: str, args: Sequence[Any]) -> None:
        if peer == self._id:
            # No call, which may be refused: nobody would say it again.
            getattr(self._own(), method)(*args)
            return
        link = self._links.get(peer)
        if link is not None:
            # Also on a link that is blocked: what is lost has to be lost with its link.
            said = item(b"service", LOGINS.encode()) + item(b"method", method.encode())
            link.write(CALL_NOTIFY + said + item(b"args", pack(args)) + END)

    def reachable(self, peer: str) -> bool:
        return peer == self._id or self._links.get(peer) is not None
