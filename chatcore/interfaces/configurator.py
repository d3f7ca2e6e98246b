"""What an application's ``configure(app)`` is given, before its servers start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from zope.interface import Attribute, Interface

from chatcore.interfaces.carrying import ICoder, PushScheduler
from chatcore.interfaces.filters import After, Before, ErrorHandler
from chatcore.interfaces.handshake import CheckClient, HandshakeHook
from chatcore.interfaces.servers import IServers
from chatcore.interfaces.sessions import ISession

Route = Callable[[ISession, str, IServers], str]
"""Chooses a server: given the session, the server type and the servers, the id of one."""


BroadcastFilter = Callable[[ISession, Any, Any], bool]
"""Whether a session is meant: given the session, the message and the broadcast's ``where``."""


class IConfigurator(Interface):
    """What the application's ``configure(app)`` is given before the server starts."""

    env: str = Attribute("The environment: development, production, …")
    server_type: str = Attribute("The type of this server.")
    folder: Path = Attribute("The application's folder.")
    data: dict[str, Any] = Attribute("What the application keeps for itself: `app.data` later.")

    def set(key: str, value: Any) -> None:
        """Change a setting, as in ``app.set("heartbeat.interval", 3)``.

        It wins over ``config/settings.json``; what is given where a node is started (``--set``)
        wins over both.
        """

    def section(name: str, section: type) -> None:
        """Declare settings of the application's own.

        Args:
            name: the first part of their keys.
            section: a dataclass whose fields have defaults; `chatcore.config.settings.setting`
                also gives them words.
        """

    def load(component: Any, *, name: str | None = None, **options: Any) -> None:
        """Add a component to this server: a class or function that makes an `IComponent`.

        Args:
            name: its name, instead of its own.
            options: values of its settings, or further arguments where it declares none.
        """

    def use(plugin: Any, **options: Any) -> None:
        """Use a plugin, an `IPlugin`, on all servers.

        Args:
            options: values of its settings, or further arguments of its ``configure``.
        """

    def on(event: str, hook: Callable[..., Any]) -> None:
        """Have a hook called when something happens on this server; see `IApplication.on`."""

    def load_config(name: str, *, changed: Callable[[Any], Any] | None = None) -> Any:
        """Read ``config/<name>.json`` for this environment; see `IApplication.load_config`."""

    def route(server_type: str, choose: Route) -> None:
        """How a server of that type is chosen for a session, for requests and for calls.

        ``app.route("default", …)`` is for all types that have no route of their own.
        """

    def placement(
        server_type: str,
        *,
        how: str | None = None,
        key: Callable[[str], str] | None = None,
    ) -> None:
        """How the channels of servers of that type are placed when servers come and go.

        A channel belongs to the server that owns its name. Where requests are routed by something
        else than the names of their channels, say what; requests and channels then stay together.

        Args:
            how: ``rendezvous``, of which only the keys move that have to, or ``pomelo``: by CRC-32,
                as with the route `by_hash`, with which it is the default.
            key: gives the key that a channel's name stands for; the name itself unless given.
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
        else is logged as a mistake. The hook may be async; it is cancelled when its client leaves.

        It is asked for each namespace that a client of socket.io connects to. These are told
        nothing of what it returns, and what a `ClientError` says.
        """

    def broadcast_filter(wanted: BroadcastFilter) -> None:
        """Have ``wanted(session, msg, where)`` pick the clients of broadcasts that say ``where``.

        It runs on each frontend, once for each of its sessions, and must answer at once. Whom it
        raises for is left out, and that is logged once for each broadcast.
        """

    def listen(endpoint: Any) -> None:
        """Have frontends take clients in at another place, too, beside their client port.

        The same is spoken there, and the same limits hold.

        Args:
            endpoint: an `IStreamServerEndpoint`, or Twisted's description of one, as in
                ``"unix:/run/chat.sock"``. What carries bytes in another way can be made one.
        """

    def push_scheduler(schedule: PushScheduler) -> None:
        """Have ``schedule(push)`` decide when a push is sent; it calls ``push.send()``.

        It runs on each frontend, for each `IPush` to clients of that frontend, broadcasts included,
        and for nothing else: answers don't wait. A push whose ``send`` is never called is not sent.
        If it raises, that is logged, and the push is sent at once.
        """

    def coder(coder: ICoder) -> None:
        """Have bodies written and read by an `ICoder`, instead of as JSON or protobuf.

        The heads of messages, handshakes and kicks stay as they are. Clients need to know the form.
        It can't be combined with ``connector.protobuf`` or ``connector.signed``.
        """

    def before(function: Before) -> Before:
        """Have ``function(request)`` called before every handler of this server.

        To raise is to answer: a `ClientError` its own answer, anything else ``{"code": 500}``.
        """

    def after(function: After) -> After:
        """Have ``function(request, reply, problem)`` called after every handler of this server.

        It is called whatever happened. Those registered last are called first.
        """

    def filter(filter: Any) -> None:
        """Have both done by an object with ``before``, with ``after``, or with both: an `IFilter`.

        Ready-made ones are in `chatcore.application`: ``serial()``, ``time_log()``, ``timeout()``
        and ``too_busy()``.
        """

    def error_handler(function: ErrorHandler) -> ErrorHandler:
        """Have ``function(problem, request)`` say what is answered instead of ``{"code": 500}``.

        It is given all that handlers and filters before them raise on this server, after that was
        logged, but for `ClientError`, which is an answer already. None stands for the default.
        """

    def global_before(function: Before) -> Before:
        """On a frontend: before every request of its clients is answered or forwarded."""

    def global_after(function: After) -> After:
        """On a frontend: after every request of its clients, when the answer has been sent."""

    def global_filter(filter: Any) -> None:
        """On a frontend: both."""

    def global_error_handler(function: ErrorHandler) -> ErrorHandler:
        """On a frontend: what is answered where a global filter or forwarding failed.

        A server that could not answer is an `RpcError`; what a handler raised is none of its
        business, because that is answered already.
        """

    def configure(
        env: str = "all", type: str = "all"
    ) -> Callable[[Callable[[], None]], Callable[[], None]]:
        """Run the decorated function at once if this server is of these; as in ``"a|b"``."""
