"""Ready-made routes: which server of a type a session's requests go to.

Those that remember something do so for the node whose ``configure(app)`` made them.
"""

from __future__ import annotations

from chatcore.cluster.balance import Balance, LeastActive, RoundRobin, Weighted
from chatcore.interfaces import IServers, ISession, Route


def by_session(key: str) -> Route:
    """A route: the server that owns what the session has under ``key``."""
    _refuse_other_than_text("by_session", key)

    def choose(session: ISession, server_type: str, servers: IServers) -> str:
        return servers.owner(server_type, _value(session, key)).id

    return choose


def by_uid(session: ISession, server_type: str, servers: IServers) -> str:
    """The route where none is set: by the uid, or by the connection while there is none."""
    return servers.owner(server_type, session.uid or f"{session.frontend_id} {session.id}").id


def by_hash(key: str | None = None) -> Route:
    """A route as in Pomelo's applications: CRC-32 modulo the number of servers.

    It agrees with theirs to the bit, over the servers sorted by id. When a server comes or goes,
    almost every key moves: prefer `by_session`, of which only those move that have to.

    Args:
        key: what of the session is hashed; its uid if there is none, or "" while it has no uid.
    """
    if key is not None:
        _refuse_other_than_text("by_hash", key)

    def choose(session: ISession, server_type: str, servers: IServers) -> str:
        text = session.uid or "" if key is None else _value(session, key)
        return servers.hashed(server_type, text).id

    choose.placement = "pomelo"  # type: ignore[attr-defined]  # the channels follow the route
    return choose


def round_robin() -> Route:
    """A route: one server after the other."""
    return _route(RoundRobin())


def weighted() -> Route:
    """A route: each server as often as its ``weight`` in servers.json says."""
    return _route(Weighted())


def least_active() -> Route:
    """A route: the server with the fewest requests and calls of this node under way."""
    return _route(LeastActive())


_FACTORIES: list[tuple[object, str]] = [
    (by_session, 'by_session("key")'),
    (by_hash, 'by_hash("key")'),
    (round_robin, "round_robin()"),
    (weighted, "weighted()"),
    (least_active, "least_active()"),
]


def how_to_write(choose: object) -> str | None:
    """How what makes a route is written, where it was given instead of a route."""
    return next((text for factory, text in _FACTORIES if factory is choose), None)


def _route(balance: Balance) -> Route:
    return lambda session, server_type, servers: balance(server_type, servers)


def _value(session: ISession, key: str) -> str:
    value = session.get(key)
    if value is None:
        raise LookupError(f"the session has no {key!r} to route by; set and push it first")
    return str(value)


def _refuse_other_than_text(route: str, key: object) -> None:
    if not isinstance(key, str):
        raise TypeError(f"{route} got {key!r}, where the name of a session's setting was expected")
