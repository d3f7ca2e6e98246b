"""Calls to remotes, as an application makes them."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, NoReturn, TypeVar

from zope.interface import Attribute, Interface

from chatcore.interfaces.sessions import ISession

T = TypeVar("T")


class IRpcTarget(Interface):
    """The remotes of the server that was chosen."""

    def __getitem__(remote: type[T]) -> T:
        """Its remote that implements this interface."""


class IRpc(Interface):
    """Calls to the remotes of other servers, and of this one.

    Each of these chooses servers; what comes back is used as ``[IChatRemote].add(…)`` or as
    ``.chat.chatRemote.add(…)``. They take the same options:

    - ``notify=True``: nobody waits for an answer. The call gives None at once; that it could not
      be sent is counted and logged, not raised.
    - ``timeout``: seconds after which the call fails, instead of ``links.call_timeout``.
    - ``failure``: what follows when a call gives no result. ``"fast"``: its error is raised.
      ``"over"``: another server of the type is called, but only where it is certain that nothing
      ran. ``"retry"``: the call is made again after ``links.retry_seconds``, at most
      ``links.retries`` times, also when the link was lost or no answer came; this takes a method
      that is marked `idempotent`. None of them outlasts the timeout.
    """

    def by(
        session: ISession,
        *,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Any:
        """The server that the route of the remote's server type chooses for this session.

        With ``failure="over"`` a server may answer that is not the owner: the one which the route
        chooses without those that could not be called.
        """

    def by_key(
        key: str, *, notify: bool = False, timeout: float | None = None, failure: str = "fast"
    ) -> Any:
        """The server that owns a key: the same on every node."""

    def any(
        how: str = "round_robin",
        *,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Any:
        """Any server of the type, one that this node is connected to if there is one.

        Args:
            how: ``"round_robin"``; ``"weighted"``, by the ``weight`` in servers.json;
                ``"least_active"``, with the fewest requests and calls of this node under way;
                or ``"random"``.
        """

    def to(
        server_id: str, *, notify: bool = False, timeout: float | None = None, failure: str = "fast"
    ) -> Any:
        """That server: ``rpc.to("chat-server-1")[IChatRemote].add(…)``."""

    def to_all(
        server_type: str,
        *,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Any:
        """Every server of a type: results or failures by server id come back."""

    def call(
        server_id: str,
        method: str,
        *args: Any,
        notify: bool = False,
        timeout: float | None = None,
        failure: str = "fast",
    ) -> Awaitable[Any]:
        """Call a method by its text: ``rpc.call("chat-server-1", "chat.chatRemote.add", …)``."""


class IRpcCall(Interface):
    """A call, as filters and the error handler see it."""

    server_id: str = Attribute("The server that is called.")
    server_type: str = Attribute("Its type.")
    service: str = Attribute("The remote, as in chatRemote.")
    method: str = Attribute("The method.")
    args: list[Any] = Attribute("Its arguments; what `before` changes in them is what is called.")
    notify: bool = Attribute("Whether nobody waits for an answer.")
    peer: str | None = Attribute("The server that calls, on the side that is called.")
    size: int = Attribute("Bytes of the arguments as they cross a link.")
    seconds: float = Attribute("How long it took, when it has ended.")
    context: dict[str, Any] = Attribute("What a filter carries from `before` to `after`.")
    route: str = Attribute("What is called, as in chat.chatRemote.add.")

    def refuse(why: str) -> NoReturn:
        """Refuse it in a filter's ``before``: who calls gets an `RpcError` with this text."""
