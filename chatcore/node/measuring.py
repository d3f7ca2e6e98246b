"""What of a node is read when somebody asks for its numbers."""

from __future__ import annotations

from collections.abc import Mapping

from chatcore.channels.groups import GroupTable
from chatcore.channels.service import ChannelService
from chatcore.cluster.logins import Logins
from chatcore.cluster.servers import ClusterServers
from chatcore.links.link import Link
from chatcore.links.table import LinkTable
from chatcore.node.looking.status import memory
from chatcore.sessions.service import SessionService
from chatcore.telemetry import Counters


def watch(
    counters: Counters,
    *,
    links: LinkTable,
    sessions: SessionService,
    groups: GroupTable | None,
    channels: ChannelService,
    servers: ClusterServers,
    logins: Logins,
) -> None:
    """Say how the gauges of a node are read. Nothing is done before somebody reads them.

    Args:
        groups: of a frontend.
    """

    def by_peer() -> Mapping[str, Link]:
        found = {each.id: links.get(each.id) for each in servers.view.members}
        return {id: link for id, link in found.items() if link is not None}

    def round_trips() -> dict[str, float]:
        trips = {id: link.round_trip for id, link in by_peer().items()}
        return {id: trip for id, trip in trips.items() if trip is not None}

    readings = {
        "outbox_bytes": lambda: sum(each.connection.outbox.waiting for each in sessions),
        "outbox_bytes_most": lambda: max(
            (each.connection.outbox.waiting for each in sessions), default=0
        ),
        "link_queue_bytes": lambda: {id: link.queued for id, link in by_peer().items()},
        "link_round_trip_seconds_now": round_trips,
        "link_under_way": lambda: {id: link.under_way for id, link in by_peer().items()},
        "channels": lambda: len(channels.names()),
        "members": channels.count_members,
        "groups": lambda: 0 if groups is None else groups.count(),
        "logins_at_home": lambda: logins.at_home,
        "view_epoch": lambda: servers.view.epoch,
        "journal_uids": lambda: len(counters.journal),
        "memory_bytes": memory,
    }
    for name, reading in readings.items():
        counters.gauges.watch(name, reading)
