"""What a component is given as ``app``, and what ``configure(app)`` is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from zope.interface import Attribute, Interface

from chatcore.interfaces.channels import IChannels
from chatcore.interfaces.handshake import CheckClient, HandshakeHook
from chatcore.interfaces.rpc import IRpc
from chatcore.interfaces.servers import IServers
from chatcore.interfaces.sessions import ISession, ISessions

T = TypeVar("T")


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


BroadcastFilter = Callable[[ISession, Any, Any], bool]
"""Whether a session is meant: given the session, the message and the broadcast's ``where``."""


class IConfigurator(Interface):
    """What the application's ``configure(app)`` is given before the server starts."""

    env: str = Attribute("The environment: development, production, …")
    server_type: str = Attribute("The type of this server.")

    def set(key: str, value: Any) -> None:
        """Change a setting, as in ``app.set("heartbeat.interval", 3)``.

        What is given where a node is started (``--set``) wins over it.
        """

    def route(server_type: str, choose: Route) -> None:
        """How a server of that type is chosen for a session, for requests and for calls.

        ``app.route("default", …)`` is for all types that have no route of their own.
        """

    def rpc_filter(filter: Any) -> None:
        """Have a filter see the calls that this node makes.

        A filter is an object with ``before(call)``, ``after(call, result, problem)``, or both,
        which may be async; ``call`` is an `IRpcCall`. What ``before`` raises stops the call.
        ``after`` is called however the call ended; nobody waits for one that waits.
        """

    def remote_filter(filter: Any) -> None:
        """Have a filter see the calls that other nodes make to remotes of this one."""

    def rpc_error_handler(handler: Callable[[Any, Any], Any]) -> None:
        """Have ``handler(error, call)`` see each `RpcError` before who called does.

        What it returns is the result of the call instead; with None the error stays as it is. It
        may raise another error, and it may be async.
        """

    def check_client(check: CheckClient) -> None:
        """Have ``check(type, version)`` decide whether a client is recent enough.

        One that is not is answered ``{"code": 501}``, which its library reports as "client version
        not fulfilled". The check may be async.
        """

    def on_handshake(hook: HandshakeHook) -> None:
        """Have ``hook(handshake)`` decide who comes in.

        What it returns is told to the client as ``user``, unless it is empty. If it raises, the
        client is answered ``{"code": 500}``; a `ClientError` is a refusal like any other, anything
        else is logged as a mistake. The hook may be async.
        """

    def broadcast_filter(wanted: BroadcastFilter) -> None:
        """Have ``wanted(session, msg, where)`` pick the clients of broadcasts that say ``where``.

        It runs on each frontend, once for each of its sessions, and must answer at once. Whom it
        raises for is left out, and that is logged once for each broadcast.
        """

    def configure(
        env: str = "all", type: str = "all"
    ) -> Callable[[Callable[[], None]], Callable[[], None]]:
        """Run the decorated function at once if this server is of these; as in ``"a|b"``."""
