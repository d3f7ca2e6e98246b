"""Channels, as an application sees them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from zope.interface import Attribute, Interface


class IChannel(Interface):
    """A named set of members to push to. A member is a uid on a frontend.

    Whose last session on that frontend has ended is a member no more, and ``on_left`` is called.
    """

    name: str = Attribute("Its name.")
    state: dict[str, Any] = Attribute(
        "What the application keeps with it; it goes along when another server owns the channel."
    )

    def add(uid: str, sid: str) -> bool:
        """Add who is connected to the frontend ``sid``; False if it is in already.

        Only a uid that is bound on that frontend stays in: one that is not leaves again as soon as
        the frontend says so, and ``on_left`` is called.

        Raises:
            TypeError: ``uid`` is not a text, or empty, as that of a session that is not bound.
            NoSuchServer: there is no frontend ``sid``.
            ChannelMoved: another server owns the channel now, as from `leave` and `push`.
        """

    def leave(uid: str, sid: str) -> bool:
        """Remove that pair; False if it was not in. Does not call ``on_left``."""

    def members() -> list[tuple[str, str]]:
        """All members, as pairs of uid and frontend id, in the order of joining."""

    def member(uid: str) -> tuple[str, str] | None:
        """A member with that uid; None if there is none. `sids` tells of several."""

    def uids() -> list[str]:
        """Who is in it, each once, in the order of joining."""

    def sids(uid: str) -> list[str]:
        """The frontends from which ``uid`` is in it."""

    def __contains__(uid: object) -> bool: ...

    def __len__() -> int:
        """How many members there are."""

    def push(route: str, msg: Any, *, droppable: bool = False) -> Awaitable[list[str]]:
        """Send a message to all members.

        Args:
            droppable: whether those who do not keep up may miss it, so that it never is what makes
                the frontend disconnect them.

        Returns:
            something to wait for or to let go: the uids that could not be reached because the
            link to their frontend is down or blocked. Who has no session any more is not among
            them: they leave the channel, and ``on_left`` is called.

        Raises:
            BodyError: the message can't be encoded; nothing was sent.
        """

    def destroy() -> None:
        """Remove all members, without calling ``on_left``, and the channel.

        Who adds somebody to it afterwards makes it anew, under the same name.
        """


class IChannels(Interface):
    """The channels of this node."""

    def get(name: str, create: bool = False) -> Any:
        """The `IChannel` of that name, or None. With ``create``, it is made where it is missing.

        A channel without members goes away by itself.

        Raises:
            TypeError: ``create`` is wanted for a name that is not a text, or empty.
            ValueError: the name to be created is longer than 1024 bytes.
            ChannelMoved: it has moved to another server, which owns it now.
        """

    def destroy(name: str) -> bool:
        """Remove a channel and its members, without calling ``on_left``; False if it has none."""

    def names() -> list[str]:
        """The names of all channels that have members."""

    def push_to_uids(
        route: str,
        msg: Any,
        members: Iterable[tuple[str, str] | str],
        *,
        droppable: bool = False,
    ) -> Awaitable[list[str]]:
        """Send a message to all sessions of these members, once however often they are named.

        Args:
            members: pairs of uid and frontend id, which is the cheap way; or uids alone, for which
                every frontend is asked.
            droppable: as with `IChannel.push`.

        Returns:
            something to wait for or to let go: of the pairs, the uids whose frontend could not be
            reached; of the uids alone, those that were found on no frontend that answered.

        Raises:
            BodyError: the message can't be encoded; nothing was sent.
            TypeError: a member is neither.
        """

    def broadcast(
        server_type: str,
        route: str,
        msg: Any,
        *,
        bound: bool = False,
        where: Any = None,
        droppable: bool = False,
    ) -> Awaitable[list[str]]:
        """Send a message to every client of every frontend of a type, once to each session.

        Args:
            bound: only to sessions that are bound to a uid.
            where: only to sessions that the function given to ``app.broadcast_filter`` picks; it is
                passed this value, which has to cross links.
            droppable: as with `IChannel.push`.

        Returns:
            something to wait for or to let go: the ids of the frontends that could not be reached.

        Raises:
            BodyError: the message can't be encoded; nothing was sent.
            NoSuchServer: the view has no frontend of that type.
            TypeError: ``where`` can't cross a link.
        """

    def on_left(hook: Callable[[IChannel, str, str, str], Any]) -> None:
        """Have ``hook(channel, uid, sid, reason)`` called when a member went by itself.

        That is: its last session on that frontend ended, or the frontend is gone. A hook that is
        there already is not added again.

        Raises:
            TypeError: the hook can't be called with these four.
        """
