"""What a node tells of itself in numbers: their names, kinds and what they mean, all of them here.

The parts of a node are given one `Counters` and add to it: an increment of a counter, or a
`Samples.add`. What is large or costs something to know is a gauge: a part says once how it is read,
and it is read only when somebody asks. Whoever shows these numbers reads `Counters.all`, and needs
to know none of the parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Final, Literal, NamedTuple

from chatcore.telemetry.journal import Journal
from chatcore.telemetry.keeping import ByLabel, Gauges, Samples

BYTES: Final = (1024.0, 4096.0, 16384.0, 65536.0, 262144.0, 1048576.0, 4194304.0, 16777216.0)
"""The upper ends of buckets of bytes."""

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper ends of buckets of seconds."""

MOST_ROUTES = 200
"""Routes whose requests are told apart; those of others are taken together."""

Kind = Literal["counter", "gauge", "samples"]
"""What a number is.

``counter``
    only grows, while the node lives
``gauge``
    is as it is now
``samples``
    how many values there were, and how large: by buckets
"""


class Gauge(NamedTuple):
    """A value that is read when it is asked for.

    Args:
        help: what it is.
        label: what its values are told apart by; empty where there is one.
    """

    help: str
    label: str = ""


GAUGES: Final[dict[str, Gauge]] = {
    "outbox_bytes": Gauge("Bytes that wait for clients, those that transports hold included."),
    "outbox_bytes_most": Gauge("Bytes that wait for the client for whom the most do."),
    "link_queue_bytes": Gauge("Bytes that wait to be written to a link.", "peer"),
    "link_round_trip_seconds_now": Gauge("How long the newest ping of a link took.", "peer"),
    "link_under_way": Gauge("What was asked over a link and has no answer yet.", "peer"),
    "channels": Gauge("Channels that have members, of those that this node owns."),
    "members": Gauge("Members of these channels."),
    "groups": Gauge("Channels that have members among the clients of this node."),
    "logins_at_home": Gauge("Uids of which this node knows for the cluster where they are."),
    "view_epoch": Gauge("The number of the view that this node knows."),
    "journal_uids": Gauge("Uids of which it is noted what happened to them."),
    "memory_bytes": Gauge("Memory that the process has in use."),
}
"""All gauges but those that the parts count themselves."""


def counter(help: str) -> Any:
    """A number that only grows."""
    return field(default=0, metadata={"help": help, "kind": "counter"})


def level(help: str) -> Any:
    """A number of what there is now, which the parts count up and down."""
    return field(default=0, metadata={"help": help, "kind": "gauge"})


def sampled(help: str, label: str = "") -> dict[str, str]:
    """Says what values are, whose number and size are kept."""
    return {"help": help, "kind": "samples", "label": label}


class Number(NamedTuple):
    """One of the numbers, as it is told.

    Args:
        name: its name.
        kind: what it is.
        help: what it means.
        value: a number; by label, where it has one; of samples, see `Samples.to_value`.
        label: what its values are told apart by.
    """

    name: str
    kind: Kind
    help: str
    value: Any
    label: str = ""

    def to_value(self) -> dict[str, Any]:
        """It in JSON's types."""
        return self._asdict()


@dataclass(slots=True)
class Counters:
    """What the parts of one node count, measure and note.

    Attributes:
        gauges: what is read when it is asked for; the parts say how.
        journal: what happened to whom.
    """

    clients_now: int = level("Connections of clients, shaken hands or not.")
    sessions_now: int = level("Clients that have shaken hands.")
    clients_accepted: int = counter(
        "Connections taken in, also those that were refused once a proxy had said whose they are."
    )
    clients_refused: int = counter("Connections refused because there were too many.")
    clients_crowded: int = counter(
        "Connections refused because there were too many from their address."
    )
    clients_blacklisted: int = counter("Connections refused or closed because of the blacklist.")
    clients_foreign: int = counter("WebSockets refused because of the page that opened them.")
    clients_unproxied: int = counter(
        "Connections refused because no proxy that is trusted said whose they are."
    )
    polling_now: int = level("Clients of socket.io that poll.")
    upgrades: int = counter("Clients of socket.io that polled, and went on by WebSocket.")
    http_answers: int = counter(
        "Plain HTTP requests on the client port, told what it is for or what was wrong with them."
    )
    clients_broken: int = counter("Connections closed because of bytes that break the protocol.")
    clients_turned_away: int = counter(
        "Connections closed because the application refused the handshake."
    )
    clients_silent: int = counter(
        "Connections closed because no handshake or no heartbeat came in time."
    )
    clients_idle: int = counter(
        "Connections closed because they sent no request and no notify for too long."
    )
    clients_slow: int = counter(
        "Connections closed because they did not read what was sent to them."
    )
    clients_flooding: int = counter(
        "Connections closed because they went on sending far more than they may."
    )
    clients_kicked: int = counter("Clients that were told to go, and why, and closed.")
    clients_moved: int = counter("Clients that were sent on, because this frontend drains.")
    binds_refused: int = counter(
        "Sessions that were not bound because the uid has one elsewhere in the cluster."
    )
    binds_failed: int = counter(
        "Sessions that were not bound because nobody could say in time whether the uid has one."
    )
    sessions_taken_over: int = counter(
        "Sessions kicked because their uid has a newer one elsewhere in the cluster."
    )
    datagrams_dropped: int = counter(
        "Datagrams thrown away: of nobody known or let in, or not made of whole packages."
    )
    datagrams_unsent: int = counter("Datagrams to clients that the system did not take.")
    requests: int = counter("Requests of clients.")
    notifies: int = counter("Notifies of clients.")
    requests_now: int = level(
        "Requests and notifies that wait here, for a handler or for another server."
    )
    requests_refused: int = counter(
        "Requests and notifies refused by a limit, for their route or for their body."
    )
    requests_failed: int = counter(
        "Requests answered 500 because of an exception, a deadline or a lost server."
    )
    pushes: int = counter("Messages put into clients' outboxes without having been asked for.")
    pushes_dropped: int = counter("Pushes given up because a client did not read.")
    pushes_replaced: int = counter(
        "Pushes given up for a newer one of their route, under the policy newest-per-route."
    )
    pushes_failed: int = counter(
        "Pushes that fit no schema of their route, or are too long; nobody got them."
    )
    links_up: int = counter("Links to other nodes that came up.")
    links_lost: int = counter("Links to other nodes that were lost.")
    links_rejected: int = counter("Links that did not prove themselves, for whatever reason.")
    links_uncertified: int = counter(
        "Of the rejected links, those without a certificate that is their own, or without TLS."
    )
    links_crowded: int = counter(
        "Of the rejected links, those closed for others, because too many were unproven."
    )
    links_flooding: int = counter(
        "Of the rejected links, those not heard, because too many of their address were rejected."
    )
    link_pushes_shed: int = counter("Pushes given up because a link was blocked.")
    administrators_refused: int = counter(
        "Administrators, and what they asked, that were refused because there was too much of it."
    )
    administrators_forbidden: int = counter(
        "What was asked by somebody with a viewer's token and takes an administrator's."
    )
    taps_now: int = level("Those who are shown what passes on the links of this node.")
    taps_refused: int = counter("Those who were not, because too many were already.")
    tapped_boxes_lost: int = counter(
        "Boxes that somebody was not shown who did not keep up, or may see no more of them."
    )
    boxes_replayed: int = counter("Boxes of recordings that this node has acted on.")
    calls_failed: int = counter(
        "Calls to other nodes that ended without an answer of theirs, or were not even sent."
    )
    calls_retried: int = counter(
        "Calls that were tried again, on the same server or on another one."
    )
    calls_refused: int = counter(
        "Calls and forwarded requests of other nodes that were refused before anything ran here."
    )
    boxes_passed_on: int = counter(
        "Requests and calls that came here and were sent on to the new owner of their key."
    )
    registry_lost: int = counter("Times at which the registry stopped answering.")
    registry_forged: int = counter(
        "Views and heartbeats in Redis that nobody who knows the cluster's secret has written."
    )
    store_failed: int = counter(
        "Commands to Redis that it did not do or answer in time, and those that were too many."
    )
    announcements_refused: int = counter(
        "Nodes that a master did not let in: another one has their id, or they can't be read."
    )
    failures_logged: int = counter("Lines of the log that tell of an error.")
    crons_run: int = counter("Runs of crons that were begun.")
    crons_skipped: int = counter("Times at which a cron was due and its last run still went on.")
    crons_failed: int = counter("Runs of crons that raised.")
    request_seconds: ByLabel = field(
        default_factory=partial(ByLabel, SECONDS, MOST_ROUTES),
        metadata=sampled(
            "Seconds from a client's request to its answer, but for what was refused.", "route"
        ),
    )
    call_seconds: Samples = field(
        default_factory=partial(Samples, SECONDS),
        metadata=sampled("Seconds from what was asked of another node to its answer."),
    )
    outbox_high_water_bytes: Samples = field(
        default_factory=partial(Samples, BYTES),
        metadata=sampled(
            "Bytes that waited for a client as they passed a quarter, the half, or all that may."
        ),
    )
    link_round_trip_seconds: Samples = field(
        default_factory=partial(Samples, SECONDS),
        metadata=sampled("Seconds that pings of links took."),
    )
    loop_lag_seconds: Samples = field(
        default_factory=partial(Samples, SECONDS),
        metadata=sampled(
            "Seconds by which this node came late to what was due, looked at each second."
        ),
    )
    gauges: Gauges = field(default_factory=partial(Gauges, GAUGES))
    journal: Journal = field(default_factory=Journal)

    def as_dict(self) -> dict[str, int]:
        """All that is counted, by name; not what is sampled, or read when asked for."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.default == 0}

    def all(self) -> Iterator[Number]:
        """Every number there is: what is counted, what is sampled, what is read now."""
        for each in fields(self):
            about = each.metadata
            if about:
                found = getattr(self, each.name)
                value = found if isinstance(found, int) else found.to_value()
                yield Number(each.name, about["kind"], about["help"], value, about.get("label", ""))
        for name, value in self.gauges.read():
            yield Number(name, "gauge", GAUGES[name].help, value, GAUGES[name].label)
