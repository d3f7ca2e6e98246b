"""Channels, as an application sees them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from zope.interface import Attribute, Interface


class IChannel(Interface):
    """A named set of members to push to. A member is a uid on a frontend."""

    name: str = Attribute("Its name.")

    def add(uid: str, sid: str) -> bool:
        """Add who is connected to the frontend ``sid``; False if it is in already.

        Only a uid that is bound on that frontend stays in: one that is not leaves again as soon as
        the frontend says so, and ``on_left`` is called.

        Raises:
            TypeError: ``uid`` is not a text, or empty, as that of a session that is not bound.
            NoSuchServer: there is no frontend ``sid``.
        """

    def leave(uid: str, sid: str) -> bool:
        """Remove that pair; False if it was not in. Does not call ``on_left``."""

    def uids() -> list[str]:
        """Who is in it, each once, in the order of joining."""

    def sids(uid: str) -> list[str]:
        """The frontends from which ``uid`` is in it."""

    def __contains__(uid: object) -> bool: ...

    def __len__() -> int:
        """How many members there are."""

    def push(route: str, msg: Any) -> Awaitable[list[str]]:
        """Send a message to all members.

        Returns:
            something to wait for or to let go: the uids that could not be reached because the
            link to their frontend is down or blocked.

        Raises:
            BodyError: the message can't be encoded; nothing was sent.
        """

    def destroy() -> None:
        """Remove all members, without calling ``on_left``, and the channel."""


class IChannels(Interface):
    """The channels of this node."""

    def get(name: str, create: bool = False) -> Any:
        """The `IChannel` of that name, or None. With ``create``, it is made where it is missing.

        A channel without members goes away by itself.
        """

    def names() -> list[str]:
        """The names of all channels that have members."""

    def push_to_uids(
        route: str, msg: Any, members: Iterable[tuple[str, str]]
    ) -> Awaitable[list[str]]:
        """Send a message to these (uid, frontend id) pairs; returns as `IChannel.push` does."""

    def broadcast(server_type: str, route: str, msg: Any) -> Awaitable[list[str]]:
        """Send a message to every client of every frontend of a type.

        Returns:
            the ids of the frontends that could not be reached.
        """

    def on_left(hook: Callable[[IChannel, str, str, str], Any]) -> None:
        """Have ``hook(channel, uid, sid, reason)`` called when a member went by itself.

        That is: its last session on that frontend ended, or the frontend is gone.
        """
