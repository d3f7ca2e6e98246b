"""Sessions, as an application sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zope.interface import Attribute, Interface


class ISession(Interface):
    """A client's session, as a handler sees it.

    It is a copy that lives as long as the request. What is set on it stays here until it is
    pushed to the frontend, where the session lives.
    """

    id: int = Attribute("The number of the connection on its frontend.")
    frontend_id: str = Attribute("The id of the frontend that the client is connected to.")
    uid: str | None = Attribute("Who it is, once bound.")

    def get(key: str, default: Any = None) -> Any:
        """A setting of the session."""

    def set(key: str, value: Any) -> None:
        """Change a setting in this copy only."""

    async def push(*keys: str) -> None:
        """Publish these settings to the frontend; without keys, all.

        Raises:
            SessionError: the client is gone.
            RpcError: the frontend can't be reached.
        """

    async def update(**settings: Any) -> None:
        """Set these and publish them."""

    async def bind(uid: str) -> None:
        """Say who the client is. Binding to the same uid again is no mistake.

        Raises:
            SessionError: it is bound to another uid, or the client is gone.
            RpcError: the frontend can't be reached.
        """

    async def unbind() -> None:
        """Forget who the client is."""

    async def kick(reason: str = "kick") -> None:
        """Tell the client why, and close its connection."""

    def on_closed(hook: Callable[[ISession, str], Any]) -> None:
        """Have ``hook(session, reason)`` called when the client is gone.

        Only the frontend knows; on a backend, use the channels' ``on_left``.

        Raises:
            SessionError: this is a copy on a backend, or the client is gone already.
        """


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
