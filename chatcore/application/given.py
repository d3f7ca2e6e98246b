"""``app``: what handlers and remotes are made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from chatcore.application.sessions import Sessions
from chatcore.channels.service import ChannelService
from chatcore.cluster.view import View
from chatcore.interfaces import IApplication
from chatcore.links.rpc import Rpc

T = TypeVar("T")


@implementer(IApplication)
class Application:
    """The ``app`` that handlers and remotes are made with."""

    def __init__(
        self,
        *,
        server_id: str,
        server_type: str,
        env: str,
        servers: View,
        sessions: Sessions,
        channels: ChannelService,
        rpc: Rpc,
        reactor: Any,
    ) -> None:
        self.server_id, self.server_type, self.env = server_id, server_type, env
        self.servers, self.sessions = servers, sessions
        self.channels, self.rpc = channels, rpc
        self._reactor = reactor

    def in_thread(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> Deferred[T]:
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, function, *args, **kwargs)
