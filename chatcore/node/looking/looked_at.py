"""A node, as far as it can be looked at."""

from __future__ import annotations

from typing import Protocol

from chatcore.channels.service import ChannelService
from chatcore.cluster.servers import ClusterServers
from chatcore.config.servers import Server, Servers
from chatcore.dispatch.components import Catalogue
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.dispatch.lag import Lag
from chatcore.links.table import LinkTable
from chatcore.node.client_side import ClientSide
from chatcore.node.membership import Membership
from chatcore.node.moves import Moves
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters
from chatcore.tracing import Tracer


class ILookedAt(Protocol):
    """The parts of a node that answer questions about it.

    Attributes:
        listed: all servers that were known at start.
        catalogue: the components of the application.
        clients: what clients are served with; None on a backend.
    """

    server: Server
    listed: Servers
    catalogue: Catalogue
    dispatcher: Dispatcher
    lag: Lag
    clients: ClientSide | None
    moves: Moves
    servers: ClusterServers
    links: LinkTable
    membership: Membership
    channels: ChannelService
    sessions: SessionService
    counters: Counters
    tracer: Tracer
