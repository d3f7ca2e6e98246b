"""The interfaces that applications declare and are given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from zope.interface import Attribute, Interface
from zope.interface.interface import InterfaceClass

T = TypeVar("T")

if TYPE_CHECKING:

    class IHandler(Interface):
        """What a handler's interface derives from."""

    class IRemote(Interface):
        """What a remote's interface derives from."""

else:

    class ComponentInterface(InterfaceClass):
        """An interface that remembers the functions it was declared with.

        Whether a method is declared ``async``, its annotations and its line are what
        `zope.interface` itself forgets.
        """

        def __init__(self, name, bases=(), attrs=None, *args, **kwargs):
            found = {n: f for n, f in (attrs or {}).items() if isinstance(f, FunctionType)}
            super().__init__(name, bases, attrs, *args, **kwargs)
            self.functions = found

    IHandler = ComponentInterface(
        "IHandler", (Interface,), {}, "What a handler's interface derives from.", __name__
    )
    IRemote = ComponentInterface(
        "IRemote", (Interface,), {}, "What a remote's interface derives from.", __name__
    )


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


class IServer(Interface):
    """One server of the view."""

    id: str = Attribute("Its id.")
    type: str = Attribute("Its server type.")
    host: str = Attribute("The host its link port is on.")
    client_host: str | None = Attribute("The host that clients are told, where it differs.")
    client_port: int | None = Attribute("The port for clients, on a frontend.")
    frontend: bool = Attribute("Whether clients connect to it.")


class IServers(Interface):
    """The servers of the view."""

    def of_type(server_type: str) -> Sequence[IServer]:
        """All servers of a type, sorted by id."""

    def get(server_id: str) -> IServer | None:
        """The server with that id."""

    def owner(server_type: str, key: str) -> IServer:
        """Which server of a type owns a key: the same on every node.

        Raises:
            NoSuchServer: there is none of that type.
        """

    def pick(server_type: str, key: str) -> IServer:
        """As `owner`, but only among the servers that this node is connected to now.

        For handing out frontends, where nothing is lost if two nodes differ.

        Raises:
            NoSuchServer: it is connected to none of that type.
        """


class IApplication(Interface):
    """What handlers and remotes are given as ``app``."""

    server_id: str = Attribute("The id of this server.")
    server_type: str = Attribute("Its type.")
    env: str = Attribute("The environment: development, production, …")
    servers: IServers = Attribute("The servers of the view.")
    sessions: ISessions = Attribute("The sessions of this frontend.")
    channels: IChannels = Attribute("The channels of this node.")
    rpc: IRpc = Attribute("Calls to other servers.")

    def in_thread(function: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
        """Run blocking code in a thread, so that nobody else waits for it."""


Route = Callable[[ISession, str, IServers], str]
"""Chooses a server: given the session, the server type and the servers, the id of one."""


class IConfigurator(Interface):
    """What the application's ``configure(app)`` is given before the server starts."""

    env: str = Attribute("The environment: development, production, …")
    server_type: str = Attribute("The type of this server.")

    def set(key: str, value: Any) -> None:
        """Change a setting, as in ``app.set("heartbeat.interval", 3)``.

        What is given where a node is started (``--set``) wins over it.
        """

    def route(server_type: str, choose: Route) -> None:
        """How a server of that type is chosen for a session."""

    def configure(
        env: str = "all", type: str = "all"
    ) -> Callable[[Callable[[], None]], Callable[[], None]]:
        """Run the decorated function at once if this server is of these; as in ``"a|b"``."""
