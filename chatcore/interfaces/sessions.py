"""Sessions, as an application sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from zope.interface import Attribute, Interface

Address = tuple[str, int]
"""A client's IP address as text, and its port, which is 0 where a proxy did not tell it."""


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
    address: Address = Attribute(
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
                session already and ``sessions.per_uid`` is ``refuse``, or, with
                ``sessions.scope=cluster``, it can't be known now whether it has one.
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
            TypeError: the hook can't be called with a session and a reason.
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
    address: Address
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


class Found(NamedTuple):
    """The sessions of a uid on all frontends.

    Attributes:
        sessions: those that were found.
        unreached: by the ids of the frontends that did not answer, why.
    """

    sessions: list[ISession]
    unreached: Mapping[str, Exception]


class Kicks(NamedTuple):
    """What came of kicking a uid on all frontends.

    Attributes:
        kicked: how many sessions were.
        unreached: by the ids of the frontends that did not answer, why.
    """

    kicked: int
    unreached: Mapping[str, Exception]


class IFarSessions(Interface):
    """The sessions of the clients connected to one frontend, asked from any node.

    Each of these raises an `RpcError` where the frontend gives no answer: `NoSuchServer` where the
    view has no such frontend, `NotConnected` where there is no link to it now.
    """

    frontend_id: str = Attribute("The id of the frontend.")

    async def get(id: int) -> ISession | None:
        """The session with that number."""

    async def by_uid(uid: str) -> Sequence[ISession]:
        """All sessions bound to that uid there; empty if there is none."""

    async def count() -> int:
        """How many sessions there are."""

    def __aiter__() -> AsyncIterator[ISession]:
        """All sessions: ``async for session in app.sessions.at("connector-1")``.

        They are asked for in portions. Who comes meanwhile is among them, who goes may be.
        """

    def bound() -> AsyncIterator[ISession]:
        """All sessions that are bound to a uid, in the same way."""

    async def update(id: int, /, **settings: Any) -> None:
        """Change settings of a session.

        Raises:
            SessionError: it is gone.
            TypeError: a value can't travel; nothing was changed.
        """

    async def push(id: int, route: str, msg: Any, *, droppable: bool = False) -> bool:
        """Send a message to one session; False if it is gone.

        Args:
            droppable: whether a client that does not keep up may miss it.

        Raises:
            BodyError: the message can't be encoded; nothing was sent.
        """

    async def push_to_uid(uid: str, route: str, msg: Any, *, droppable: bool = False) -> int:
        """Send a message to all sessions of a uid; how many there were. Raises as `push` does."""

    async def kick(uid: str, reason: str = "kick") -> int:
        """Kick all sessions of a uid; how many there were.

        Raises:
            TypeError: the reason is not a text, or empty.
        """

    async def kick_id(id: int, reason: str = "kick") -> bool:
        """Kick one session; False if it is gone. Raises as `kick` does."""

    async def statistics(most: int = 1000) -> SessionStatistics:
        """Who is connected, with the newest ``most`` of those that are logged in."""


class ISessions(Interface):
    """The sessions of the clients connected to this frontend; a backend has none.

    ``at``, ``find`` and ``kick_everywhere`` reach those of other frontends.
    """

    def get(id: int) -> ISession | None:
        """The session with that number."""

    def by_uid(uid: str) -> Sequence[ISession]:
        """All sessions bound to that uid here; empty if there is none."""

    def __iter__() -> Iterator[ISession]:
        """All sessions."""

    def bound() -> Iterator[ISession]:
        """All sessions that are bound to a uid."""

    def __len__() -> int:
        """How many sessions there are."""

    def update(id: int, /, **settings: Any) -> None:
        """Change settings of a session.

        Raises:
            SessionError: it is gone.
            TypeError: a value can't travel; nothing was changed.
        """

    def push(id: int, route: str, msg: Any, *, droppable: bool = False) -> bool:
        """Send a message to one session; False if it is gone.

        Args:
            droppable: whether a client that does not keep up may miss it.

        Raises:
            BodyError: the message can't be encoded; nothing was sent.
        """

    def push_to_uid(uid: str, route: str, msg: Any, *, droppable: bool = False) -> int:
        """Send a message to all sessions of a uid; how many there were. Raises as `push` does."""

    def kick(uid: str, reason: str = "kick") -> int:
        """Kick all sessions of a uid here; how many there were.

        Raises:
            TypeError: the reason is not a text, or empty.
        """

    def kick_id(id: int, reason: str = "kick") -> bool:
        """Kick one session; False if it is gone. Raises as `kick` does."""

    def statistics(most: int = 1000) -> SessionStatistics:
        """Who is connected, with the newest ``most`` of those that are logged in."""

    def at(frontend_id: str) -> IFarSessions:
        """The sessions of a frontend, which may be this one."""

    async def find(uid: str) -> Found:
        """The sessions of a uid on all frontends, and which of them did not answer."""

    async def where(uid: str) -> str | None:
        """The id of the frontend where a uid has its session; None where it has none.

        With ``sessions.scope=cluster``, the one frontend is asked that knows. Otherwise all are,
        and of several sessions the newest counts.

        Raises:
            SessionError: it can't be known now.
            RpcError: the uid was not found, and a frontend did not answer.
        """

    async def kick_everywhere(
        uid: str, reason: str = "kick", *, but: ISession | None = None
    ) -> Kicks:
        """Kick all sessions of a uid on all frontends, and say which of them did not answer.

        Args:
            but: a session that stays, as that of who has just logged in.

        Raises:
            TypeError: the reason is not a text, or empty, or ``but`` is no session.
        """
