"""A node, as far as it can be looked at."""

from __future__ import annotations

from typing import Protocol

from chatcore.channels.service import ChannelService
from chatcore.cluster.servers import ClusterServers
from chatcore.config.servers import Server, Servers
from chatcore.dispatch.components import Catalogue
from chatcore.dispatch.dispatcher import Dispatcher
from chatcore.links.table import LinkTable
from chatcore.node.membership import Membership
from chatcore.telemetry import Counters


class ILookedAt(Protocol):
    """The parts of a node that answer questions about it.

    Attributes:
        listed: all servers that were known at start.
        catalogue: the components of the application.
    """

    server: Server
    listed: Servers
    catalogue: Catalogue
    dispatcher: Dispatcher
    servers: ClusterServers
    links: LinkTable
    membership: Membership
    channels: ChannelService
    counters: Counters
