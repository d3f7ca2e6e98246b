"""Calls to remotes, as an application makes them."""

from __future__ import annotations

from typing import Any, TypeVar

from zope.interface import Interface

from chatcore.interfaces.sessions import ISession

T = TypeVar("T")


class IRpcTarget(Interface):
    """The remotes of the server that was chosen."""

    def __getitem__(remote: type[T]) -> T:
        """Its remote that implements this interface."""


class IRpc(Interface):
    """Calls to the remotes of other servers, and of this one."""

    def by(session: ISession) -> Any:
        """The server that the route of the remote's server type chooses for this session.

        Use it as ``rpc.by(session)[IChatRemote].add(…)`` or
        ``rpc.by(session).chat.chatRemote.add(…)``.
        """

    def to(server_id: str) -> Any:
        """That server: ``rpc.to("chat-server-1")[IChatRemote].add(…)``."""

    def to_all(server_type: str) -> Any:
        """Every server of a type: results or failures by server id come back."""
