"""Sessions, as an application sees them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zope.interface import Attribute, Interface


class ISession(Interface):
    """A client's session, as a handler sees it.

    It is a copy that lives as long as the request. What is set on it stays here until it is
    pushed to the frontend, where the session lives. Settings that hold lists or objects are copied
    in depth: changing one in place changes this copy only.
    """

    id: int = Attribute("The number of the connection on its frontend.")
    frontend_id: str = Attribute("The id of the frontend that the client is connected to.")
    uid: str | None = Attribute("Who it is, once bound.")
    logged_in: float | None = Attribute("When it was bound, in seconds since the epoch.")
    address: tuple[str, int] = Attribute(
        "The client's IP address and port; the port is 0 where a proxy did not tell it."
    )
    settings: Mapping[str, Any] = Attribute("All settings of this copy, to look at.")

    def get(key: str, default: Any = None) -> Any:
        """A setting of the session."""

    def set(key: str, value: Any) -> None:
        """Change a setting in this copy only."""

    def remove(key: str) -> None:
        """Take a setting away, in this copy only."""

    def as_dict() -> dict[str, Any]:
        """All that is known of it, as values that cross a link.

        Its keys are ``id``, ``frontend_id``, ``uid``, ``address``, ``logged_in``, ``settings``.
        """

    async def push(*keys: str) -> None:
        """Publish these settings to the frontend, removed ones included; without keys, all.

        Raises:
            KeyError: there is no such setting in this copy, and none was removed from it.
            TypeError: a value can't travel.
            SessionError: the client is gone.
            RpcError: the frontend can't be reached.
        """

    async def update(**settings: Any) -> None:
        """Set these and publish them."""

    async def bind(uid: str) -> None:
        """Say who the client is. Binding to the same uid again is no mistake.

        Raises:
            TypeError: the uid is not a text, or empty.
            SessionError: it is bound to another uid, or the client is gone, or the uid has a
                session on this frontend already and ``sessions.per_uid`` is ``refuse``.
            RpcError: the frontend can't be reached.
        """

    async def unbind() -> None:
        """Forget who the client is. Nothing happens where it is nobody any more.

        Raises:
            SessionError: the client is gone, or has been bound to another uid since.
            RpcError: the frontend can't be reached.
        """

    async def kick(reason: str = "kick") -> None:
        """Tell the client why, and close its connection. Nothing happens where it is gone.

        Raises:
            TypeError: the reason is not a text, or empty.
            RpcError: the frontend can't be reached.
        """

    def on_closed(hook: Callable[[ISession, str], Any]) -> None:
        """Have ``hook(session, reason)`` called when the client is gone.

        Only the frontend knows; on a backend, use the channels' ``on_left``.

        Raises:
            SessionError: this is a copy on a backend, or the client is gone already.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A session that is bound to a uid.

    Attributes:
        uid: who it is.
        id: the number of the session on its frontend.
        address: the client's IP address and port.
        logged_in: when it was bound, in seconds since the epoch.
    """

    uid: str
    id: int
    address: tuple[str, int]
    logged_in: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatistics:
    """Who is connected to a frontend.

    Attributes:
        server_id: the frontend's id.
        connections: connections of clients now, shaken hands or not.
        sessions: those that have shaken hands.
        logged_in: those that are bound to a uid.
        logins: the newest of these, the newest first.
    """

    server_id: str
    connections: int
    sessions: int
    logged_in: int
    logins: list[Login]


class ISessions(Interface):
    """The sessions of the clients connected to this frontend."""

    def get(id: int) -> ISession | None:
        """The session with that number."""

    def by_uid(uid: str) -> Sequence[ISession]:
        """All sessions bound to that uid here; empty if there is none."""

    def kick(uid: str, reason: str = "kick") -> int:
        """Kick all sessions of a uid here; how many there were."""

    def __len__() -> int:
        """How many sessions there are."""
