"""What a node counts. All names stand here: the parts add, and whoever wants to know reads."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(slots=True)
class Counters:
    """The counters of one node. They only grow, apart from those that say "now"."""

    clients_now: int = 0
    """Connections of clients, shaken hands or not."""
    sessions_now: int = 0
    """Clients that have shaken hands."""
    clients_accepted: int = 0
    """Connections taken in, also those that were refused once a proxy had said whose they are."""
    clients_refused: int = 0
    """Connections refused because there were too many."""
    clients_crowded: int = 0
    """Connections refused because there were too many from their address."""
    clients_blacklisted: int = 0
    """Connections refused or closed because of the blacklist."""
    clients_foreign: int = 0
    """WebSockets refused because of the page that opened them."""
    clients_unproxied: int = 0
    """Connections refused because no proxy that is trusted said whose they are."""
    polling_now: int = 0
    """Clients of socket.io that poll."""
    upgrades: int = 0
    """Clients of socket.io that polled, and went on by WebSocket."""
    http_answers: int = 0
    """Plain HTTP requests on the client port, told what it is for or what was wrong with them."""
    clients_broken: int = 0
    """Connections closed because of bytes that break the protocol."""
    clients_turned_away: int = 0
    """Connections closed because the application refused the handshake."""
    clients_silent: int = 0
    """Connections closed because no handshake or no heartbeat came in time."""
    clients_idle: int = 0
    """Connections closed because they sent no request and no notify for too long."""
    clients_slow: int = 0
    """Connections closed because they did not read what was sent to them."""
    clients_flooding: int = 0
    """Connections closed because they went on sending far more than they may."""
    clients_kicked: int = 0
    clients_moved: int = 0
    """Clients that were sent on, because this frontend drains."""
    binds_refused: int = 0
    """Sessions that were not bound because the uid has one elsewhere in the cluster."""
    binds_failed: int = 0
    """Sessions that were not bound because nobody could say in time whether the uid has one."""
    sessions_taken_over: int = 0
    """Sessions kicked because their uid has a newer one elsewhere in the cluster."""
    datagrams_dropped: int = 0
    """Datagrams thrown away: of nobody known or let in, or not made of whole packages."""
    datagrams_unsent: int = 0
    """Datagrams to clients that the system did not take."""
    requests: int = 0
    notifies: int = 0
    requests_now: int = 0
    """Requests and notifies that wait here, for a handler or for another server."""
    requests_refused: int = 0
    """Requests and notifies refused by a limit, for their route or for their body."""
    requests_failed: int = 0
    """Requests answered 500 because of an exception, a deadline or a lost server."""
    pushes: int = 0
    """Messages put into clients' outboxes without having been asked for."""
    pushes_dropped: int = 0
    """Pushes given up because a client did not read."""
    pushes_replaced: int = 0
    """Pushes given up for a newer one of their route, under the policy newest-per-route."""
    pushes_failed: int = 0
    """Pushes that fit no schema of their route, or are too long; nobody got them."""
    links_up: int = 0
    """How often a link to another node came up."""
    links_lost: int = 0
    links_rejected: int = 0
    """Links that did not prove themselves, for whatever reason."""
    links_uncertified: int = 0
    """Of these: links to this node without a certificate that is their own, or without TLS."""
    links_crowded: int = 0
    """Of these: links to this node closed for others, because too many were unproven."""
    links_flooding: int = 0
    """Of these: links to this node not heard, because too many of their address were rejected."""
    link_pushes_shed: int = 0
    """Pushes given up because a link was blocked."""
    administrators_refused: int = 0
    """Administrators, and what they asked, that were refused because there was too much of it."""
    calls_failed: int = 0
    """Calls to other nodes that ended without an answer of theirs, or were not even sent."""
    calls_retried: int = 0
    """Calls that were tried again, on the same server or on another one."""
    calls_refused: int = 0
    """Calls and forwarded requests of other nodes that were refused before anything ran here."""
    boxes_passed_on: int = 0
    """Requests and calls that came here and were sent on to the new owner of their key."""
    registry_lost: int = 0
    """How often the registry stopped answering."""
    registry_forged: int = 0
    """Views and heartbeats in Redis that nobody who knows the cluster's secret has written."""
    store_failed: int = 0
    """Commands to Redis that it did not do or answer in time, and those that were too many."""
    announcements_refused: int = 0
    """Nodes that a master did not let in: another one has their id, or they can't be read."""
    crons_run: int = 0
    crons_skipped: int = 0
    """Times at which a cron was due and its last run still went on."""
    crons_failed: int = 0

    def as_dict(self) -> dict[str, int]:
        """All counters by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Seen:
    """Says what is new, so that it is logged once, until there was as much as it remembers.

    Args:
        most: how many different things; after them, nothing is new.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._seen: set[Hashable] = set()

    def first(self, what: Hashable) -> bool:
        """Whether this is new, and to be logged."""
        if len(self._seen) >= self._most or what in self._seen:
            return False
        self._seen.add(what)
        return True


class Troubles:
    """Says which troubles are worth a line, where the same ones come again and again.

    Args:
        passing: seconds for which those are put up with that may pass by themselves; who has had
            none for so long has it for the first time again.
        quiet: seconds in which one is told once only.
        most: how many are remembered.
    """

    def __init__(self, *, passing: float, quiet: float, most: int) -> None:
        self._passing, self._quiet, self._most = passing, quiet, most
        self._known: dict[Hashable, tuple[float, float, float]] = {}

    def level(self, what: Hashable, now: float, *, may_pass: bool) -> Literal["warn", "info", ""]:
        """How to log it; empty if it is not to be logged now.

        Args:
            now: the time, in seconds.
            may_pass: whether it may pass by itself.
        """
        first, last, told = self._known.get(what, (now, now, now - self._quiet))
        if now - last > self._passing:
            first = now
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[what] = first, now, told
        if now - told < self._quiet:
            return ""
        if may_pass and now - first < self._passing:
            return "info" if first == now else ""
        self._known[what] = first, now, now
        return "warn"


class Rationed:
    """Lets a few lines a second into the log, of what others can bring about at will.

    Args:
        most: lines a second.
        later: calls something after so many seconds, as a reactor's ``callLater`` does.
        left_out: told at the end of a second how many were too many; it logs that.
    """

    def __init__(
        self, most: int, *, later: Callable[..., Any], left_out: Callable[[int], object]
    ) -> None:
        self._most, self._later, self._left_out = most, later, left_out
        self._asked = 0
        self._timer: Any = None

    def admit(self) -> bool:
        """Whether one more is to be logged."""
        self._asked += 1
        if self._timer is None:
            self._timer = self._later(1.0, self._over)
        return self._asked <= self._most

    def stop(self) -> None:
        """Say what there is to say, and forget the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._over()

    def _over(self) -> None:
        self._timer = None
        too_many, self._asked = self._asked - self._most, 0
        if too_many > 0:
            self._left_out(too_many)
