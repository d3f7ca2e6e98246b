"""``app``: what handlers and remotes are made with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from chatcore.application.checks import caller
from chatcore.application.components import Components
from chatcore.application.crons import Crons
from chatcore.application.events import Events
from chatcore.application.own_files import Changed, OwnFiles
from chatcore.application.sessions import Sessions
from chatcore.channels.service import ChannelService
from chatcore.cluster.servers import ClusterServers
from chatcore.config.settings import Settings
from chatcore.dispatch.lag import Lag
from chatcore.interfaces import IApplication, IBlacklist
from chatcore.links.rpc import Rpc
from chatcore.tracing import OFF, Tracer

T = TypeVar("T")

MADE: Final = "made"
STARTING: Final = "starting"
SERVING: Final = "serving"
STOPPING: Final = "stopping"


@implementer(IApplication)
class Application:
    """The ``app`` that handlers and remotes are made with."""

    def __init__(
        self,
        *,
        server_id: str,
        server_type: str,
        env: str,
        servers: ClusterServers,
        sessions: Sessions,
        channels: ChannelService,
        rpc: Rpc,
        blacklist: IBlacklist,
        folder: Path,
        frontend: bool,
        settings: Settings,
        data: dict[str, Any],
        crons: Crons,
        events: Events,
        files: OwnFiles,
        stop: Callable[[], object],
        lag: Lag,
        reactor: Any,
        tracer: Tracer = OFF,
    ) -> None:
        self._tracer = tracer
        self.server_id, self.server_type, self.env = server_id, server_type, env
        self.folder, self.is_frontend = folder, frontend
        self.settings, self.data = settings, data
        self.components, self.crons, self.events = Components(), crons, events
        self.files, self._stop = files, stop
        self.state = MADE
        self._serving_since: float | None = None
        self.servers, self.sessions = servers, sessions
        self.channels, self.rpc = channels, rpc
        self.blacklist = blacklist
        self._lag, self._reactor = lag, reactor

    @property
    def lag(self) -> float:
        return self._lag.seconds

    @property
    def uptime(self) -> float:
        since = self._serving_since
        return 0.0 if since is None else float(self._reactor.seconds() - since)

    def enter(self, state: str) -> None:
        """Note how far the server is."""
        self.state = state
        if state == SERVING:
            self._serving_since = self._reactor.seconds()

    def component(self, kind: type[T]) -> T:
        return self.components.of(kind)

    def on(self, event: str, hook: Callable[..., Any]) -> None:
        self.events.on(event, hook, caller())

    def load_config(self, name: str, *, changed: Changed | None = None) -> Any:
        return self.files.load(name, changed, caller())

    def traceparent(self) -> str | None:
        return self._tracer.traceparent

    def stop(self) -> None:
        self._stop()

    def in_thread(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> Deferred[T]:
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, function, *args, **kwargs)

    def sleep(self, seconds: float) -> Deferred[None]:
        return deferLater(self._reactor, seconds)
