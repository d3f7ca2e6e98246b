"""Ready-made routes: which server of a type a session's requests go to."""

from __future__ import annotations

from chatcore.interfaces import IServers, ISession, Route


def by_session(key: str) -> Route:
    """A route: the server that owns what the session has under ``key``."""

    def choose(session: ISession, server_type: str, servers: IServers) -> str:
        value = session.get(key)
        if value is None:
            raise LookupError(f"the session has no {key!r} to route by; set and push it first")
        return servers.owner(server_type, str(value)).id

    return choose


def by_uid(session: ISession, server_type: str, servers: IServers) -> str:
    """The route where none is set: by the uid, or by the connection while there is none."""
    return servers.owner(server_type, session.uid or f"{session.frontend_id} {session.id}").id
